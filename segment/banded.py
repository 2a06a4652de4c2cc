"""From a cut made on a small copy to the photo's own size.

Only a narrow band around the outline is cut again at each doubling of the size (banded graph cuts, Lombaert et al.
2005), in tiles, with the colour models of the first cut.
"""

from collections.abc import Iterator

import numpy as np

from segment.masks import enlarge, near_outline, resize_labels, shrink
from segment.opencv import BACKGROUND, FOREGROUND, Models, cut_with

BAND_PX = 4  # half width of the band that a finer level may change
TILE_PX, TILE_MARGIN_PX = 192, 16


def recut_bands(rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray, coarse_hw: np.ndarray, models: Models) -> np.ndarray:
    """Bring a mask to the size of its photo.

    Args:
        rgb_hwc_u8: (H, W, 3) uint8 RGB.
        trimap_hw_u8: (H, W) uint8, labels 0 to 3; sure ones are kept.
        coarse_hw: (h, w) bool, a cut of the same picture, smaller.
        models: Its colour models.

    Returns:
        (H, W) bool.
    """
    mask = coarse_hw
    while mask.shape != trimap_hw_u8.shape:
        size_hw_px = min(trimap_hw_u8.shape[0], 2 * mask.shape[0]), min(trimap_hw_u8.shape[1], 2 * mask.shape[1])
        labels = resize_labels(trimap_hw_u8, size_hw_px, ties_down=True)
        mask = _recut_band(shrink(rgb_hwc_u8, size_hw_px), labels, mask, models)
    return mask


def _recut_band(rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray, coarse_hw: np.ndarray, models: Models) -> np.ndarray:
    """Decide a band around the outline again, tile by tile."""
    inside = enlarge(coarse_hw, trimap_hw_u8.shape)
    inside = (inside & (trimap_hw_u8 != BACKGROUND)) | (trimap_hw_u8 == FOREGROUND)
    band = near_outline(inside, BAND_PX) & (trimap_hw_u8 != BACKGROUND) & (trimap_hw_u8 != FOREGROUND)
    labels = inside + np.uint8(2) * band
    for core, tile in _tiles(band):
        part = cut_with(rgb_hwc_u8[tile], labels[tile], models)
        top, left = core[0].start - tile[0].start, core[1].start - tile[1].start
        height, width = inside[core].shape
        inside[core] = part[top : top + height, left : left + width]
    return inside


def _tiles(band_hw: np.ndarray) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Cover a band with small boxes, each with a larger one around it to cut in."""
    height, width = band_hw.shape
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            block = band_hw[top : top + TILE_PX, left : left + TILE_PX]
            if not block.any():
                continue
            rows, columns = np.flatnonzero(block.any(axis=1)), np.flatnonzero(block.any(axis=0))
            y0, y1, x0, x1 = top + rows[0], top + rows[-1] + 1, left + columns[0], left + columns[-1] + 1
            outer_rows = slice(max(0, y0 - TILE_MARGIN_PX), min(height, y1 + TILE_MARGIN_PX))
            outer_columns = slice(max(0, x0 - TILE_MARGIN_PX), min(width, x1 + TILE_MARGIN_PX))
            yield (slice(y0, y1), slice(x0, x1)), (outer_rows, outer_columns)
