"""Prompt `person`: people, by a network made for them (`segment.segmenters.selfie`)."""

import cv2
import numpy as np

from segment.prompt import Request
from segment.prompts.segmenter import SURE, SegmenterPrompt, is_sure, measured
from segment.segmenters import Segmenter
from segment.trimap import Doubt, Trimap

# Overlap of what two networks mark from which on they speak of one thing. Uncut, people on 100 ECSSD photos then gain
# .018 (.829 to .847), and 70 that the things network has not seen .012 (.805 to .817); chosen on both.
AGREEMENT = 0.6


class PersonPrompt(SegmenterPrompt):
    """As `SegmenterPrompt`; by the mean of both maps where the network for things marks the same.

    `auto` follows it there, and where the network for people alone is sure.
    """

    needs = "person"
    implied = False

    def trimap(self, request: Request) -> Trimap:
        """Doubted where `auto` would not follow it."""
        trimap = super().trimap(request)
        alone = request.person is not None and trimap.facts["network"] == request.person.name
        return trimap.doubted(Doubt.UNSURE) if alone and not is_sure(trimap.facts) else trimap

    def objection(self, request: Request) -> Doubt | None:
        """That the network is not there, or neither sure nor of the other's opinion."""
        if request.person is None:
            return Doubt.NOT_GIVEN
        inside_hw01, networks = self.asked(request)
        return None if len(networks) > 1 or is_sure(measured(inside_hw01)) else Doubt.UNSURE

    def asked(self, request: Request) -> tuple[np.ndarray, list[Segmenter]]:
        """The network for people, with the one for things if they agree."""
        people_hw01, networks = super().asked(request)
        if request.things is None:
            return people_hw01, networks
        things_hw01 = request.things(request.rgb_hwc_u8)
        things_hw01 = cv2.resize(things_hw01, people_hw01.shape[::-1], interpolation=cv2.INTER_LINEAR)
        if overlap(people_hw01 >= 0.5, things_hw01 >= 0.5) < AGREEMENT:
            return people_hw01, networks
        mean_hw01 = (people_hw01 + things_hw01) / 2
        if is_sure(measured(people_hw01)):  # then what it rules out stays out, such as a flag behind a shoulder
            mean_hw01 = np.where(people_hw01 <= 1 - SURE, people_hw01, mean_hw01)
        return mean_hw01, [*networks, request.things]


def overlap(a_hw: np.ndarray, b_hw: np.ndarray) -> float:
    """Intersection over union; 0 of nothing."""
    return float((a_hw & b_hw).sum() / max(1, (a_hw | b_hw).sum()))
