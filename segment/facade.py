"""One call from a photo and a prompt to a region with soft edges."""

import numpy as np

from interp.errors import UsageError, unknown_name
from interp.pictures.images import quantise_hw01
from segment.deepcut import Describe
from segment.grabcut import Cut, refine
from segment.hints import Hints
from segment.masks import Box, count_components
from segment.matte import matte, soften
from segment.plausibility import colour_separation
from segment.prompts import Seed, mask_seed
from segment.result import Segmentation, outline_hw
from segment.strategy import Cutter

PROMPTS = ("auto", "box", "hints", "face", "saliency", "contrast", "mask")
SMALL_SHARE = 0.01  # of the picture: worth a warning


def segment(
    rgb_hwc_u8: np.ndarray,
    *,
    prompt: str = "auto",
    box_xywh_px: Box | None = None,
    mask_hw01: np.ndarray | None = None,
    hints: Hints | None = None,
    saliency_hw: np.ndarray | None = None,
    saliency_note: str = "",
    describe: Describe | None = None,
    feather_px: float | None = None,
    seed: int = 0,
    rounds: int = 5,
) -> Segmentation:
    """Find the foreground of a photo.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        prompt: "auto" takes a face, else saliency, else contrast with the border; or one of these by name, "box",
            "hints" or "mask".
        box_xywh_px: Left, top, width, height around the subject; implies "box".
        mask_hw01: A finished mask, (H, W) in [0, 1], 1 = inside; implies "mask". With hints, an earlier mask to be
            corrected where a stroke touches what is wrong.
        hints: Strokes that are surely inside or outside; implies "hints", or adds to another prompt that is named.
        saliency_hw: (h, w), values >= 0, any size; pass it only if it is to be trusted.
        saliency_note: Why there is no trusted saliency, a clause for the reason.
        describe: What a network says about a small picture (`segment.hypercolumns`); None to cut by colours alone.
        feather_px: Width of the soft edge; None follows the photo, 0 keeps it hard.
        seed: Of everything random.
        rounds: GrabCut's alternations of colour models and cut.

    Returns:
        The foreground, inside = 1.

    Raises:
        MaskError: If no usable region is found; the message says what to try.
        UsageError: If an option is unknown, missing, in conflict with another, or does not fit the photo.

    Example:
        >>> photo = np.full((120, 160, 3), 60, np.uint8)
        >>> photo[30:90, 50:110] = (220, 60, 40)
        >>> region = segment(photo, box_xywh_px=(40, 20, 80, 80))
        >>> region.prompt, int(region.mask_hw.sum())
        ('box', 3600)
    """
    name = _prompt_name(prompt, box_xywh_px, mask_hw01, hints)
    if mask_hw01 is not None and hints is None:
        return _given((rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]), mask_hw01, feather_px)
    cutter = Cutter(rgb_hwc_u8, seed, rounds, saliency_hw, saliency_note, describe)
    if mask_hw01 is not None and hints is not None:
        start, mask = cutter.correct(mask_hw01, hints)
    else:
        start, cut = _cut(cutter, name, box_xywh_px, hints)
        mask = refine(rgb_hwc_u8, cut)
    confidence = colour_separation(rgb_hwc_u8, mask)
    return _result(start, mask, matte(rgb_hwc_u8, mask, feather_px), confidence)


def _cut(cutter: Cutter, name: str, box_xywh_px: Box | None, hints: Hints | None) -> tuple[Seed, Cut]:
    if hints is not None and name != "hints":
        return cutter.with_hints(cutter.start(name, box_xywh_px), hints)
    if box_xywh_px is not None:
        return cutter.box(box_xywh_px)
    if hints is not None:
        return cutter.hints(hints)
    return {
        "face": cutter.face,
        "saliency": cutter.saliency,
        "contrast": cutter.contrast,
        "auto": cutter.automatic,
    }[name]()


def _prompt_name(prompt: str, box_xywh_px: Box | None, mask_hw01: np.ndarray | None, hints: Hints | None) -> str:
    """The prompt that the arguments speak of; a box, a mask or hints imply their own."""
    if prompt not in PROMPTS:
        raise unknown_name("prompt", prompt, PROMPTS)
    given = [name for name, value in (("box", box_xywh_px), ("mask", mask_hw01)) if value is not None]
    if len(given) == 2:
        raise UsageError("A box and a mask were given; expected only one of them. Drop the other.")
    if hints is not None and hints.box_xywh_px is not None and (given or prompt not in ("auto", "hints")):
        raise UsageError(f"The hints hold a box beside {given[0] if given else prompt}; expected one. Drop the other.")
    if given and prompt not in ("auto", given[0]):
        raise UsageError(f"Prompt {prompt!r} and a {given[0]} were given; expected only one. Drop the other.")
    missing = {"box": box_xywh_px, "mask": mask_hw01, "hints": hints}
    if prompt in missing and missing[prompt] is None:
        raise UsageError(f"Prompt {prompt!r} needs a {prompt}; none was given. Pass --{prompt}, or --prompt auto.")
    if given or hints is None:
        return given[0] if given else prompt
    return "hints" if prompt == "auto" else prompt


def _given(size_hw_px: tuple[int, int], mask_hw01: np.ndarray, feather_px: float | None) -> Segmentation:
    """A mask from outside is taken as it is, softened only if a feather is asked for."""
    start = mask_seed(size_hw_px, mask_hw01)
    alpha = quantise_hw01(mask_hw01)
    return _result(start, alpha >= 0.5, soften(alpha, feather_px or 0))


def _result(start: Seed, mask_hw: np.ndarray, alpha_hw01: np.ndarray, confidence: float = 1.0) -> Segmentation:
    share = float(alpha_hw01.mean(dtype=np.float64))
    small = (f"The region is only {share:.2%} of the picture.",) if share < SMALL_SHARE else ()
    return Segmentation(
        trimap_hw_u8=start.trimap_hw_u8,
        mask_hw=mask_hw,
        alpha_hw01=alpha_hw01,
        prompt=start.prompt,
        reason=f"Prompt {start.prompt}: {start.reason}.",
        box_xywh_px=start.box_xywh_px,
        area_share=share,
        components=count_components(mask_hw),
        boundary_px=int(outline_hw(mask_hw).sum()),
        soft_px=int(((alpha_hw01 > 0) & (alpha_hw01 < 1)).sum()),
        confidence=confidence,
        warnings=(*start.warnings, *small),
    )
