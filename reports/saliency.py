"""Saliency: one map in four views or several methods side by side, never without a verdict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.ticker import FuncFormatter

from interp.attribution.cells import enlarged_hw
from interp.attribution.verdict import SaliencyVerdict
from interp.pictures.images import encode_png
from interp.pictures.sizes import resize_hw01
from reports.blocks import Block, Figure, Gallery, ImageRef, Paragraph, Row, Table
from reports.canvas import DPI, SOFT, WIDTH_IN, axes_at, closed, page, text_at, viridis, wrapped
from reports.coarse import as_kept, marked
from reports.conventions import View, flashtorch_panels, views
from reports.record import Section
from reports.store import ImageStore
from reports.verdict import COLOURS, curves_figure, verdict_block, verdict_sentence, verdict_table
from reports.wording import called, percent

if TYPE_CHECKING:
    from interp.attribution.saliency import SaliencyMap
    from interp.network.classify import Prediction

MARGIN_PX = 24
SMALL_PX = 128
PANEL_W_PX, MAX_PANEL_H_PX = 354, 620
PANELS_TOP_PX = 110  # of the four views
COLUMNS, HEAD_PX, FOOT_PX = 5, 120, 112  # of the methods' sheet


def saliency_section(
    store: ImageStore, saliency: "SaliencyMap", verdict: SaliencyVerdict, *, classes: bool = True
) -> Section:
    """A saliency map and whether to believe it.

    Args:
        store: Where pictures go.
        saliency: The map.
        verdict: By the stated rule; a map is not shown without one.
        classes: Whether to list what the classifier says; not where the page opens with it.

    Returns:
        Section `saliency`.
    """
    blocks: list[Block] = [verdict_block(verdict), _views_gallery(store, saliency, verdict)]
    if verdict.fractions:
        caption = (
            "Insertion: the most salient pixels are put into a blurred picture first. Deletion: they are "
            "taken away first. A map that names the right pixels lifts the first curve early and drops the "
            "second."
        )
        blocks.append(curves_figure(store, verdict, caption))
    if classes:
        blocks.extend(prediction_blocks(saliency.prediction))
    intro = f"Which pixels {saliency.target.name!r} depends on, and whether that map can be believed."
    return Section("saliency", "Saliency", intro, tuple(blocks))


def saliency_row(store: ImageStore, photo_hwc_u8: np.ndarray, saliency: "SaliencyMap", verdict: SaliencyVerdict) -> Row:
    """The photo, the map laid over it, and what the classifier says.

    Args:
        store: Where pictures go.
        photo_hwc_u8: (H, W, 3) uint8 RGB.
        saliency: A map of that photo, of any size; enlarged smoothly.
        verdict: On it.
    """
    height, width = saliency.input_chw01.shape[1:]
    strength, enlarged = saliency.magnitude_hw, f"The map has {width}×{height} cells, enlarged smoothly."
    if saliency.cells:
        strength = np.abs(enlarged_hw(saliency.cells, as_kept(photo_hwc_u8)))
        enlarged = f"It is {marked(saliency.cells)}."
    over = _over_photo(photo_hwc_u8, strength)
    caption = (
        f"{saliency.title} for {called(saliency.target.name)!r}, over the photo in grey: the brighter, the more the "
        f"class depends on it. Verdict: {verdict.word}. {enlarged}"
    )
    tables = tuple(block for block in prediction_blocks(saliency.prediction) if isinstance(block, Table))
    photo = Figure(store.photo(photo_hwc_u8, "The photo."), "The photo")
    return Row((photo, Figure(store.photo(over, f"Map over the photo. Verdict: {verdict.word}."), caption), *tables))


def _over_photo(photo_hwc_u8: np.ndarray, strength_hw: np.ndarray) -> np.ndarray:
    """The photo in dim grey, and over it the map up to its 99th percentile, in the colours of Matplotlib's magma."""
    size_hw = photo_hwc_u8.shape[:2]
    top = float(np.percentile(strength_hw, 99)) or float(strength_hw.max()) or 1.0
    unit = np.clip(resize_hw01(np.clip(strength_hw / top, 0, 1).astype(np.float32), size_hw), 0, 1)[..., None]
    grey = photo_hwc_u8.mean(axis=2, keepdims=True) * 0.6
    colour = colormaps["magma"](0.25 + 0.75 * unit[..., 0])[..., :3] * 255
    return np.round(grey * (1 - unit) + colour * unit).astype(np.uint8)


