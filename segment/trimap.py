"""What a cut starts from: which pixels are surely or probably foreground, in the photo's pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import cv2
import numpy as np

from segment.contrast import unit
from segment.masks import Box, resize_labels
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND

# Simonyan et al. 2013, section 3.2: above the 95 % quantile is object, below the 30 % quantile background.
SURE_QUANTILE, BACKGROUND_QUANTILE = 0.95, 0.30


class Doubt(StrEnum):
    """What is odd about a prompt or its cut."""

    NOT_FOUND = "not found"  # the prompt found nothing to cut
    NOT_GIVEN = "not given"  # what the prompt goes by
    DOUBTFUL = "doubtful"  # the cut, by what a network marks
    UNSURE = "unsure"  # the network that marks the subject
    AREA = "area"  # hardly any of the picture, or nearly all
    SCATTERED = "scattered"  # rather than one piece
    SHARED_COLOURS = "shared colours"  # inside and outside
    BOX_CLIPPED = "box clipped"  # a part of the given box lies outside the photo
    SMALL = "small"  # under a hundredth of the picture


@dataclass(frozen=True)
class Passed:
    """A prompt that `auto` asked and did not follow.

    Attributes:
        prompt: Which.
        why: What was wrong.
        area_share: Of its cut in the picture; 0 without one.
    """

    prompt: str
    why: Doubt
    area_share: float = 0.0


@dataclass(frozen=True)
class Trimap:
    """What a cut starts from, and how that came about.

    Attributes:
        labels_hw_u8: (H, W) uint8, cv2's labels: 0 and 1 sure, 2 and 3 probable background and foreground.
        prompt: Name of the prompt that made it.
        facts: What the prompt found, plain JSON values by name; the prompt's class says which.
        box_xywh_px: The part of the picture that may become foreground, where the prompt limits it.
        prior_hw: (h, w), the photo's shape at any size: log odds of being foreground by place alone, for a deep cut.
        marked_hw01: (h, w), likewise: the probability of being the subject, where a network gave one.
        passed: What `auto` asked before.
        doubts: For the user to look at.
    """

    labels_hw_u8: np.ndarray = field(repr=False)
    prompt: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    box_xywh_px: Box | None = None
    prior_hw: np.ndarray | None = field(repr=False, default=None)
    marked_hw01: np.ndarray | None = field(repr=False, default=None)
    passed: tuple[Passed, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    def doubted(self, *doubts: Doubt) -> "Trimap":
        """The same with more doubts."""
        return replace(self, doubts=(*self.doubts, *doubts))


def map_labels(map_hw: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    """Labels from a map of what stands out: its quantiles are sure, Otsu's threshold splits the rest.

    Args:
        map_hw: (h, w), any size, large = foreground.
        size_hw_px: The photo's height and width.

    Returns:
        (H, W) uint8, labels 0 to 3.
    """
    labels = np.where(above_otsu(map_hw), MAYBE_FOREGROUND, MAYBE_BACKGROUND).astype(np.uint8)
    labels[map_hw <= np.quantile(map_hw, BACKGROUND_QUANTILE)] = BACKGROUND
    labels[map_hw >= np.quantile(map_hw, SURE_QUANTILE)] = FOREGROUND
    return resize_labels(labels, size_hw_px)


def above_otsu(map_hw: np.ndarray) -> np.ndarray:
    """Where a map is above the threshold that splits it best into two classes (Otsu 1979)."""
    values_u8 = np.round(unit(map_hw) * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(values_u8, 0, 255, cv2.THRESH_OTSU)
    return values_u8 > threshold
