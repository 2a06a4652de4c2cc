"""Paintings to learn from that nobody owns: photos painted over in strokes, prints, mosaics, hatchings and dyes.

Palette, size of the marks and their direction are drawn anew for each, so that the decoder meets many styles.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from interp.pictures.colour import match_colour
from interp.pictures.images import to_hwc_u8, to_nchw01
from tools.paint_night import Scene, paint_scene, ramp, streaks

SIDE_PX = 288
STROKES_PX, MARKS_PX = (3.0, 16.0), (4.0, 28.0)  # widths of brushes; of tiles, hatches and bands
RAMP_SHARE = 0.5  # coloured by lightness along a ramp; the others get another photo's colours


def paint_any(photos: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Make one painting: (288, 288, 3) uint8 RGB.

    Args:
        photos: (H, W, 3) uint8 RGB, at least one.
        rng: Decides everything.
    """
    photo = _square(photos[int(rng.integers(len(photos)))])
    coloured = _recoloured(photo, _square(photos[int(rng.integers(len(photos)))]), rng)
    way = WAYS[rng.choice(len(WAYS), p=SHARES)]
    return np.clip(way(coloured, rng), 0, 255).astype(np.uint8)


def _square(photo_hwc_u8: np.ndarray) -> np.ndarray:
    side = min(photo_hwc_u8.shape[:2])
    top, left = ((length - side) // 2 for length in photo_hwc_u8.shape[:2])
    square = photo_hwc_u8[top : top + side, left : left + side]
    return cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def _recoloured(photo: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In the colours of another photo, or of a ramp of random ones from dark to light."""
    if rng.random() >= RAMP_SHARE:
        return to_hwc_u8(match_colour(to_nchw01(photo), to_nchw01(other)))
    light = cv2.equalizeHist(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)) / 255
    hsv = np.stack([rng.random(5) * 180, rng.uniform(40, 230, 5), np.linspace(rng.uniform(10, 90), 245, 5)], -1)
    palette = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]
    return np.round(255 * ramp(" ".join(bytes(colour).hex() for colour in palette), light)).astype(np.uint8)


def _flow(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Along the photo's contours, drawn into a few eddies: (H, W) complex of length 1."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    reach = rng.uniform(2, 10)  # structure tensor, smoothed
    xx, yy, xy = (cv2.GaussianBlur(each, (0, 0), reach) for each in (across**2, down**2, across * down))
    flow = np.sqrt(xx + yy) * np.exp(0.5j * (np.arctan2(2 * xy, xx - yy) + np.pi))
    flow = flow / (np.abs(flow).mean() + 1e-6) + rng.uniform(0.1, 1) * np.exp(2j * np.pi * rng.random())
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    for _ in range(rng.integers(0, 5)):
        cx, cy, radius = *rng.uniform(0, SIDE_PX, 2), rng.uniform(20, 70)
        swirl = np.exp(1j * (np.arctan2(y - cy, x - cx) + np.pi / 2))
        flow = flow + 5 * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / radius**2)) * swirl
    return np.exp(1j * np.angle(flow))


def _strokes(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    width = float(np.exp(rng.uniform(*np.log(STROKES_PX))))
    soft = cv2.GaussianBlur(photo, (0, 0), width / 4 + 0.5) / 255
    regions = (soft.mean(-1) * rng.integers(1, 4)).astype(np.uint8)
    return paint_scene(Scene(soft, _flow(photo, rng), regions), width, rng)


def _print(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flat colours with contours, as of a woodcut, on paper with a grain."""
    flat = cv2.pyrMeanShiftFiltering(photo, rng.uniform(4, 12), rng.uniform(20, 50))
    levels = rng.integers(3, 7)
    flat = (np.floor(flat / 256 * levels) + 0.5) * 256 / levels
    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (0, 0), rng.uniform(0.8, 2.5)).astype(np.float32)
    edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    lines = np.clip(edges / rng.uniform(40, 120), 0, 1)[..., None] * rng.uniform(0, 1)
    grain = cv2.GaussianBlur(rng.standard_normal(grey.shape), (0, 0), 0.8)[..., None] * rng.uniform(0, 16)
    return flat * (1 - lines) + rng.uniform(0, 80, 3) * lines + grain


def _mosaic(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells around random points, in a colour each, with joints."""
    size = np.exp(rng.uniform(*np.log(MARKS_PX)))
    count = int((SIDE_PX / size) ** 2)
    points = rng.uniform(0, SIDE_PX, (count, 2)).astype(np.float32)
    seen = np.ones((SIDE_PX, SIDE_PX), np.uint8)
    seen[points[:, 1].astype(int), points[:, 0].astype(int)] = 0
    _, owner = cv2.distanceTransformWithLabels(seen, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    owner = np.asarray(owner, dtype=np.int32)
    colour = np.stack([np.bincount(owner.ravel(), part.ravel()) for part in photo.transpose(2, 0, 1)], -1)
    colour = colour / np.maximum(np.bincount(owner.ravel()), 1)[:, None]
    tiles = (colour + rng.normal(0, rng.uniform(0, 25), colour.shape))[owner]
    joints = cv2.morphologyEx(owner.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2))) > 0
    tiles[joints] = rng.uniform(0, 255, 3) if rng.random() < 0.7 else tiles[joints]
    return tiles


def _hatching(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines along the contours, thicker where it is darker."""
    light = cv2.GaussianBlur(photo, (0, 0), 3).mean(-1) / 255
    lines = streaks(_flow(photo, rng), np.exp(rng.uniform(*np.log(MARKS_PX))) / 8, 1.5, rng)
    ink = 1 / (1 + np.exp(rng.uniform(2, 8) * (lines + 2.5 * (light - light.mean()))))[..., None]
    paper = 0.5 * photo + 0.5 * rng.uniform(120, 255, 3)
    return paper * (1 - ink) + (0.4 * photo + 0.6 * rng.uniform(0, 110, 3)) * ink


def _dye(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bands that follow the flow and know nothing of the photo but its colours, as marbled paper."""
    bands = streaks(_flow(photo, rng), np.exp(rng.uniform(*np.log(MARKS_PX))) / 5, 2.0, rng)
    order = np.sort(photo.reshape(-1, 3)[rng.integers(photo.shape[0] * photo.shape[1], size=64)], axis=0)
    return order[np.clip((0.5 + 0.22 * bands) * 64, 0, 63).astype(int)]


WAYS: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = (
    _strokes, _print, _mosaic, _hatching, _dye,
)  # fmt: skip
SHARES = (0.5, 0.15, 0.1, 0.15, 0.1)
