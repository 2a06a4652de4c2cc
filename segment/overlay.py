"""A segmentation drawn on its photo."""

import cv2
import numpy as np

from segment.masks import outline_hw
from segment.segmentation import Segmentation

OUTLINE_RGB = (255, 64, 160)  # pink: rare in photos
BOX_RGB = (255, 214, 0)
DIM = 0.4  # brightness left of what is outside


def overlay(rgb_hwc_u8: np.ndarray, segmentation: Segmentation) -> np.ndarray:
    """Draw a segmentation on its photo: outside dimmed, outline and box drawn.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        segmentation: Made from that photo.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    line_px = max(1, round(max(rgb_hwc_u8.shape[:2]) / 500))
    brightness = (DIM + (1 - DIM) * segmentation.alpha_hw01)[..., None]
    drawn = np.round(rgb_hwc_u8 * brightness).astype(np.uint8)
    outline = outline_hw(segmentation.mask_hw).astype(np.uint8)
    drawn[cv2.dilate(outline, np.ones((line_px, line_px), np.uint8)) > 0] = OUTLINE_RGB
    if segmentation.box_xywh_px is not None:
        x, y, w, h = segmentation.box_xywh_px
        cv2.rectangle(drawn, (x, y), (x + w - 1, y + h - 1), BOX_RGB, line_px)
    return drawn
