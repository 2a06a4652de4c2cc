"""Prompts: what is known about the region, written as a trimap for GrabCut, in the photo's pixels."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from interp.errors import MaskError, UsageError
from interp.images import quantise_hw01
from segment.contrast import centre_prior, contrast_map, smooth
from segment.faces import find_faces
from segment.grabcut import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND

Box = tuple[int, int, int, int]

# Simonyan et al. 2013, section 3.2: the object's colours from above the 95 % quantile, the background's from below 30 %.
SURE_QUANTILE, BACKGROUND_QUANTILE = 0.95, 0.30
COMPANION_SHARE = 0.6  # a further face this wide, of the main one, belongs to the subject too
RECUT_MARGIN = 0.1  # around the first cut, in its own sides


@dataclass(frozen=True)
class Seed:
    """What GrabCut starts from.

    Attributes:
        trimap_hw_u8: (H, W) uint8, cv2's labels: 0 and 1 sure, 2 and 3 probable background and foreground.
        prompt: Which prompt made it.
        reason: How, in one sentence without a full stop.
        box_xywh_px: The part of the picture that may become foreground, where the prompt limits it.
        warnings: Sentences for the user.
    """

    trimap_hw_u8: np.ndarray = field(repr=False)
    prompt: str
    reason: str
    box_xywh_px: Box | None = None
    warnings: tuple[str, ...] = ()


def box_seed(size_hw_px: tuple[int, int], box_xywh_px: tuple[int, int, int, int]) -> Seed:
    """Everything inside the box is probably foreground, everything outside surely background.

    Args:
        size_hw_px: The photo's height and width.
        box_xywh_px: Left, top, width, height; what lies outside the photo is cut off, with a warning.

    Raises:
        UsageError: If the box is no four whole numbers, is empty, or lies outside the photo.
    """
    box, warnings = clip_box(size_hw_px, box_xywh_px)
    trimap = np.full(size_hw_px, BACKGROUND, dtype=np.uint8)
    trimap[_inside(box)] = MAYBE_FOREGROUND
    x, y, w, h = box
    return Seed(trimap, "box", f"the box {x},{y},{w},{h} was given", box, warnings)


def clip_box(
    size_hw_px: tuple[int, int], box_xywh_px: tuple[int, int, int, int]
) -> tuple[Box, tuple[str, ...]]:
    """Check a box and cut off what lies outside the photo.

    Args:
        size_hw_px: The photo's height and width.
        box_xywh_px: Left, top, width, height in pixels.

    Returns:
        The box inside the photo, and a warning if that changed it.

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
    box = (left, top, right - left, bottom - top)
    if box == (x, y, w, h):
        return box, ()
    cut = f"{left},{top},{right - left},{bottom - top}"
    return box, (f"Box {x},{y},{w},{h} reaches outside the photo of {width}x{height} px; {cut} was used.",)


def face_seed(rgb_hwc_u8: np.ndarray) -> Seed:
    """A face is surely foreground, the place of hair, shoulders and body below it probably.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.

    Raises:
        MaskError: If no frontal face is found.
    """
    size_hw_px = rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]
    faces = find_faces(rgb_hwc_u8)
    if not faces:
        raise MaskError(
            "No upright frontal face at least 8 % of the long side wide was found. "
            "Give a box around the person (--box X,Y,W,H), or use --prompt auto."
        )
    people = [face for face in faces if face.box_xywh_px[2] >= COMPANION_SHARE * faces[0].box_xywh_px[2]]
    trimap = np.full(size_hw_px, BACKGROUND, dtype=np.uint8)
    for face in people:
        trimap[_inside(_person_box(face.box_xywh_px, size_hw_px))] = MAYBE_FOREGROUND
    for face in people:
        x, y, w, h = face.box_xywh_px
        cv2.ellipse(trimap, ((x + w / 2, y + h / 2), (w, h), 0), FOREGROUND, cv2.FILLED)
    found = "a face was found" if len(people) == 1 else f"{len(people)} faces were found"
    x, y, w, h = faces[0].box_xywh_px
    reason = f"{found} ({w}x{h} px at {x},{y}, confirmed {faces[0].confirmed} times)"
    return Seed(trimap, "face", reason, bounding_box(trimap != BACKGROUND))


def saliency_seed(size_hw_px: tuple[int, int], saliency_hw: np.ndarray) -> Seed:
    """The most salient 5 % are surely foreground, the least salient 30 % surely background, GrabCut decides the rest.

    Args:
        size_hw_px: The photo's height and width.
        saliency_hw: (h, w), any size, values >= 0, large = salient.

    Raises:
        MaskError: If the map is constant.
        UsageError: If it is no two-dimensional array of finite values >= 0.
    """
    saliency = np.asarray(saliency_hw, dtype=np.float32)
    if saliency.ndim != 2 or not saliency.size or not np.isfinite(saliency).all() or saliency.min() < 0:
        raise UsageError(
            f"Saliency map of shape {saliency.shape}: expected (h, w), finite, no value below 0."
        )
    if saliency.max() <= saliency.min():
        raise MaskError(
            "The saliency map is constant, so it marks no subject. Use --prompt auto or --box X,Y,W,H."
        )
    weighted = smooth(saliency) * np.sqrt(centre_prior(saliency.shape))
    return Seed(
        _map_trimap(weighted, size_hw_px), "saliency", "the network's class evidence marks the subject"
    )


