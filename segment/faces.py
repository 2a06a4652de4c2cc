"""Frontal faces, by the cascade that scikit-image's wheel carries (Liao et al. 2007, multi-block LBP).

The cascade alone also fires on foliage, fabric and flat walls. Two properties of a real face sort those out: it is
found again and again at neighbouring places and sizes, and it is found in the mirrored picture too.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from interp.pictures.sizes import working_size_hw_px

SEARCH_PX = 320  # long side of the picture that is searched
MIN_FACE_SHARE = 0.08  # of the long side; the cascade's own window is 24 px
SCALE_STEP = 1.1
SAME_PLACE_IOU = 0.4  # detections that overlap this much speak of the same face
# Measured on 143 pictures, 12 with frontal faces: a face is confirmed at least 10 times in each direction and its grey
# levels spread by 32 or more; the printed shirt that came nearest had 9, a plush belly and a smooth wall a spread
# of 21 and 10.
MIN_CONFIRMED = 10
MIN_GREY_SPREAD = 24.0
HAIR_TO_CHIN = 1.2  # of a detection's height
EDGE_SHARE = 0.06  # of its width: sigma of a face's soft edge


@dataclass(frozen=True)
class Face:
    """A face in the picture.

    Attributes:
        box_xywh_px: From the forehead to the chin, in the picture's pixels.
        confirmed: How many detections agree, the mirrored picture's included.
    """

    box_xywh_px: tuple[int, int, int, int]
    confirmed: int


def find_faces(rgb_hwc_u8: np.ndarray, min_width_px: float = 0) -> tuple[Face, ...]:
    """Find upright frontal faces at least 8 % of the long side wide.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        min_width_px: Faces narrower than that may be missed, which saves time.

    Returns:
        The faces, the most prominent (large, central, often confirmed) first; empty if there is none.
    """
    height, width = rgb_hwc_u8.shape[:2]
    small_height, small_width = working_size_hw_px((height, width), SEARCH_PX)
    small = cv2.resize(rgb_hwc_u8, (small_width, small_height), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    smallest = int(max(MIN_FACE_SHARE * max(grey.shape), min_width_px * small_width / width / SCALE_STEP**2))
    found = _detect(grey, smallest)
    if len(found) < MIN_CONFIRMED:
        return ()
    mirrored = _detect(np.ascontiguousarray(grey[:, ::-1]), smallest)
    mirrored[:, 0] = small_width - mirrored[:, 0] - mirrored[:, 2]
    faces = [Face(_scale(box, width / small_width), count) for box, count in _confirm(grey, found, mirrored)]
    return tuple(sorted(faces, key=lambda face: -_prominence(face, height, width)))


def face_map(rgb_hwc_u8: np.ndarray) -> np.ndarray | None:
    """Where faces are: soft ellipses from the hair line to the chin.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.

    Returns:
        (H, W) float32 in [0, 1]; None if no face is found.
    """
    faces = find_faces(rgb_hwc_u8)
    if not faces:
        return None
    found = np.zeros(rgb_hwc_u8.shape[:2], np.float32)
    for face in faces:
        x, y, w, h = face.box_xywh_px
        one = np.zeros_like(found)
        cv2.ellipse(one, ((x + w / 2, y + h / 2), (w, HAIR_TO_CHIN * h), 0), 1.0, cv2.FILLED)
        found = np.maximum(found, cv2.GaussianBlur(one, (0, 0), EDGE_SHARE * w))
    return found.clip(max=1)


@functools.cache
def _cascade() -> Any:
    """The detector, loaded once; its file is found without importing scikit-image."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("scikit-image is not installed; reinstall this program with its dependencies.")
    from skimage.feature import Cascade

    folder = Path(spec.submodule_search_locations[0])
    return Cascade(str(folder / "data" / "lbpcascade_frontalface_opencv.xml"))


def _detect(grey_hw_u8: np.ndarray, smallest_px: int) -> np.ndarray:
    """Every single detection as rows x, y, w, h; sorted, for the detector's threads report in any order."""
    smallest = max(24, smallest_px)
    largest = min(grey_hw_u8.shape)
    if largest < smallest:
        return np.zeros((0, 4), dtype=int)
    windows = _cascade().detect_multi_scale(
        grey_hw_u8,
        scale_factor=SCALE_STEP,
        step_ratio=1,
        min_size=(smallest, smallest),
        max_size=(largest, largest),
        min_neighbor_number=1,
        intersection_score_threshold=2.0,  # a share: none reaches 2, so nothing is merged
    )
    rows = sorted((w["c"], w["r"], w["width"], w["height"]) for w in windows)
    return np.array(rows, dtype=int).reshape(-1, 4)


def _confirm(grey_hw_u8: np.ndarray, found: np.ndarray, mirrored: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Boxes on which enough detections of both pictures agree, without overlaps, with their number."""
    boxes = np.concatenate([found, mirrored])
    overlap = _iou(boxes, boxes)
    same = overlap > SAME_PLACE_IOU
    left = np.ones(len(boxes), dtype=bool)
    confirmed: list[tuple[np.ndarray, int]] = []
    while left.any():
        best = int(np.argmax(np.where(left, same.sum(axis=1), -1)))
        box = np.median(boxes[same[best]], axis=0)
        here, there = ((_iou(box[None], side) > SAME_PLACE_IOU).sum() for side in (found, mirrored))
        if min(here, there) >= MIN_CONFIRMED and _spread(grey_hw_u8, box) >= MIN_GREY_SPREAD:
            confirmed.append((box, int(here + there)))
        left &= overlap[best] <= 0
    return confirmed


def _spread(grey_hw_u8: np.ndarray, box_xywh_px: np.ndarray) -> float:
    x, y, w, h = box_xywh_px.astype(int)
    return float(grey_hw_u8[y : y + h, x : x + w].std())


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every box in `a` with every box in `b`, rows x, y, w, h."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = np.prod(a[:, 2:], axis=1), np.prod(b[:, 2:], axis=1)
    return shared / (area_a[:, None] + area_b[None] - shared)


def _scale(box_xywh_px: np.ndarray, factor: float) -> tuple[int, int, int, int]:
    x, y, w, h = (round(float(value) * factor) for value in box_xywh_px)
    return x, y, w, h


def _prominence(face: Face, height: int, width: int) -> float:
    """Area, less for a face far from the middle, more for one often confirmed."""
    x, y, w, h = face.box_xywh_px
    off_centre = abs((x + w / 2) / width - 0.5) + 0.5 * abs((y + h / 2) / height - 0.4)
    return w * h * float(np.exp(-2 * off_centre)) * float(np.sqrt(face.confirmed))
