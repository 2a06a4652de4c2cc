"""Two classes held against each other: both maps and their difference on one scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure as MatplotlibFigure

from interp.attribution.cells import enlarged_hw
from interp.attribution.verdict import SaliencyVerdict, VerdictWord
from interp.pictures.images import encode_png
from interp.pictures.sizes import resize_nchw01
from reports.blocks import Figure, Gallery, Level, Row, Table
from reports.canvas import DPI, SOFT, WIDTH_IN, axes_at, closed, page, text_at, wrapped
from reports.coarse import as_kept, marked
from reports.conclusions.seeing import UNSEEN, seen
from reports.conventions import View
from reports.record import Conclusion, Section, worse
from reports.saliency import scale_bar
from reports.store import ImageStore
from reports.verdict import COLOURS, verdict_table
from reports.wording import called, number, percent

if TYPE_CHECKING:
    from interp.attribution.contrast import Contrast
    from interp.network.classify import Prediction

BRIGHTEST = 99.5  # percentile of the values that has the strongest colour: a few pixels would pale all others
RULE = "red speaks for it, blue against it; white is 0"
MARGIN_PX, HEAD_PX, FOOT_PX, MAX_PANEL_H_PX = 24, 110, 100, 620
Judged = tuple[SaliencyVerdict, SaliencyVerdict]


def contrast_views(contrast: "Contrast") -> tuple[View, View, View]:
    """Both maps and their difference, on one scale symmetric about 0."""
    values = contrast.one.heat_hw, contrast.other.heat_hw, contrast.difference_hw
    limit = float(np.percentile(np.abs(np.stack(values)), BRIGHTEST)) or 1.0
    one, other, difference = (View(each, -limit, limit, "RdBu_r", RULE) for each in values)
    return one, other, difference


def contrast_row(
    store: ImageStore, photo_hwc_u8: np.ndarray, contrast: "Contrast", probabilities: tuple[float, float]
) -> Row:
    """The photo, the difference laid over it, and what the classifier says of both classes; (H, W, 3) uint8 RGB."""
    one, other, (*_, view) = contrast.one.target.name, contrast.other.target.name, contrast_views(contrast)
    height, width = contrast.one.input_chw01.shape[1:]
    kept, cells = as_kept(photo_hwc_u8), contrast.difference_cells
    if cells:
        signed_hw, enlarged = np.clip(enlarged_hw(cells, kept) / view.high, -1, 1), f"It is {marked(cells)}."
    else:
        signed_hw, enlarged = _enlarged(view, kept), f"The map has {width}×{height} cells, enlarged smoothly."
    caption = (
        f"{contrast.one.title}: red pixels speak for {one!r} rather than {other!r}, blue ones the other way round. "
        f"{enlarged}"
    )
    over = Figure(store.photo(_over(kept, signed_hw), f"Difference of {one} and {other} over the photo."), caption)
    photo = Figure(store.photo(photo_hwc_u8, "The photo."), "The photo")
    return Row((photo, over, _classes(contrast.one.prediction, {one: probabilities[0], other: probabilities[1]})))


def _classes(prediction: "Prediction", compared: dict[str, float]) -> Table:
    """The best classes, and those compared where they are not among them."""
    height, width = prediction.size_hw_px
    best = dict(zip(prediction.names, prediction.probabilities, strict=True))
    rows = tuple((name, percent(probability)) for name, probability in (best | compared).items())
    return Table(f"What the classifier says, at {width}×{height} px", ("Class", "Probability"), rows)


def _enlarged(view: View, photo_hwc_u8: np.ndarray) -> np.ndarray:
    """The map from -1 to 1 at the photo's size, smoothly."""
    import torch

    unit_nchw01 = torch.from_numpy(view.unit_hw01)[None, None].float()
    return 2 * resize_nchw01(unit_nchw01, photo_hwc_u8.shape[:2])[0, 0].numpy() - 1


def _over(photo_hwc_u8: np.ndarray, signed_hw: np.ndarray) -> np.ndarray:
    """The photo in dim grey, and over it the map, the stronger the less of the photo."""
    grey = photo_hwc_u8.mean(axis=2, keepdims=True) * 0.5 + 64
    colour = colormaps["RdBu_r"](0.5 + 0.5 * signed_hw)[..., :3] * 255
    strength = np.abs(signed_hw)[..., None] ** 0.7
    return np.round(grey * (1 - strength) + colour * strength).clip(0, 255).astype(np.uint8)


def contrast_section(store: ImageStore, contrasts: Sequence["Contrast"], judged: Sequence[Judged]) -> Section:
    """Both maps and their difference, method by method.

    Args:
        store: Where pictures go.
        contrasts: Of one picture and the same two classes.
        judged: Verdicts on both maps of each: none is shown without.

    Returns:
        Section `against`.
    """
    one, other = contrasts[0].one.target.name, contrasts[0].other.target.name
    blocks = []
    for contrast, verdicts in zip(contrasts, judged, strict=True):
        title, views = contrast.one.title, contrast_views(contrast)
        said = (f"{one}: {verdicts[0].word}", f"{other}: {verdicts[1].word}", f"{one} less {other}")
        names = (f"Map of {one}", f"Map of {other}", f"Difference of {one} and {other}")
        figures = [
            Figure(
                store.png(encode_png(_coloured(view)), f"{name} by {title}."),
                f"{title}, {text}. Scale {number(view.low)} … {number(view.high)}.",
                pixelated=True,
            )
            for view, name, text in zip(views, names, said, strict=True)
        ]
        blocks.append(Gallery(tuple(figures)))
    maps = [entry for contrast in contrasts for entry in (contrast.one, contrast.other)]
    blocks.append(verdict_table(maps, [verdict for pair in judged for verdict in pair]))
    intro = f"What speaks for {one!r} and what for {other!r}: {RULE}. One scale for all three maps of a method."
    return Section("against", f"{one} against {other}", intro, tuple(blocks))


