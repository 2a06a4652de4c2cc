"""The comparative study: every way's result, its path on the common rulers, its stability."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure as MatplotlibFigure
from PIL import Image, ImageOps

from reports.blocks import Block, Figure, Gallery, Linked, Paragraph, Row, Table, Verdict
from reports.canvas import (
    COLOURS,
    DPI,
    WIDTH_IN,
    chart,
    closed,
    legend_above,
    page,
    plain_log,
    styled,
    text_at,
    wrapped,
)
from reports.record import Section
from reports.store import ImageStore
from reports.ways import STARTS, way_notes
from reports.wording import number, percent

if TYPE_CHECKING:
    from stylize.compare import Outcome

MARGIN_PX, GAP_PX, TILE_PX, LABEL_PX, HEAD_PX = 24, 16, 360, 64, 76


def winner_row(
    store: ImageStore, photo_hwc_u8: np.ndarray, painting_hwc_u8: np.ndarray, outcome: "Outcome", wins: int
) -> Row:
    """Photo, painting and the result of the way that wins on style; all (h, w, 3) uint8 RGB."""
    said = f"{outcome.name}: nearest to the painting's style, by {wins} criteria"
    shown = (("The photo", photo_hwc_u8), ("The painting", painting_hwc_u8), (said, outcome.result_hwc_u8))
    return Row(tuple(Figure(store.photo(picture, f"{name}."), name) for name, picture in shown))


def results_section(
    store: ImageStore,
    pair: str,
    photo_hwc_u8: np.ndarray,
    painting_hwc_u8: np.ndarray,
    outcomes: "Sequence[Outcome]",
    weights: str,
    claim: str | None = None,
    place: int = 1,
) -> Section:
    """One pair's results side by side.

    Args:
        store: Where pictures go.
        pair: Its name.
        photo_hwc_u8: The photo at the working size.
        painting_hwc_u8: The painting.
        outcomes: One a way.
        weights: Name of the network's weights.
        claim: What the numbers say of the report's claim.
        place: Number of the pair.

    Returns:
        Section `results`, or `results-2` and so on.
    """
    painting = Figure(store.photo(painting_hwc_u8, f"The painting of {pair}."), "The painting.")
    pictures = [Figure(store.photo(photo_hwc_u8, f"The photo of {pair}."), "The photo.")]
    pictures += [
        Figure(
            store.photo(outcome.result_hwc_u8, f"Result of {outcome.name}."), f"{outcome.name}: {outcome.way.title}."
        )
        for outcome in outcomes
    ]
    blocks: list[Block] = [Verdict("The report's claim", claim, "doubt")] if claim else []
    blocks.append(Linked(tuple(pictures)))
    if place > 1:  # the first pair's opens the page
        blocks.append(Gallery((painting,)))
    blocks.append(
        Table(
            "To be kept in mind",
            ("Preset", "Note"),
            tuple((outcome.name, " ".join(_notes(outcome, weights))) for outcome in outcomes),
        )
    )
    intro = "The same photo, painting, weights, size and region for all."
    return Section(_id("results", place), f"Results: {pair}", intro, tuple(blocks))


def _notes(outcome: "Outcome", weights: str) -> tuple[str, ...]:
    """What a reader must know of one way's result."""
    start = f"Starts from {STARTS[outcome.run_as.start]}."
    if outcome.way.sources:
        return start, *way_notes(outcome.way, outcome.run_as, weights, outcome.first_gradient)
    return (start,)


