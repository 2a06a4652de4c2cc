"""Faces keep their say inside a box."""

from dataclasses import replace

import numpy as np

from segment.faces import find_faces
from segment.masks import Box
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.prompts.face import people_labels
from segment.trimap import Trimap

HELD = 0.9  # of a face that lies in the box
FACE_WIDTH = 0.2  # of the box's: a driver's face says nothing about the car


def with_faces(trimap: Trimap, rgb_hwc_u8: np.ndarray) -> Trimap:
    """A box's trimap where the faces in it are surely foreground, and the bodies below them probably.

    Fact: `faces`, their number, if there are any.
    """
    box = trimap.box_xywh_px
    min_width_px = FACE_WIDTH * box[2] if box else 0
    faces = [face.box_xywh_px for face in find_faces(rgb_hwc_u8, min_width_px)]
    faces = [face for face in faces if box and face[2] >= min_width_px and _share_in(face, box) >= HELD]
    if not faces:
        return trimap
    labels, guess = trimap.labels_hw_u8.copy(), people_labels(trimap.labels_hw_u8.shape, faces)
    labels[(labels != BACKGROUND) & (guess == FOREGROUND)] = FOREGROUND
    labels[(labels == MAYBE_BACKGROUND) & (guess == MAYBE_FOREGROUND)] = MAYBE_FOREGROUND
    return replace(trimap, labels_hw_u8=labels, facts={**trimap.facts, "faces": len(faces)})


def _share_in(part_xywh_px: Box, box_xywh_px: Box) -> float:
    """How much of a box lies in another."""
    sides = [
        max(0, min(start + side, outer + length) - max(start, outer))
        for start, side, outer, length in zip(
            part_xywh_px[:2], part_xywh_px[2:], box_xywh_px[:2], box_xywh_px[2:], strict=True
        )
    ]
    return sides[0] * sides[1] / (part_xywh_px[2] * part_xywh_px[3])
