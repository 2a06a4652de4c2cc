"""The curves of a run: losses, insertion and deletion, and lines in general.

Every function returns PNG bytes at a fixed resolution, on white: equal data give equal bytes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from interp.errors import UsageError
from reports.canvas import COLOURS, INK, SOFT, WARM, chart, legend_beside, literal, plain_log, png

if TYPE_CHECKING:
    from interp.attribution.sanity import Verdict


SHOWN_RANGE = 1e-6  # of the largest loss; the content term starts at rounding, which would flatten the rest
DASHES = ("-", "--", "-.", ":")


class Losses(Protocol):
    """What `loss_curves` needs of a `StepEvent`."""

    @property
    def step(self) -> int:
        """Evaluations so far."""
        ...

    @property
    def scale(self) -> int:
        """Number of the scale."""
        ...

    @property
    def size_hw_px(self) -> tuple[int, int]:
        """Height and width of the scale."""
        ...

    @property
    def losses(self) -> dict[str, float]:
        """Value of each term by name."""
        ...


def loss_curves(events: Sequence[Losses]) -> bytes:
    """Draw each term of the loss against the step on a logarithmic axis; dashed lines mark changes of scale.

    Args:
        events: In order; `StepEvent` or anything with its step, scale, size_hw_px and losses.

    Returns:
        PNG.

    Raises:
        UsageError: If there is no event.
    """
    if not events:
        raise UsageError("There are no steps to draw loss curves from; expected at least one event.")
    figure, axis = chart(4.2)
    steps = [event.step for event in events]
    names = sorted({name for event in events for name in event.losses}, key=_term_order)
    for name, style in _term_styles(names).items():
        values = _positive([event.losses.get(name, np.nan) for event in events])
        axis.plot(steps, values, label=name, marker="." if len(steps) == 1 else "", **style)
    axis.set_yscale("log")
    plain_log(axis.yaxis)
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, SHOWN_RANGE * high), high)
    margin = max(0.5, 0.02 * (steps[-1] - steps[0]))
    axis.set_xlim(steps[0] - margin, steps[-1] + margin)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_scales(axis, events)
    axis.set_xlabel("evaluations of the loss", fontsize=9)
    axis.set_ylabel("value of the term (log scale)", fontsize=9)
    legend_beside(axis)
    return png(figure)


def _term_order(name: str) -> tuple[int, str]:
    """Style terms from fine to coarse, content, anything else, the total."""
    kinds = ("style ", "content ", "", "total")
    return next((place for place, kind in enumerate(kinds) if kind and kind in name), 2), name


def _term_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Style terms dark to light from fine to coarse, content warm, the total in ink; each region in dashes of its own.

    With several regions a name is "region: term".
    """
    style_names = sorted({name.split("style ")[-1] for name in names if "style " in name})
    regions = sorted({name.rpartition(": ")[0] for name in names if name != "total"})
    styles: dict[str, dict[str, Any]] = {}
    for name in names:
        dash = {"linestyle": DASHES[regions.index(name.rpartition(": ")[0]) % len(DASHES)]} if name != "total" else {}
        if "style " in name:
            place = style_names.index(name.split("style ")[-1]) / max(1, len(style_names) - 1)
            styles[name] = {"color": colormaps["viridis"](0.1 + 0.7 * place), "linewidth": 1.3} | dash
        elif name == "total":
            styles[name] = {"color": INK, "linewidth": 2.2}
        else:
            styles[name] = {"color": WARM if "content" in name else SOFT, "linewidth": 1.6} | dash
    return styles


def _mark_scales(axis: Axes, events: Sequence[Losses]) -> None:
    previous = None
    for event in events:
        if event.scale != previous:
            height, width = event.size_hw_px
            if previous is not None:
                axis.axvline(event.step, color=SOFT, linewidth=0.8, linestyle=(0, (4, 4)))
            above = axis.get_xaxis_transform()
            axis.text(event.step, 1.02, f" {width}×{height} px", transform=above, fontsize=7.5, color=SOFT)
            previous = event.scale


def verdict_curves(verdict: "Verdict") -> bytes:
    """Draw the insertion and deletion curves behind a verdict on a saliency map.

    Args:
        verdict: A tested one.

    Returns:
        PNG.

    Raises:
        UsageError: If nothing was tested.
    """
    if not verdict.fractions or verdict.insertion_auc is None or verdict.deletion_auc is None:
        raise UsageError("The verdict has no curves; expected a tested one, with insertion and deletion.")
    lines = {
        f"insertion, area {verdict.insertion_auc:.3f}": (verdict.fractions, verdict.insertion_curve),
        f"deletion, area {verdict.deletion_auc:.3f}": (verdict.fractions, verdict.deletion_curve),
    }
    x_label = "share of the pixels changed, most salient first"
    return line_chart(lines, x_label=x_label, y_label="probability of the class")


def line_chart(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    log_y: bool = False,
) -> bytes:
    """Draw named lines.

    Args:
        lines: Name to (x values, y values).
        x_label: Quantity and unit.
        y_label: Quantity and unit.
        log_y: Logarithmic y axis; values that are not positive are left out.

    Returns:
        PNG.
    """
    figure, axis = chart(3.2)
    for index, (name, (x, y)) in enumerate(lines.items()):
        colour, dash = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
        axis.plot(
            x,
            _positive(y) if log_y else y,
            label=name,
            color=colour,
            linestyle=dash,
            linewidth=1.9,
            marker="o",
            markersize=2.5,
        )
    if log_y:
        axis.set_yscale("log")
        plain_log(axis.yaxis)
    literal(axis.set_xlabel(x_label, fontsize=9), axis.set_ylabel(y_label, fontsize=9))
    legend_beside(axis)
    return png(figure)


def _positive(values: Sequence[float]) -> np.ndarray:
    """Values for a logarithmic axis, which has no place for zero."""
    array = np.array(values, dtype=float)
    return np.where(array > 0, array, np.nan)
