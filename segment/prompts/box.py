"""Prompt `box`: a box around the subject."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from interp.errors import MaskError
from interp.pictures.sizes import working_size_hw_px
from segment.box import box_trimap, clip_box, inside, with_sure_middle
from segment.faces_in_box import with_faces
from segment.grabcut import Cut
from segment.masks import Box, bounding_box, resize_labels
from segment.opencv import BACKGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.plausibility import expected_overlap
from segment.prompt import Prompt, Request
from segment.prompts.segmenter import log_odds
from segment.segmenters import Segmenter
from segment.trimap import Trimap

# A box is drawn around its subject, so a good cut reaches its sides (Lempitsky et al. 2009, the tightness prior).
# A box drawn loosely leaves a gap at every side; a gap at one alone means that a part of the subject was missed.
MIN_REACH = 0.6
MAX_LOPSIDED = 0.1
MISSED_SHARE = 0.15  # of the subject at most: a side may be missed by thin legs or a tail alone
LOOK_MARGIN = 0.25  # around the box, in its sides: what a network sees of the surroundings
MAP_PX = 400  # long side of the map
UNKNOWN = 0.1  # a lower probability says that a place is background; between it and a half the map leaves it open
MIN_MARKED = 0.1  # of the box: a network that marks less does not know the subject


class BoxPrompt(Prompt):
    """What is inside the box and differs from the outside, where a network is given by its map too.

    Facts as `box_trimap`, and `sure_middle`; `faces`, the number of those in it; `network` and `origin` of the network
    for things if it marks something there.
    """

    needs = "box_xywh_px"
    implied = True

    def trimap(self, request: Request) -> Trimap:
        """Probably foreground inside, or what a network marks there; surely background outside."""
        plain = unmarked(request)
        return marked(request, plain) or plain

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """The first of several cuts if it stays about equally near to all sides of the box, or else the likeliest.

        By the network's map, by deep features, by colours alone, in that order, as far as they are given; where no map
        speaks for a cut that is small for its box, once more with a sure middle.
        """
        plain = unmarked(request)
        assert plain.box_xywh_px is not None
        found: list[tuple[Trimap, Cut]] = []
        for trimap, cut in _cuts(request, plain):
            found.append((trimap, cut))
            if lopsidedness(bounding_box(found[0][1].mask_hw), plain.box_xywh_px) <= MAX_LOPSIDED:
                break
        best = max(found, key=lambda each: likelihood(each[1], found[0][0]), default=None)
        if best and (found[0][0].marked_hw01 is not None or reach(best[1], plain) >= MIN_REACH):
            return best
        labels = with_sure_middle(plain.labels_hw_u8, plain.box_xywh_px)
        sure = replace(plain, labels_hw_u8=labels, facts={**plain.facts, "sure_middle": True})
        return sure, request.cut(sure)


def _cuts(request: Request, plain: Trimap) -> Iterator[tuple[Trimap, Cut]]:
    """Those that can be made, each when it is asked for."""
    unaided = _cut(request, plain)
    by_map = marked(request, plain)
    if by_map is not None:
        yield from _cut(request, settled(by_map, unaided[0][1].mask_hw) if unaided else by_map)
    yield from unaided
    if request.describe is not None:
        yield from _cut(request.by_colours, plain)


def _cut(request: Request, trimap: Trimap) -> list[tuple[Trimap, Cut]]:
    """A trimap's cut, if there is one."""
    try:
        return [(trimap, request.cut(trimap))]
    except MaskError:
        return []


def unmarked(request: Request) -> Trimap:
    """The box and the faces in it."""
    assert request.box_xywh_px is not None
    return with_faces(box_trimap(request.size_hw_px, request.box_xywh_px), request.rgb_hwc_u8)


def marked(request: Request, plain: Trimap) -> Trimap | None:
    """The same with what the network for things marks, if it is there and knows the subject."""
    return marked_in_box(plain, request.rgb_hwc_u8, request.things) if request.things else None


