"""Prompt `mask`: a finished mask, or an earlier one to be corrected by strokes."""

from dataclasses import replace

import numpy as np

from interp.errors import MaskError, UsageError
from interp.pictures.images import quantise_hw01
from segment.grabcut import fine_mask
from segment.hints import add_hints, changes_at
from segment.masks import bounding_box
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.prompt import Prompt, Request
from segment.trimap import Trimap

EARLIER_ODDS = 2.0  # log odds that an earlier mask is right about a place


class MaskPrompt(Prompt):
    """The mask as it is; with hints, changed where strokes say so. Fact `corrected`: whether there were any."""

    needs = "mask_hw01"
    implied = True

    def trimap(self, request: Request) -> Trimap:
        """Nothing is left to decide."""
        assert request.mask_hw01 is not None
        alpha = quantise_hw01(_checked(request.mask_hw01, request.size_hw_px))
        labels = np.where(alpha >= 0.5, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
        labels[alpha == 1], labels[alpha == 0] = FOREGROUND, BACKGROUND
        return Trimap(labels, "mask", {"corrected": request.hints is not None}, bounding_box(alpha > 0))

    def find(self, request: Request) -> tuple[Trimap, np.ndarray]:
        """The mask; where strokes touch what a new cut would change, the change is taken, and only there."""
        trimap = self.trimap(request)
        assert request.mask_hw01 is not None
        inside = np.asarray(request.mask_hw01) >= 0.5
        if request.hints is None:
            return trimap, quantise_hw01(request.mask_hw01) >= 0.5
        labels = np.where(inside, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
        odds = np.where(inside, EARLIER_ODDS, -EARLIER_ODDS).astype(np.float32)
        probable = replace(trimap, labels_hw_u8=labels, prior_hw=odds, box_xywh_px=None)
        with_strokes = add_hints(probable, request.hints)
        new = fine_mask(request.rgb_hwc_u8, request.cut(with_strokes))
        return with_strokes, changes_at(inside, new, request.hints)


def _checked(mask_hw01: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
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
    return mask
