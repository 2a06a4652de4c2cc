"""What a batch looks like in the distillation: crops of photos and tiles at many scales, sharpnesses and colours."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.pictures.sizes import resize_nchw01
from tools.train_compact.data import Pictures
from tools.train_compact.recipe import SHIFT_PX

PHOTO_SHARE = 0.8  # the rest are tiles, enlarged: soft, and of all the classes
SHARPEST = math.exp(-0.2)  # crops from here to the whole photo, relative to the result's side
SIZE_POWER = 0.35  # of a photo's pixels: a large one holds more to see
COLOURED_SHARE, GAIN_STD, OFFSET_STD = 0.3, 0.3, 0.1  # each channel its own
NOISY_SHARE, NOISE_STD = 0.15, 0.1  # of up to


def draw_crops(
    photos: Sequence[np.ndarray], tiles: Pictures, count: int, side_px: int, rng: np.random.Generator
) -> Tensor:
    """Draw crops.

    Args:
        photos: (H, W, 3) uint8 RGB.
        tiles: Small pictures.
        count: How many.
        side_px: Of the result.
        rng: Decides everything.

    Returns:
        (count, 3, side, side) in [0, 1].
    """
    share = np.array([photo.shape[0] * photo.shape[1] for photo in photos]) ** SIZE_POWER
    share /= share.sum()
    crops = []
    for _ in range(count):
        if rng.random() < PHOTO_SHARE:
            crop = _window(photos[rng.choice(len(photos), p=share)], side_px, rng)
        else:
            tile = tiles.images_nchw_u8[rng.integers(len(tiles.labels_n))]
            crop = resize_nchw01(tile[None].float() / 255, (side_px, side_px))
        crops.append(_varied(crop, rng))
    return torch.cat(crops)


def _window(photo: np.ndarray, side_px: int, rng: np.random.Generator) -> Tensor:
    """A square of log-uniform side, brought to the result's: from a little enlarged to the whole photo."""
    height, width, _ = photo.shape
    largest = math.log(max(1.0, min(height, width) / side_px))
    side = int(min(height, width, side_px * math.exp(rng.uniform(math.log(SHARPEST), largest))))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    window = torch.from_numpy(photo[top : top + side, left : left + side].copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(window, (side_px, side_px), mode="bilinear", antialias=True, align_corners=False)


def _varied(crop_nchw01: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirror half of the crops, change the colours of some and add noise to a few."""

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    if rng.random() < 0.5:
        crop_nchw01 = crop_nchw01.flip(3)
    if rng.random() < COLOURED_SHARE:
        crop_nchw01 = crop_nchw01 * (1 + GAIN_STD * normal(3, 1, 1)) + OFFSET_STD * normal(3, 1, 1)
    if rng.random() < NOISY_SHARE:
        crop_nchw01 = crop_nchw01 + NOISE_STD * rng.random() * normal(*crop_nchw01.shape)
    return crop_nchw01.clamp(0, 1)


def draw_tiles(tiles: Pictures, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw tiles at native size with their labels, all mirrored or none, all shifted by the same few pixels."""
    chosen = torch.from_numpy(rng.integers(len(tiles.labels_n), size=count))
    images_nchw01 = tiles.images_nchw_u8[chosen].float() / 255
    if rng.random() < 0.5:
        images_nchw01 = images_nchw01.flip(3)
    down, right = rng.integers(-SHIFT_PX, SHIFT_PX + 1, size=2).tolist()
    return images_nchw01.roll((down, right), (2, 3)), tiles.labels_n[chosen]
