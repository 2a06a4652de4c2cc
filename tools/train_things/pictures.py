"""Photos with masks, and what a batch of them looks like: cropped, turned, recoloured, pasted on other backgrounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from interp.errors import InputError
from interp.pictures.images import load_mask, load_picture
from segment.masks import bounding_box
from tools.train_compact.data import SUFFIXES, Watch

LONG_PX = 400  # side that photos are kept at, at most
PASTED_SHARE = 0.3  # of the samples: the object on another photo's background
SMALLEST_CROP = 0.55  # of a side
BOXED_SHARE, BOX_MARGIN = 0.3, (0.0, 0.5)  # of the samples: the subject's box and a margin, in its own sides
ROTATION_DEG, STRETCH = 12.0, 0.15
GAIN, CHANNEL_GAIN, OFFSET, GREY_SHARE, BLUR_SHARE = 0.3, 0.1, 0.1, 0.08, 0.15
MIN_INSIDE = 0.01  # of a crop: less shows no subject
Part = tuple[float, float, float, float]  # left, top, width, height, px
FILL_PX = 32  # long side at which a removed object is filled from its surroundings


@dataclass(frozen=True)
class Masked:
    """A photo and its subject.

    Attributes:
        name: Of the file, without its ending.
        rgb_hwc_u8: (H, W, 3) uint8.
        mask_hw_u8: (H, W) uint8, 255 inside.
        background_hwc_u8: The photo with the subject filled from its surroundings.
    """

    name: str
    rgb_hwc_u8: np.ndarray = field(repr=False)
    mask_hw_u8: np.ndarray = field(repr=False)
    background_hwc_u8: np.ndarray = field(repr=False)


def load_masked(photos: Path, masks: Path, watch: Watch) -> list[Masked]:
    """Read every photo of a folder that has a mask NAME.png in another.

    Raises:
        InputError: If there are fewer than two.
    """
    paths = [path for path in sorted(photos.iterdir()) if path.suffix.lower() in SUFFIXES]
    paths = [path for path in paths if (masks / f"{path.stem}.png").is_file()]
    if len(paths) < 2:
        raise InputError(f"{len(paths)} photos in {str(photos)!r} have a mask in {str(masks)!r}; expected two or more.")
    found = []
    for path in watch(paths, len(paths)):
        rgb = load_picture(path).rgb_hwc_u8
        mask = (load_mask(masks / f"{path.stem}.png", (rgb.shape[0], rgb.shape[1])) * 255).astype(np.uint8)
        scale = min(1.0, LONG_PX / max(mask.shape))
        size_wh = round(mask.shape[1] * scale), round(mask.shape[0] * scale)
        rgb, mask = (cv2.resize(each, size_wh, interpolation=cv2.INTER_AREA) for each in (rgb, mask))
        found.append(Masked(path.stem, rgb, mask, without_subject(rgb, mask)))
    return found


def without_subject(rgb_hwc_u8: np.ndarray, mask_hw_u8: np.ndarray) -> np.ndarray:
    """The photo with its subject filled smoothly from what surrounds it, (H, W, 3) uint8."""
    removed = cv2.dilate((mask_hw_u8 > 20).astype(np.uint8), np.ones((9, 9), np.uint8))
    height, width = removed.shape
    scale = FILL_PX / max(height, width)
    size_wh = max(4, round(width * scale)), max(4, round(height * scale))
    small = cv2.resize(rgb_hwc_u8, size_wh, interpolation=cv2.INTER_AREA)
    hole = (cv2.resize(removed.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    filled = cv2.resize(cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA), (width, height), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(removed.astype(np.float32), (0, 0), 3)[..., None]
    return np.round(rgb_hwc_u8 * (1 - soft) + filled * soft).astype(np.uint8)


def draw(pictures: Sequence[Masked], count: int, side_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw a batch.

    Args:
        pictures: To draw from.
        count: How many.
        side_px: Of the squares.
        rng: Decides everything.

    Returns:
        (count, 3, side, side) RGB and (count, 1, side, side) masks, both in [0, 1].
    """
    samples = [_sample(pictures, side_px, rng) for _ in range(count)]
    images, masks = (np.stack(each) for each in zip(*samples, strict=True))
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks)[:, None]