def curves_section(
    store: ImageStore, pair: str, outcomes: "Sequence[Outcome]", unseen: Sequence[str], place: int = 1
) -> Section:
    """Each way's path on the common rulers.

    Args:
        store: Where pictures go.
        pair: Its name.
        outcomes: One a way.
        unseen: Layers that none of them had in its loss.
        place: Number of the pair.

    Returns:
        Section `rulers`, or `rulers-2` and so on.
    """
    alt = "; ".join(f"{outcome.name} ends at {outcome.last.mean_gram(unseen):.2f}" for outcome in outcomes)
    caption = (
        "Relative Gram distances |G − G*|² / |G*|², averaged over the layers that nobody had in the loss "
        f"({', '.join(unseen) or 'none'}); sliced Wasserstein distance of patches in units of the painting's standard "
        "deviation; relative feature distance to the photo. The large dot is the end; what overshoots far is cut off."
    )
    curves = Figure(store.chart(ruler_curves.svg(outcomes, unseen), f"Curves: {alt}."), caption)
    names = [outcome.name for outcome in outcomes]
    rows = tuple(
        (
            layer,
            number(value),
            *(number(outcome.last.gram[layer]) + ("*" if layer in outcome.layers else "") for outcome in outcomes),
        )
        for layer, value in outcomes[0].start.gram.items()
    )
    table = Table(
        "Gram distance to the painting at every layer (*: in that way's loss)", ("Layer", "Photo", *names), rows
    )
    intro = "Each model's own loss has its own units, so all are read on rulers that belong to none of them."
    return Section(_id("rulers", place), f"On the common rulers: {pair}", intro, (curves, table))


def snapshots_section(store: ImageStore, pair: str, outcomes: "Sequence[Outcome]", place: int = 1) -> Section:
    """Pictures on the way, at each preset's own interval; section `snapshots`, or `snapshots-2` and so on."""
    blocks: list[Block] = []
    for outcome in outcomes:
        if not outcome.snapshots:
            continue
        blocks.append(Paragraph(f"{outcome.name}, of {outcome.steps:,} steps:"))
        blocks.append(
            Gallery(
                tuple(
                    Figure(store.photo(picture, f"{outcome.name} after {step} steps."), f"step {step:,}")
                    for step, picture in outcome.snapshots
                )
            )
        )
    intro = "How often a picture is shown differs from preset to preset. It changes what one sees, not what comes out."
    return Section(_id("snapshots", place), f"Snapshots: {pair}", intro, tuple(blocks))


def stability_section(store: ImageStore, pair: str, outcomes: "Sequence[Outcome]", place: int = 1) -> Section:
    """How calmly each way arrived; section `stability`, or `stability-2` and so on."""
    rows = tuple(
        (
            outcome.name,
            str(outcome.stability.spikes),
            number(outcome.stability.gradient_spread),
            "yes" if outcome.stability.diverged else "no",
            number(outcome.stability.jitter_rms),
            "–" if outcome.stability.jitter_share is None else percent(outcome.stability.jitter_share),
            number(outcome.stability.jitter_style),
            number(outcome.first_gradient),
        )
        for outcome in outcomes
    )
    header = (
        "Preset", "Spikes", "Gradient spread", "Diverged", "Change under jitter, of 255", "… of its own change",
        "… of the style distance",
        "First gradient",
    )  # fmt: skip
    caption = (
        "Spikes: steps whose loss is over 1.1 times the step before. Gradient spread: its norm's 95 % quantile over "
        "its 5 % quantile, second half. Jitter: every value of the photo moved by up to 1/255, the whole run repeated. "
        "First gradient: its norm at the start, per unit of the [0, 1] range, which tells how hard the same constants "
        "pull with these weights."
    )
    losses = store.chart(own_losses.svg(outcomes), "Each way's own loss over its first value.")
    figure = Figure(losses, "Each way's own loss, over its first value; heights do not compare, spikes do.")
    intro = "A result that another grain of noise would change is luck."
    return Section(_id("stability", place), f"Stability: {pair}", intro, (Table(caption, header, rows), figure))


@closed
def contact_sheet(title: str, pictures: Sequence[tuple[str, np.ndarray]]) -> MatplotlibFigure:
    """Lay pictures side by side, four a row, each under its name.

    Args:
        title: Above all.
        pictures: (name, (h, w, 3) uint8 RGB) pairs; the first one's proportions are the tiles'.

    Returns:
        The figure; called from outside, a PNG.
    """
    columns = min(4, len(pictures))
    height, width = pictures[0][1].shape[:2]
    box = TILE_PX, max(1, round(TILE_PX * height / width))
    tiles = [ImageOps.contain(Image.fromarray(picture), box, Image.Resampling.LANCZOS) for _, picture in pictures]
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) + LABEL_PX for row in rows]
    width, height = 2 * MARGIN_PX + columns * (TILE_PX + GAP_PX) - GAP_PX, HEAD_PX + sum(heights) + MARGIN_PX
    figure, sheet = page(width, height), np.full((height, width, 3), 255, np.uint8)
    text_at(figure, MARGIN_PX, MARGIN_PX, title, 11, weight="bold")
    top = HEAD_PX
    for place, row in enumerate(rows):
        for column, tile in enumerate(row):
            left = MARGIN_PX + column * (TILE_PX + GAP_PX)
            name = pictures[place * columns + column][0]
            text_at(figure, left, top + LABEL_PX - 8, wrapped(name, TILE_PX, 8), 8, va="bottom")
            sheet[top + LABEL_PX : top + LABEL_PX + tile.height, left : left + tile.width] = np.asarray(tile)
        top += heights[place]
    figure.figimage(sheet, 0, 0, zorder=-1)
    return figure


