"""Trimap -> mask by GrabCut (Rother, Kolmogorov & Blake 2004), made predictable.

`cv2.grabCut` starts k-means from a global random state, clips boxes silently, returns empty masks for tiny regions and
needs about 200 bytes a pixel. Here every call is seeded, inputs are checked in words, the cut is made on a small copy,
and only a narrow band around its outline is cut again at each doubling of the size (banded graph cuts, Lombaert et
al. 2005), in tiles, with the colour models of the first cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from interp.errors import MaskError
from interp.sizes import working_size_hw_px

BACKGROUND, FOREGROUND = cv2.GC_BGD, cv2.GC_FGD  # 0, 1: sure
MAYBE_BACKGROUND, MAYBE_FOREGROUND = cv2.GC_PR_BGD, cv2.GC_PR_FGD  # 2, 3: undecided

WORK_PX = 400  # long side of the first cut: at 800 px IoU .92 against .93 unscaled, in a third of the time
MARGIN_SHARE = 0.4  # background kept around the undecided region, in its own sides
BAND_PX = 4  # half width of the band that a finer level may change
TILE_PX, TILE_MARGIN_PX = 192, 16
MIN_SAMPLES_PX = 50  # five Gaussians a side cannot be estimated from fewer
MIN_COMPONENT_SHARE = 0.1  # of the largest component
PINHOLE_SHARE = 0.005  # of the mask
MIN_CUT_SHARE, MAX_CUT_SHARE = 0.01, 0.95
WHAT_TO_TRY = "Give a box around the subject (--box X,Y,W,H) or a mask (--mask FILE)."


@dataclass(frozen=True)
class Cut:
    """A cut made on a small copy, ready to be refined.

    Attributes:
        mask_hw: (H, W) bool at the photo's size, with the small copy's coarse outline.
        trimap_hw_u8: What it started from, at the photo's size.
        window: The part of the photo that was cut.
        small_hw: The cut of the window at the size it was made.
        models: Colour models of background and foreground, as cv2 keeps them.
    """

    mask_hw: np.ndarray = field(repr=False)
    trimap_hw_u8: np.ndarray = field(repr=False)
    window: tuple[slice, slice]
    small_hw: np.ndarray = field(repr=False)
    models: tuple[np.ndarray, np.ndarray] = field(repr=False)


def grabcut(rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray, *, seed: int = 0, rounds: int = 5) -> np.ndarray:
    """Cut the foreground out of a photo.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        trimap_hw_u8: (H, W) uint8: 0 sure background, 1 sure foreground, 2 probable background, 3 probable
            foreground.
        seed: Of the colour models' k-means start; the same seed gives the same mask.
        rounds: Alternations of colour models and graph cut.

    Returns:
        (H, W) bool, True = foreground; specks under a tenth of the largest piece are dropped, pinholes under half a
        percent of the mask filled.

    Raises:
        MaskError: If one side has too few pixels to learn its colours from, or the cut is nearly empty or everything.
        TypeError: If an array has another type or shape.
    """
    return refine(rgb_hwc_u8, coarse_cut(rgb_hwc_u8, trimap_hw_u8, seed=seed, rounds=rounds))


def coarse_cut(rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray, *, seed: int = 0, rounds: int = 5) -> Cut:
    """The first half of `grabcut`: the cut itself, at no more than 400 px; arguments and errors are the same."""
    _check_arrays(rgb_hwc_u8, trimap_hw_u8)
    window = _window(trimap_hw_u8)
    labels = trimap_hw_u8[window]
    size_hw_px = working_size_hw_px((labels.shape[0], labels.shape[1]), WORK_PX)
    small_bgr = cv2.cvtColor(_resize(rgb_hwc_u8[window], size_hw_px), cv2.COLOR_RGB2BGR)
    small, models = _first_cut(small_bgr, resize_labels(labels, size_hw_px, ties_down=True), seed, rounds)
    mask = _clean(_enlarge(small, labels.shape), window, trimap_hw_u8)
    _check_cut(mask, trimap_hw_u8)
    return Cut(mask, trimap_hw_u8, window, small, models)


def refine(rgb_hwc_u8: np.ndarray, cut: Cut) -> np.ndarray:
    """The second half of `grabcut`: bring a cut to the photo's size, (H, W) bool."""
    labels = cut.trimap_hw_u8[cut.window]
    if cut.small_hw.shape == labels.shape:
        return cut.mask_hw
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb_hwc_u8[cut.window]), cv2.COLOR_RGB2BGR)
    mask = cut.small_hw
    while mask.shape != labels.shape:
        size_hw_px = min(labels.shape[0], 2 * mask.shape[0]), min(labels.shape[1], 2 * mask.shape[1])
        mask = _recut_band(
            _resize(bgr, size_hw_px), resize_labels(labels, size_hw_px, ties_down=True), mask, cut.models
        )
    return _clean(mask, cut.window, cut.trimap_hw_u8)


