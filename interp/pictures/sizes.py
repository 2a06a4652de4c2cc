"""Sizes to work at, and the resizing of images and masks."""

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from interp.pictures.images import MIN_SIDE_PX, quantise_hw01

if TYPE_CHECKING:
    from torch import Tensor

MIN_WORKING_SIDE_PX = 64  # a thin strip is not scaled below this


def working_size_hw_px(size_hw_px: tuple[int, int], long_side_px: int) -> tuple[int, int]:
    """Size to work at: the long side brought to `long_side_px`, never enlarged, thin strips kept wide enough.

    Args:
        size_hw_px: The photo's height and width.
        long_side_px: The wanted long side.

    Returns:
        Height and width, both at least min(own side, 64) px.

    Example:
        >>> working_size_hw_px((1000, 2000), 512), working_size_hw_px((40, 4000), 512)
        ((256, 512), (40, 4000))
    """
    height, width = size_hw_px
    scale = max(long_side_px / max(height, width), MIN_WORKING_SIDE_PX / min(height, width))
    scale = min(1.0, scale)
    return max(MIN_SIDE_PX, round(height * scale)), max(MIN_SIDE_PX, round(width * scale))


def painting_size_hw_px(
    painting_hw_px: tuple[int, int], photo_hw_px: tuple[int, int], scale: float = 1.0
) -> tuple[int, int]:
    """Size of the painting beside a working photo: the same pixel area times `scale`², never enlarged.

    The area, not the long side, sets the size of the strokes that the network sees.
    """
    height, width = painting_hw_px
    area = photo_hw_px[0] * photo_hw_px[1] * scale * scale
    factor = min(1.0, math.sqrt(area / (height * width)))
    return max(MIN_SIDE_PX, round(height * factor)), max(MIN_SIDE_PX, round(width * factor))


def resize_nchw01(image_nchw01: "Tensor", size_hw_px: tuple[int, int]) -> "Tensor":
    """Resize an image with an antialiased bicubic filter; values stay in [0, 1]."""
    from torch.nn import functional as F

    if tuple(image_nchw01.shape[-2:]) == tuple(size_hw_px):
        return image_nchw01
    return F.interpolate(image_nchw01, size=size_hw_px, mode="bicubic", antialias=True).clamp(0, 1)


def fit_painting_nchw01(painting_nchw01: "Tensor", photo_hw_px: tuple[int, int], scale: float = 1.0) -> "Tensor":
    """Bring a painting to its size beside a working photo; see `painting_size_hw_px`."""
    painting_hw_px = painting_nchw01.shape[-2], painting_nchw01.shape[-1]
    return resize_nchw01(painting_nchw01, painting_size_hw_px(painting_hw_px, photo_hw_px, scale))


def resize_hw01(alpha_hw01: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    """Resize a mask by area (down) or linearly (up) and round it to n/255."""
    if alpha_hw01.shape == tuple(size_hw_px):
        return quantise_hw01(alpha_hw01)
    image = Image.fromarray(np.ascontiguousarray(alpha_hw01, dtype=np.float32))
    resized = image.resize((size_hw_px[1], size_hw_px[0]), Image.Resampling.BILINEAR)  # antialiased when shrinking
    return quantise_hw01(np.asarray(resized))
