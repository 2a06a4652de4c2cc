"""Prompts: what is known about the region, written as a trimap for GrabCut, in the photo's pixels."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from interp.errors import MaskError, UsageError
from interp.pictures.images import quantise_hw01
from interp.pictures.sizes import working_size_hw_px
from segment.contrast import centre_prior, contrast_map, focus_map, smooth, unit
from segment.deepcontrast import deep_contrast_map
from segment.deepcut import Describe
from segment.faces import find_faces
from segment.masks import Box, bounding_box, disc, keep_large_components, resize_labels, shrink
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND

# Simonyan et al. 2013, section 3.2: above the 95 % quantile is object, below the 30 % quantile background.
SURE_QUANTILE, BACKGROUND_QUANTILE = 0.95, 0.30
COMPANION_SHARE = 0.6  # a further face this wide, of the main one, belongs to the subject too
FOCUS_BAND = 0.04  # of the map's long side: how far from its outline the sharp part is left undecided
FOCUS_PIECE_SHARE = 0.3  # of the largest sharp piece
FLAT_PX, FLAT_SIGMA_PX, FLAT_RANGE = 100, 2.0, 6  # a page whose colours, blurred, differ by less is blank; of 255
PRIOR_PX = 200
PRIOR_STEEPNESS, PRIOR_RADIUS = 2.0, 0.45  # radius in box sides: the ellipse covers 64 % of the box, as subjects do
EARLIER_ODDS = 2.0  # log odds that an earlier mask is right about a place
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
        prior_hw: (h, w), the photo's shape at any size: log odds of being foreground by place alone, for a deep cut.
    """

    trimap_hw_u8: np.ndarray = field(repr=False)
    prompt: str
    reason: str
    box_xywh_px: Box | None = None
    warnings: tuple[str, ...] = ()
    prior_hw: np.ndarray | None = field(repr=False, default=None)


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
    return Seed(trimap, "box", f"the box {x},{y},{w},{h} was given", box, warnings, box_prior(size_hw_px, box))


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


def clip_box(size_hw_px: tuple[int, int], box_xywh_px: tuple[int, int, int, int]) -> tuple[Box, tuple[str, ...]]:
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


def core_seed(seed: Seed) -> Seed:
    """A box whose middle is surely foreground: for a subject that shares its colours with the background."""
    x, y, w, h = seed.box_xywh_px or bounding_box(seed.trimap_hw_u8 != BACKGROUND)
    trimap = seed.trimap_hw_u8.copy()
    cv2.ellipse(trimap, ((x + w / 2, y + h / 2), (w / 2, h / 2), 0), FOREGROUND, cv2.FILLED)
    reason = f"{seed.reason}, and its middle taken as sure, for a first cut did not fill it"
    return replace(seed, trimap_hw_u8=trimap, reason=reason)


def face_seed(rgb_hwc_u8: np.ndarray) -> Seed:
    """A face is surely foreground, the place of hair, shoulders and body probably, what is beside them probably not.

    A face is not a person, so this is a guess at where an upright person is; the colours decide.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.

    Raises:
        MaskError: If no frontal face is found.
    """
    faces = find_faces(rgb_hwc_u8)
    if not faces:
        raise MaskError(
            "No upright frontal face was found. Faces under 8 % of the long side are not looked for. "
            "Give a box around the person (--box X,Y,W,H), or use --prompt auto."
        )
    boxes = [face.box_xywh_px for face in faces]
    people = [box for box in boxes if box[2] >= COMPANION_SHARE * boxes[0][2]]
    trimap = np.full(rgb_hwc_u8.shape[:2], BACKGROUND, dtype=np.uint8)
    for label, draw in (
        (MAYBE_BACKGROUND, _draw_surroundings),
        (MAYBE_FOREGROUND, _draw_body),
        (FOREGROUND, _draw_face),
    ):
        for box in people:
            draw(trimap, box, label)
    found = "a face was found" if len(people) == 1 else f"{len(people)} faces were found"
    x, y, w, h = boxes[0]
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
        raise UsageError(f"Saliency map of shape {saliency.shape}: expected (h, w), finite, no value below 0.")
    if saliency.max() <= saliency.min():
        raise MaskError("The saliency map is constant, so it marks no subject. Use --prompt auto or --box X,Y,W,H.")
    weighted = smooth(saliency) * np.sqrt(centre_prior(saliency.shape))
    return Seed(_map_trimap(weighted, size_hw_px), "saliency", "the network's class evidence marks the subject")


