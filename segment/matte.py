"""Mask -> alpha: a soft edge that follows the photo, by the guided filter (He, Sun & Tang 2010, 2013)."""

import cv2
import numpy as np

from interp.errors import UsageError
from interp.pictures.guided_filter import guided_coefficients
from interp.pictures.images import quantise_hw01
from interp.pictures.sizes import working_size_hw_px
from segment.masks import bounding_box

# On 9 photos with a known alpha, at 320 px, radius 4 and 1e-4 leave 30 % of a hard mask's squared error. The radius
# grows with the root of the size: at 800 px 6 px leave 35 %, 10 px 39 %, for lenses soften an edge by fewer pixels than
# the picture has more of.
RADIUS_PX_AT_320 = 4.0
EPSILON = 1e-4  # variance, colours in [0, 1]
FILTER_PX = 640  # long side at which the linear models are fitted (He & Sun 2015, "Fast guided filter")
TAIL = 0.02  # alpha this close to 0 or 1 is made 0 or 1


def matte(rgb_hwc_u8: np.ndarray, mask_hw: np.ndarray, feather_px: float | None = None) -> np.ndarray:
    """Turn a mask into an alpha with soft edges.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        mask_hw: (H, W) bool, True = inside.
        feather_px: None follows the photo's own edges; 0 keeps the mask hard; larger values soften the edge further,
            over about that many pixels.

    Returns:
        (H, W) float32, multiples of 1/255; exactly 0 or 1 away from the mask's edge.

    Raises:
        UsageError: If `feather_px` is negative or over a quarter of the short side.
    """
    if feather_px == 0:
        return quantise_hw01(mask_hw)
    radius = max(1.0, RADIUS_PX_AT_320 * (max(mask_hw.shape) / 320) ** 0.5)
    alpha = mask_hw.astype(np.float32)
    near = _window(mask_hw, int(3 * radius) + 1)
    inside = mask_hw[near]
    weight = np.clip(2 - outline_distance_px(inside) / np.float32(radius), 0, 1)
    edge = np.nonzero(weight)  # all within the radius, none beyond twice the radius
    hard = inside[edge].astype(np.float32)
    filtered = guided_alpha(rgb_hwc_u8[near], inside, radius, edge)
    alpha[near][edge] = _clamp_tails(hard + weight[edge] * (filtered - hard))
    return alpha if feather_px is None else soften(alpha, feather_px)


def soften(alpha_hw01: np.ndarray, feather_px: float) -> np.ndarray:
    """Widen an alpha's soft edge to about `feather_px`.

    Args:
        alpha_hw01: (H, W) in [0, 1].
        feather_px: Width of the transition: two standard deviations of the Gaussian used.

    Returns:
        (H, W) float32, multiples of 1/255, exactly 0 or 1 away from the edge.

    Raises:
        UsageError: If `feather_px` is negative or over a quarter of the short side.
    """
    limit = min(alpha_hw01.shape) / 4
    if not 0 <= feather_px <= limit:
        height, width = alpha_hw01.shape
        raise UsageError(
            f"Feather {feather_px} px on {width}x{height} px: expected 0 to {limit:g} (a quarter of a side)."
        )
    if feather_px == 0:
        return quantise_hw01(alpha_hw01)
    sigma = feather_px / 2
    blurred = cv2.GaussianBlur(alpha_hw01.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return _clamp_tails(blurred)


def outline_distance_px(mask_hw: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest pixel on the other side of the mask's edge, (H, W) float32."""
    inside = mask_hw.astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5) + cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)


def guided_alpha(
    rgb_hwc_u8: np.ndarray, mask_hw: np.ndarray, radius_px: float, places: tuple[np.ndarray, ...]
) -> np.ndarray:
    """The mask as a locally linear function of the photo's colours at some places (rows, columns), (n,) float32."""
    size_hw_px = working_size_hw_px(mask_hw.shape, FILTER_PX)
    small = cv2.resize(rgb_hwc_u8, size_hw_px[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    share = cv2.resize(mask_hw.astype(np.float32), size_hw_px[::-1], interpolation=cv2.INTER_AREA)
    radius = max(1, round(radius_px * max(size_hw_px) / max(mask_hw.shape)))
    return _apply(guided_coefficients(small, share, radius, EPSILON), rgb_hwc_u8, places)


def _apply(coefficients_hwc: np.ndarray, rgb_hwc_u8: np.ndarray, places: tuple[np.ndarray, ...]) -> np.ndarray:
    """Evaluate linear models, given at a smaller size, at places of the full photo, between four models each."""
    models = np.zeros((len(places[0]), 4), dtype=np.float32)
    (rows, row_share), (columns, column_share) = (
        _between(at, side, cells)
        for at, side, cells in zip(places, rgb_hwc_u8.shape, coefficients_hwc.shape, strict=False)
    )
    for down, rows_share in ((0, 1 - row_share), (1, row_share)):
        for right, share in ((0, 1 - column_share), (1, column_share)):
            models += coefficients_hwc[rows[down], columns[right]] * (rows_share * share)[:, None]
    return np.einsum("nc,nc->n", models[:, :3], rgb_hwc_u8[places] / np.float32(255)) + models[:, 3]


def _between(at_px: np.ndarray, side_px: int, cells: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The cells before and after each place, and how far it is on from the first to the second."""
    place = np.clip((at_px + 0.5) * cells / side_px - 0.5, 0, cells - 1)
    before = place.astype(int)
    return (before, np.minimum(before + 1, cells - 1)), (place - before).astype(np.float32)


def _window(mask_hw: np.ndarray, margin_px: int) -> tuple[slice, slice]:
    """The part of a picture that holds a mask and a margin."""
    x, y, w, h = bounding_box(mask_hw) if mask_hw.any() else (0, 0, 1, 1)
    return slice(max(0, y - margin_px), y + h + margin_px), slice(max(0, x - margin_px), x + w + margin_px)


def _clamp_tails(alpha_hw: np.ndarray) -> np.ndarray:
    alpha = alpha_hw.astype(np.float32)
    alpha[alpha < TAIL] = 0
    alpha[alpha > 1 - TAIL] = 1
    return quantise_hw01(alpha)
