"""Saliency at length: several methods side by side, each with its verdict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as MatplotlibFigure

from reports.canvas import ACCENT, DPI, INK, SOFT, WARM, WIDTH_IN, axes_at, page, png, text_at, wrapped
from reports.evidence import prediction_blocks
from reports.record import Block, Figure, Section, Table
from reports.store import ImageStore
from reports.wording import number

if TYPE_CHECKING:
    from interp.attribution.conventions import View
    from interp.attribution.saliency import Attribution
    from interp.attribution.sanity import Verdict

MARGIN_PX, COLUMNS, HEAD_PX, FOOT_PX = 24, 5, 120, 112
MAX_PANEL_H_PX = 620
WORD_COLOURS = {"follows the class": ACCENT, "no better than random": WARM}


def method_sheet(
    attributions: Sequence["Attribution"], views: Sequence["View"], verdicts: Sequence["Verdict"] = ()
) -> bytes:
    """Draw the picture and the maps of several methods, each with its colour bar and its verdict.

    Args:
        attributions: Maps of one picture and target.
        views: How to draw each; see `interp.attribution.conventions`.
        verdicts: One for each map, or none.

    Returns:
        PNG.
    """
    first = attributions[0]
    height, width = first.input_chw01.shape[1:]
    page_w = round(WIDTH_IN * DPI)
    columns = min(COLUMNS, len(attributions) + 1)
    panel_w = min(354, (page_w - MARGIN_PX) // columns - MARGIN_PX)
    panel_h = min(MAX_PANEL_H_PX, max(24, round(panel_w * height / width)))
    rows = -(-(len(attributions) + 1) // columns)
    pitch = panel_h + FOOT_PX
    figure = page(page_w, HEAD_PX + rows * pitch + MARGIN_PX)
    text_at(figure, MARGIN_PX, MARGIN_PX, f"Saliency for {first.target!r}", 11, weight="bold")
    rules = "; ".join(dict.fromkeys(view.rule for view in views))
    text_at(figure, MARGIN_PX, 62, wrapped(f"Drawn: {rules}.", page_w - 2 * MARGIN_PX, 7.5), 7.5, color=SOFT)

    for place in range(len(attributions) + 1):
        left = MARGIN_PX + place % columns * (panel_w + MARGIN_PX)
        top = HEAD_PX + place // columns * pitch
        axes = axes_at(figure, left, top, panel_w, panel_h)
        axes.set_axis_off()
        if place == 0:
            text_at(figure, left, top - 6, f"Input, {width}×{height} px", 8, va="baseline")
            axes.imshow(np.clip(first.input_chw01.transpose(1, 2, 0), 0, 1), interpolation="nearest", aspect="auto")
            continue
        view = views[place - 1]
        text_at(figure, left, top - 6, attributions[place - 1].title, 8, va="baseline")
        axes.imshow(view.unit_hw01, cmap=view.colour_map, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        _bar(figure, view, left, top + panel_h + 8, panel_w)
        if verdicts:
            word = verdicts[place - 1].word
            text_at(figure, left, top + panel_h + 52, word, 7, color=WORD_COLOURS.get(word, INK))
    return png(figure)


def _bar(figure: MatplotlibFigure, view: "View", left: float, top: float, width: float) -> None:
    axes = axes_at(figure, left, top, width, 10)
    figure.colorbar(ScalarMappable(Normalize(0, 1), view.colour_map), cax=axes, orientation="horizontal", ticks=[])
    text_at(figure, left, top + 16, f"{view.low:.3g}", 6.5, color=SOFT)
    text_at(figure, left + width, top + 16, f"{view.high:.3g}", 6.5, color=SOFT, ha="right")


def methods_section(
    store: ImageStore, attributions: Sequence["Attribution"], views: Sequence["View"], verdicts: Sequence["Verdict"]
) -> Section:
    """Several methods side by side, and which of their maps to believe.

    Args:
        store: Where pictures go.
        attributions: Maps of one picture and target.
        views: How each is drawn.
        verdicts: One for each map: none is shown without.

    Returns:
        Section `saliency`.
    """
    names = ", ".join(f"{entry.title}: {verdict.word}" for entry, verdict in zip(attributions, verdicts, strict=True))
    target = attributions[0].target
    image = store.png(method_sheet(attributions, views, verdicts), f"Maps for {target} by method. {names}.")
    caption = "The picture and its maps. Under each: the values of the first and the last colour, and the verdict."
    blocks: list[Block] = [Figure(image, caption), verdict_table(attributions, verdicts)]
    blocks.append(_methods_table(attributions, views))
    blocks.extend(prediction_blocks(attributions[0].prediction))
    intro = f"The same question, which pixels {target!r} depends on, answered by {len(attributions)} methods."
    return Section("saliency", "Saliency", intro, tuple(blocks))


def verdict_table(attributions: Sequence["Attribution"], verdicts: Sequence["Verdict"]) -> Table:
    """The verdicts with their numbers."""
    header = ("Method", "Verdict", "Insertion - deletion", "Chance, 95 %", "Other class", "Random head")
    rows = tuple(
        (
            entry.title,
            verdict.word,
            _difference(verdict),
            number(verdict.random_quantile95),
            number(verdict.random_logit_correlation),
            number(verdict.random_head_correlation),
        )
        for entry, verdict in zip(attributions, verdicts, strict=True)
    )
    caption = (
        "Verdicts. A difference that is not above chance: no better than random. Else, a rank correlation above 0.9 "
        "with the map for another class or of a random head: follows edges, not the class. Else: follows the class."
    )
    return Table(caption, header, rows)


def _difference(verdict: "Verdict") -> str:
    if verdict.insertion_auc is None or verdict.deletion_auc is None or verdict.margin is None:
        return "–"
    return f"{verdict.insertion_auc:.3f} - {verdict.deletion_auc:.3f} = {verdict.margin:.3f}"


def _methods_table(attributions: Sequence["Attribution"], views: Sequence["View"]) -> Table:
    rows = tuple(
        (entry.title, entry.formula, view.rule, f"{view.low:.3g} … {view.high:.3g}")
        for entry, view in zip(attributions, views, strict=True)
    )
    return Table("How each map was made and drawn", ("Method", "Map", "Drawn as", "Scale"), rows)