def contrast_seed(rgb_hwc_u8: np.ndarray, *, seed: int = 0) -> Seed:
    """What differs from the border's colours is foreground, rather in the middle of the picture.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        seed: Of the clustering of the border's colours.

    Raises:
        MaskError: If the photo is one flat colour.
    """
    _refuse_flat(rgb_hwc_u8)
    trimap = _map_trimap(contrast_map(rgb_hwc_u8, seed=seed), (rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]))
    return Seed(trimap, "contrast", "colours that differ from the border's, near the middle, mark the subject")


def deep_contrast_seed(rgb_hwc_u8: np.ndarray, describe: Describe, *, seed: int = 0) -> Seed:
    """What differs from the border in deep features and colour is foreground, rather in the middle of the picture.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        describe: What a network says about a small picture.
        seed: Of the clustering of the border's colours.

    Raises:
        MaskError: If the photo is one flat colour: the map would show the convolutions' own borders.
    """
    _refuse_flat(rgb_hwc_u8)
    trimap = _map_trimap(deep_contrast_map(rgb_hwc_u8, describe, seed=seed), (rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]))
    return Seed(trimap, "contrast", "deep features and colours that differ from the border's mark the subject")


def _refuse_flat(rgb_hwc_u8: np.ndarray) -> None:
    """Refuse a blank page, also one with a sensor's or a compression's noise on it."""
    size_hw_px = working_size_hw_px((rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]), FLAT_PX)
    small = cv2.GaussianBlur(shrink(rgb_hwc_u8, size_hw_px), (0, 0), FLAT_SIGMA_PX)
    if np.ptp(small.reshape(-1, 3), axis=0).max() <= FLAT_RANGE:
        raise MaskError("The photo is one flat colour, so nothing stands out. Give a mask (--mask FILE).")


def focus_seed(rgb_hwc_u8: np.ndarray) -> Seed:
    """What is sharp is foreground, rather in the middle; only a band around its outline is left to the colours.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
    """
    focus = focus_map(rgb_hwc_u8)
    sharp = keep_large_components(_above_otsu(focus), FOCUS_PIECE_SHARE).astype(np.uint8)
    sharp = cv2.morphologyEx(sharp, cv2.MORPH_CLOSE, disc(FOCUS_BAND * max(focus.shape)))
    core = cv2.erode(sharp, disc(FOCUS_BAND * max(focus.shape)), borderType=cv2.BORDER_REPLICATE)
    reach = cv2.dilate(sharp, disc(1.5 * FOCUS_BAND * max(focus.shape)))
    trimap = np.where(sharp > 0, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    trimap[core > 0], trimap[reach == 0] = FOREGROUND, BACKGROUND
    trimap = resize_labels(trimap, (rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]))
    return Seed(trimap, "contrast", "the sharpest part near the middle marks the subject")


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
        raise UsageError(f"Mask of shape {mask.shape}: expected {tuple(size_hw_px)}, the photo's height and width.")
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


