"""How the foreground was found, in words: for the terminal, for the report, for the measures."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from reports.wording import percent

if TYPE_CHECKING:
    from segment.segmentation import Segmentation
    from segment.trimap import Passed

GIVE_A_BOX = "give a box (--box X,Y,W,H)"


def how_found(segmentation: "Segmentation") -> str:
    """Which prompt found the foreground, by what, and why not those that `auto` asked before; one sentence."""
    facts = segmentation.facts
    words = WORDS.get(segmentation.prompt, lambda facts: "it marks the subject")(facts)
    if "strokes_inside" in facts:
        words += f", with strokes: {facts['strokes_inside']} of foreground, {facts['strokes_outside']} of background"
    return f"Prompt {segmentation.prompt}: {'; '.join([words, *map(why_not, segmentation.passed)])}."


def why_not(passed: "Passed") -> str:
    """Why `auto` did not follow a prompt, a clause."""
    from segment.trimap import Doubt

    if passed.why is Doubt.NOT_GIVEN:
        return NOT_GIVEN.get(passed.prompt, f"nothing was given for the {passed.prompt} prompt")
    if passed.why is Doubt.NOT_FOUND:
        return NOT_FOUND.get(passed.prompt, f"the {passed.prompt} prompt found nothing")
    if passed.why is Doubt.UNSURE:
        return f"the network of the {passed.prompt} prompt is sure of nothing"
    return f"the {passed.prompt} prompt's cut {_odd(passed.why, passed.area_share)}"


def doubts(segmentation: "Segmentation") -> tuple[str, ...]:
    """What to look at, in sentences."""
    return tuple(_doubt(doubt, segmentation) for doubt in segmentation.doubts)


def _doubt(doubt: str, segmentation: "Segmentation") -> str:
    from segment.trimap import Doubt

    if doubt is Doubt.BOX_CLIPPED:
        height, width = segmentation.mask_hw.shape
        asked, used = (_box(box) for box in (segmentation.facts["asked_xywh_px"], segmentation.box_xywh_px))
        return f"Box {asked} reaches outside the photo of {width}x{height} px; {used} was used."
    boxed = segmentation.prompt == "box"
    advice = "correct it with strokes (--hints FILE) or points (--point X,Y, --not X,Y)" if boxed else GIVE_A_BOX
    if doubt is Doubt.SHARED_COLOURS:
        return f"Inside and outside share many colours: check the outline, or {advice}."
    if doubt is Doubt.UNSURE:
        return f"The network for people is not sure of what it marks: check the cut, or {advice}."
    if doubt is Doubt.DOUBTFUL:
        return f"The cut may be wrong (confidence {segmentation.confidence:.2f}): check it, or {advice}."
    if doubt is Doubt.SMALL:
        return f"The region is only {segmentation.area_share:.2%} of the picture."
    return f"The cut {_odd(doubt, segmentation.area_share)}: check it, or {advice}."


def _odd(doubt: str, area_share: float) -> str:
    from segment.trimap import Doubt

    return f"covers {percent(area_share)} of the picture" if doubt is Doubt.AREA else "is scattered"


def _box(box_xywh_px: Any) -> str:
    return ",".join(str(value) for value in box_xywh_px)


def _face(facts: Mapping[str, Any]) -> str:
    x, y, w, h = facts["face_xywh_px"]
    found = "a face was found" if facts["faces"] == 1 else f"{facts['faces']} faces were found"
    return f"{found} ({w}x{h} px at {x},{y}, confirmed {facts['confirmed']} times)"


def _given_box(facts: Mapping[str, Any]) -> str:
    middle = ", and its middle taken as sure, for a first cut did not fill it" if facts.get("sure_middle") else ""
    by = f", and {facts['network']} marks the subject in it" if "network" in facts else ""
    return f"the box {_box(facts['asked_xywh_px'])} was given{by}{middle}"


def _network(facts: Mapping[str, Any]) -> str:
    return (
        f"{facts['network']} marks the subject ({percent(facts['share'])} of the picture, probability "
        f"{facts['probability']:.2f} there; undecided are {percent(facts['undecided'])} as many pixels)"
    )


CONTRASTS = {
    "colour": "colours that differ from the border's, near the middle, mark the subject",
    "sharpness": "the sharpest part near the middle marks the subject",
    "features": "deep features and colours that differ from the border's mark the subject",
}
WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {  # of other prompts: that they mark the subject
    "box": _given_box,
    "contrast": lambda facts: CONTRASTS[facts["by"]],
    "face": _face,
    "hints": lambda facts: _given_box(facts) if "asked_xywh_px" in facts else "strokes were given",
    "mask": lambda facts: "an earlier mask was given" if facts["corrected"] else "the mask was given",
    "person": _network,
    "segmenter": _network,
    "things": _network,
    "saliency": lambda facts: "the network's class evidence marks the subject",
}
NOT_FOUND = {"face": "no upright frontal face was found"}
NOT_GIVEN = {
    "saliency": "no saliency map was to be trusted",
    "things": "the network for things was not asked",
    "person": "the network for people is not there (python cli.py weights fetch person)",
}
