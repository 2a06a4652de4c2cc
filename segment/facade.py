"""One call from a photo and a prompt to a region with soft edges."""

import cv2
import numpy as np

from interp.errors import MaskError, UsageError, unknown_name
from interp.images import quantise_hw01
from segment.grabcut import WHAT_TO_TRY, count_components, grabcut, keep_large_components
from segment.matte import matte, soften
from segment.prompts import (
    Box,
    Seed,
    box_seed,
    contrast_seed,
    face_seed,
    mask_seed,
    recut_seed,
    saliency_seed,
)
from segment.result import Segmentation

PROMPTS = ("auto", "box", "face", "saliency", "contrast", "mask")
# A second cut is taken only where it tells of the same thing.
RECUT_AREA, RECUT_IOU = (0.5, 1.5), 0.4
# What looks like one subject: every one of 100 hand-made ECSSD masks is inside these limits but for the area.
PLAUSIBLE_AREA = (0.03, 0.80)
PLAUSIBLE_SOLIDITY = 0.3
SMALL_SHARE = 0.01


def segment(
    rgb_hwc_u8: np.ndarray,
    *,
    prompt: str = "auto",
    box_xywh_px: Box | None = None,
    mask_hw01: np.ndarray | None = None,
    saliency_hw: np.ndarray | None = None,
    saliency_note: str = "",
    feather_px: float | None = None,
    seed: int = 0,
    rounds: int = 5,
) -> Segmentation:
    """Find the foreground of a photo.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        prompt: "auto" takes a face, else saliency, else contrast with the border's colours; or one of these by name,
            "box", or "mask".
        box_xywh_px: Left, top, width, height around the subject; implies "box".
        mask_hw01: A finished mask, (H, W) in [0, 1], 1 = inside; implies "mask".
        saliency_hw: (h, w), values >= 0, any size; pass it only if it is to be trusted.
        saliency_note: Why there is no trusted saliency, one clause without a full stop, for the reason.
        feather_px: Width of the soft edge; None follows the photo, 0 keeps it hard.
        seed: Of everything random.
        rounds: GrabCut's alternations.

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
    name = _prompt_name(prompt, box_xywh_px, mask_hw01)
    size_hw_px = rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]
    if name == "mask":
        return _given(size_hw_px, mask_hw01, feather_px)
    if name == "auto":
        start, mask = _automatic(rgb_hwc_u8, saliency_hw, saliency_note, seed, rounds)
    else:
        start, mask = _cut(
            rgb_hwc_u8, _seed(name, rgb_hwc_u8, box_xywh_px, saliency_hw, saliency_note, seed), seed, rounds
        )
    alpha = matte(rgb_hwc_u8, mask, feather_px)
    return _result(start, mask, alpha, start.warnings + _doubts(rgb_hwc_u8, mask, start.prompt))


def _prompt_name(prompt: str, box_xywh_px: Box | None, mask_hw01: np.ndarray | None) -> str:
    """The prompt that the arguments speak of; a box or a mask implies its own."""
    if prompt not in PROMPTS:
        raise unknown_name("prompt", prompt, PROMPTS)
    given = [name for name, value in (("box", box_xywh_px), ("mask", mask_hw01)) if value is not None]
    if len(given) == 2 or (given and prompt not in ("auto", given[0])):
        raise UsageError(
            f"Prompt {prompt!r} together with {' and '.join(given)}: expected only one. Drop the others."
        )
    if prompt in ("box", "mask") and not given:
        raise UsageError(
            f"Prompt {prompt!r} needs its {prompt}; none was given. Pass --{prompt}, or use --prompt auto."
        )
    return given[0] if given else prompt


def _seed(
    name: str,
    rgb_hwc_u8: np.ndarray,
    box_xywh_px: Box | None,
    saliency_hw: np.ndarray | None,
    saliency_note: str,
    seed: int,
) -> Seed:
    size_hw_px = rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]
    if name == "box":
        assert box_xywh_px is not None  # _prompt_name checked
        return box_seed(size_hw_px, box_xywh_px)
    if name == "face":
        return face_seed(rgb_hwc_u8)
    if name == "contrast":
        return contrast_seed(rgb_hwc_u8, seed=seed)
    if saliency_hw is None:
        raise MaskError(
            f"Prompt 'saliency' has no map to use: {_note(saliency_note)}. Use --prompt auto or a box."
        )
    return saliency_seed(size_hw_px, saliency_hw)


def _cut(rgb_hwc_u8: np.ndarray, start: Seed, seed: int, rounds: int) -> tuple[Seed, np.ndarray]:
    """One cut; a second, tighter one where the first was started from a map rather than from a known place."""
    mask = grabcut(rgb_hwc_u8, start.trimap_hw_u8, seed=seed, rounds=rounds)
    if start.prompt not in ("saliency", "contrast"):
        return start, mask
    again = recut_seed(start, mask)
    try:
        second = grabcut(rgb_hwc_u8, again.trimap_hw_u8, seed=seed, rounds=rounds)
    except MaskError:
        return start, mask
    growth = second.sum() / mask.sum()
    agreement = (mask & second).sum() / (mask | second).sum()
    if RECUT_AREA[0] < growth < RECUT_AREA[1] and agreement > RECUT_IOU:
        return again, second
    return start, mask


def _automatic(
    rgb_hwc_u8: np.ndarray, saliency_hw: np.ndarray | None, saliency_note: str, seed: int, rounds: int
) -> tuple[Seed, np.ndarray]:
    """The first of face, saliency and contrast that gives a plausible cut; its reason tells why not the others."""
    passed: list[str] = []
    for name in ("face", "saliency", "contrast"):
        if name == "saliency" and saliency_hw is None:
            passed.append(_note(saliency_note))
            continue
        try:
            start = _seed(name, rgb_hwc_u8, None, saliency_hw, saliency_note, seed)
        except MaskError as error:
            passed.append("no frontal face was found" if name == "face" else str(error))
            continue
        try:
            start, mask = _cut(rgb_hwc_u8, start, seed, rounds)
        except MaskError:
            passed.append(f"the {name} prompt gave no usable cut")
            continue
        odd = implausible(mask)
        if odd and name != "contrast":
            passed.append(f"the {name} prompt's cut {odd}")
            continue
        warnings = (f"The cut {odd}: look at it, or give a box (--box X,Y,W,H).",) if odd else ()
        reason = "; ".join([start.reason, *passed])
        return Seed(start.trimap_hw_u8, name, reason, start.box_xywh_px, start.warnings + warnings), mask
    raise MaskError(f"No subject was found: {'; '.join(passed)}. {WHAT_TO_TRY}")


def implausible(mask_hw: np.ndarray) -> str:
    """Say what makes a mask unlikely to be one subject, as the end of a sentence; empty if nothing does."""
    share = float(mask_hw.mean())
    if not PLAUSIBLE_AREA[0] <= share <= PLAUSIBLE_AREA[1]:
        return f"covers {share:.0%} of the picture"
    main = keep_large_components(mask_hw, share=1.0)
    outline, _ = cv2.findContours(main.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull_px = max(cv2.contourArea(cv2.convexHull(contour)) for contour in outline)
    if main.sum() < PLAUSIBLE_SOLIDITY * hull_px or main.sum() < 0.5 * mask_hw.sum():
        return "is scattered rather than one piece"
    return ""


def _doubts(rgb_hwc_u8: np.ndarray, mask_hw: np.ndarray, prompt: str) -> tuple[str, ...]:
    share = float(mask_hw.mean())
    if share < SMALL_SHARE:
        return (f"The region is only {share:.2%} of the picture.",)
    return ()


def _given(
    size_hw_px: tuple[int, int], mask_hw01: np.ndarray | None, feather_px: float | None
) -> Segmentation:
    """A mask from outside is taken as it is, softened only if a feather is asked for."""
    assert mask_hw01 is not None  # _prompt_name checked
    start = mask_seed(size_hw_px, mask_hw01)
    alpha = quantise_hw01(mask_hw01)
    mask = alpha >= 0.5
    return _result(start, mask, soften(alpha, feather_px) if feather_px else alpha, start.warnings)


def _result(
    start: Seed, mask_hw: np.ndarray, alpha_hw01: np.ndarray, warnings: tuple[str, ...]
) -> Segmentation:
    return Segmentation(
        trimap_hw_u8=start.trimap_hw_u8,
        mask_hw=mask_hw,
        alpha_hw01=alpha_hw01,
        prompt=start.prompt,
        reason=f"Prompt {start.prompt}: {start.reason}.",
        box_xywh_px=start.box_xywh_px,
        area_share=float(alpha_hw01.mean()),
        components=count_components(mask_hw),
        boundary_px=int(((alpha_hw01 > 0) & (alpha_hw01 < 1)).sum()),
        warnings=warnings,
    )


def _note(saliency_note: str) -> str:
    return saliency_note.strip().rstrip(".") or "no saliency map was given"