def contrast_seed(rgb_hwc_u8: np.ndarray, *, seed: int = 0) -> Seed:
    """What differs from the border's colours is foreground, rather in the middle of the picture.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        seed: Of the clustering of the border's colours.

    Raises:
        MaskError: If the photo is one flat colour.
    """
    if rgb_hwc_u8.min() == rgb_hwc_u8.max():
        raise MaskError("The photo is one flat colour, so nothing stands out. Give a mask (--mask FILE).")
    trimap = _map_trimap(contrast_map(rgb_hwc_u8, seed=seed), rgb_hwc_u8.shape[:2])
    return Seed(
        trimap,
        "contrast",
        "the subject was looked for where colours differ from the border's, near the middle",
    )


def mask_seed(size_hw_px: tuple[int, int], mask_hw01: np.ndarray) -> Seed:
    """A finished mask: nothing is left to decide.

    Args:
        size_hw_px: The photo's height and width.
        mask_hw01: (H, W) in [0, 1], 1 = inside.

    Raises:
        MaskError: If no pixel is at least half inside, or none is outside.
        UsageError: If its size or its values do not fit.
    """
    mask = np.asarray(mask_hw01, dtype=np.float32)
    if mask.shape != tuple(size_hw_px):
        raise UsageError(
            f"Mask of shape {mask.shape}: expected {tuple(size_hw_px)}, the photo's height and width."
        )
    if not np.isfinite(mask).all() or mask.min() < 0 or mask.max() > 1:
        raise UsageError("Mask values reach outside [0, 1]; expected 0 = outside, 1 = inside.")
    alpha = quantise_hw01(mask)
    if not (alpha >= 0.5).any():
        raise MaskError("The mask is empty: no pixel is at least half inside. White must mark the subject.")
    if (alpha == 1).all():
        raise MaskError("The mask covers the whole picture, so nothing is outside. Use --region all instead.")
    trimap = np.where(alpha >= 0.5, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    trimap[alpha == 1], trimap[alpha == 0] = FOREGROUND, BACKGROUND
    return Seed(trimap, "mask", "the mask was given", bounding_box(alpha > 0))


def recut_seed(seed: Seed, mask_hw: np.ndarray) -> Seed:
    """A tighter start for a second cut: undecided is only a box around the first one and a tenth of its sides more."""
    x, y, w, h = bounding_box(mask_hw)
    pad_x, pad_y = round(RECUT_MARGIN * w), round(RECUT_MARGIN * h)
    box, _ = clip_box(mask_hw.shape, (x - pad_x, y - pad_y, w + 2 * pad_x, h + 2 * pad_y))
    trimap = np.full(mask_hw.shape, BACKGROUND, dtype=np.uint8)
    trimap[_inside(box)] = MAYBE_BACKGROUND
    trimap[mask_hw] = MAYBE_FOREGROUND
    return Seed(trimap, seed.prompt, seed.reason, box, seed.warnings)


def bounding_box(mask_hw: np.ndarray) -> Box:
    """Left, top, width, height of what is set in a mask that is not empty."""
    rows, columns = np.flatnonzero(mask_hw.any(axis=1)), np.flatnonzero(mask_hw.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def _person_box(face_xywh_px: Box, size_hw_px: tuple[int, int]) -> Box:
    """The face widened by its width on each side, up by 0.6 of its height, down to the picture's lower edge."""
    x, y, w, h = face_xywh_px
    top = max(0, y - round(0.6 * h))
    return clip_box(size_hw_px, (x - w, top, 3 * w, size_hw_px[0] - top))[0]


def _map_trimap(map_hw: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    """Quantiles of a map are sure, Otsu's threshold splits the rest into probably foreground and background."""
    unit = (map_hw - map_hw.min()) / max(float(np.ptp(map_hw)), 1e-9)
    split, _ = cv2.threshold(np.round(unit * 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    trimap = np.where(unit > split / 255, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    trimap[unit <= np.quantile(unit, BACKGROUND_QUANTILE)] = BACKGROUND
    trimap[unit >= np.quantile(unit, SURE_QUANTILE)] = FOREGROUND
    return cv2.resize(trimap, size_hw_px[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _inside(box_xywh_px: Box) -> tuple[slice, slice]:
    x, y, w, h = box_xywh_px
    return slice(y, y + h), slice(x, x + w)