def methods_section(
    store: ImageStore,
    maps: Sequence["SaliencyMap"],
    convention: str,
    verdicts: Sequence[SaliencyVerdict],
) -> Section:
    """Several methods side by side, and which of their maps to believe.

    Args:
        store: Where pictures go.
        maps: Maps of one picture and target.
        convention: How they are drawn; see `reports.conventions`.
        verdicts: One for each map: none is shown without.

    Returns:
        Section `saliency`.
    """
    target = maps[0].target.name
    pictures = [
        Figure(
            _cells(store, _coloured(view), f"Map of {entry.title} for {target}. Verdict: {verdict.word}."),
            f"{entry.title}: {verdict.word}. Scale {view.low:.3g} … {view.high:.3g}.",
            pixelated=True,
        )
        for entry, view, verdict in zip(maps, views(maps, convention), verdicts, strict=True)
    ]
    blocks = (Gallery(tuple(pictures)), verdict_table(maps, verdicts), _methods_table(maps, convention))
    intro = f"The same question, which pixels {target!r} depends on, answered by {len(maps)} methods."
    return Section("saliency", "Saliency", intro, blocks)


def _views_gallery(store: ImageStore, saliency: "SaliencyMap", verdict: SaliencyVerdict) -> Gallery:
    """FlashTorch's views in the map's own cells."""
    panels, said = flashtorch_panels(saliency), f"Verdict: {verdict.word}."
    low, high = float(panels.max_hw01.min()), float(panels.max_hw01.max())
    unit_hw01 = (panels.max_hw01 - low) / ((high - low) or 1)
    shown = (
        ("Gradients across the three colours", panels.gradient_hwc01),
        (f"Their maximum, {low:.3g} (dark) … {high:.3g}: 0.5 is the mean, 0.1 a standard deviation", None),
        ("The maximum over the photo", panels.overlay_hwc01),
    )
    figures = []
    for caption, view_hwc01 in shown:
        rgb = viridis(unit_hw01) if view_hwc01 is None else np.round(np.clip(view_hwc01, 0, 1) * 255).astype(np.uint8)
        figures.append(
            Figure(_cells(store, rgb, f"{saliency.title}: {caption}. {said}"), f"{caption}.", pixelated=True)
        )
    return Gallery(tuple(figures))


def _cells(store: ImageStore, rgb_hwc_u8: np.ndarray, alt: str) -> ImageRef:
    """A picture of few cells, without loss; a large one as a photo."""
    small = max(rgb_hwc_u8.shape[:2]) <= SMALL_PX
    return store.png(encode_png(rgb_hwc_u8), alt) if small else store.photo(rgb_hwc_u8, alt)


def _coloured(view: View) -> np.ndarray:
    return colormaps[view.colour_map](np.asarray(view.unit_hw01), bytes=True)[..., :3]


def _methods_table(maps: Sequence["SaliencyMap"], convention: str) -> Table:
    rows = tuple(
        (entry.title, entry.formula, view.rule, f"{view.low:.3g} … {view.high:.3g}")
        for entry, view in zip(maps, views(maps, convention), strict=True)
    )
    return Table("How each map was made and drawn", ("Method", "Map", "Drawn as", "Scale"), rows)


def prediction_blocks(prediction: "Prediction") -> tuple[Block, ...]:
    """What the classifier says; nothing for weights without one."""
    if not prediction.names:
        return ()
    rows = tuple(
        (name, percent(probability))
        for name, probability in zip(prediction.names, prediction.probabilities, strict=True)
    )
    height, width = prediction.size_hw_px
    table = Table(f"What the classifier says, at {width}×{height} px", ("Class", "Probability"), rows)
    unsure = "The classifier is unsure: its best class has a probability under 20 %."
    return (table, Paragraph(unsure)) if prediction.unsure else (table,)


