"""One call from a photo and a prompt to a region with soft edges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from interp.pictures.images import Source, load_picture, quantise_hw01
from segment.deepcut import Describe
from segment.hints import Hints
from segment.masks import Box, count_components, outline_hw
from segment.matte import matte, soften
from segment.plausibility import doubtful, expected_overlap
from segment.prompt import Request, chosen_name, prompt_named
from segment.segmenters import Segmenter
from segment.trimap import Doubt, Passed, Trimap

SMALL_SHARE = 0.01  # of the picture: worth a warning
SELF_SEEDED = ("face", "saliency", "contrast")  # prompts that guess where the subject is


@dataclass(frozen=True)
class Segmentation:
    """Which pixels of a photo belong to the foreground, and how they were found.

    Attributes:
        trimap_hw_u8: What the last cut started from, (H, W) uint8: 0 sure background, 1 sure foreground, 2 probable
            background, 3 probable foreground.
        mask_hw: The cut, (H, W) bool.
        alpha_hw01: The cut with soft edges, (H, W) float32, multiples of 1/255; exactly 0 or 1 away from the edge.
        prompt: Name of the prompt that was used; never "auto".
        facts: What it found, plain JSON values by name; see the prompt's class in `segment.prompts`.
        box_xywh_px: Left, top, width, height of what the last cut could change, if it was limited.
        area_share: Mean of alpha.
        components: Connected pieces of the mask.
        boundary_px: Length of the mask's outline, in pixels that touch the outside.
        soft_px: Number of pixels with an alpha between 0 and 1.
        confidence: The intersection over union with the subject that is to be expected, in [0, 1], by a network's map
            (`plausibility.expected_overlap`); 1 for a mask that was given, None where no network was asked.
        passed: Prompts that `auto` asked before, and why it did not follow them.
        doubts: What a user should look at.
    """

    trimap_hw_u8: np.ndarray = field(repr=False)
    mask_hw: np.ndarray = field(repr=False)
    alpha_hw01: np.ndarray = field(repr=False)
    prompt: str
    facts: Mapping[str, Any]
    box_xywh_px: Box | None
    area_share: float
    components: int
    boundary_px: int
    soft_px: int
    confidence: float | None
    passed: tuple[Passed, ...] = ()
    doubts: tuple[Doubt, ...] = ()


def segment(
    photo: Source,
    *,
    prompt: str = "auto",
    box_xywh_px: Box | None = None,
    mask_hw01: np.ndarray | None = None,
    hints: Hints | None = None,
    saliency_hw: np.ndarray | Callable[[], np.ndarray | None] | None = None,
    describe: Describe | None = None,
    person: Segmenter | None = None,
    things: Segmenter | None = None,
    segmenter: Segmenter | None = None,
    feather_px: float | None = None,
    seed: int = 0,
    rounds: int = 5,
) -> Segmentation:
    """Find the foreground of a photo.

    Args:
        photo: File, Pillow picture or array, such as (H, W, 3) uint8 RGB; see `interp.load_picture`.
        prompt: Name of a class in `segment.prompts`; "auto" asks several in turn.
        box_xywh_px: Left, top, width, height around the subject; implies "box".
        mask_hw01: A finished mask, (H, W) in [0, 1], 1 = inside; implies "mask". With hints, an earlier mask to be
            corrected where a stroke touches what is wrong.
        hints: Strokes that are surely inside or outside, beside any prompt; strokes inside alone imply "hints".
        saliency_hw: (h, w), values >= 0, any size; pass it only if it is to be trusted. Or what makes it, or None,
            asked where the map is needed.
        describe: What a network says about a small picture (`segment.hypercolumns`); None to cut by colours alone.
        person: A network that marks people, such as `segment.segmenters.selfie.SelfieSegmenter`.
        things: A network that marks any subject: `segment.segmenters.things.segmenter.ThingsSegmenter`.
        segmenter: Any network that marks the subject (`segment.segmenters.file.FileSegmenter`); implies "segmenter".
        feather_px: Width of the soft edge; None follows the photo, 0 keeps it hard.
        seed: Of everything random.
        rounds: GrabCut's alternations of colour models and cut.

    Returns:
        The foreground, inside = 1.

    Raises:
        MaskError: If no usable region is found; the message says what to try.
        UsageError: If an option is unknown, missing, in conflict with another, or does not fit the photo.
        InputError: If the photo is no picture.

    Example:
        >>> photo = np.full((120, 160, 3), 60, np.uint8)
        >>> photo[30:90, 50:110] = (220, 60, 40)
        >>> region = segment(photo, box_xywh_px=(40, 20, 80, 80))
        >>> region.prompt, int(region.mask_hw.sum())
        ('box', 3600)
    """
    rgb_hwc_u8 = load_picture(photo).rgb_hwc_u8
    saliency = cache(saliency_hw) if callable(saliency_hw) else saliency_hw
    request = Request(
        rgb_hwc_u8, box_xywh_px, mask_hw01, hints, saliency, describe, person, things, segmenter, seed, rounds
    )
    trimap, mask = prompt_named(chosen_name(prompt, request)).find(request)
    if mask_hw01 is not None and hints is None:  # a given mask stays as it is unless a feather is asked for
        alpha, confidence = soften(quantise_hw01(mask_hw01), feather_px or 0), 1.0
    else:
        alpha, confidence = matte(rgb_hwc_u8, mask, feather_px), _confidence(request, trimap, mask)
    share = float(alpha.mean(dtype=np.float64))
    return Segmentation(
        trimap_hw_u8=trimap.labels_hw_u8,
        mask_hw=mask,
        alpha_hw01=alpha,
        prompt=trimap.prompt,
        facts=trimap.facts,
        box_xywh_px=trimap.box_xywh_px,
        area_share=share,
        components=count_components(mask),
        boundary_px=int(outline_hw(mask).sum()),
        soft_px=int(((alpha > 0) & (alpha < 1)).sum()),
        confidence=confidence,
        passed=trimap.passed,
        doubts=(
            *trimap.doubts,
            *((Doubt.SMALL,) if share < SMALL_SHARE else ()),
            *((Doubt.DOUBTFUL,) if confidence is not None and doubtful(confidence, rgb_hwc_u8, mask) else ()),
        ),
    )


def _confidence(request: Request, trimap: Trimap, mask_hw: np.ndarray) -> float | None:
    """By the map that led to the cut; by the network for things where none did, unless the user did."""
    marked_hw01 = trimap.marked_hw01
    if marked_hw01 is None and trimap.prompt in SELF_SEEDED and request.things is not None:
        marked_hw01 = request.things(request.rgb_hwc_u8)
    return None if marked_hw01 is None else expected_overlap(mask_hw, marked_hw01)
