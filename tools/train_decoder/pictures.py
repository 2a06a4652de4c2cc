"""Pairs to learn from: a crop of a photo, and what it is to look like."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

SIDE_PX = 160  # of the crops
SELF_SHARE, SAME_SHARE, OTHER_SHARE = 0.12, 0.05, 0.13  # as style: the crop itself, its own photo, another photo
SMALLEST_SCALE = 0.4  # photos and paintings are shrunk to this at most
WEAK_SHARE, STRENGTHS = 0.4, (0.03, 3.0)  # of pairs with a strength other than 1


@dataclass(frozen=True)
class Pair:
    """One lesson.

    Attributes:
        photo_nchw01: (1, 3, 160, 160).
        painting_nchw01: Likewise, or the photo itself.
        strength: As the optimiser's.
    """

    photo_nchw01: Tensor
    painting_nchw01: Tensor
    strength: float

    @property
    def itself(self) -> bool:
        """Whether the photo is its own painting."""
        return self.painting_nchw01 is self.photo_nchw01


def draw(photos: Sequence[np.ndarray], paintings: Sequence[np.ndarray], rng: np.random.Generator) -> Pair:
    """Draw a lesson.

    Args:
        photos: (H, W, 3) uint8 RGB.
        paintings: Likewise.
        rng: Decides everything.
    """
    own = photos[int(rng.integers(len(photos)))]
    photo = _crop(own, SIDE_PX, rng)
    kind = rng.random()
    if kind < SELF_SHARE:
        painting = photo
    elif kind < SELF_SHARE + SAME_SHARE:
        painting = _crop(own, SIDE_PX, rng)
    else:
        other = photos if kind < SELF_SHARE + SAME_SHARE + OTHER_SHARE else paintings
        painting = _crop(other[int(rng.integers(len(other)))], SIDE_PX, rng)
    weak = rng.random() < WEAK_SHARE
    return Pair(photo, painting, float(np.exp(rng.uniform(*np.log(STRENGTHS)))) if weak else 1.0)


def _crop(picture_hwc_u8: np.ndarray, side_px: int, rng: np.random.Generator) -> Tensor:
    """A square of the picture at a random scale, mirrored or not, (1, 3, side, side)."""
    least = side_px / min(picture_hwc_u8.shape[:2])
    scale = max(least, rng.uniform(min(1.0, max(SMALLEST_SCALE, least)), 1.0))
    size_wh = [max(side_px, round(length * scale)) for length in picture_hwc_u8.shape[1::-1]]
    scaled = cv2.resize(picture_hwc_u8, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (rng.integers(length - side_px + 1) for length in scaled.shape[:2])
    crop = scaled[top : top + side_px, left : left + side_px]
    crop = crop[:, ::-1] if rng.random() < 0.5 else crop
    return torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255