def _sample(pictures: Sequence[Masked], side_px: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    chosen = pictures[int(rng.integers(len(pictures)))]
    rgb, mask = _windowed(chosen, side_px, rng)
    if rng.random() < PASTED_SHARE:
        rgb = _recoloured(rgb, rng)
        other = pictures[int(rng.integers(len(pictures)))]
        place = _placed(_part(other.mask_hw_u8.shape, rng), side_px, rng)
        ground = _warp(other.background_hwc_u8, place, side_px).astype(np.float32) / 255
        rgb = ground * (1 - mask[..., None]) + rgb * mask[..., None]
    return np.ascontiguousarray(_recoloured(rgb, rng)), np.ascontiguousarray(mask)


def _windowed(picture: Masked, side_px: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    place, mask = np.empty((2, 3)), np.zeros((side_px, side_px), np.float32)
    for _ in range(4):
        boxed = rng.random() < BOXED_SHARE
        part = _boxed_part(picture.mask_hw_u8, rng) if boxed else _part(picture.mask_hw_u8.shape, rng)
        place = _placed(part, side_px, rng)
        mask = _warp(picture.mask_hw_u8, place, side_px).astype(np.float32) / 255
        if mask.mean() >= MIN_INSIDE:
            break
    return _warp(picture.rgb_hwc_u8, place, side_px).astype(np.float32) / 255, mask


def _part(size_hw: tuple[int, ...], rng: np.random.Generator) -> Part:
    """A random part of a picture."""
    height, width = size_hw[:2]
    share = rng.uniform(SMALLEST_CROP, 1.0) if rng.random() < 0.7 else 1.0
    w, h = (side * share * np.exp(rng.uniform(-STRETCH, STRETCH)) for side in (width, height))
    w, h = min(w, width), min(h, height)
    return rng.uniform(0, width - w), rng.uniform(0, height - h), w, h


def _boxed_part(mask_hw_u8: np.ndarray, rng: np.random.Generator) -> Part:
    """The subject's box with a random margin at each side, as far as the picture goes."""
    x, y, w, h = bounding_box(mask_hw_u8 >= 128) if mask_hw_u8.max() >= 128 else (0, 0, *mask_hw_u8.shape[::-1])
    left, right, top, bottom = rng.uniform(*BOX_MARGIN, 4) * (w, w, h, h)
    x0, x1 = max(0.0, x - left), min(float(mask_hw_u8.shape[1]), x + w + right)
    y0, y1 = max(0.0, y - top), min(float(mask_hw_u8.shape[0]), y + h + bottom)
    return x0, y0, x1 - x0, y1 - y0


def _placed(part: Part, side_px: int, rng: np.random.Generator) -> np.ndarray:
    """The affine map, (2, 3), from a part of a picture to the square: perhaps mirrored and turned."""
    x, y, w, h = part
    flip = -1.0 if rng.random() < 0.5 else 1.0
    angle = np.deg2rad(rng.uniform(-ROTATION_DEG, ROTATION_DEG)) if rng.random() < 0.5 else 0.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([flip * side_px / w, side_px / h])
    middle = np.array([x + w / 2, y + h / 2])
    return np.column_stack([linear, side_px / 2 - linear @ middle])


def _warp(picture: np.ndarray, place: np.ndarray, side_px: int) -> np.ndarray:
    return cv2.warpAffine(picture, place, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _recoloured(rgb_hwc01: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain = np.exp(rng.uniform(-GAIN, GAIN) + rng.uniform(-CHANNEL_GAIN, CHANNEL_GAIN, 3)).astype(np.float32)
    middle = rgb_hwc01.mean()
    rgb = (rgb_hwc01 - middle) * gain + middle + np.float32(rng.uniform(-OFFSET, OFFSET))
    if rng.random() < GREY_SHARE:
        rgb = np.repeat(rgb.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < BLUR_SHARE:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.5, 1.5))
    return np.clip(rgb, 0, 1).astype(np.float32)


def split(pictures: Sequence[Masked], val_share: float) -> tuple[list[Masked], list[Masked]]:
    """Those to learn from, and every n-th one to measure on."""
    every = round(1 / val_share) if val_share > 0 else len(pictures) + 1
    held_out = list(pictures[every - 1 :: every])
    names = {picture.name for picture in held_out}
    return [picture for picture in pictures if picture.name not in names], held_out
