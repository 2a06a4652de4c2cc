"""What a channel wants to see: the picture made for it, the parts of photos that excite it most, and where they lie."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import Normalize
from PIL import Image

from reports.blocks import Block, Facts, Figure, Gallery, Paragraph, Row, Table
from reports.canvas import line_chart, viridis
from reports.features import CLIPPED_SHARE
from reports.record import Section
from reports.store import ImageStore
from reports.wording import number, score_of

if TYPE_CHECKING:
    from interp.attribution.maximise import Maximised
    from interp.attribution.response import Cell, Response

Responses = Mapping[str, "Response"]
Strongest = Sequence[tuple[str, "Cell"]]

MADE_PX, PATCH_PX, MAP_PX = 512, 160, 512  # shown at least that large
IN_SHEET, GAP_PX = 3, 6  # patches along a side of the lead's sheet, and between them
MAX_PHOTOS = 6  # drawn; the table has them all


def maximise_row(store: ImageStore, found: "Maximised", responses: Responses, cells: Strongest) -> Row:
    """The receptive field on the photo that excites the target most, the best patches, and the picture made for it.

    Args:
        store: Where pictures go.
        found: The picture that was made.
        responses: Of photos to the same target, by name; at least one.
        cells: Of all photos, best first.
    """
    name, best, cells = found.target.name, _ranked(responses)[0], cells[: IN_SHEET**2]
    figures = [_photo(store, best, responses[best], name)]
    if len(cells) > 1:
        sheet = _sheet([_enlarged(_u8(responses[photo].patch(cell)), PATCH_PX) for photo, cell in cells])
        caption = f"The parts of {_photos(len(responses))} that excite it most, strongest first"
        figures.append(Figure(store.photo(sheet, f"The {len(cells)} patches that excite {name} most."), caption))
    return Row((*figures, _made(store, found)))


def maximise_sections(store: ImageStore, found: "Maximised", responses: Responses, cells: Strongest) -> list[Section]:
    """The patches, the photos they come from, and how the picture was made.

    Args:
        store: Where pictures go.
        found: The picture that was made.
        responses: Of photos to the same target, by name; at least one.
        cells: Of all photos, best first.

    Returns:
        Sections `patches` (where there are any), `photos` and `maximise`.
    """
    patches = [_patches_section(store, found, responses, cells)] if cells else []
    return [*patches, _photos_section(store, found, responses), _made_section(store, found)]


def _patches_section(store: ImageStore, found: "Maximised", responses: Responses, cells: Strongest) -> Section:
    figures = tuple(
        Figure(
            store.photo(_enlarged(_u8(responses[photo].patch(cell)), PATCH_PX), f"Patch {place}, of {photo}."),
            f"{place}: {number(cell.value)}. {photo}, cell {cell.row}, {cell.column}; "
            f"{cell.seen_px[3]}×{cell.seen_px[2]} px.",
        )
        for place, (photo, cell) in enumerate(cells, 1)
    )
    intro = (
        f"The strongest cells of {found.target.name} in {_photos(len(responses))}, best first, each with its value "
        f"{_before_relu(found)}and its row and column from the top left. A patch holds {_field(responses)}; grey lies "
        "beyond the photo's border."
    )
    return Section("patches", "What excites it most in photos", intro, (Gallery(figures),))


def _photos_section(store: ImageStore, found: "Maximised", responses: Responses) -> Section:
    name, ranked = found.target.name, _ranked(responses)
    shown = ranked[:MAX_PHOTOS]
    maps = {photo: map_hw for photo in shown if (map_hw := responses[photo].map_hw) is not None}
    figures = [[_photo(store, photo, responses[photo], name)] for photo in shown]
    if maps:
        norm = _scale(list(maps.values()))
        for pair, (photo, map_hw) in zip(figures, maps.items(), strict=True):
            pair.append(_map(store, photo, map_hw, norm, name))
        table = _cells_table(found, responses, ranked)
        intro = (
            f"Where {name} answers. A frame stands around the strongest cell and holds {_field(responses)}. The maps "
            f"have one scale: {norm.vmin:.3g} (dark) … {norm.vmax:.3g}."
        )
    else:
        rows = tuple((photo, number(responses[photo].value)) for photo in ranked)
        table = Table("The score of each photo", ("Photo", "Score"), rows)
        intro = f"A class looks at the whole photo, so {name!r} has no receptive field to draw and no patches to cut."
    blocks: list[Block] = [Gallery(tuple(figure for pair in figures for figure in pair)), table]
    if len(ranked) > MAX_PHOTOS:
        blocks.append(Paragraph(f"Drawn are the first {MAX_PHOTOS} of {len(ranked)} photos."))
    return Section("photos", "Where it answers in the photos", intro, tuple(blocks))


def _made_section(store: ImageStore, found: "Maximised") -> Section:
    name, raised = found.target.name, score_of(found.raised)
    steps = tuple(range(1, len(found.values) + 1))
    curve = line_chart.svg({name: (steps, found.values)}, x_label="step", y_label="value on the shaken picture")
    first, last = number(found.values[0]), number(found.values[-1])
    alt = f"Value of {name} over {len(steps)} steps: from {first} to {last}."
    caption = "The picture is shifted, turned and scaled a little before every step."
    facts = Facts((("Raised", raised), ("Steps", f"{len(steps):,}"), ("Final", number(found.final))))
    intro = (
        "A feature map says where a channel answers; the picture made for it says to what. It was optimised from grey "
        "noise (Erhan et al. 2009) as Fourier coefficients in decorrelated colours (Olah et al. 2017)."
    )
    return Section("maximise", "How the picture was made", intro, (Figure(store.chart(curve, alt), caption), facts))


def _made(store: ImageStore, found: "Maximised") -> Figure:
    name, made = found.target.name, _u8(found.image_nchw01[0].permute(1, 2, 0).cpu().numpy())
    side = max(MADE_PX, len(made))
    shown = np.asarray(Image.fromarray(made).resize((side, side), Image.Resampling.BICUBIC))
    caption = f"Made for {name}: {score_of(found.raised)} is {number(found.final)}."
    return Figure(store.photo(shown, f"Picture made to raise {name}."), caption)


def _photo(store: ImageStore, photo: str, response: "Response", name: str) -> Figure:
    pixels = _u8(response.input_hwc01)
    if not response.cells:
        return Figure(store.photo(pixels, f"The photo {photo}."), f"{photo}: {number(response.value)}")
    best = response.cells[0]
    top, left, height, width = best.seen_px
    alt = f"The photo {photo}, framed what the strongest cell of {name} sees, {width} by {height} pixels."
    caption = f"{photo}: the strongest cell, {number(best.value)}, sees the {width}×{height} px in the frame"
    if top <= 0 and left <= 0 and top + height >= len(pixels) and left + width >= pixels.shape[1]:
        caption = f"{photo}: the strongest cell, {number(best.value)}, sees the whole photo"
    return Figure(store.photo(_framed(pixels, best.seen_px), alt), caption)


def _scale(maps: list[np.ndarray]) -> Normalize:
    """One colour scale; the least thousandth of the values is cut off, nothing at the top, which is looked for."""
    values = np.concatenate([map_hw.ravel() for map_hw in maps])
    low, high = float(np.quantile(values, CLIPPED_SHARE)), float(values.max())
    return Normalize(low, high if high > low else low + 1)


def _map(store: ImageStore, photo: str, map_hw: np.ndarray, norm: Normalize, name: str) -> Figure:
    coloured = _enlarged(viridis(np.clip(np.asarray(norm(map_hw)), 0, 1)), MAP_PX)
    height, width = map_hw.shape
    return Figure(store.photo(coloured, f"Map of {name} on {photo}."), f"{photo}: {width}×{height} cells")


def _cells_table(found: "Maximised", responses: Responses, ranked: list[str]) -> Table:
    rows = []
    for photo in ranked:
        cells = responses[photo].cells
        place = f"{cells[0].row}, {cells[0].column}" if cells else "–"
        rows.append((photo, number(cells[0].value if cells else None), place, number(responses[photo].value)))
    header = ("Photo", "Strongest cell", "Row, column", "Mean over its cells")
    return Table(f"{found.target.name} in each photo", header, tuple(rows))


def _ranked(responses: Responses) -> list[str]:
    """The photos, the one with the strongest cell first; by their score where there are no cells."""

    def strength(photo: str) -> float:
        found = responses[photo]
        return found.cells[0].value if found.cells else found.value

    return sorted(responses, key=strength, reverse=True)


def _field(responses: Responses) -> str:
    """What a frame or a patch holds."""
    if any(found.by_gradient for found in responses.values()):
        return "every pixel from which a gradient came to its cell, which may see more than that"
    return "exactly what its cell sees, its receptive field"


def _before_relu(found: "Maximised") -> str:
    return "before the ReLU, which makes nothing of what is below 0, " if found.raised != found.target else ""


def _photos(count: int) -> str:
    return f"{count} photos" if count > 1 else "the photo"


def _framed(rgb_hwc_u8: np.ndarray, seen_px: tuple[int, int, int, int]) -> np.ndarray:
    """Draw a white and a black line around a box: nothing of it is covered, no line is where it leaves the picture."""
    top, left, height, width = seen_px
    rows, columns = np.arange(rgb_hwc_u8.shape[0])[:, None], np.arange(rgb_hwc_u8.shape[1])
    thick = max(1, round(max(rgb_hwc_u8.shape[:2]) / 200))

    def within(grown_px: int) -> np.ndarray:
        down = (rows >= top - grown_px) & (rows < top + height + grown_px)
        return down & (columns >= left - grown_px) & (columns < left + width + grown_px)

    drawn = rgb_hwc_u8.copy()
    drawn[within(2 * thick) & ~within(thick)] = 0
    drawn[within(thick) & ~within(0)] = 255
    return drawn


def _sheet(patches: list[np.ndarray]) -> np.ndarray:
    """Patches in rows of three, mid-grey between and beyond them; none larger than the first."""
    height, width = patches[0].shape[:2]
    rows = -(-len(patches) // IN_SHEET)
    sheet = np.full((rows * (height + GAP_PX) - GAP_PX, IN_SHEET * (width + GAP_PX) - GAP_PX, 3), 128, np.uint8)
    for place, patch in enumerate(patches):
        top, left = place // IN_SHEET * (height + GAP_PX), place % IN_SHEET * (width + GAP_PX)
        fitted = Image.fromarray(patch)
        fitted.thumbnail((width, height))
        sheet[top : top + fitted.height, left : left + fitted.width] = np.asarray(fitted)
    return sheet


def _u8(image_hwc01: np.ndarray) -> np.ndarray:
    return np.round(np.clip(image_hwc01, 0, 1) * 255).astype(np.uint8)


def _enlarged(rgb_hwc_u8: np.ndarray, side_px: int) -> np.ndarray:
    """Enlarge in hard squares until the longer side is about that long."""
    factor = max(1, side_px // max(rgb_hwc_u8.shape[:2]))
    height, width = rgb_hwc_u8.shape[:2]
    return np.asarray(Image.fromarray(rgb_hwc_u8).resize((width * factor, height * factor), Image.Resampling.NEAREST))
