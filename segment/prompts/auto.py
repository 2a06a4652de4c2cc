"""Prompt `auto`: the first of several that gives a plausible cut."""

from dataclasses import replace

from interp.errors import MaskError
from segment.grabcut import Cut
from segment.opencv import WHAT_TO_TRY
from segment.plausibility import implausible
from segment.prompt import Prompt, Request, prompt_named
from segment.trimap import Doubt, Passed, Trimap

ORDER = ("person", "things", "face", "saliency", "contrast")  # the last one's cut is taken even where it looks odd


class AutoPrompt(Prompt):
    """The trimap is the chosen prompt's, with those that were passed over and why."""

    def trimap(self, request: Request) -> Trimap:
        """Of the chosen prompt."""
        return self.cut(request)[0]

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """Ask one after the other."""
        passed: list[Passed] = []
        words = ""
        for name in ORDER:
            prompt = prompt_named(name)
            objection = prompt.objection(request)
            if objection:
                passed.append(Passed(name, objection))
                continue
            try:
                trimap, cut = prompt.cut(request)
            except MaskError as error:
                passed.append(Passed(name, Doubt.NOT_FOUND))
                words = str(error)
                continue
            odd = implausible(cut.mask_hw)
            if odd and name != ORDER[-1]:
                passed.append(Passed(name, odd, float(cut.mask_hw.mean())))
                continue
            trimap = trimap.doubted(odd) if odd else trimap
            return replace(trimap, passed=tuple(passed)), cut
        raise MaskError(f"No subject was found; prompt {ORDER[-1]}, the last one asked: {words} {WHAT_TO_TRY}")