def keep_large_components(mask_hw: np.ndarray, share: float = MIN_COMPONENT_SHARE) -> np.ndarray:
    """Drop the pieces of a mask whose area is under `share` of the largest piece's."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask_hw.copy()
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0  # component 0 is the background
    kept = area >= max(1, share * area.max())
    return kept[np.asarray(labels, dtype=np.intp)]


def fill_pinholes(mask_hw: np.ndarray, keep_hw: np.ndarray) -> np.ndarray:
    """Fill enclosed holes under `PINHOLE_SHARE` of the mask's area, unless a pixel of `keep_hw` lies in them."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask_hw).astype(np.uint8), connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    small = stats[:, cv2.CC_STAT_AREA] < PINHOLE_SHARE * mask_hw.sum()
    small[np.concatenate([[0], border, labels[keep_hw]]).astype(np.intp)] = False  # component 0 is the mask
    return mask_hw | small[np.asarray(labels, dtype=np.intp)]


def count_components(mask_hw: np.ndarray) -> int:
    """Number of connected pieces (8-neighbours)."""
    return cv2.connectedComponents(mask_hw.astype(np.uint8), connectivity=8)[0] - 1


def _check_arrays(rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray) -> None:
    if rgb_hwc_u8.dtype != np.uint8 or rgb_hwc_u8.ndim != 3 or rgb_hwc_u8.shape[2] != 3:
        raise TypeError(f"Photo is {rgb_hwc_u8.dtype} {rgb_hwc_u8.shape}; expected uint8 (H, W, 3) RGB.")
    if trimap_hw_u8.dtype != np.uint8 or trimap_hw_u8.shape != rgb_hwc_u8.shape[:2]:
        raise TypeError(
            f"Trimap is {trimap_hw_u8.dtype} {trimap_hw_u8.shape}; expected uint8 {rgb_hwc_u8.shape[:2]}, as the photo."
        )
    if trimap_hw_u8.size and trimap_hw_u8.max() > MAYBE_FOREGROUND:
        raise TypeError(f"Trimap holds label {trimap_hw_u8.max()}; expected 0, 1, 2 or 3.")


def _window(trimap_hw_u8: np.ndarray) -> tuple[slice, slice]:
    """The part of the picture that matters: all that is not surely background, and a margin around it."""
    undecided = trimap_hw_u8 != BACKGROUND
    if not undecided.any():
        raise MaskError(f"Every pixel is marked as background; expected a region to cut from. {WHAT_TO_TRY}")
    slices = []
    for axis in (1, 0):
        used = np.flatnonzero(undecided.any(axis=axis))
        margin = int(MARGIN_SHARE * (used[-1] + 1 - used[0])) + 2 * BAND_PX
        slices.append(slice(max(0, used[0] - margin), used[-1] + 1 + margin))
    return slices[0], slices[1]


