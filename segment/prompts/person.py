"""Prompt `person`: people, by a network made for them (`segment.segmenters.selfie`)."""

from segment.prompt import Request
from segment.prompts.segmenter import SegmenterPrompt, is_sure, measured
from segment.trimap import Doubt


class PersonPrompt(SegmenterPrompt):
    """As `SegmenterPrompt`; `auto` follows it where the network is sure."""

    needs = "person"
    implied = False

    def objection(self, request: Request) -> Doubt | None:
        """That the network is not there, or not sure."""
        if request.person is None:
            return Doubt.NOT_GIVEN
        facts = measured(request.person(request.rgb_hwc_u8))
        return None if is_sure(facts) else Doubt.UNSURE
