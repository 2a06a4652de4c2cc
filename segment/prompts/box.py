"""Prompt `box`: a box around the subject."""

from dataclasses import replace

import cv2
import numpy as np

from interp.errors import MaskError
from interp.pictures.sizes import working_size_hw_px
from segment.box import box_trimap, clip_box, inside, with_sure_middle
from segment.grabcut import Cut
from segment.masks import Box, bounding_box, resize_labels
from segment.opencv import BACKGROUND, MAYBE_BACKGROUND
from segment.people_in_box import with_faces, with_people
from segment.prompt import Prompt, Request
from segment.prompts.segmenter import log_odds
from segment.segmenters import Segmenter
from segment.trimap import Trimap

# A box is drawn around its subject, so a good cut reaches its sides (Lempitsky et al. 2009, the tightness prior).
# A box drawn loosely leaves a gap at every side; a gap at one alone means that a part of the subject was missed.
MIN_REACH = 0.6
MAX_LOPSIDED = 0.1
LOOK_MARGIN = 0.25  # around the box, in its sides: what a network sees of the surroundings
MAP_PX = 400  # long side of the map
MIN_MARKED = 0.1  # of the box: a network that marks less does not know the subject


class BoxPrompt(Prompt):
    """What is inside the box and differs from the outside, where a network for things is given by its map too.

    People in it keep what is known of them (`segment.people_in_box`). Facts as `box_trimap`, and `sure_middle`;
    `faces`, their number; `network` and `origin` of the network if it marks something in the box.
    """

    needs = "box_xywh_px"
    implied = True

    def trimap(self, request: Request) -> Trimap:
        """Probably foreground inside, surely background outside."""
        assert request.box_xywh_px is not None
        trimap = box_trimap(request.size_hw_px, request.box_xywh_px)
        people = with_people(trimap, request.rgb_hwc_u8, request.person) if request.person else None
        if people:
            return people
        if request.things is not None:
            trimap = marked_in_box(trimap, request.rgb_hwc_u8, request.things)
        return with_faces(trimap, request.rgb_hwc_u8)

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """The first of several cuts that reaches all sides of the box alike, or else the first.

        By the network's map, by deep features, by colours alone, in that order, as far as they are given; if it is
        far from a side, once more with a sure middle.
        """
        trimap = self.trimap(request)
        plain = trimap if trimap.marked_hw01 is None else self.trimap(replace(request, things=None))
        assert trimap.box_xywh_px is not None
        starts = [] if trimap.marked_hw01 is None else [(request, trimap)]
        starts += [] if request.describe is None else [(request, plain)]
        found: list[tuple[Trimap, Cut]] = []
        for asked, start in (*starts, (request.by_colours, plain)):
            try:
                cut = asked.cut(start)
            except MaskError:
                continue
            found.append((start, cut))
            if lopsidedness(bounding_box(cut.mask_hw), trimap.box_xywh_px) <= MAX_LOPSIDED:
                found.insert(0, found.pop())
                break
        if found and min(np.divide(bounding_box(found[0][1].mask_hw)[2:], trimap.box_xywh_px[2:])) >= MIN_REACH:
            return found[0]
        labels = with_sure_middle(plain.labels_hw_u8, trimap.box_xywh_px)
        sure = replace(plain, labels_hw_u8=labels, facts={**plain.facts, "sure_middle": True})
        return sure, request.cut(sure)


def lopsidedness(cut_xywh_px: Box, box_xywh_px: Box) -> float:
    """How much farther a cut stays from one side of its box than from another, in the box's sides."""
    (left, top, width, height), (x, y, w, h) = cut_xywh_px, box_xywh_px
    gaps = (left - x) / w, (top - y) / h, (x + w - left - width) / w, (y + h - top - height) / h
    return max(gaps) - min(gaps)


def marked_in_box(trimap: Trimap, rgb_hwc_u8: np.ndarray, network: Segmenter) -> Trimap:
    """A box's trimap with what a network marks in it: looked at closely, a subject is large and in the middle."""
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
        return trimap
    within = resize_labels((marked_hw01 >= 0.5).astype(np.uint8), size_hw_px)
    labels = np.where((trimap.labels_hw_u8 == BACKGROUND) | (within == 1), trimap.labels_hw_u8, MAYBE_BACKGROUND)
    facts = {**trimap.facts, "network": network.name, "origin": network.origin}
    prior = log_odds(marked_hw01)
    return replace(trimap, labels_hw_u8=labels, facts=facts, prior_hw=prior, marked_hw01=marked_hw01)


def _scaled(box_xywh_px: Box, scale: float, size_hw_px: tuple[int, int]) -> Box:
    """A box in a smaller picture."""
    x, y, w, h = (round(value * scale) for value in box_xywh_px)
    return clip_box(size_hw_px, (x, y, max(1, w), max(1, h)))
