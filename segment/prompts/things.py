"""Prompt `things`: the subject, whatever it is, by a network made for that (`segment.segmenters.things`)."""

from segment.grabcut import Cut
from segment.prompt import Prompt, Request
from segment.prompts.segmenter import SegmenterPrompt
from segment.trimap import Trimap


class ThingsPrompt(SegmenterPrompt):
    """As `SegmenterPrompt`. `auto` follows it wherever it marks something: where it is unsure, guesses are worse."""

    needs = "things"
    implied = False

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """Cut with deep features: on 100 ECSSD photos as good as colours alone (IoU .83), worst cuts less bad."""
        return Prompt.cut(self, request)