@closed
def ruler_curves(outcomes: "Sequence[Outcome]", unseen: Sequence[str]) -> MatplotlibFigure:
    """Draw every way's path on the common rulers: three figures by step, and style against content.

    Args:
        outcomes: The runs.
        unseen: Layers that none of them had in its loss.

    Returns:
        The figure; called from outside, a PNG.
    """
    figure = MatplotlibFigure((WIDTH_IN, 6.6), dpi=DPI, facecolor="white", layout="constrained")
    axes = [styled(axis) for axis in figure.subplots(2, 2).ravel()]
    titles = (
        "Gram distance to the painting, layers nobody optimised",
        "Patch distance to the painting",
        "Distance to the photo at relu4_2",
        "Both at once: down is painting, left is photo",
    )
    for outcome, colour in zip(outcomes, COLOURS * 9, strict=False):
        steps = [max(0.7, point.step) for point in outcome.waypoints]  # the start, on a logarithmic axis
        readings = [point.reading for point in outcome.waypoints]
        style = [reading.mean_gram(unseen) for reading in readings]
        patches = [reading.patches for reading in readings]
        content = [reading.content for reading in readings]
        options = {"color": colour, "linewidth": 1.7, "marker": "o", "markersize": 2.5}
        for axis, values in zip(axes, (style, patches, content), strict=False):
            axis.plot(steps, values, label=outcome.name, **options)
        axes[3].plot(content, style, **options)
        axes[3].plot(content[-1], style[-1], "o", color=colour, markersize=7)
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, loc="left", fontsize=9.5)
        axis.set_ylim(0, _shown_top([line.get_ydata() for line in axis.lines]))
    axes[3].set_xlim(0, _shown_top([line.get_xdata() for line in axes[3].lines]))
    for axis in axes[:3]:
        axis.set_xscale("log")
        plain_log(axis.xaxis)
        axis.set_xlabel("evaluations of its own loss", fontsize=8.5)
    axes[3].set_xlabel("distance to the photo at relu4_2", fontsize=8.5)
    axes[3].set_ylabel("distance to the painting", fontsize=8.5)
    legend_above(figure, axes[0])
    return figure


@closed
def own_losses(outcomes: "Sequence[Outcome]") -> MatplotlibFigure:
    """Draw each way's own loss relative to its first value: units differ, spikes show."""
    figure, axis = chart(3.4)
    for outcome, colour in zip(outcomes, COLOURS * 9, strict=False):
        values = outcome.losses / outcome.losses[0]
        steps = np.arange(1, len(values) + 1)
        axis.plot(steps, np.where(values > 0, values, np.nan), color=colour, linewidth=1.2, label=outcome.name)
    axis.set(xscale="log", yscale="log")
    plain_log(axis.xaxis)
    plain_log(axis.yaxis)
    axis.set_xlabel("evaluations of its own loss", fontsize=9)
    axis.set_ylabel("loss over its first value", fontsize=9)
    legend_above(figure, axis)
    return figure


def _shown_top(values: Sequence[Any]) -> float:
    """Upper end of an axis that one overshooting step does not flatten."""
    finite = np.concatenate([np.asarray(line, dtype=float) for line in values])
    finite = finite[np.isfinite(finite)]
    ends = [float(line[-1]) for line in values if np.isfinite(line[-1])]
    return 1.1 * max(float(np.quantile(finite, 0.95)), *ends, 1e-9) if len(finite) else 1.0


def _id(name: str, place: int) -> str:
    return name if place == 1 else f"{name}-{place}"
