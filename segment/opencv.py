"""`cv2.grabCut` without its surprises: checked in words, seeded, and never a silent empty mask.

OpenCV's function starts k-means from a global random state, moves and clips rectangles silently, answers arrays of
another kind with an assertion, regions of a few pixels with an empty mask, and no rounds with the mask it was given.
"""

import cv2
import numpy as np

from interp.errors import MaskError

BACKGROUND, FOREGROUND = cv2.GC_BGD, cv2.GC_FGD  # 0, 1: sure
MAYBE_BACKGROUND, MAYBE_FOREGROUND = cv2.GC_PR_BGD, cv2.GC_PR_FGD  # 2, 3: undecided

SETTLED_SHARE = 0.001  # of the pixels: a round that changes fewer is the last
MIN_SAMPLES_PX = 50  # five Gaussians a side cannot be estimated from fewer
WHAT_TO_TRY = "Give a box around the subject (--box X,Y,W,H), strokes (--hints FILE) or a mask (--mask FILE)."

Models = tuple[np.ndarray, np.ndarray]  # colours of background and foreground, as cv2 keeps them: (1, 65) float64 each


def check_arrays(rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray) -> None:
    """Refuse what `cv2.grabCut` would answer with an assertion.

    Raises:
        TypeError: If the photo is no uint8 (H, W, 3), or the trimap no uint8 of its size with labels 0 to 3.
    """
    if rgb_hwc_u8.dtype != np.uint8 or rgb_hwc_u8.ndim != 3 or rgb_hwc_u8.shape[2] != 3 or not rgb_hwc_u8.size:
        raise TypeError(f"Photo is {rgb_hwc_u8.dtype} {rgb_hwc_u8.shape}; expected uint8 (H, W, 3) RGB.")
    if trimap_hw_u8.dtype != np.uint8 or trimap_hw_u8.shape != rgb_hwc_u8.shape[:2]:
        raise TypeError(
            f"Trimap is {trimap_hw_u8.dtype} {trimap_hw_u8.shape}; expected uint8 {rgb_hwc_u8.shape[:2]}, as the photo."
        )
    if trimap_hw_u8.max() > MAYBE_FOREGROUND:
        raise TypeError(f"Trimap holds label {trimap_hw_u8.max()}; expected 0, 1, 2 or 3.")


def learn_and_cut(
    rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray, seed: int, rounds: int
) -> tuple[np.ndarray, Models]:
    """GrabCut as it is: learn both sides' colours, cut, and so on until nothing much changes.

    Args:
        rgb_hwc_u8: (H, W, 3) uint8 RGB.
        trimap_hw_u8: (H, W) uint8, labels 0 to 3; not changed.
        seed: Of the colours' k-means start.
        rounds: Alternations at most, at least 1.

    Returns:
        (H, W) bool, and the colour models it ends with.

    Raises:
        MaskError: If a side has fewer than 50 pixels to learn from.
    """
    inside = int((trimap_hw_u8 & 1).sum())
    outside = trimap_hw_u8.size - inside
    for side, samples, remedy in (("foreground", inside, "larger"), ("background", outside, "smaller")):
        if samples < MIN_SAMPLES_PX:
            raise MaskError(
                f"Only {samples} pixels are left as {side}; its colours need at least {MIN_SAMPLES_PX}. "
                f"Give a {remedy} box (--box X,Y,W,H), or a mask (--mask FILE)."
            )
    models = np.zeros((1, 65)), np.zeros((1, 65))  # 5 Gaussians: 5 weights, 15 means, 45 covariances
    labels = _call(rgb_hwc_u8, trimap_hw_u8, models, cv2.GC_INIT_WITH_MASK, seed)
    for _ in range(rounds - 1):
        before, labels = labels, _call(rgb_hwc_u8, labels, models, cv2.GC_EVAL, seed)
        if np.count_nonzero(labels != before) <= SETTLED_SHARE * labels.size:
            break
    return (labels & 1).astype(bool), models


def cut_with(rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray, models: Models) -> np.ndarray:
    """One cut with known colour models, which stay as they are; (H, W) bool."""
    frozen = models[0].copy(), models[1].copy()
    labels = _call(rgb_hwc_u8, trimap_hw_u8, frozen, cv2.GC_EVAL_FREEZE_MODEL, 0)
    return (labels & 1).astype(bool)


def _call(rgb_hwc_u8: np.ndarray, trimap_hw_u8: np.ndarray, models: Models, mode: int, seed: int) -> np.ndarray:
    """One round."""
    labels = trimap_hw_u8.copy()
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb_hwc_u8), cv2.COLOR_RGB2BGR)
    cv2.setRNGSeed(seed)
    try:
        cv2.grabCut(bgr, labels, (0, 0, 0, 0), models[0], models[1], 1, mode)  # no rectangle
    except cv2.error as error:
        raise MaskError(f"GrabCut failed on this region ({error}). {WHAT_TO_TRY}") from error
    return labels
