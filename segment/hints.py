"""Hints: strokes that are surely foreground or background, and perhaps a box."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import cv2
import numpy as np

from interp.errors import UsageError
from segment.box import box_trimap, centre_odds
from segment.masks import Box, disc
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.trimap import Trimap

WORK_PX = 400  # of the first cut: a stroke must be two pixels wide there
STROKE_SHARE = 0.015  # width of a stroke that names none, of the long side
WIDEST_PX = 32767  # that OpenCV draws; no photo of 100 million pixels has room for more
NEAR_SHARE = 0.06  # of the long side: what is this near to a stroke of foreground is probably foreground too
FORM = '{"box": [x, y, w, h], "foreground": [stroke, …], "background": [stroke, …]}'
STROKE_FORM = '[[x, y], …] or {"points": [[x, y], …], "width": px}, in pixels of the photo; one point is a dot'


@dataclass(frozen=True)
class Stroke:
    """A line of the brush.

    Attributes:
        points_xy_px: Its corners, in the photo's pixels; a single one is a dot.
        width_px: None for 1.5 % of the photo's long side.
    """

    points_xy_px: tuple[tuple[float, float], ...]
    width_px: float | None = None


@dataclass(frozen=True)
class Hints:
    """What the user knows.

    Attributes:
        foreground: Strokes inside the subject.
        background: Strokes outside.
        box_xywh_px: A box around the subject.
    """

    foreground: tuple[Stroke, ...] = ()
    background: tuple[Stroke, ...] = ()
    box_xywh_px: Box | None = None


def read_hints(data: Any) -> Hints:
    """Read hints from parsed JSON.

    Args:
        data: `{"box": [x, y, w, h], "foreground": [...], "background": [...]}`, each part optional but not all; a
            stroke is a list of points or `{"points": [...], "width": px}`; everything in the photo's pixels.

    Raises:
        UsageError: If it has another form; the message says where.

    Example:
        >>> read_hints({"foreground": [[[40, 50]]], "background": [{"points": [[0, 0], [90, 0]], "width": 6}]})
        Hints(foreground=(Stroke(points_xy_px=((40.0, 50.0),), width_px=None),),
            background=(Stroke(points_xy_px=((0.0, 0.0), (90.0, 0.0)), width_px=6.0),), box_xywh_px=None)
    """
    if not isinstance(data, Mapping):
        raise UsageError(f"Hints are a {type(data).__name__}; expected an object {FORM}.")
    unknown = sorted(set(data) - {"box", "foreground", "background"})
    if unknown:
        raise UsageError(f"Hints have an unknown key {unknown[0]!r}; expected {FORM}.")
    box = data.get("box")
    if box is not None and not (_is_list(box) and len(box) == 4 and all(_is_whole(value) for value in box)):
        raise UsageError(f"Hints: box {box!r}; expected four whole numbers [x, y, w, h] in pixels of the photo.")
    inside, outside = (_strokes(data.get(side, []), side) for side in ("foreground", "background"))
    if not (inside or outside or box):
        raise UsageError(f"The hints are empty; expected a box or strokes: {FORM}.")
    return Hints(inside, outside, None if box is None else (int(box[0]), int(box[1]), int(box[2]), int(box[3])))


def hints_trimap(size_hw_px: tuple[int, int], hints: Hints) -> Trimap:
    """What hints say beside their strokes: their box, or else all is probably background but what is near foreground.

    Args:
        size_hw_px: The photo's height and width.
        hints: With a box or a stroke of foreground, otherwise nothing says where the subject is.

    Raises:
        UsageError: If there is neither, or a stroke or the box lies outside the photo.
    """
    if hints.box_xywh_px is not None:
        return replace(box_trimap(size_hw_px, hints.box_xywh_px), prompt="hints")
    if not hints.foreground:
        raise UsageError("The hints hold only background; expected a stroke of foreground or a box too.")
    near = np.zeros(size_hw_px, dtype=np.uint8)
    for stroke in hints.foreground:
        _draw(near, stroke, 1)
    near = cv2.dilate(near, disc(NEAR_SHARE * max(size_hw_px)))
    labels = np.where(near > 0, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    return Trimap(labels, "hints", prior_hw=centre_odds(size_hw_px))


def add_hints(trimap: Trimap, hints: Hints) -> Trimap:
    """Draw the strokes into a trimap: where they are, nothing is left to decide.

    Returns:
        The trimap with the facts `strokes_inside` and `strokes_outside`, their numbers.

    Raises:
        UsageError: If a stroke lies outside the photo.
    """
    labels = trimap.labels_hw_u8.copy()
    for label, strokes in ((FOREGROUND, hints.foreground), (BACKGROUND, hints.background)):
        for stroke in strokes:
            _draw(labels, stroke, label)
    counts = {"strokes_inside": len(hints.foreground), "strokes_outside": len(hints.background)}
    return replace(trimap, labels_hw_u8=labels, facts={**trimap.facts, **counts})


def changes_at(old_hw: np.ndarray, new_hw: np.ndarray, hints: Hints) -> np.ndarray:
    """Take of a new mask only the changes that a stroke touches; elsewhere the old one stays.

    Args:
        old_hw: (H, W) bool.
        new_hw: (H, W) bool, cut with the hints.
        hints: The strokes.

    Returns:
        (H, W) bool.
    """
    touched = np.zeros(old_hw.shape, dtype=np.uint8)
    for stroke in (*hints.foreground, *hints.background):
        _draw(touched, stroke, 1)
    reach = cv2.dilate(touched, disc(STROKE_SHARE * max(old_hw.shape))) > 0
    _, pieces = cv2.connectedComponents((old_hw ^ new_hw).astype(np.uint8), connectivity=8)
    taken = np.zeros(int(pieces.max()) + 1, dtype=bool)
    taken[np.asarray(pieces[reach], dtype=np.intp)] = True
    taken[0] = False  # where both agree
    return old_hw ^ taken[np.asarray(pieces, dtype=np.intp)]


def _strokes(data: Any, side: str) -> tuple[Stroke, ...]:
    if not _is_list(data):
        raise UsageError(f"Hints: {side} is a {type(data).__name__}; expected a list of strokes, each {STROKE_FORM}.")
    return tuple(_stroke(entry, f"{side} stroke {number}") for number, entry in enumerate(data, 1))


def _stroke(data: Any, where: str) -> Stroke:
    points, width = (data.get("points"), data.get("width")) if isinstance(data, Mapping) else (data, None)
    if not _is_list(points) or not points or not all(_is_point(point) for point in points):
        raise UsageError(f"Hints: {where} is {data!r:.80}; expected {STROKE_FORM}.")
    if width is not None and not (_is_number(width) and width > 0):
        raise UsageError(f"Hints: {where} has width {width!r}; expected a number of pixels above 0.")
    return Stroke(tuple((float(x), float(y)) for x, y in points), None if width is None else float(width))


def _draw(labels_hw_u8: np.ndarray, stroke: Stroke, label: int) -> None:
    height, width = labels_hw_u8.shape
    corners = np.array(stroke.points_xy_px)
    if not ((corners >= 0) & (corners < (width, height))).all(axis=1).any():
        x, y = stroke.points_xy_px[0]
        raise UsageError(
            f"A stroke from {x:g},{y:g} lies outside the photo of {width}x{height} px; give pixels of the photo."
        )
    line_px = round(max(stroke.width_px or STROKE_SHARE * max(height, width), 2 * max(height, width) / WORK_PX, 1))
    line_px = min(line_px, WIDEST_PX)
    corners_px = np.clip(corners, -2 * max(width, height), 3 * max(width, height)).round().astype(np.int32)
    if len(corners_px) == 1:
        cv2.circle(labels_hw_u8, tuple(int(v) for v in corners_px[0]), max(1, line_px // 2), label, cv2.FILLED)
    else:
        cv2.polylines(labels_hw_u8, [corners_px.reshape(-1, 1, 2)], False, label, line_px)


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_point(value: Any) -> bool:
    return _is_list(value) and len(value) == 2 and all(_is_number(number) for number in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == int(value)