def _resize(pixels_hwc_u8: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    return cv2.resize(np.ascontiguousarray(pixels_hwc_u8), size_hw_px[::-1], interpolation=cv2.INTER_AREA)


def resize_labels(labels_hw_u8: np.ndarray, size_hw_px: tuple[int, int], *, ties_down: bool = False) -> np.ndarray:
    """Resize a map of labels to the nearest neighbour, in whole numbers.

    cv2's INTER_NEAREST_EXACT rounds otherwise in OpenCV 4 than in 5; a label moved by one pixel moves GrabCut's random
    start, and with it the cut.

    Args:
        labels_hw_u8: (H, W) uint8.
        size_hw_px: Wanted height and width.
        ties_down: Where two cells are equally near, take the upper or left one instead of the other.

    Returns:
        (height, width) uint8, no new values.
    """
    rows, columns = (
        ((2 * np.arange(new) + 1) * old - ties_down) // (2 * new)
        for new, old in zip(size_hw_px, labels_hw_u8.shape, strict=True)
    )
    return labels_hw_u8[np.ix_(rows, columns)]


def _first_cut(
    bgr_hwc_u8: np.ndarray, labels_hw_u8: np.ndarray, seed: int, rounds: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """GrabCut as it is, and the colour models it ends with."""
    inside = int((labels_hw_u8 & 1).sum())
    outside = labels_hw_u8.size - inside
    for side, samples, remedy in (("foreground", inside, "larger"), ("background", outside, "smaller")):
        if samples < MIN_SAMPLES_PX:
            raise MaskError(
                f"Only {samples} pixels are left as {side}; its colours need at least {MIN_SAMPLES_PX}. "
                f"Give a {remedy} box (--box X,Y,W,H), or a mask (--mask FILE)."
            )
    models = np.zeros((1, 65)), np.zeros((1, 65))  # 5 Gaussians: 5 weights, 15 means, 45 covariances
    labels = labels_hw_u8.copy()
    _call(bgr_hwc_u8, labels, models, max(1, rounds), cv2.GC_INIT_WITH_MASK, seed)
    return (labels & 1).astype(bool), models


def _recut_band(
    bgr_hwc_u8: np.ndarray,
    trimap_hw_u8: np.ndarray,
    coarse_hw: np.ndarray,
    models: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Bring a cut to a larger size: only a band around its outline is decided again, tile by tile."""
    inside = _enlarge(coarse_hw, trimap_hw_u8.shape)
    inside = ((inside & (trimap_hw_u8 != BACKGROUND)) | (trimap_hw_u8 == FOREGROUND)).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BAND_PX + 1, 2 * BAND_PX + 1))
    band = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, disc) > 0
    band &= (trimap_hw_u8 != BACKGROUND) & (trimap_hw_u8 != FOREGROUND)
    labels = np.where(band, inside + np.uint8(2), inside)
    result = inside.copy()
    for core, tile in _tiles(band):
        part = labels[tile].copy()
        frozen = models[0].copy(), models[1].copy()
        _call(bgr_hwc_u8[tile], part, frozen, 1, cv2.GC_EVAL_FREEZE_MODEL, 0)
        top, left = core[0].start - tile[0].start, core[1].start - tile[1].start
        height, width = result[core].shape
        result[core] = part[top : top + height, left : left + width] & 1
    return result.astype(bool)


def _tiles(band_hw: np.ndarray) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Cover a band with small boxes, each with a larger one around it to cut in."""
    height, width = band_hw.shape
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            block = band_hw[top : top + TILE_PX, left : left + TILE_PX]
            if not block.any():
                continue
            rows, columns = np.flatnonzero(block.any(axis=1)), np.flatnonzero(block.any(axis=0))
            y0, y1, x0, x1 = top + rows[0], top + rows[-1] + 1, left + columns[0], left + columns[-1] + 1
            outer_rows = slice(max(0, y0 - TILE_MARGIN_PX), min(height, y1 + TILE_MARGIN_PX))
            outer_columns = slice(max(0, x0 - TILE_MARGIN_PX), min(width, x1 + TILE_MARGIN_PX))
            yield (slice(y0, y1), slice(x0, x1)), (outer_rows, outer_columns)


def _enlarge(small_hw: np.ndarray, size_hw_px: tuple[int, ...]) -> np.ndarray:
    if small_hw.shape == tuple(size_hw_px):
        return small_hw
    grey = cv2.resize(small_hw.astype(np.uint8) * 255, size_hw_px[1::-1], interpolation=cv2.INTER_LINEAR)
    return grey > 127


def _clean(mask_hw: np.ndarray, window: tuple[slice, slice], trimap_hw_u8: np.ndarray) -> np.ndarray:
    """A window's cut in the whole picture, without specks and pinholes."""
    full = np.zeros(trimap_hw_u8.shape, dtype=bool)
    full[window] = mask_hw
    return fill_pinholes(keep_large_components(full), keep_hw=trimap_hw_u8 == BACKGROUND)


def _call(
    bgr_hwc_u8: np.ndarray,
    labels_hw_u8: np.ndarray,
    models: tuple[np.ndarray, np.ndarray],
    rounds: int,
    mode: int,
    seed: int,
) -> None:
    """`cv2.grabCut`, seeded; writes into `labels_hw_u8` and `models`."""
    cv2.setRNGSeed(seed)
    try:
        cv2.grabCut(bgr_hwc_u8, labels_hw_u8, (0, 0, 0, 0), models[0], models[1], rounds, mode)  # no rectangle
    except cv2.error as error:
        raise MaskError(f"GrabCut failed on this region ({error}). {WHAT_TO_TRY}") from error


def _check_cut(mask_hw: np.ndarray, trimap_hw_u8: np.ndarray) -> None:
    asked = int((trimap_hw_u8 != BACKGROUND).sum())
    share_of_asked = mask_hw.sum() / asked
    if share_of_asked < MIN_CUT_SHARE:
        raise MaskError(
            f"The cut kept {share_of_asked:.1%} of the region it was given; expected at least {MIN_CUT_SHARE:.0%}. "
            f"Subject and background may have the same colours. {WHAT_TO_TRY}"
        )
    if mask_hw.mean() > MAX_CUT_SHARE:
        raise MaskError(
            f"The cut covers {mask_hw.mean():.1%} of the picture; expected at most {MAX_CUT_SHARE:.0%}, "
            f"so that something is left as background. {WHAT_TO_TRY}"
        )
