"""Prompt `hints`: strokes, and a box if they come with one, say all that is known."""

from segment.hints import hints_trimap
from segment.prompt import Prompt, Request
from segment.trimap import Trimap


class HintsPrompt(Prompt):
    """What is like the strokes of foreground and near them, or in the hints' box."""

    needs = "hints"

    def trimap(self, request: Request) -> Trimap:
        """The box, or what lies near the strokes; `Prompt.find` draws the strokes themselves."""
        assert request.hints is not None
        return hints_trimap(request.size_hw_px, request.hints)
