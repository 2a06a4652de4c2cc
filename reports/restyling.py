"""The restyling: before and after, and the loss term by term."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.ticker import MaxNLocator

from interp.errors import UsageError
from reports.blocks import Block, Compare, Facts, Figure, Gallery, Row, Table
from reports.canvas import DASHES, INK, SOFT, WARM, chart, closed, legend_beside, plain_log
from reports.record import Section
from reports.store import ImageStore
from reports.wording import number, percent

NOTHING = 1e-9  # a relative distance below this is rounding
SHOWN_RANGE = 1e-6  # of the largest loss; the content term starts at rounding, which would flatten the rest


def restyled_row(
    store: ImageStore, photo_hwc_u8: np.ndarray, paintings: Mapping[str, np.ndarray], result_hwc_u8: np.ndarray
) -> Row:
    """Photo, paintings and result in one row; all (h, w, 3) uint8 RGB, the paintings by name."""
    named = paintings.items()
    return Row(
        (
            Figure(store.photo(photo_hwc_u8, "The photo."), "The photo"),
            *(Figure(store.photo(image, f"The painting {name}."), f"The painting: {name}") for name, image in named),
            Figure(store.photo(result_hwc_u8, "The result."), "The result"),
        )
    )


def result_section(
    store: ImageStore,
    photo_hwc_u8: np.ndarray,
    result_hwc_u8: np.ndarray,
    alpha_hw01: np.ndarray | None = None,
    *,
    region: str = "region",
    painted_hw_px: tuple[int, int] | None = None,
    edge_hw01: np.ndarray | None = None,
) -> Section:
    """The photo before and after.

    Args:
        store: Where pictures go.
        photo_hwc_u8: (H, W, 3) uint8 RGB, the photo.
        result_hwc_u8: (H, W, 3) uint8 RGB, the result.
        alpha_hw01: (H, W) in [0, 1], what was restyled; None for all of it.
        region: What that is called: "foreground", "background".
        painted_hw_px: Size at which the result was painted, where it was enlarged afterwards.
        edge_hw01: (H, W) in [0, 1], whose outline is shown where everything was restyled: that of the foreground.

    Returns:
        Section `result`.
    """
    height, width = photo_hwc_u8.shape[:2]
    what = "everything" if alpha_hw01 is None else f"its {region}"
    edge, inside = (edge_hw01, "foreground") if alpha_hw01 is None else (alpha_hw01, region)
    share = 1.0 if alpha_hw01 is None else float(alpha_hw01.mean())
    compare = Compare(
        before=store.photo(photo_hwc_u8, f"The photo, {width} by {height} pixels."),
        after=store.photo(result_hwc_u8, f"The photo with {what} restyled."),
        outline=None if edge is None else store.outline(edge, f"Outline of the {inside}."),
        caption=f"{width}×{height} px; restyled: {what}, {percent(share)} of the picture{_enlarging(painted_hw_px)}.",
    )
    intro = "The photo before and after. The line between them can be dragged, or moved with the arrow keys."
    return Section("result", "Before and after", intro, (compare,))


def _enlarging(painted_hw_px: tuple[int, int] | None) -> str:
    if painted_hw_px is None:
        return ""
    height, width = painted_hw_px
    return (
        f"; painted at {width}×{height} px and enlarged: strokes were sharpened without halos, and the photo's finer "
        "detail was added where the paint follows its luminance"
    )


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


def optimisation_section(
    store: ImageStore,
    events: Sequence[Losses],
    snapshots: Sequence[tuple[str, np.ndarray]] = (),
    *,
    seconds: float | None = None,
    tile_px: int = 0,
    instant: bool = False,
) -> Section:
    """How the result came about: the loss, term by term, and pictures on the way.

    Args:
        store: Where pictures go.
        events: `StepEvent`s, or anything with their step, scale, size_hw_px and losses.
        snapshots: (caption, (h, w, 3) uint8 RGB) pairs in order.
        seconds: How long it took.
        tile_px: Side of the tiles that it was worked on by; 0 for none.
        instant: Whether a decoder made it, and the optimiser only touched it up.

    Returns:
        Section `optimisation`; of an instant picture without curves.
    """
    first, last = events[0], events[-1]
    if instant:
        return _instant(events, seconds)
    rows = tuple(
        (name, number(_first_loss(events, name)), number(value), _ratio(_first_loss(events, name), value))
        for name, value in last.losses.items()
    )
    scales = last.scale - first.scale + 1
    facts = [("Evaluations of the loss", f"{last.step:,}"), ("Scales", str(scales))]
    if tile_px:
        facts.append(("Worked on", f"by tiles of {tile_px} px where it is larger, to the same numbers"))
    if seconds is not None:
        facts.append(("Time", f"{seconds:.1f} s"))
    shown = tuple(Figure(store.photo(image, f"Snapshot: {words}."), words) for words, image in snapshots)
    blocks: tuple[Block, ...] = (
        Facts(tuple(facts)),
        *(_curves(store, region, own) for region, own in by_region(events).items()),
        Table("Each term when it first appears and at the end", ("Term", "First", "Last", "Last / first"), rows),
        *((Gallery(shown),) if shown else ()),
    )
    intro = (
        "The picture is changed step by step until the network sees the painting's style in the region and "
        f"still the photo's content{'; first small, then larger' if scales > 1 else ''}."
    )
    return Section("optimisation", "Optimisation", intro, blocks)


def _instant(events: Sequence[Losses], seconds: float | None) -> Section:
    """What the loss says of the decoder's picture, and of what a few steps made of it."""
    facts = Facts((("Time", f"{seconds:.1f} s"),)) if seconds is not None else None
    rows = tuple((name, number(_first_loss(events, name)), number(value)) for name, value in events[-1].losses.items())
    header = ("Term", "After the pass", "At the end")
    table = Table("Each term of the loss that the optimiser would go on to lower", header, rows)
    intro = (
        "The picture was made in one pass of a decoder and touched up by the optimiser's first steps: far fewer than "
        "without --instant, so strokes are smaller and nearer to the photo's own."
    )
    return Section("optimisation", "In an instant", intro, (facts, table) if facts else (table,))


