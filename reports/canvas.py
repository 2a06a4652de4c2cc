"""How every figure looks: sizes, colours, axes and text, on Matplotlib's object interface.

No pyplot, no global state, and no one else's: every function that draws is `closed`. Text is set literally (no
mathtext), so that any name can be a label; PNGs and SVGs carry no metadata, so that equal figures are equal bytes.
An SVG has no ground of its own, and takes lighter colours where the page around it is dark.
"""

import contextlib
import functools
import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, ParamSpec

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, NullFormatter

DPI = 160
WIDTH_IN = 9.6
INK, SOFT, PALE, GRID, ACCENT, WARM = "#1f2023", "#5c5f66", "#cfccc6", "#e6e4df", "#285f74", "#c4622d"
# Okabe & Ito 2008: told apart by readers with any colour vision; yellow left out, too pale on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5c5f66")
ON_MAP = "#010101"  # text on a colour map, which is the same in every theme
OWN_COLOUR = "own-colour"  # beginning of the gid of what shows a colour of the picture, the same in every theme
DASHES = ("-", "--", "-.", ":")


P = ParamSpec("P")
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
DARK_PAPER, DARK_INK = (23, 24, 26), (231, 229, 225)  # as in report.css
DARK = {INK: "#e7e5e1", SOFT: "#a3a6ac", PALE: "#50545b", GRID: "#35373b", ON_MAP: ON_MAP}
LEGIBLE = 4.5  # contrast of WCAG 2.1, 1.4.3


class Drawing(Generic[P]):
    """A function that draws, with Matplotlib's own defaults, whatever a style sheet or a notebook has set.

    Args:
        draw: Makes the figure.
    """

    def __init__(self, draw: Callable[P, Figure]) -> None:
        self.figure = draw
        functools.update_wrapper(self, draw)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Draw a PNG."""
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            return png(self.figure(*args, **kwargs))

    def svg(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Draw an SVG that follows the page's theme."""
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams["svg.fonttype"] = "none"  # text as text, in the reader's fonts
            matplotlib.rcParams["svg.hashsalt"] = "gramscope"  # equal figures, equal ids
            return svg(self.figure(*args, **kwargs))


def closed(draw: Callable[P, Figure]) -> Drawing[P]:
    """Make a function that draws a `Drawing`."""
    return Drawing(draw)


def chart(height_in: float) -> tuple[Figure, Axes]:
    """A figure of the usual width with one pair of axes."""
    figure = Figure((WIDTH_IN, height_in), dpi=DPI, facecolor="white", layout="constrained")
    return figure, styled(figure.subplots())


def panels(count: int, columns: int, row_in: float, head_in: float) -> tuple[Figure, list[Axes]]:
    """A figure of the usual width with `count` axes, at most `columns` beside each other, that share what is up."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure((WIDTH_IN, head_in + row_in * rows), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel().tolist()
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def page(width_px: int, height_px: int) -> Figure:
    """An empty figure whose content is placed by pixels."""
    return Figure((width_px / DPI, height_px / DPI), dpi=DPI, facecolor="white")


def styled(axis: Axes) -> Axes:
    """Quiet axes: no box, pale lines behind the data."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(SOFT)
    axis.grid(axis="y", color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, colors=SOFT)
    return axis


def legend_beside(axis: Axes) -> None:
    """Put the legend to the right of the axes."""
    legend = axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8.5)
    literal(*legend.get_texts())


def legend_above(figure: Figure, axis: Axes) -> None:
    """Put the legend above the axes, in columns."""
    handles, labels = axis.get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False, fontsize=8.5)
    literal(*legend.get_texts())