@closed
def saliency_panels(saliency: "SaliencyMap", verdict: SaliencyVerdict | None = None) -> MatplotlibFigure:
    """Draw FlashTorch's four panels with the scale of the third, and the verdict beneath them.

    Args:
        saliency: The map.
        verdict: Printed under the panels; None only where the user wants none.

    Returns:
        The figure; called from outside, a PNG.
    """
    panels = flashtorch_panels(saliency)
    height, width = panels.max_hw01.shape
    scale = min(PANEL_W_PX / width, MAX_PANEL_H_PX / height)
    shown_w, shown_h = round(width * scale), max(1, round(height * scale))
    page_w = round(WIDTH_IN * DPI)
    text = wrapped(verdict_sentence(verdict) if verdict else "", page_w - 2 * MARGIN_PX, 9)
    foot_px = PANELS_TOP_PX + shown_h + 110
    figure = page(page_w, foot_px + 28 * (text.count("\n") + 1) + MARGIN_PX)
    title = f"{saliency.title} for {saliency.target.name!r}"
    text_at(figure, MARGIN_PX, MARGIN_PX, title, 11, weight="bold")
    low, high = float(panels.max_hw01.min()), float(panels.max_hw01.max())
    norm = Normalize(low, high if high > low else low + 1)
    views = {
        "Input": panels.input_hwc01,
        "Gradients across RGB channels": panels.gradient_hwc01,
        "Max gradients": viridis(norm(panels.max_hw01)),
        "Overlay": panels.overlay_hwc01,
    }
    for column, (title, view) in enumerate(views.items()):
        left = MARGIN_PX + column * (PANEL_W_PX + MARGIN_PX)
        text_at(figure, left, PANELS_TOP_PX - 8, title, 8.5, va="baseline")
        axes = axes_at(figure, left, PANELS_TOP_PX, shown_w, shown_h)
        axes.imshow(view, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        if title == "Max gradients":
            bottom = PANELS_TOP_PX + shown_h
            _colour_bar(axes_at(figure, left, bottom + 16, shown_w, 12), norm, 3)
            text_at(figure, left, bottom + 62, "0.5 = mean, 0.1 = one standard deviation", 6.5, color=SOFT)
    text_at(figure, MARGIN_PX, foot_px, text, 9)
    return figure


def _colour_bar(axes: Axes, norm: Normalize, ticks: int) -> None:
    bar = axes.figure.colorbar(ScalarMappable(norm, "viridis"), cax=axes, orientation="horizontal")
    bar.set_ticks(np.linspace(float(norm.vmin or 0), float(norm.vmax or 0), ticks).tolist())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    bar.ax.tick_params(labelsize=7, colors=SOFT)
    bar.ax.spines[:].set_visible(False)


@closed
def method_sheet(
    maps: Sequence["SaliencyMap"], convention: str, verdicts: Sequence[SaliencyVerdict] = ()
) -> MatplotlibFigure:
    """Draw the picture and the maps of several methods, each with its colour bar and its verdict.

    Args:
        maps: Maps of one picture and target.
        convention: How to draw them; see `reports.conventions`.
        verdicts: One for each map, or none.

    Returns:
        The figure; called from outside, a PNG.
    """
    first, drawn = maps[0], views(maps, convention)
    height, width = first.input_chw01.shape[1:]
    page_w = round(WIDTH_IN * DPI)
    columns = min(COLUMNS, len(maps) + 1)
    panel_w = min(PANEL_W_PX, (page_w - MARGIN_PX) // columns - MARGIN_PX)
    panel_h = min(MAX_PANEL_H_PX, max(24, round(panel_w * height / width)))
    rows = -(-(len(maps) + 1) // columns)
    pitch = panel_h + FOOT_PX
    figure = page(page_w, HEAD_PX + rows * pitch + MARGIN_PX)
    text_at(figure, MARGIN_PX, MARGIN_PX, f"Saliency for {first.target.name!r}", 11, weight="bold")
    rules = "; ".join(dict.fromkeys(view.rule for view in drawn))
    text_at(figure, MARGIN_PX, 62, wrapped(f"Drawn: {rules}.", page_w - 2 * MARGIN_PX, 7.5), 7.5, color=SOFT)

    for place in range(len(maps) + 1):
        left = MARGIN_PX + place % columns * (panel_w + MARGIN_PX)
        top = HEAD_PX + place // columns * pitch
        axes = axes_at(figure, left, top, panel_w, panel_h)
        axes.set_axis_off()
        if place == 0:
            text_at(figure, left, top - 6, f"Input, {width}×{height} px", 8, va="baseline")
            axes.imshow(np.clip(first.input_chw01.transpose(1, 2, 0), 0, 1), interpolation="nearest", aspect="auto")
            continue
        view = drawn[place - 1]
        text_at(figure, left, top - 6, maps[place - 1].title, 8, va="baseline")
        axes.imshow(view.unit_hw01, cmap=view.colour_map, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        scale_bar(figure, view, left, top + panel_h + 8, panel_w)
        if verdicts:
            word = verdicts[place - 1].word
            text_at(figure, left, top + panel_h + 52, word, 7, color=COLOURS[word])
    return figure


def scale_bar(figure: MatplotlibFigure, view: View, left: float, top: float, width: float) -> None:
    """Draw a view's colours with its two ends beneath, at pixels from the top left corner."""
    axes = axes_at(figure, left, top, width, 10)
    figure.colorbar(ScalarMappable(Normalize(0, 1), view.colour_map), cax=axes, orientation="horizontal", ticks=[])
    text_at(figure, left, top + 16, f"{view.low:.3g}", 6.5, color=SOFT)
    text_at(figure, left + width, top + 16, f"{view.high:.3g}", 6.5, color=SOFT, ha="right")