def earlier_seed(size_hw_px: tuple[int, int], mask_hw01: np.ndarray) -> Seed:
    """An earlier mask to be corrected: all of it is only probable now.

    Args:
        size_hw_px: The photo's height and width.
        mask_hw01: (H, W) in [0, 1], 1 = inside.

    Raises:
        MaskError, UsageError: As `mask_seed`.
    """
    mask_seed(size_hw_px, mask_hw01)
    inside = np.asarray(mask_hw01) >= 0.5
    trimap = np.where(inside, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    odds = np.where(inside, EARLIER_ODDS, -EARLIER_ODDS).astype(np.float32)
    return Seed(trimap, "mask", "an earlier mask was given", prior_hw=odds)


def recut_seed(seed: Seed, mask_hw: np.ndarray) -> Seed:
    """A tighter start for a second cut: undecided is only a box around the first one and a tenth of its sides more."""
    x, y, w, h = bounding_box(mask_hw)
    pad_x, pad_y = round(RECUT_MARGIN * w), round(RECUT_MARGIN * h)
    box, _ = clip_box(mask_hw.shape, (x - pad_x, y - pad_y, w + 2 * pad_x, h + 2 * pad_y))
    trimap = np.full(mask_hw.shape, BACKGROUND, dtype=np.uint8)
    trimap[_inside(box)] = MAYBE_BACKGROUND
    trimap[mask_hw] = MAYBE_FOREGROUND
    return replace(seed, trimap_hw_u8=trimap, box_xywh_px=box)


def _draw_surroundings(trimap_hw_u8: np.ndarray, face_xywh_px: Box, label: int) -> None:
    """Where a person with this face can be: a face width beside the head, two beside the body, to the lower edge."""
    x, y, w, h = face_xywh_px
    bottom, top, chin, waist = trimap_hw_u8.shape[0], y - 0.6 * h, y + h, y + 3 * h
    right = [(x + 2 * w, top), (x + 2 * w, chin), (x + 3 * w, waist), (x + 3 * w, bottom)]
    left = [(x - 2 * w, bottom), (x - 2 * w, waist), (x - w, chin), (x - w, top)]
    cv2.fillPoly(trimap_hw_u8, [np.array(right + left).round().astype(np.int32)], label)


def _draw_body(trimap_hw_u8: np.ndarray, face_xywh_px: Box, label: int) -> None:
    """An oval of 1.8 x 2.2 faces for head and hair, and below it a body with shoulders three faces wide."""
    x, y, w, h = face_xywh_px
    bottom, chin, shoulder = trimap_hw_u8.shape[0], y + h, y + 1.8 * h
    cv2.ellipse(trimap_hw_u8, ((x + w / 2, y + 0.4 * h), (1.8 * w, 2.2 * h), 0), label, cv2.FILLED)
    right = [(x + w, chin), (x + 2 * w, shoulder), (x + 2 * w, bottom)]
    left = [(x - w, bottom), (x - w, shoulder), (x, chin)]
    cv2.fillPoly(trimap_hw_u8, [np.array(right + left).round().astype(np.int32)], label)


def _draw_face(trimap_hw_u8: np.ndarray, face_xywh_px: Box, label: int) -> None:
    """The face's ellipse, and half as wide the neck and upper chest."""
    x, y, w, h = face_xywh_px
    cv2.ellipse(trimap_hw_u8, ((x + w / 2, y + h / 2), (w, h), 0), label, cv2.FILLED)
    upper, lower = (x + w // 4, y + round(0.8 * h)), (x + w - w // 4, y + 2 * h)
    cv2.rectangle(trimap_hw_u8, upper, lower, label, cv2.FILLED)


def _map_trimap(map_hw: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    """Quantiles of a map are sure, Otsu's threshold splits the rest into probably foreground and background."""
    trimap = np.where(_above_otsu(map_hw), MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    trimap[map_hw <= np.quantile(map_hw, BACKGROUND_QUANTILE)] = BACKGROUND
    trimap[map_hw >= np.quantile(map_hw, SURE_QUANTILE)] = FOREGROUND
    return resize_labels(trimap, size_hw_px)


def _above_otsu(map_hw: np.ndarray) -> np.ndarray:
    """Where a map is above the threshold that splits it best into two classes (Otsu 1979)."""
    values_u8 = np.round(unit(map_hw) * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(values_u8, 0, 255, cv2.THRESH_OTSU)
    return values_u8 > threshold


def _inside(box_xywh_px: Box) -> tuple[slice, slice]:
    x, y, w, h = box_xywh_px
    return slice(y, y + h), slice(x, x + w)
