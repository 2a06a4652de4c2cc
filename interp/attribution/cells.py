"""Coarse maps, and the same at a photo's size: enlarged along its edges, which the network did not see so finely.

The cells, as hard squares, go through the guided filter (He, Sun & Tang 2013) with the photo as guide, and what their
middles lost by it is given back. So a step between two cells moves to the photo's edge near it, if there is one.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from interp.pictures.guided_filter import guided_coefficients
from interp.pictures.sizes import working_size_hw_px

# By eye among radii of 1/4 to 1 cell and 1e-3 to 1e-2: less leaves squares, more draws the photo's texture.
RADIUS_CELLS = 0.5
EPSILON = 1e-2
FILTER_PX = 640  # long side at which the linear models are fitted (He & Sun 2015, "Fast guided filter")
MIDDLE = 0.5  # share of a cell's side over which its value is kept


@dataclass(frozen=True)
class Cells:
    """All that a coarse method knows: one value a cell, on a grid that covers the picture.

    Attributes:
        values_hw: The values.
        across_hw: Cells that fit into the picture's height and width; less than there are where the last is cut off.
    """

    values_hw: np.ndarray
    across_hw: tuple[float, float]


def squares_hw(cells: Cells, size_hw_px: tuple[int, int]) -> np.ndarray:
    """The cells as hard squares where they lie in the picture, (H, W) float32."""
    rows, columns = (
        np.minimum(((np.arange(side_px) + 0.5) * across / side_px).astype(int), count - 1)
        for count, across, side_px in zip(cells.values_hw.shape, cells.across_hw, size_hw_px, strict=True)
    )
    return cells.values_hw[rows][:, columns].astype(np.float32)


def enlarged_hw(cells: Cells, photo_hwc_u8: np.ndarray) -> np.ndarray:
    """Enlarge a coarse map to a photo's size.

    Args:
        cells: The map's cells.
        photo_hwc_u8: (H, W, 3) uint8 RGB, of any size.

    Returns:
        (H, W) float32. Over the middle of every cell, half as high and half as wide, its mean is the cell's value, to
        rounding, as long as a cell has two pixels a side; between, it can lie beyond the least and the greatest.

    Example:
        >>> cells = Cells(np.array([[0.0, 1.0]]), (1, 2))
        >>> enlarged_hw(cells, np.zeros((40, 80, 3), np.uint8))[:, 50:70].mean().round(4)
        np.float32(1.0)
    """
    height, width = photo_hwc_u8.shape[:2]
    size_hw_px = working_size_hw_px((height, width), FILTER_PX)
    small = cv2.resize(photo_hwc_u8, size_hw_px[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    cell_px = float(np.sqrt(np.prod(size_hw_px) / np.prod(cells.across_hw)))
    radius_px = max(1, round(RADIUS_CELLS * cell_px))
    models = guided_coefficients(small, squares_hw(cells, size_hw_px), radius_px, EPSILON)
    models = cv2.resize(models, (width, height), interpolation=cv2.INTER_LINEAR)
    guided = (models[..., :3] * (photo_hwc_u8 / np.float32(255))).sum(axis=-1) + models[..., 3]
    return _middles_kept(guided, cells)


def _middles_kept(guided_hw: np.ndarray, cells: Cells) -> np.ndarray:
    """Add, between the cells' centres linearly, what brings the mean of every cell's middle to its value."""
    sides = list(zip(cells.values_hw.shape, cells.across_hw, guided_hw.shape, strict=True))
    (middle_rows, middle_columns), (between_rows, between_columns) = (
        [read(*side) for side in sides] for read in (_middles, _between)
    )
    lost = cells.values_hw - middle_rows @ guided_hw @ middle_columns.T
    added = np.linalg.pinv(middle_rows @ between_rows) @ lost @ np.linalg.pinv(middle_columns @ between_columns).T
    return (guided_hw + between_rows @ added @ between_columns.T).astype(np.float32)


def _between(count: int, across: float, side_px: int) -> np.ndarray:
    """Linear interpolation between cells' centres, (pixels, cells)."""
    place = np.clip((np.arange(side_px) + 0.5) * across / side_px - 0.5, 0, count - 1)[:, None]
    return np.clip(1 - np.abs(place - np.arange(count)), 0, 1)


def _middles(count: int, across: float, side_px: int) -> np.ndarray:
    """Means over the middles of what the picture holds of the cells, (cells, pixels), by shares of pixels."""
    edges, cell = np.arange(side_px + 1) * across / side_px, np.arange(count)[:, None]
    held = np.minimum(1, across - cell)
    start, end = cell + (1 - MIDDLE) / 2 * held, cell + (1 + MIDDLE) / 2 * held
    inside = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], start), 0, None)
    return inside / inside.sum(axis=1, keepdims=True)