def contrast_conclusion(
    contrasts: Sequence["Contrast"], judged: Sequence[Judged], probabilities: tuple[float, float]
) -> Conclusion:
    """Conclude on two classes, of which the classifier gives these probabilities."""
    first, prediction = contrasts[0], contrasts[0].one.prediction
    names = first.one.target.name, first.other.target.name
    one, other = map(called, names)
    moved = first.difference_hw
    share = float(moved.clip(0).sum() / (np.abs(moved).sum() or 1))
    found = (
        f"{seen(prediction)} To {one!r} it gives {percent(probabilities[0])}, to {other!r} "
        f"{percent(probabilities[1])}. Of what tells them apart by {first.one.title}, {percent(share)} speaks for "
        f"{one!r}, the rest for {other!r}."
    )
    belief, level = _both_believed(judged)
    advice = "look where several methods agree: --methods gradient,integrated-gradients,grad-cam."
    best = prediction.names[0]
    unseen = [called(name) for name, chance in zip(names, probabilities, strict=True) if chance < UNSEEN]
    if best not in names:
        belief = f"Its best guess is neither of the two, so the maps explain a choice it did not make. {belief}"
        advice = f"choose a photo of one of the two, or explain its best guess: --target {called(best)!r}."
    elif unseen and not prediction.unsure:
        belief = f"The network does not see {unseen[0]!r} here: its map shows what little speaks for it."
        if level != "good":
            belief = f"{belief} {_both_believed(judged)[0]}"
        advice = _another_pair(prediction, best)
    elif prediction.unsure:
        advice = "choose a photo with one large subject; a guess explains little."
    if best not in names or unseen or prediction.unsure:
        level = worse(level, "doubt")
    return Conclusion(found, belief, advice, level)


def _both_believed(judged: Sequence[Judged]) -> tuple[str, Level]:
    believed = [all(verdict.word is VerdictWord.CLASS for verdict in pair) for pair in judged]
    if all(believed):
        return "Each map can be believed, and so can their difference.", "good"
    if any(believed):
        return "Not every map can be believed: read the difference of a method whose two maps can.", "doubt"
    return "No method's two maps can both be believed, so neither can their difference.", "bad"


def _another_pair(prediction: "Prediction", best: str) -> str:
    """What to compare instead: the best with a class that the network considers too, if there is one."""
    known = zip(prediction.names, prediction.probabilities, strict=True)
    seen_too = [called(name) for name, chance in known if name != best and chance >= UNSEEN]
    if seen_too:
        return f"compare with a class that it does consider: --target {called(best)!r} --against {seen_too[0]!r}."
    return f"explain {called(best)!r} alone, or choose a photo that shows something of both."


def _coloured(view: View) -> np.ndarray:
    return colormaps[view.colour_map](view.unit_hw01, bytes=True)[..., :3]


@closed
def contrast_sheet(contrasts: Sequence["Contrast"], judged: Sequence[Judged] = ()) -> MatplotlibFigure:
    """Draw the picture, both maps and their difference, a row for each method, each with its scale and verdict.

    Args:
        contrasts: Of one picture and the same two classes.
        judged: Verdicts on both maps of each, or none.

    Returns:
        The figure; called from outside, a PNG.
    """
    first = contrasts[0].one
    height, width = first.input_chw01.shape[1:]
    page_w = round(WIDTH_IN * DPI)
    panel_w = (page_w - MARGIN_PX) // 4 - MARGIN_PX
    panel_h = min(MAX_PANEL_H_PX, max(24, round(panel_w * height / width)))
    pitch = panel_h + FOOT_PX
    figure = page(page_w, HEAD_PX + len(contrasts) * pitch)
    one, other = first.target.name, contrasts[0].other.target.name
    text_at(figure, MARGIN_PX, MARGIN_PX, f"{one!r} against {other!r}", 11, weight="bold")
    for row, contrast in enumerate(contrasts):
        top = HEAD_PX + row * pitch
        titles = (f"Input, {width}×{height} px", one, other, "Difference")
        shown = (None, *contrast_views(contrast))
        words = (None, *(verdict.word for verdict in judged[row]), None) if judged else (None,) * 4
        for column, (title, view, word) in enumerate(zip(titles, shown, words, strict=True)):
            left = MARGIN_PX + column * (panel_w + MARGIN_PX)
            label = title if column in (0, 3) else f"{contrast.one.title}: {title}"
            text_at(figure, left, top - 6, wrapped(label, panel_w, 7.5), 7.5, va="bottom")
            axes = axes_at(figure, left, top, panel_w, panel_h)
            axes.set_axis_off()
            if view is None:
                axes.imshow(np.clip(first.input_chw01.transpose(1, 2, 0), 0, 1), aspect="auto", interpolation="nearest")
                continue
            axes.imshow(view.unit_hw01, cmap=view.colour_map, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            scale_bar(figure, view, left, top + panel_h + 8, panel_w)
            if word:
                text_at(figure, left, top + panel_h + 46, word, 7, color=COLOURS[word])
    text_at(figure, MARGIN_PX, HEAD_PX + len(contrasts) * pitch - 24, RULE, 7, color=SOFT)
    return figure
