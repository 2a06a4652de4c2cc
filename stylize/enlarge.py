"""Bringing a restyled image to the photo's size: strokes stay strokes with crisp edges, things get their edges back.

A smooth enlargement is sharpened against its blurred self and held between the least and greatest value nearby, as the
toggle filters of mathematical morphology are (Kramer & Bruckner 1975), so that no edge gets a halo. Then the detail
that the photo has and its working copy lacks is added, as strongly as the restyled image follows the photo's luminance
there: the slope of the guided filter (He, Sun & Tang 2013, equation 5), at the working size as in its fast form
(He & Sun 2015). The slope alone would draw the photo's texture over flat paint, so it counts only as far as the two
correlate. At the photo's own size nothing changes.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from interp.pictures.colour import LUMA_RGB
from interp.pictures.sizes import resize_nchw01

# In working pixels. Chosen by eye at 100 % among bicubic, the guided filter itself and this, at factors of 3 to 8.
SMOOTHING = 0.5  # standard deviation; takes away the steps that enlarging leaves on diagonals
SHARPENING = 5.0  # times the difference to the blurred enlargement
REACH = 1.0  # standard deviation of that blur, and radius of the least and greatest value
WINDOW_RADIUS = 2  # of the regression
EPSILON = 1e-3  # variance of luminance below which the photo is flat
STEEPEST = 1.5  # a slope beyond it would raise the photo's noise
STRIP_ROWS = 512  # of the photo, to bound the memory


def enlarge_nchw01(restyled_nchw01: Tensor, photo_nchw01: Tensor) -> Tensor:
    """Enlarge a restyled image, guided by the photo.

    Args:
        restyled_nchw01: (1, 3, h, w) RGB; clamped into [0, 1].
        photo_nchw01: (1, 3, H, W) RGB in [0, 1], what was restyled.

    Returns:
        (1, 3, H, W) in [0, 1].

    Example:
        >>> photo = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        >>> bool((enlarge_nchw01(torch.full((1, 3, 16, 16), 0.25), photo) - 0.25).abs().max() < 1e-6)
        True
    """
    size = photo_nchw01.shape[-2], photo_nchw01.shape[-1]
    small = min(restyled_nchw01.shape[-2], size[0]), min(restyled_nchw01.shape[-1], size[1])
    image = resize_nchw01(restyled_nchw01.clamp(0, 1), small)  # a recipe's square can be wider than the photo
    if small == size:
        return image
    restyled = _hwc(image)
    light_hw, light_small_hw = _light(photo_nchw01), _light(resize_nchw01(photo_nchw01, small))
    coarse = np.dstack([restyled, slopes(light_small_hw, restyled), light_small_hw])
    factor = float(np.sqrt(size[0] / small[0] * size[1] / small[1]))
    margin = _margin_rows(factor)
    result = np.empty((*size, 3), np.float32)
    for top in range(0, size[0], STRIP_ROWS):
        bottom = min(size[0], top + STRIP_ROWS)
        first, last = max(0, top - margin), min(size[0], bottom + margin)
        strip = _rows(coarse, size, first, last)
        detail = light_hw[first:last, :, None] - strip[..., 6:]
        made = crisp(np.ascontiguousarray(strip[..., :3]), factor) + strip[..., 3:6] * detail
        result[top:bottom] = made[top - first : bottom - first]
    return torch.from_numpy(result.clip(0, 1)).permute(2, 0, 1)[None].to(restyled_nchw01.device)


def crisp(image_hwc: np.ndarray, factor: float) -> np.ndarray:
    """Smooth and sharpen an enlargement without overshoot.

    Args:
        image_hwc: (H, W, 3) float32, enlarged linearly.
        factor: By how much; 1 leaves the image as it is.

    Returns:
        (H, W, 3) float32, between the least and greatest value within a working pixel.
    """
    width = float(np.sqrt(max(0.0, factor**2 - 1)))  # of what enlarging adds to a pixel's own extent
    if width * SMOOTHING < 0.1:
        return image_hwc
    smooth = _blurred(image_hwc, width * SMOOTHING)
    radius = max(1, round(width * REACH))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    sharp = smooth + SHARPENING * (smooth - _blurred(smooth, width * REACH))
    return np.clip(sharp, cv2.erode(smooth, disc), cv2.dilate(smooth, disc))


def slopes(light_hw: np.ndarray, restyled_hwc: np.ndarray) -> np.ndarray:
    """How each channel follows the photo's luminance in the window around a pixel.

    Args:
        light_hw: (h, w) float32, the photo's luminance at the working size.
        restyled_hwc: (h, w, 3) float32.

    Returns:
        (h, w, 3) float32: slope of the regression times the size of the correlation, averaged over the windows that
        cover the pixel.
    """
    light = light_hw[..., None]
    mean, mean_restyled = _mean(light), _mean(restyled_hwc)
    variance = (_mean(light * light) - mean * mean).clip(0)
    covariance = _mean(light * restyled_hwc) - mean * mean_restyled
    variance_restyled = (_mean(restyled_hwc * restyled_hwc) - mean_restyled**2).clip(0)
    correlation = np.abs(covariance) / np.sqrt(variance * variance_restyled).clip(1e-6)
    slope = covariance / (variance + EPSILON) * correlation.clip(0, 1)
    return _mean(slope.clip(-STEEPEST, STEEPEST)).astype(np.float32)


def _mean(values_hwc: np.ndarray) -> np.ndarray:
    """Over the window around each pixel, cut off at the border; in float64, because variances are differences."""
    side = (2 * WINDOW_RADIUS + 1,) * 2
    total, count = (
        cv2.boxFilter(part, cv2.CV_64F, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
        for part in (values_hwc, np.ones(values_hwc.shape[:2]))
    )
    return total.reshape(values_hwc.shape) / count[..., None]


def _margin_rows(factor: float) -> int:
    """Rows that `crisp` sees beyond a pixel."""
    return int(np.ceil(factor * (4 * SMOOTHING + 4 * REACH + REACH))) + 2


def _blurred(image_hwc: np.ndarray, sigma_px: float) -> np.ndarray:
    return cv2.GaussianBlur(image_hwc, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)


def _rows(small_hwc: np.ndarray, size_hw_px: tuple[int, int], first: int, last: int) -> np.ndarray:
    """Rows `first` to `last` of a linear enlargement."""
    height, width = size_hw_px
    count = small_hwc.shape[0]
    at = np.clip((np.arange(first, last) + 0.5) * count / height - 0.5, 0, count - 1)
    above = at.astype(int)
    fraction = (at - above).astype(np.float32)[:, None, None]
    mixed = (1 - fraction) * small_hwc[above] + fraction * small_hwc[np.minimum(above + 1, count - 1)]
    return cv2.resize(mixed, (width, last - first), interpolation=cv2.INTER_LINEAR)


def _hwc(image_nchw01: Tensor) -> np.ndarray:
    return np.ascontiguousarray(image_nchw01[0].permute(1, 2, 0).cpu().numpy())


def _light(image_nchw01: Tensor) -> np.ndarray:
    """Luminance, (H, W) float32."""
    weights = torch.tensor(LUMA_RGB, device=image_nchw01.device).view(3, 1, 1)
    return (image_nchw01[0] * weights).sum(0).cpu().numpy()
