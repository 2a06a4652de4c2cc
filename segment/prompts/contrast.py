"""Prompt `contrast`: what differs from the picture's border, in colour, in sharpness, or in what a network says."""

import cv2
import numpy as np

from interp.errors import MaskError
from interp.pictures.sizes import working_size_hw_px
from segment.contrast import contrast_map, focus_map
from segment.deepcontrast import deep_contrast_map
from segment.deepcut import Describe
from segment.grabcut import Cut
from segment.masks import disc, keep_large_components, resize_labels, shrink
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.plausibility import colour_separation, sharpness_ratio
from segment.prompt import Prompt, Request
from segment.trimap import Doubt, Trimap, above_otsu, map_labels

# Colour separation: on ECSSD the median IoU is .51 below the lower limit, .93 above the upper one.
SHARED_COLOURS, CLEAR_COLOURS = 0.4, 0.6
SHARP_RATIO = 2.0  # inside to outside
FOCUS_BAND = 0.04  # of the map's long side: how far from its outline the sharp part is left undecided
FOCUS_PIECE_SHARE = 0.3  # of the largest sharp piece
FLAT_PX, FLAT_SIGMA_PX, FLAT_RANGE = 100, 2.0, 6  # a page whose colours, blurred, differ by less is blank; of 255


class ContrastPrompt(Prompt):
    """By colour first; where that is not clear, by sharpness or deep features. Fact `by`: which of the three."""

    def trimap(self, request: Request) -> Trimap:
        """By colour alone."""
        refuse_flat(request.rgb_hwc_u8)
        stands_out = contrast_map(request.rgb_hwc_u8, seed=request.seed)
        return Trimap(map_labels(stands_out, request.size_hw_px), "contrast", {"by": "colour"})

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """The first cut whose colours are clearly apart, with a doubt where they are not."""
        trimap, cut = self._by_colour_or_deep(request)
        shared = colour_separation(request.rgb_hwc_u8, cut.mask_hw) < SHARED_COLOURS
        return (trimap.doubted(Doubt.SHARED_COLOURS) if shared else trimap), cut

    def _by_colour_or_deep(self, request: Request) -> tuple[Trimap, Cut]:
        try:
            trimap, cut = self._by_colour_or_focus(request.by_colours)
        except MaskError:
            if request.describe is None:
                raise
            return _by_features(request, request.describe)
        if request.describe is None or colour_separation(request.rgb_hwc_u8, cut.mask_hw) >= CLEAR_COLOURS:
            return trimap, cut
        try:
            return _by_features(request, request.describe)
        except MaskError:
            return trimap, cut

    def _by_colour_or_focus(self, request: Request) -> tuple[Trimap, Cut]:
        """The cut by colour, or that of the sharp part if its colours are no less apart and it is far sharper."""
        trimap, cut = request.cut_twice(self.trimap(request))
        apart = colour_separation(request.rgb_hwc_u8, cut.mask_hw)
        if apart >= CLEAR_COLOURS:
            return trimap, cut
        focused = focus_trimap(request.rgb_hwc_u8)
        try:
            sharp = request.cut(focused)
        except MaskError:
            return trimap, cut
        needed = max(SHARP_RATIO, sharpness_ratio(request.rgb_hwc_u8, cut.mask_hw))
        better = colour_separation(request.rgb_hwc_u8, sharp.mask_hw) >= apart
        better = better and sharpness_ratio(request.rgb_hwc_u8, sharp.mask_hw) >= needed
        return (focused, sharp) if better else (trimap, cut)


def refuse_flat(rgb_hwc_u8: np.ndarray) -> None:
    """Refuse a blank page, also one with a sensor's or a compression's noise on it."""
    size_hw_px = working_size_hw_px((rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]), FLAT_PX)
    small = cv2.GaussianBlur(shrink(rgb_hwc_u8, size_hw_px), (0, 0), FLAT_SIGMA_PX)
    if np.ptp(small.reshape(-1, 3), axis=0).max() <= FLAT_RANGE:
        raise MaskError("The photo is one flat colour, so nothing stands out. Give a mask (--mask FILE).")


def focus_trimap(rgb_hwc_u8: np.ndarray) -> Trimap:
    """What is sharp is foreground, rather in the middle; only a band around its outline is left to the colours."""
    focus = focus_map(rgb_hwc_u8)
    sharp = keep_large_components(above_otsu(focus), FOCUS_PIECE_SHARE).astype(np.uint8)
    sharp = cv2.morphologyEx(sharp, cv2.MORPH_CLOSE, disc(FOCUS_BAND * max(focus.shape)))
    core = cv2.erode(sharp, disc(FOCUS_BAND * max(focus.shape)), borderType=cv2.BORDER_REPLICATE)
    reach = cv2.dilate(sharp, disc(1.5 * FOCUS_BAND * max(focus.shape)))
    labels = np.where(sharp > 0, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    labels[core > 0], labels[reach == 0] = FOREGROUND, BACKGROUND
    labels = resize_labels(labels, (rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]))
    return Trimap(labels, "contrast", {"by": "sharpness"})


def _by_features(request: Request, describe: Describe) -> tuple[Trimap, Cut]:
    refuse_flat(request.rgb_hwc_u8)  # the map would show the convolutions' own borders
    stands_out = deep_contrast_map(request.rgb_hwc_u8, describe, seed=request.seed)
    trimap = Trimap(map_labels(stands_out, request.size_hw_px), "contrast", {"by": "features"})
    return trimap, request.cut(trimap)
