"""Trimap -> mask by GrabCut (Rother, Kolmogorov & Blake 2004), made predictable.

`cv2.grabCut` starts k-means from a global random state, clips boxes silently, returns empty masks for tiny regions and
needs about 200 bytes a pixel. Here every call is seeded, inputs are checked in words, the cut is made on a small copy,
and only a narrow band around its outline is cut again at each doubling of the size (banded graph cuts, Lombaert et
al. 2005), in tiles, with the colour models of the first cut.
"""

import cv2
import numpy as np

from interp.errors import MaskError
from interp.images import working_size_hw_px

BACKGROUND, FOREGROUND = cv2.GC_BGD, cv2.GC_FGD  # 0, 1: sure
MAYBE_BACKGROUND, MAYBE_FOREGROUND = cv2.GC_PR_BGD, cv2.GC_PR_FGD  # 2, 3: undecided

WORK_PX = 400  # long side of the first cut: half a point of IoU below 600 px at a third of the time
MARGIN_SHARE = 0.4  # background kept around the undecided region, in its own sides
BAND_PX = 4  # half width of the band that a finer level may change
TILE_PX, TILE_MARGIN_PX = 512, 32
MIN_SAMPLES_PX = 50  # five Gaussians a side cannot be estimated from fewer
MIN_COMPONENT_SHARE = 0.1  # of the largest component
MIN_CUT_SHARE, MAX_CUT_SHARE = 0.01, 0.95
WHAT_TO_TRY = "Give a box around the subject (--box X,Y,W,H) or a mask (--mask FILE)."


def grabcut(
    rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray, *, seed: int = 0, rounds: int = 5
) -> np.ndarray:
    """Cut the foreground out of a photo.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        trimap_hw_u8: (H, W) uint8: 0 sure background, 1 sure foreground, 2 probable background, 3 probable foreground.
        seed: Of the colour models' k-means start; the same seed gives the same mask.
        rounds: Alternations of colour models and graph cut.

    Returns:
        (H, W) bool, True = foreground; specks smaller than a tenth of the largest piece are dropped.

    Raises:
        MaskError: If one side has too few pixels to learn its colours from, or the cut is (nearly) empty or everything.
        TypeError: If an array has another type or shape.
    """
    _check_arrays(rgb_hwc_u8, trimap_hw_u8)
    window = _window(trimap_hw_u8)
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb_hwc_u8[window]), cv2.COLOR_RGB2BGR)
    labels = np.ascontiguousarray(trimap_hw_u8[window])
    size_hw_px = working_size_hw_px(labels.shape, WORK_PX)
    cut, models = _first_cut(_resize(bgr, size_hw_px), _resize_labels(labels, size_hw_px), seed, rounds)
    while cut.shape != labels.shape:
        size_hw_px = min(labels.shape[0], 2 * cut.shape[0]), min(labels.shape[1], 2 * cut.shape[1])
        cut = _refine(_resize(bgr, size_hw_px), _resize_labels(labels, size_hw_px), cut, models)
    mask = np.zeros(trimap_hw_u8.shape, dtype=bool)
    mask[window] = cut
    mask = keep_large_components(mask)
    _check_cut(mask, trimap_hw_u8)
    return mask


def keep_large_components(mask_hw: np.ndarray, share: float = MIN_COMPONENT_SHARE) -> np.ndarray:
    """Drop the pieces of a mask whose area is under `share` of the largest piece's; share = 1 keeps the largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask_hw.copy()
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0  # component 0 is the background
    return (area >= max(1, share * area.max()))[labels]


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
    """The part of the picture that matters: everything not surely background, and a margin to learn its colours from."""
    undecided = trimap_hw_u8 != BACKGROUND
    if not undecided.any():
        raise MaskError(f"Every pixel is marked as background; expected a region to cut from. {WHAT_TO_TRY}")
    slices = []
    for axis in (1, 0):
        used = np.flatnonzero(undecided.any(axis=axis))
        margin = int(MARGIN_SHARE * (used[-1] + 1 - used[0])) + 2 * BAND_PX
        slices.append(slice(max(0, used[0] - margin), used[-1] + 1 + margin))
    return slices[0], slices[1]


def _resize(bgr_hwc_u8: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    return cv2.resize(bgr_hwc_u8, size_hw_px[::-1], interpolation=cv2.INTER_AREA)


def _resize_labels(labels_hw_u8: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    return cv2.resize(labels_hw_u8, size_hw_px[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _first_cut(
    bgr_hwc_u8: np.ndarray, labels_hw_u8: np.ndarray, seed: int, rounds: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """GrabCut as it is, and the colour models it ends with."""
    inside = int((labels_hw_u8 & 1).sum())
    for side, samples in (("foreground", inside), ("background", labels_hw_u8.size - inside)):
        if samples < MIN_SAMPLES_PX:
            raise MaskError(
                f"Only {samples} pixels are left as {side}; its colours need at least {MIN_SAMPLES_PX}. "
                "Give a larger box that leaves some background around the subject, or a mask (--mask FILE)."
            )
    models = np.zeros((1, 65)), np.zeros((1, 65))  # 5 Gaussians: 5 weights, 15 means, 45 covariances
    labels = labels_hw_u8.copy()
    _call(bgr_hwc_u8, labels, models, max(1, rounds), cv2.GC_INIT_WITH_MASK, seed)
    return (labels & 1).astype(bool), models


def _refine(
    bgr_hwc_u8: np.ndarray,
    trimap_hw_u8: np.ndarray,
    coarse_hw: np.ndarray,
    models: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Bring a cut to a larger size: only a band around its outline is decided again, tile by tile."""
    height, width = trimap_hw_u8.shape
    grown = cv2.resize(coarse_hw.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_LINEAR)
    inside = (grown > 127).astype(np.uint8)
    inside[trimap_hw_u8 == BACKGROUND] = 0
    inside[trimap_hw_u8 == FOREGROUND] = 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BAND_PX + 1, 2 * BAND_PX + 1))
    band = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, disc) > 0
    band &= (trimap_hw_u8 == MAYBE_BACKGROUND) | (trimap_hw_u8 == MAYBE_FOREGROUND)
    labels = np.where(band, inside + np.uint8(2), inside)
    result = inside.copy()
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            core = slice(top, top + TILE_PX), slice(left, left + TILE_PX)
            if not band[core].any():
                continue
            y0, x0 = max(0, top - TILE_MARGIN_PX), max(0, left - TILE_MARGIN_PX)
            tile = slice(y0, top + TILE_PX + TILE_MARGIN_PX), slice(x0, left + TILE_PX + TILE_MARGIN_PX)
            part = labels[tile].copy()
            frozen = models[0].copy(), models[1].copy()
            _call(bgr_hwc_u8[tile], part, frozen, 1, cv2.GC_EVAL_FREEZE_MODEL, 0)
            inner = part[top - y0 : top - y0 + TILE_PX, left - x0 : left - x0 + TILE_PX]
            result[core] = inner & 1
    return result.astype(bool)


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
        cv2.grabCut(bgr_hwc_u8, labels_hw_u8, None, models[0], models[1], rounds, mode)
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
