"""A box around the subject: checked, and written as a trimap with the odds of each place in it."""

import cv2
import numpy as np

from interp.errors import UsageError
from interp.pictures.sizes import working_size_hw_px
from segment.masks import Box
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_FOREGROUND
from segment.trimap import Doubt, Trimap

PRIOR_PX = 200
PRIOR_STEEPNESS, PRIOR_RADIUS = 2.0, 0.45  # radius in box sides: the ellipse covers 64 % of the box, as subjects do


def box_trimap(size_hw_px: tuple[int, int], box_xywh_px: Box) -> Trimap:
    """Everything inside the box is probably foreground, everything outside surely background.

    Args:
        size_hw_px: The photo's height and width.
        box_xywh_px: Left, top, width, height; what lies outside the photo is cut off, with a doubt.

    Returns:
        The trimap; its fact `asked_xywh_px` is the box as given.

    Raises:
        UsageError: If the box is no four whole numbers, is empty, or lies outside the photo.
    """
    box = clip_box(size_hw_px, box_xywh_px)
    asked = [int(value) for value in box_xywh_px]
    labels = np.full(size_hw_px, BACKGROUND, dtype=np.uint8)
    labels[inside(box)] = MAYBE_FOREGROUND
    doubts = () if list(box) == asked else (Doubt.BOX_CLIPPED,)
    return Trimap(labels, "box", {"asked_xywh_px": asked}, box, box_prior(size_hw_px, box), doubts=doubts)


def clip_box(size_hw_px: tuple[int, int], box_xywh_px: Box) -> Box:
    """Check a box and cut off what lies outside the photo.

    Args:
        size_hw_px: The photo's height and width.
        box_xywh_px: Left, top, width, height in pixels.

    Returns:
        The part of the box inside the photo.

    Raises:
        UsageError: If the box is no four whole numbers, is empty, or lies outside the photo.
    """
    height, width = size_hw_px
    of_photo = f"of a photo of {width}x{height} px"
    try:
        x, y, w, h = (int(value) for value in box_xywh_px)
        whole = (x, y, w, h) == tuple(box_xywh_px)
    except (TypeError, ValueError, OverflowError):
        whole, x, y, w, h = False, 0, 0, 0, 0
    if not whole:
        raise UsageError(f"Box {box_xywh_px!r} {of_photo}: expected four whole numbers X,Y,W,H in pixels.")
    if w <= 0 or h <= 0:
        raise UsageError(f"Box {x},{y},{w},{h} {of_photo} is empty; expected a width and a height above 0.")
    left, top, right, bottom = max(0, x), max(0, y), min(width, x + w), min(height, y + h)
    if left >= right or top >= bottom:
        raise UsageError(
            f"Box {x},{y},{w},{h} lies outside the photo of {width}x{height} px; "
            f"expected X below {width} and Y below {height}, counted from the upper left corner."
        )
    return left, top, right - left, bottom - top


def box_prior(size_hw_px: tuple[int, int], box_xywh_px: Box) -> np.ndarray:
    """Log odds of being foreground by the place in a box: a subject fills its middle, seldom its corners.

    Args:
        size_hw_px: The photo's height and width.
        box_xywh_px: A box inside it.

    Returns:
        (h, w) float32, the photo's shape at a long side of at most 200 px: 0 on the ellipse of 0.9 box sides.
    """
    rows, columns = working_size_hw_px(size_hw_px, PRIOR_PX)
    (x, y, w, h), (height, width) = box_xywh_px, size_hw_px
    across = ((np.arange(columns) + 0.5) / columns * width - x - w / 2) / w
    down = ((np.arange(rows) + 0.5) / rows * height - y - h / 2) / h
    return (PRIOR_STEEPNESS * (PRIOR_RADIUS**2 - down[:, None] ** 2 - across**2)).astype(np.float32)


def centre_odds(size_hw_px: tuple[int, int]) -> np.ndarray:
    """Log odds of being foreground where nothing but the picture's middle is known, (h, w) float32; see `box_prior`."""
    return box_prior(size_hw_px, (0, 0, size_hw_px[1], size_hw_px[0]))


def with_sure_middle(labels_hw_u8: np.ndarray, box_xywh_px: Box) -> np.ndarray:
    """The labels of a box with its middle surely foreground, (H, W) uint8."""
    x, y, w, h = box_xywh_px
    labels = labels_hw_u8.copy()
    cv2.ellipse(labels, ((x + w / 2, y + h / 2), (w / 2, h / 2), 0), FOREGROUND, cv2.FILLED)
    return labels


def inside(box_xywh_px: Box) -> tuple[slice, slice]:
    """A box as slices of rows and columns."""
    x, y, w, h = box_xywh_px
    return slice(y, y + h), slice(x, x + w)