def plain_log(axis: Axis) -> None:
    """Label a logarithmic axis in plain numbers: Matplotlib's own labels are mathtext."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def viridis(values_hw01: np.ndarray) -> np.ndarray:
    """Colour values in [0, 1]: (H, W, 3) uint8."""
    return colormaps["viridis"](np.asarray(values_hw01), bytes=True)[..., :3]


@closed
def line_chart(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
) -> Figure:
    """Draw named lines.

    Args:
        lines: Name to (x values, y values).
        x_label: Quantity and unit.
        y_label: Quantity and unit.

    Returns:
        The figure; called from outside, a PNG.
    """
    figure, axis = chart(3.2)
    for index, (name, (x, y)) in enumerate(lines.items()):
        colour, dash = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
        axis.plot(x, y, label=name, color=colour, linestyle=dash, linewidth=1.9, marker="o", markersize=2.5)
    literal(axis.set_xlabel(x_label, fontsize=9), axis.set_ylabel(y_label, fontsize=9))
    legend_beside(axis)
    return figure


def axes_at(figure: Figure, left_px: float, top_px: float, width_px: float, height_px: float) -> Axes:
    """Axes in a box of pixels from the top left corner."""
    width, height = (float(side) * DPI for side in figure.get_size_inches())
    bottom = 1 - (top_px + height_px) / height
    return figure.add_axes((left_px / width, bottom, width_px / width, height_px / height))


def text_at(figure: Figure, x_px: float, y_px: float, text: str, size_pt: float, **style: str) -> None:
    """Set literal text at pixels from the top left corner."""
    width, height = figure.get_size_inches() * DPI
    options = {"va": "top", "color": INK} | style
    literal(figure.text(x_px / width, 1 - y_px / height, text, fontsize=size_pt, **options))  # pyright: ignore[reportArgumentType]


def literal(*texts: Text) -> None:
    """Keep dollar signs dollar signs."""
    for text in texts:
        text.set_parse_math(False)


def wrapped(text: str, width_px: float, size_pt: float) -> str:
    """Break lines to fit, at 0.55 em a character (DejaVu Sans runs wide)."""
    return textwrap.fill(text, max(20, int(width_px / (0.55 * size_pt * DPI / 72))))


@contextlib.contextmanager
def _any_script() -> Iterator[None]:
    """A name may be in a script that Matplotlib's font does not have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def png(figure: Figure) -> bytes:
    """Draw."""
    buffer = io.BytesIO()
    with _any_script():
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """Draw as SVG; colours become variables with a second value for dark pages."""
    for part in (figure, *figure.subfigs, *figure.axes):  # `findobj` would make every tick to look at it
        part.patch.set_facecolor("none")
    buffer = io.StringIO()
    with _any_script():
        FigureCanvasSVG(figure).print_svg(buffer, metadata=NO_METADATA)
    text = re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    parts = re.split(rf'(<g id="{OWN_COLOUR}.*?</g>)', text, flags=re.DOTALL)
    colours = sorted({colour for part in parts[::2] for colour in re.findall(r"(?<=: )#[0-9a-f]{6}\b", part)})
    parts[::2] = [re.sub(r"(?<=: )#([0-9a-f]{6})\b", r"var(--c\1)", part) for part in parts[::2]]
    text = "".join(parts)
    light, dark = ("".join(f"--c{colour[1:]}:{shade(colour)};" for colour in colours) for shade in (str, dark_colour))
    style = (
        f"<style>:root{{color-scheme:light dark;{light}}}text{{fill:{INK};white-space:pre}}"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}text{{fill:{DARK[INK]}}}}}</style>"
    )
    return re.sub(r"(<svg[^>]*>)", lambda start: start[1] + style, text, count=1).encode()


def dark_colour(colour: str) -> str:
    """A colour for dark paper: as it is where it can be told from that, else mixed with the ink until it can.

    Example:
        >>> dark_colour("#e69f00"), dark_colour("#1f2023")
        ('#e69f00', '#e7e5e1')
    """
    if colour in DARK:
        return DARK[colour]
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], float)
    shades = [(1 - mixed) * rgb + mixed * np.array(DARK_INK) for mixed in np.linspace(0, 1, 21)]
    shade = next(shade for shade in shades if contrast(shade, np.array(DARK_PAPER)) >= LEGIBLE)
    return "#" + "".join(f"{round(value):02x}" for value in shade)


def contrast(one_rgb: np.ndarray, other_rgb: np.ndarray) -> float:
    """Contrast of two colours, 0 … 255 each, by WCAG 2.1: 1 none, 21 black on white."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    lights = []
    for rgb in (one_rgb, other_rgb):
        unit = np.asarray(rgb, float) / 255
        linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
        lights.append(float(weights @ linear) + 0.05)
    return max(lights) / min(lights)
