"""What is known of people keeps its say inside a box: their faces, and the network that marks them."""

from dataclasses import replace

import cv2
import numpy as np

from interp.pictures.sizes import working_size_hw_px
from segment.box import inside
from segment.faces import find_faces
from segment.masks import Box, bounding_box
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.prompts.face import people_labels
from segment.prompts.segmenter import SURE, SURE_UNDECIDED, log_odds, measured
from segment.segmenters import Segmenter
from segment.trimap import Trimap

HELD = 0.9  # of a face, or of a person, that lies in the box
FACE_WIDTH = 0.2  # of the box's: a driver's face says nothing about the car
REACH = 0.8  # of the box's sides: the people that it was drawn around fill it
MAP_PX = 400  # long side of the map


def with_faces(trimap: Trimap, rgb_hwc_u8: np.ndarray) -> Trimap:
    """A box's trimap where the faces in it are surely foreground, and the bodies below them probably.

    Fact: `faces`, their number, if there are any.
    """
    box = trimap.box_xywh_px
    faces = [face.box_xywh_px for face in find_faces(rgb_hwc_u8)]
    faces = [face for face in faces if box and face[2] >= FACE_WIDTH * box[2] and _share_in(face, box) >= HELD]
    if not faces:
        return trimap
    labels, guess = trimap.labels_hw_u8.copy(), people_labels(trimap.labels_hw_u8.shape, faces)
    labels[(labels != BACKGROUND) & (guess == FOREGROUND)] = FOREGROUND
    labels[(labels == MAYBE_BACKGROUND) & (guess == MAYBE_FOREGROUND)] = MAYBE_FOREGROUND
    return replace(trimap, labels_hw_u8=labels, facts={**trimap.facts, "faces": len(faces)})


def with_people(trimap: Trimap, rgb_hwc_u8: np.ndarray, network: Segmenter) -> Trimap | None:
    """A box's trimap by what a network for people marks; None unless it is sure, and the people fill the box.

    Facts: `network` and `origin`.
    """
    marked_hw01 = network(rgb_hwc_u8)
    size_hw_px = rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]
    large_hw01 = cv2.resize(marked_hw01, size_hw_px[::-1], interpolation=cv2.INTER_LINEAR)
    box = trimap.box_xywh_px
    people_hw = np.zeros(size_hw_px, bool) if box is None else _pieces_in(large_hw01 >= 0.5, box)
    if box is None or not people_hw.any() or measured(marked_hw01)["undecided"] > SURE_UNDECIDED:
        return None
    if min(np.divide(bounding_box(people_hw)[2:], box[2:])) < REACH:
        return None
    others = (large_hw01 >= 0.5) & ~people_hw
    large_hw01 = np.where(others | (trimap.labels_hw_u8 == BACKGROUND), 0, large_hw01).astype(np.float32)
    labels = np.where(large_hw01 >= 0.5, MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    labels[large_hw01 <= 1 - SURE], labels[large_hw01 >= SURE] = BACKGROUND, FOREGROUND
    small_hw01 = cv2.resize(large_hw01, working_size_hw_px(size_hw_px, MAP_PX)[::-1], interpolation=cv2.INTER_AREA)
    facts = {**trimap.facts, "network": network.name, "origin": network.origin}
    prior = log_odds(small_hw01)
    return replace(trimap, labels_hw_u8=labels, facts=facts, prior_hw=prior, marked_hw01=small_hw01)


def _pieces_in(mask_hw: np.ndarray, box_xywh_px: Box) -> np.ndarray:
    """The pieces of a mask of which nearly all lies in a box."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8))
    within = np.bincount(numbers[inside(box_xywh_px)].ravel(), minlength=count)
    held = within >= HELD * stats[:, cv2.CC_STAT_AREA]
    held[0] = False  # the background
    return held[np.asarray(numbers, dtype=np.intp)]


def _share_in(part_xywh_px: Box, box_xywh_px: Box) -> float:
    """How much of a box lies in another."""
    sides = [
        max(0, min(start + side, outer + length) - max(start, outer))
        for start, side, outer, length in zip(
            part_xywh_px[:2], part_xywh_px[2:], box_xywh_px[:2], box_xywh_px[2:], strict=True
        )
    ]
    return sides[0] * sides[1] / (part_xywh_px[2] * part_xywh_px[3])
