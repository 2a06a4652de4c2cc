"""Sanity checks of saliency maps: what becomes of a map while the network, from the top down, becomes random."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure

from interp.attribution.verdict import SAME_MAP_ABOVE
from reports.blocks import Block, Figure, Table
from reports.canvas import COLOURS, DPI, SOFT, WIDTH_IN, axes_at, closed, page, styled, text_at, wrapped
from reports.record import Section
from reports.store import ImageStore
from reports.verdict import curves_figure, verdict_block, verdict_table
from reports.wording import number

if TYPE_CHECKING:
    from interp.attribution.sanity import SanityCheck

MARGIN_PX, HEAD_PX, NAME_PX, GAP_PX = 24, 116, 190, 8
CURVES_H_PX = 380
SHOWN_STAGES = 8
MEASURES = ("rank", "ssim", "hog")
MEASURE_TITLES = {"rank": "Rank correlation", "ssim": "SSIM", "hog": "HOG, rank correlation"}


@closed
def sanity_figure(checks: Sequence["SanityCheck"]) -> MatplotlibFigure:
    """Draw each map while the network becomes random, over its similarity to the original by three measures.

    Args:
        checks: One or more maps of one picture and target.

    Returns:
        The figure; called from outside, a PNG.
    """
    first = checks[0].saliency
    height, width = first.input_chw01.shape[1:]
    page_w = round(WIDTH_IN * DPI)
    stages = _shown_stages(len(checks[0].cascade.layers))
    tile_w = (page_w - 2 * MARGIN_PX - NAME_PX) // (len(stages) + 1) - GAP_PX
    tile_h = min(300, max(12, round(tile_w * height / width)))
    strips_h = len(checks) * (tile_h + GAP_PX)
    top_of_curves = HEAD_PX + strips_h + 84
    figure = page(page_w, top_of_curves + CURVES_H_PX + 130)
    text_at(figure, MARGIN_PX, MARGIN_PX, f"Sanity checks for {first.target.name!r}", 11, weight="bold")
    draws = checks[0].cascade.draws
    note = (
        f"Layers get random weights from the top down. Maps: one draw, |values| up to their 99th percentile. "
        f"Curves: mean of {draws}."
    )
    text_at(figure, MARGIN_PX, 58, wrapped(note, page_w - 2 * MARGIN_PX, 7.5), 7.5, color=SOFT)
    for row, check in enumerate(checks):
        _strip(figure, check, stages, HEAD_PX + row * (tile_h + GAP_PX), (tile_w, tile_h), row == 0)
    panel_w = (page_w - 2 * MARGIN_PX - 2 * 60 - 40) / 3
    for column, measure in enumerate(MEASURES):
        axes = axes_at(figure, MARGIN_PX + 40 + column * (panel_w + 60), top_of_curves, panel_w, CURVES_H_PX)
        _curves(styled(axes), checks, measure)
    for place, check in enumerate(checks):
        colour = COLOURS[place % len(COLOURS)]
        left = MARGIN_PX + 40 + place % 5 * 290
        text_at(figure, left, top_of_curves - 60 + place // 5 * 22, f"— {check.saliency.title}", 8, color=colour)
    return figure


def _shown_stages(count: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, SHOWN_STAGES))})


def _strip(
    figure: MatplotlibFigure, check: "SanityCheck", stages: list[int], top: int, tile_wh: tuple[int, int], head: bool
) -> None:
    text_at(figure, MARGIN_PX, top + 4, wrapped(check.saliency.title, NAME_PX, 8), 8)
    maps = [np.abs(check.saliency.heat_hw), *(check.cascade.heats_khw[stage] for stage in stages)]
    names = ["as learnt", *(f"… {check.cascade.layers[stage]}" for stage in stages)]
    for place, (values, name) in enumerate(zip(maps, names, strict=True)):
        left = MARGIN_PX + NAME_PX + place * (tile_wh[0] + GAP_PX)
        axes = axes_at(figure, left, top, *tile_wh)
        top_value = float(np.percentile(values, 99)) or 1.0
        axes.imshow(values, cmap="gray", vmin=0, vmax=top_value, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        if head:
            text_at(figure, left, top - 6, name[: max(4, tile_wh[0] // 11)], 7, color=SOFT, va="baseline")


def _curves(axes: Axes, checks: Sequence["SanityCheck"], measure: str) -> None:
    layers = checks[0].cascade.layers
    for place, check in enumerate(checks):
        values = [1.0, *(getattr(entry, measure) for entry in check.cascade.similarities)]
        axes.plot(range(len(values)), values, color=COLOURS[place % len(COLOURS)], linewidth=1.8, marker=".")
    axes.axhline(SAME_MAP_ABOVE, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set_ylim(-0.35, 1.05)
    axes.set_xticks(range(len(layers) + 1), ["as learnt", *layers], rotation=90, fontsize=6)
    axes.set_title(MEASURE_TITLES[measure], loc="left", fontsize=9)


def sanity_section(store: ImageStore, checks: Sequence["SanityCheck"]) -> Section:
    """Every test of one or more maps.

    Args:
        store: Where pictures go.
        checks: Maps of one picture and target.

    Returns:
        Section `sanity`.
    """
    first = checks[0].saliency
    lines = "; ".join(f"{check.saliency.title}: {_at_the_ends(check)}" for check in checks)
    caption = (
        "A map that still looks the same when the layers above have forgotten everything does not show what they "
        "learnt. Judge by the rank correlation: SSIM rewards any two maps that are dark in the same places, and gave "
        "guided backprop .88 on a fully random Inception-v3, where the rank correlation was .12 (Adebayo et al. 2018). "
        f"Dashed: {SAME_MAP_ABOVE:g}, above which two maps count as the same."
    )
    figure = Figure(store.chart(sanity_figure.svg(checks), f"Cascading randomisation. {lines}."), caption)
    maps = [check.saliency for check in checks]
    blocks: list[Block] = [verdict_block(check.verdict, check.saliency.title) for check in checks]
    blocks += [figure, verdict_table(maps, [check.verdict for check in checks])]
    blocks += [_similarity_table(checks), _cascade_table(checks)]
    for title, verdict in ((check.saliency.title, check.verdict) for check in checks):
        if verdict.fractions:
            caption = f"{title}: insertion and deletion (Petsiuk et al. 2018)."
            blocks.append(curves_figure(store, verdict, caption, title))
    intro = (
        f"Maps of {first.target.name!r} under the tests of Adebayo et al. 2018, Sixt et al. 2020, Petsiuk et al. 2018."
    )
    return Section("sanity", "Sanity checks", intro, tuple(blocks))


def _at_the_ends(check: "SanityCheck") -> str:
    top, bottom = check.cascade.similarities[0].rank, check.cascade.similarities[-1].rank
    return f"rank correlation {top:.2f} with a random top layer, {bottom:.2f} with all layers random"


def _similarity_table(checks: Sequence["SanityCheck"]) -> Table:
    rows = []
    for check in checks:
        others = [
            ("an edge detector's picture", check.edges),
            *zip((f"the map for {name}" for name in check.other_classes), check.logits, strict=True),
        ]
        rows += [
            (check.saliency.title, name, number(entry.rank), number(entry.ssim), number(entry.hog))
            for name, entry in others
        ]
    header = ("Method", "Compared with", "Rank correlation", "SSIM", "HOG")
    return Table("How much the map is like what it should not be like", header, tuple(rows))


def _cascade_table(checks: Sequence["SanityCheck"]) -> Table:
    header = ("Random from the top down to", *(check.saliency.title for check in checks))
    rows = tuple(
        (layer, *(number(check.cascade.similarities[place].rank) for check in checks))
        for place, layer in enumerate(checks[0].cascade.layers)
    )
    return Table("Rank correlation with the map as learnt", header, rows)
