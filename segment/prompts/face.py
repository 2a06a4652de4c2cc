"""Prompt `face`: the people whose faces are found."""

import cv2
import numpy as np

from interp.errors import MaskError
from segment.faces import find_faces
from segment.grabcut import Cut
from segment.masks import Box, bounding_box
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.prompt import Prompt, Request
from segment.trimap import Trimap

COMPANION_SHARE = 0.6  # a further face this wide, of the main one, belongs to the subject too


class FacePrompt(Prompt):
    """A face is surely foreground, hair, shoulders and body probably, what is beside them probably not.

    A face is not a person, so this is a guess at where an upright person is; the colours decide. Facts: `faces`, their
    number; `face_xywh_px`, the main one; `confirmed`, how many detections agree on it.
    """

    def trimap(self, request: Request) -> Trimap:
        """Faces and the places of bodies below them."""
        faces = find_faces(request.rgb_hwc_u8)
        if not faces:
            raise MaskError(
                "No upright frontal face was found. Faces under 8 % of the long side are not looked for. "
                "Give a box around the person (--box X,Y,W,H), or use --prompt auto."
            )
        boxes = [face.box_xywh_px for face in faces]
        people = [box for box in boxes if box[2] >= COMPANION_SHARE * boxes[0][2]]
        labels = people_labels(request.size_hw_px, people)
        facts = {"faces": len(people), "face_xywh_px": list(boxes[0]), "confirmed": faces[0].confirmed}
        return Trimap(labels, "face", facts, bounding_box(labels != BACKGROUND))

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """Cut by colours: deep features were measured on boxes and contrast only."""
        return super().cut(request.by_colours)


def people_labels(size_hw_px: tuple[int, ...], faces_xywh_px: list[Box]) -> np.ndarray:
    """Labels of the people with these faces, (H, W) uint8."""
    labels = np.full(size_hw_px, BACKGROUND, dtype=np.uint8)
    for label, draw in (
        (MAYBE_BACKGROUND, _draw_surroundings),
        (MAYBE_FOREGROUND, _draw_body),
        (FOREGROUND, _draw_face),
    ):
        for box in faces_xywh_px:
            draw(labels, box, label)
    return labels


def _draw_surroundings(labels_hw_u8: np.ndarray, face_xywh_px: Box, label: int) -> None:
    """Where a person with this face can be: a face width beside the head, two beside the body, to the lower edge."""
    x, y, w, h = face_xywh_px
    bottom, top, chin, waist = labels_hw_u8.shape[0], y - 0.6 * h, y + h, y + 3 * h
    right = [(x + 2 * w, top), (x + 2 * w, chin), (x + 3 * w, waist), (x + 3 * w, bottom)]
    left = [(x - 2 * w, bottom), (x - 2 * w, waist), (x - w, chin), (x - w, top)]
    cv2.fillPoly(labels_hw_u8, [np.array(right + left).round().astype(np.int32)], label)


def _draw_body(labels_hw_u8: np.ndarray, face_xywh_px: Box, label: int) -> None:
    """An oval of 1.8 x 2.2 faces for head and hair, and below it a body with shoulders three faces wide."""
    x, y, w, h = face_xywh_px
    bottom, chin, shoulder = labels_hw_u8.shape[0], y + h, y + 1.8 * h
    cv2.ellipse(labels_hw_u8, ((x + w / 2, y + 0.4 * h), (1.8 * w, 2.2 * h), 0), label, cv2.FILLED)
    right = [(x + w, chin), (x + 2 * w, shoulder), (x + 2 * w, bottom)]
    left = [(x - w, bottom), (x - w, shoulder), (x, chin)]
    cv2.fillPoly(labels_hw_u8, [np.array(right + left).round().astype(np.int32)], label)


def _draw_face(labels_hw_u8: np.ndarray, face_xywh_px: Box, label: int) -> None:
    """The face's ellipse, and half as wide the neck and upper chest."""
    x, y, w, h = face_xywh_px
    cv2.ellipse(labels_hw_u8, ((x + w / 2, y + h / 2), (w, h), 0), label, cv2.FILLED)
    upper, lower = (x + w // 4, y + round(0.8 * h)), (x + w - w // 4, y + 2 * h)
    cv2.rectangle(labels_hw_u8, upper, lower, label, cv2.FILLED)