def _curves(store: ImageStore, region: str, events: Sequence[Losses]) -> Figure:
    """The loss curves of one region; without a name, of the only one."""
    ends = [
        f"{name} from {number(_first_loss(events, name))} to {number(value)}"
        for name, value in events[-1].losses.items()
    ]
    of = f" of the {region}" if region else ""
    alt = f"Loss curves{of} over {events[-1].step} evaluations: {'; '.join(ends)}."
    caption = f"Each term{of} without its weight, and the weighted total, on a logarithmic axis. Dashed: a new scale."
    if any(name.endswith(", held") for name in events[-1].losses):
        caption += " Held: the faces in the region, whose small shapes a finer layer keeps."
    return Figure(store.chart(loss_curves.svg(events), alt), caption)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one region's loss; as `Losses`."""

    step: int
    scale: int
    size_hw_px: tuple[int, int]
    losses: dict[str, float]


def by_region(events: Sequence[Losses]) -> dict[str, Sequence[Losses]]:
    """The evaluations of each region's own loss, numbered from 1, its terms without its name.

    Regions are painted in turn, and an event keeps the other's latest terms: it belongs to the region whose terms
    changed.

    Args:
        events: Of a run; with several regions a term is called "region: term".

    Returns:
        By the region's name; a run of one region as it is, under no name.
    """
    regions = list(dict.fromkeys(name.rpartition(": ")[0] for event in events for name in event.losses if ": " in name))
    if not regions:
        return {"": events}
    found: dict[str, list[Losses]] = {region: [] for region in regions}
    before: dict[str, float] = {}
    region = regions[0]
    for event in events:
        changed = (name for name, value in event.losses.items() if ": " in name and before.get(name) != value)
        region = next(changed, f"{region}: ").rpartition(": ")[0]
        start = f"{region}: "
        own = {name.removeprefix(start): value for name, value in event.losses.items() if name.startswith(start)}
        own["total"] = event.losses["total"]
        found[region].append(Evaluation(len(found[region]) + 1, event.scale, event.size_hw_px, own))
        before = event.losses
    return {region: steps for region, steps in found.items() if steps}


def _first_loss(events: Sequence[Losses], name: str) -> float:
    return next(event.losses[name] for event in events if name in event.losses)


def _ratio(first: float, last: float) -> str:
    return number(last / first) if first > NOTHING else "–"


@closed
def loss_curves(events: Sequence[Losses]) -> MatplotlibFigure:
    """Draw each term of the loss against the step on a logarithmic axis; dashed lines mark changes of scale.

    Args:
        events: In order; `StepEvent` or anything with its step, scale, size_hw_px and losses.

    Returns:
        The figure; called from outside, a PNG.

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
    return figure


def _term_order(name: str) -> tuple[int, str]:
    """Style terms from fine to coarse, content, anything else, the total."""
    kinds = ("style ", "content ", "", "total")
    return next((place for place, kind in enumerate(kinds) if kind and kind in name), 2), name


def _term_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Style terms dark to light from fine to coarse, content warm, the total in ink; a second one of a kind dashed."""
    style_names = sorted(name for name in names if "style " in name)
    styles: dict[str, dict[str, Any]] = {}
    seen = {WARM: 0, SOFT: 0}
    for name in names:
        if name in style_names:
            place = style_names.index(name) / max(1, len(style_names) - 1)
            styles[name] = {"color": colormaps["viridis"](0.1 + 0.7 * place), "linewidth": 1.3}
        elif name == "total":
            styles[name] = {"color": INK, "linewidth": 2.2}
        else:
            colour = WARM if "content" in name else SOFT
            styles[name] = {"color": colour, "linewidth": 1.6, "linestyle": DASHES[seen[colour] % len(DASHES)]}
            seen[colour] += 1
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


def _positive(values: Sequence[float]) -> np.ndarray:
    """Values for a logarithmic axis, which has no place for zero."""
    array = np.array(values, dtype=float)
    return np.where(array > 0, array, np.nan)
