"""The region: how it was found, what it is, and whether the style stayed inside."""

from typing import TYPE_CHECKING

import numpy as np

from reports.blocks import Block, Facts, Figure, Gallery, Paragraph, Row, Verdict
from reports.foreground import how_found
from reports.record import Section
from reports.store import ImageStore
from reports.wording import number, percent

if TYPE_CHECKING:
    from segment import Segmentation
    from stylize.isolate import Isolation

TRIMAP_GREYS = np.array([0, 255, 85, 170], np.uint8)  # OpenCV's labels: sure outside, sure inside, probably each


def region_section(
    store: ImageStore,
    photo_hwc_u8: np.ndarray,
    segmentation: "Segmentation",
    alpha_hw01: np.ndarray,
    isolation: "Isolation | None" = None,
    *,
    region: str = "foreground",
) -> Section:
    """How the region was found, what it is, and whether the style stayed inside.

    Args:
        store: Where pictures go.
        photo_hwc_u8: (H, W, 3) uint8 RGB.
        segmentation: The foreground, as cut.
        alpha_hw01: (H, W) in [0, 1], the region used: the foreground's alpha or its complement.
        isolation: What was measured on the result, if anything was restyled.
        region: "foreground" or "background".

    Returns:
        Section `region`.
    """
    network = segmentation.facts.get("network")
    soft = int(((alpha_hw01 > 0) & (alpha_hw01 < 1)).sum())
    facts = Facts(
        (
            ("How it was found", how_found(segmentation)),
            *((("Network", f"{network}: {segmentation.facts['origin']}"),) if network else ()),
            (f"The {region} covers", f"{percent(float(alpha_hw01.mean()))} of the picture"),
            ("Parts of the foreground", f"{segmentation.components:,}"),
            ("Length of its outline", f"{segmentation.boundary_px:,} px"),
            *((("Confidence", _confidence(segmentation.confidence)),) if segmentation.confidence is not None else ()),
            ("Soft pixels, partly inside", f"{soft:,} ({percent(soft / alpha_hw01.size)})"),
        )
    )
    steps = _segmentation_steps(store, photo_hwc_u8, segmentation, alpha_hw01, region)
    proof = _isolation_blocks(isolation) if isolation else ()
    intro = f"Which pixels count as {region}, and how they were found: from likely pixels to a soft-edged mask."
    return Section("region", "The region", intro, (facts, Gallery(steps), *proof))


def _confidence(confidence: float) -> str:
    return f"{number(confidence)} of 1: the overlap with the subject that a network's map lets expect"


