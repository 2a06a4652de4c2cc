"""Maps of few cells: the cells themselves, and beside them their enlargement, marked as such."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import Normalize
from PIL import Image

from interp.attribution.cells import Cells, enlarged_hw, squares_hw
from interp.pictures.images import encode_png
from interp.pictures.sizes import working_size_hw_px
from reports.blocks import Figure, Gallery
from reports.canvas import viridis
from reports.record import Section
from reports.store import LONG_SIDE_PX, ImageStore

if TYPE_CHECKING:
    from interp.attribution.saliency import SaliencyMap


def coarse_sections(store: ImageStore, photo_hwc_u8: np.ndarray, maps: Sequence["SaliencyMap"]) -> list[Section]:
    """What coarse methods know, and the same at the photo's size.

    Args:
        store: Where pictures go.
        photo_hwc_u8: (H, W, 3) uint8 RGB, the photo that the maps are of.
        maps: By any methods.

    Returns:
        Section `cells`, if there is a coarse method among them.
    """
    photo = as_kept(photo_hwc_u8)
    pairs = [_pair(store, photo, entry, entry.cells) for entry in maps if entry.cells]
    intro = (
        "Some methods know one value a cell. Left: the cells. Right: the same at the photo's size; over the middle of "
        "every cell it keeps that cell's value, between cells it follows the photo's edges, of which the map knows "
        "nothing: believe it no finer than the cells."
    )
    gallery = Gallery(tuple(figure for pair in pairs for figure in pair))
    return [Section("cells", "Coarse maps at the photo's size", intro, (gallery,))] if pairs else []


def marked(cells: Cells) -> str:
    """What an enlarged map must say."""
    height, width = cells.values_hw.shape
    return f"enlarged along the photo's edges: the network saw only these {width}×{height} cells"


def as_kept(photo_hwc_u8: np.ndarray) -> np.ndarray:
    """The photo at the size at which a record keeps it."""
    height, width = working_size_hw_px((photo_hwc_u8.shape[0], photo_hwc_u8.shape[1]), LONG_SIDE_PX)
    return np.asarray(Image.fromarray(photo_hwc_u8).resize((width, height), Image.Resampling.LANCZOS))


def _pair(store: ImageStore, photo_hwc_u8: np.ndarray, entry: "SaliencyMap", cells: Cells) -> tuple[Figure, Figure]:
    low, high = float(cells.values_hw.min()), float(cells.values_hw.max())
    scale = Normalize(low, high if high > low else low + 1)
    height, width = photo_hwc_u8.shape[:2]
    squares, large = (
        viridis(np.clip(np.asarray(scale(values)), 0, 1))
        for values in (squares_hw(cells, (height, width)), enlarged_hw(cells, photo_hwc_u8))
    )
    name, ends = f"{entry.title} for {entry.target.name}", f"{low:.3g} (dark) … {high:.3g}"
    rows, columns = cells.values_hw.shape
    return (
        Figure(
            store.png(encode_png(squares), f"Cells of {name}."),
            f"{entry.title}: all that it knows, {columns}×{rows} cells. {ends}.",
        ),
        Figure(
            store.photo(large, f"{name}, enlarged along the photo's edges."),
            f"{entry.title} at {width}×{height} px, {marked(cells)}. {ends}.",
        ),
    )
