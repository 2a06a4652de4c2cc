"""Is a cut to be believed? Measures that need no ground truth."""

import cv2
import numpy as np

from segment.contrast import sharpness_map, small_lab
from segment.trimap import Doubt

# What looks like one subject: 98 of 100 hand-made ECSSD masks do.
PLAUSIBLE_AREA = (0.03, 0.80)
PLAUSIBLE_SOLIDITY = 0.3  # area of the largest piece to its convex hull's
PLAUSIBLE_MAIN_SHARE = 0.5  # of the largest piece in the whole mask
# Expected overlap: worth a warning below the first, and below the second where colours have much in common. Of 100
# ECSSD photos unseen by the network for things, 38 cuts by `auto` are warned of, among them 6 of the 7 under IoU .5.
DOUBTFUL, CONFIDENT = 0.7, 0.85
DOUBTFUL_SEPARATION = 0.35
BINS = 8  # a colour channel


def implausible(mask_hw: np.ndarray) -> Doubt | None:
    """What makes a mask unlikely to be one subject: its area, or that it is scattered; None if nothing does."""
    share = float(mask_hw.mean())
    if not PLAUSIBLE_AREA[0] <= share <= PLAUSIBLE_AREA[1]:
        return Doubt.AREA
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8), connectivity=8)
    main = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))  # component 0 is the background
    main_px = int(stats[main, cv2.CC_STAT_AREA])
    contours, _ = cv2.findContours(np.equal(labels, main).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull_px = cv2.contourArea(cv2.convexHull(contours[0]))
    if main_px < max(PLAUSIBLE_SOLIDITY * hull_px, PLAUSIBLE_MAIN_SHARE * mask_hw.sum()):
        return Doubt.SCATTERED
    return None


def expected_overlap(mask_hw: np.ndarray, marked_hw01: np.ndarray) -> float:
    """Intersection over union with the subject that a network's probabilities let expect of a cut.

    The expected intersection over the expected union: the sum of p inside, over the inside's area and the sum of p
    outside. What it is worth: of `auto`'s cuts on those 100 photos, expected overlaps below .6, of .6 to .7, .7 to .85,
    .85 to .95 and more had a mean IoU of .65, .76, .86, .94 and .99.

    Args:
        mask_hw: (H, W) bool.
        marked_hw01: (h, w) probability of being the subject, the photo's shape at any size.
    """
    size_wh = marked_hw01.shape[::-1]
    inside = cv2.resize(mask_hw.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA).astype(np.float64)
    shared, rest = (inside * marked_hw01).sum(), ((1 - inside) * marked_hw01).sum()
    return float(shared / max(inside.sum() + rest, 1e-9))


def doubtful(confidence: float, rgb_hwc_u8: np.ndarray, mask_hw: np.ndarray) -> bool:
    """Whether a cut of this expected overlap is worth a warning."""
    if DOUBTFUL <= confidence < CONFIDENT:
        return colour_separation(rgb_hwc_u8, mask_hw) < DOUBTFUL_SEPARATION
    return confidence < DOUBTFUL


def colour_separation(rgb_hwc_u8: np.ndarray, mask_hw: np.ndarray) -> float:
    """How little the colours inside and outside have in common: 0 = the same histogram, 1 = no shared colour.

    One minus the Bhattacharyya coefficient of two Lab histograms with 8 bins a channel.
    """
    lab = small_lab(rgb_hwc_u8)
    inside = _resize_mask(mask_hw, lab.shape[:2])
    low, high = np.array([0, -64, -64]), np.array([100, 64, 64])
    bins = np.clip((lab - low) / (high - low) * BINS, 0, BINS - 1).astype(int)
    colour = np.ravel_multi_index((bins[..., 0], bins[..., 1], bins[..., 2]), (BINS,) * 3)
    histograms = [np.bincount(colour[side], minlength=BINS**3) / max(1, side.sum()) for side in (inside, ~inside)]
    return 1 - float(np.sqrt(histograms[0] * histograms[1]).sum())


def sharpness_ratio(rgb_hwc_u8: np.ndarray, mask_hw: np.ndarray) -> float:
    """Mean fine detail inside over mean fine detail outside."""
    sharpness = sharpness_map(rgb_hwc_u8)
    inside = _resize_mask(mask_hw, sharpness.shape)
    if not inside.any() or inside.all():
        return 0.0
    return float(sharpness[inside].mean() / max(float(sharpness[~inside].mean()), 1e-6))


def _resize_mask(mask_hw: np.ndarray, size_hw_px: tuple[int, ...]) -> np.ndarray:
    shares = cv2.resize(mask_hw.astype(np.uint8) * 255, size_hw_px[1::-1], interpolation=cv2.INTER_AREA)
    return shares > 127
