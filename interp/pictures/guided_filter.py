"""The guided filter: values as locally linear functions of a photo's colours, so that they follow its edges."""

import cv2
import numpy as np


def guided_coefficients(guide_hwc: np.ndarray, target_hw: np.ndarray, radius_px: int, epsilon: float) -> np.ndarray:
    """Fit `target = a . colour + b` by ridge regression in every window, and average the fits that cover a pixel.

    He, Sun & Tang 2013, equations 19 to 21. Windows are cut off at the picture's border.

    Args:
        guide_hwc: (H, W, 3) float32 in [0, 1].
        target_hw: (H, W) float32.
        radius_px: The window's side is 2 radius_px + 1.
        epsilon: Weight of the ridge penalty, in squared colour units.

    Returns:
        (H, W, 4) float32: a for each colour channel, then b.
    """
    side = (2 * radius_px + 1, 2 * radius_px + 1)

    def total(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, cv2.CV_64F, side, normalize=False, borderType=cv2.BORDER_CONSTANT)

    count = total(np.ones_like(target_hw))
    mean = total(guide_hwc) / count[..., None]
    mean_target = total(target_hw) / count
    covariance = np.empty((*target_hw.shape, 3, 3))
    for i in range(3):
        for j in range(i, 3):
            product = total(guide_hwc[..., i] * guide_hwc[..., j]) / count - mean[..., i] * mean[..., j]
            covariance[..., i, j] = covariance[..., j, i] = product
    with_target = total(guide_hwc * target_hw[..., None]) / count[..., None] - mean * mean_target[..., None]
    slope = np.linalg.solve(covariance + epsilon * np.eye(3), with_target[..., None])[..., 0]
    offset = mean_target - (slope * mean).sum(axis=-1)
    fits = np.concatenate([slope, offset[..., None]], axis=-1)
    return (total(fits) / count[..., None]).astype(np.float32)
