"""What a segmentation is, and how it is drawn."""

from dataclasses import dataclass, field

import cv2
import numpy as np

OUTLINE_RGB = (255, 64, 160)  # pink: rare in photos
BOX_RGB = (255, 214, 0)
DIM = 0.4  # brightness left of what is outside


@dataclass(frozen=True)
class Segmentation:
    """Which pixels of a photo belong to the foreground.

    Attributes:
        trimap_hw_u8: What the last cut started from, (H, W) uint8: 0 sure background, 1 sure foreground, 2 probable
            background, 3 probable foreground.
        mask_hw: The cut, (H, W) bool.
        alpha_hw01: The cut with soft edges, (H, W) float32, multiples of 1/255; exactly 0 or 1 away from the edge.
        prompt: The prompt that was used: "box", "face", "saliency", "contrast" or "mask".
        reason: Which prompt and why, one sentence.
        box_xywh_px: Left, top, width, height of what the last cut could change, if it was limited.
        area_share: Mean of alpha.
        components: Connected pieces of the mask.
        boundary_px: Length of the mask's outline, in pixels that touch the outside.
        soft_px: Number of pixels with an alpha between 0 and 1.
        confidence: How far to trust the cut, in [0, 1]; 1 for a mask that was given. See `segment.plausibility`.
        warnings: Sentences for the user.
    """

    trimap_hw_u8: np.ndarray = field(repr=False)
    mask_hw: np.ndarray = field(repr=False)
    alpha_hw01: np.ndarray = field(repr=False)
    prompt: str
    reason: str
    box_xywh_px: tuple[int, int, int, int] | None
    area_share: float
    components: int
    boundary_px: int
    soft_px: int
    confidence: float
    warnings: tuple[str, ...] = ()


def outline_hw(mask_hw: np.ndarray) -> np.ndarray:
    """The pixels inside a mask that touch its outside (the picture's border is no edge), (H, W) bool, 1 px thin."""
    inside = mask_hw.astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return mask_hw & (cv2.erode(inside, cross, borderType=cv2.BORDER_REPLICATE) == 0)


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