def region_row(store: ImageStore, overlay_hwc_u8: np.ndarray, cutout_hwc_u8: np.ndarray) -> Row:
    """The photo with the cut drawn on it, (H, W, 3) uint8, and the cut-out, (H, W, 4) uint8 RGBA, on a chessboard."""
    height, width = cutout_hwc_u8.shape[:2]
    square = max(4, max(height, width) // 64)
    light = (np.arange(height)[:, None] // square + np.arange(width) // square) % 2
    board = np.where(light, 236, 204)[..., None].astype(np.float32)
    alpha = cutout_hwc_u8[..., 3:].astype(np.float32) / 255
    cut = np.round(cutout_hwc_u8[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)
    return Row(
        (
            Figure(store.photo(overlay_hwc_u8, "The photo with the cut drawn on it."), "The cut on the photo"),
            Figure(store.photo(cut, "The foreground, cut out."), "Cut out; the chessboard is transparent"),
        )
    )


def _segmentation_steps(
    store: ImageStore, photo: np.ndarray, segmentation: "Segmentation", alpha: np.ndarray, region: str
) -> tuple[Figure, ...]:
    steps = []
    if segmentation.box_xywh_px is not None:
        x, y, width, height = segmentation.box_xywh_px
        alt = f"The photo with the box of the cut, {width} by {height} pixels."
        boxed = store.photo(_boxed(photo, (x, y, width, height)), alt)
        steps.append(
            Figure(boxed, f"1 Box: the cut could change only what lies in it ({x}, {y}, {width}×{height} px).")
        )
    trimap = segmentation.trimap_hw_u8
    undecided = float((trimap >= 2).mean())
    labels = store.labels(TRIMAP_GREYS[trimap], f"Trimap: {percent(undecided)} of the pixels are undecided.")
    mask = segmentation.mask_hw.astype(np.float32)
    cut = store.mask(mask, f"Mask: {percent(float(mask.mean()))} white.")
    used = store.mask(alpha, f"Alpha of the {region}: {percent(float(alpha.mean()))} inside.")
    origin = "as given" if segmentation.prompt == "mask" else "GrabCut's decision for every pixel"
    inverse = " A written alpha is always the foreground's: its inverse." if region == "background" else ""
    start = len(steps) + 1
    greys = "white: surely foreground; light grey: probably; dark grey: probably not; black: surely not"
    steps += [
        Figure(labels, f"{start} Trimap; {greys}."),
        Figure(cut, f"{start + 1} Mask: {origin}."),
        Figure(used, f"{start + 2} Alpha: the {region} as it was used, with a soft edge. White is inside.{inverse}"),
    ]
    return tuple(steps)


def _boxed(photo_hwc_u8: np.ndarray, box_xywh_px: tuple[int, int, int, int]) -> np.ndarray:
    """Draw a box: a white line with a black one inside it, thick enough to see when scaled down."""
    x, y, width, height = box_xywh_px
    thick = max(1, round(max(photo_hwc_u8.shape[:2]) / 240))
    drawn = photo_hwc_u8.copy()
    for inset, grey in ((0, 255), (thick, 0)):
        top, bottom, left, right = y + inset, y + height - inset, x + inset, x + width - inset
        drawn[top : top + thick, left:right] = grey
        drawn[max(0, bottom - thick) : bottom, left:right] = grey
        drawn[top:bottom, left : left + thick] = grey
        drawn[top:bottom, max(0, right - thick) : right] = grey
    return drawn


def _isolation_blocks(isolation: "Isolation") -> tuple[Block, ...]:
    blocks: list[Block] = [_isolation_verdict(isolation)]
    if isolation.boundary_pixels:
        band = f"{isolation.boundary_mean_abs:.1f} of {isolation.white}, over {isolation.boundary_pixels:,} pixels"
        blocks.append(Facts((("Mean change within 2 px of the edge", band),)))
    if isolation.outside_pixels and len(isolation.leak) == 1:
        blocks.append(Paragraph(_leak_sentence(max(isolation.leak))))
    return tuple(blocks)


def _leak_sentence(leak: float) -> str:
    """What came in from outside."""
    found = "it stayed the same to the last bit" if leak == 0 else f"it changed by {percent(leak)}"
    return (
        "That pixels outside stay the same follows from how the result is made. The other question is whether anything "
        "outside reached the inside: the network sees neighbouring pixels. To measure it, every pixel outside was made "
        f"noise and the gradient that paints the inside was taken again: {found}."
    )


def _isolation_verdict(isolation: "Isolation") -> Verdict:
    if len(isolation.leak) > 1:
        return _apart_verdict(max(isolation.leak))
    if not isolation.outside_pixels:
        return Verdict("Nothing outside", "The region covers every pixel, at least partly.", "doubt")
    outside = f"{isolation.outside_pixels:,} pixels outside the region"
    if isolation.max_abs_outside == 0:
        return Verdict("Unchanged outside", f"Each of the {outside} equals the photo's, in all three channels.", "good")
    largest = f"{isolation.max_abs_outside} of {isolation.white}"
    sentence = f"Among the {outside}, values differ from the photo's by up to {largest}."
    return Verdict("Changed outside", sentence, "bad")


def _apart_verdict(leak: float) -> Verdict:
    """Two regions: whether one had a say in the other."""
    how = "For each region every pixel outside was made noise, and the gradient that paints it was taken again: "
    if leak == 0:
        return Verdict("Isolated from each other", f"{how}each stayed the same to the last bit.", "good")
    return Verdict("Not isolated from each other", f"{how}one changed by {percent(leak)}.", "bad")