def settled(by_map: Trimap, unaided_hw: np.ndarray) -> Trimap:
    """The same, started from the cut without the network where the map leaves it open: a part it never learned."""
    assert by_map.marked_hw01 is not None
    labels = by_map.labels_hw_u8
    probability_hw01 = cv2.resize(by_map.marked_hw01, labels.shape[::-1], interpolation=cv2.INTER_LINEAR)
    unknown = (labels == MAYBE_BACKGROUND) & (probability_hw01 > UNKNOWN) & unaided_hw
    return replace(by_map, labels_hw_u8=np.where(unknown, np.uint8(MAYBE_FOREGROUND), labels))


def likelihood(cut: Cut, start: Trimap) -> float:
    """Expected overlap by a trimap's map, if it has one, less what a lopsided cut has missed."""
    assert start.box_xywh_px is not None
    overlap = 0.0 if start.marked_hw01 is None else expected_overlap(cut.mask_hw, start.marked_hw01)
    return overlap - min(MISSED_SHARE, lopsidedness(bounding_box(cut.mask_hw), start.box_xywh_px))


def reach(cut: Cut, start: Trimap) -> float:
    """Width or height of a cut, whichever is less of its box's."""
    assert start.box_xywh_px is not None
    return float(min(np.divide(bounding_box(cut.mask_hw)[2:], start.box_xywh_px[2:])))


def lopsidedness(cut_xywh_px: Box, box_xywh_px: Box) -> float:
    """How much farther a cut stays from one side of its box than from another, in the box's sides."""
    (left, top, width, height), (x, y, w, h) = cut_xywh_px, box_xywh_px
    gaps = (left - x) / w, (top - y) / h, (x + w - left - width) / w, (y + h - top - height) / h
    return max(gaps) - min(gaps)


def marked_in_box(trimap: Trimap, rgb_hwc_u8: np.ndarray, network: Segmenter) -> Trimap | None:
    """A box's trimap with what a network marks in it, looked at closely; None if it does not know the subject."""
    assert trimap.box_xywh_px is not None
    size_hw_px = rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]
    x, y, w, h = trimap.box_xywh_px
    pad_x, pad_y = round(LOOK_MARGIN * w), round(LOOK_MARGIN * h)
    looked_at = clip_box(size_hw_px, (x - pad_x, y - pad_y, w + 2 * pad_x, h + 2 * pad_y))
    small_hw_px = working_size_hw_px(size_hw_px, MAP_PX)
    scale = small_hw_px[0] / size_hw_px[0]
    marked_hw01, box = np.zeros(small_hw_px, np.float32), _scaled(trimap.box_xywh_px, scale, small_hw_px)
    part = inside(_scaled(looked_at, scale, small_hw_px))
    marked_hw01[part] = cv2.resize(network(rgb_hwc_u8[inside(looked_at)]), marked_hw01[part].shape[::-1])
    marked_hw01[resize_labels(trimap.labels_hw_u8, small_hw_px) == BACKGROUND] = 0
    if (marked_hw01 >= 0.5).sum() < MIN_MARKED * box[2] * box[3]:
        return None
    within = resize_labels((marked_hw01 >= 0.5).astype(np.uint8), size_hw_px)
    kept = (trimap.labels_hw_u8 != MAYBE_FOREGROUND) | (within == 1)
    labels = np.where(kept, trimap.labels_hw_u8, MAYBE_BACKGROUND)
    facts = {**trimap.facts, "network": network.name, "origin": network.origin}
    prior = log_odds(marked_hw01)
    return replace(trimap, labels_hw_u8=labels, facts=facts, prior_hw=prior, marked_hw01=marked_hw01)


def _scaled(box_xywh_px: Box, scale: float, size_hw_px: tuple[int, int]) -> Box:
    """A box in a smaller picture."""
    x, y, w, h = (round(value * scale) for value in box_xywh_px)
    return clip_box(size_hw_px, (x, y, max(1, w), max(1, h)))
