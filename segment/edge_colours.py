"""The foreground's own colours at a soft edge, so that a composite has no halo of the old background."""

import cv2
import numpy as np

from interp.pictures.original import Original
from interp.pictures.sizes import working_size_hw_px

# Forte 2021, "Approximate Fast Foreground Colour Estimation": two passes, with these radii; here at 1024 px or less.
WORK_PX = 1024
RADII_PX = (90, 6)
TINY = 1e-5
ROW = 4096  # cv2.remap takes no more than 32767 rows


def foreground_colours(rgb_hwc_u8: np.ndarray, alpha_hw01: np.ndarray) -> np.ndarray:
    """Estimate what the foreground looks like where the photo shows it mixed with the background.

    A pixel of a soft edge is α·F + (1 - α)·B. Blur fusion (Forte 2021): F and B are local means weighted by α and
    1 - α, and F is moved by α times what they leave unexplained; twice, with a large window and a small one. The means
    are made at 1024 px or less, the last move at every soft pixel.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        alpha_hw01: (H, W) float32 in [0, 1].

    Returns:
        (H, W, 3) uint8 RGB, estimated where alpha is between 0 and 1, elsewhere the photo's own bytes.

    Example:
        >>> alpha = np.tile(np.float32([0, 0, 0, 0.5, 1, 1, 1]), (5, 1))
        >>> photo = np.uint8(200 * alpha + 40 * (1 - alpha))[..., None].repeat(3, axis=2)
        >>> photo[2, :, 0].tolist(), foreground_colours(photo, alpha)[2, :, 0].tolist()
        ([40, 40, 40, 120, 200, 200, 200], [40, 40, 40, 200, 200, 200, 200])
    """
    soft = (alpha_hw01 > 0) & (alpha_hw01 < 1)
    result = rgb_hwc_u8.copy()
    if not soft.any():
        return result
    front, back = _means(rgb_hwc_u8, alpha_hw01)
    for rows in _blocks(soft):
        ys, xs = np.nonzero(soft[rows])
        ys = ys + rows.start
        colours, alpha = rgb_hwc_u8[ys, xs] / np.float32(255), alpha_hw01[ys, xs][:, None]
        estimate, behind = (_at(small, ys, xs, soft.shape) for small in (front, back))
        estimate = estimate + alpha * (colours - alpha * estimate - (1 - alpha) * behind)
        result[ys, xs] = np.round(np.clip(estimate, 0, 1) * 255).astype(np.uint8)
    return result


def cutout(original: Original, alpha_hw01: np.ndarray) -> np.ndarray:
    """Cut the foreground out of a photo.

    Args:
        original: The photo's own values.
        alpha_hw01: (H, W) float32 in [0, 1].

    Returns:
        (H, W, 4) RGBA of the photo's own type, alpha not multiplied in but multiplied by the photo's own; black where
        nothing is left.
    """
    own = original.alpha_white if original.alpha_hw is None else original.alpha_hw
    alpha = np.round(alpha_hw01.astype(np.float64) * own).astype(original.rgb_hwc.dtype)
    colours = original.as_changed(foreground_colours(original.visible_hwc_u8, alpha_hw01))
    colours[alpha == 0] = 0
    return np.dstack([colours, alpha])


def _means(rgb_hwc_u8: np.ndarray, alpha_hw01: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local means of foreground and background after two passes, (h, w, 3) float32 each."""
    size = working_size_hw_px((rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]), WORK_PX)
    image = cv2.resize(rgb_hwc_u8, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    alpha = cv2.resize(alpha_hw01.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)[..., None]
    front, back, means = image, image, (image, image)
    for radius_px in RADII_PX:
        share = _blurred(alpha, radius_px)
        mean_front = _blurred(front * alpha, radius_px) / (share + TINY)
        mean_back = _blurred(back * (1 - alpha), radius_px) / (1 - share + TINY)
        means = mean_front, mean_back
        front = np.clip(mean_front + alpha * (image - alpha * mean_front - (1 - alpha) * mean_back), 0, 1)
        back = np.clip(mean_back, 0, 1)
    return means


def _blurred(values_hwc: np.ndarray, radius_px: int) -> np.ndarray:
    side = (2 * radius_px + 1, 2 * radius_px + 1)
    return cv2.blur(values_hwc, side, borderType=cv2.BORDER_REPLICATE).reshape(values_hwc.shape)


def _blocks(soft_hw: np.ndarray) -> list[slice]:
    """Bands of rows that hold soft pixels; bounds the memory."""
    step = 512
    return [slice(top, top + step) for top in range(0, len(soft_hw), step) if soft_hw[top : top + step].any()]


def _at(small_hwc: np.ndarray, ys: np.ndarray, xs: np.ndarray, size_hw_px: tuple[int, ...]) -> np.ndarray:
    """A small picture's values at pixels of the large one, interpolated linearly, (n, 3)."""
    count = len(ys)
    shape = (-(-count // ROW), min(ROW, count))
    maps = []
    for places, cells, side in ((xs, small_hwc.shape[1], size_hw_px[1]), (ys, small_hwc.shape[0], size_hw_px[0])):
        padded = np.zeros(shape[0] * shape[1], dtype=np.float32)
        padded[:count] = (places + 0.5) * cells / side - 0.5
        maps.append(padded.reshape(shape))
    return cv2.remap(small_hwc, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(-1, 3)[
        :count
    ]
