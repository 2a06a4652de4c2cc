"""Of what the network sees: saliency maps, feature maps, a channel's own picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from interp.attribution.verdict import SaliencyVerdict, VerdictWord
from reports.blocks import Level
from reports.record import Conclusion, worse
from reports.wording import called, listed, number, percent

if TYPE_CHECKING:
    from interp.attribution.maximise import Maximised
    from interp.attribution.response import Cell, Response
    from interp.attribution.saliency import SaliencyMap
    from interp.network.classify import Prediction
    from interp.network.features import FeatureMaps

FEW_PHOTOS = 12
UNSEEN = 0.01  # a class to which the network gives less is not what it sees
FLAT = 2 / 255  # a picture whose values span no more has nothing to point at
RANKED_FOR = {
    "contrast": "tells the subject from its surroundings best",
    "gradient": "speaks most for the class",
}
METHODS = "--methods gradient,integrated-gradients,grad-cam"


def seen(prediction: "Prediction") -> str:
    """What the classifier sees, one sentence."""
    if not prediction.names:
        return "These weights know no classes."
    if prediction.unsure:
        return (
            f"The network is unsure what this is: its best guess, {called(prediction.names[0])!r}, has a probability "
            f"of only {percent(prediction.probabilities[0])}."
        )
    return f"The network sees {called(prediction.names[0])!r} (probability {percent(prediction.probabilities[0])})."


def saliency_conclusion(maps: "Sequence[SaliencyMap]", verdicts: Sequence[SaliencyVerdict]) -> Conclusion:
    """Conclude on one saliency map or several of one target."""
    first, prediction = maps[0], maps[0].prediction
    name, target = first.target.name, called(first.target.name)
    is_best = bool(prediction.names) and name == prediction.names[0]
    chance = _probability(first, verdicts[0])
    found = seen(prediction)
    if not is_best:
        given = f", to which it gives {percent(chance)}" if chance is not None else ""
        found = f"{found} Explained is {target!r}{given}."
    belief, advice, level = _map_words(verdicts[0], target) if len(maps) == 1 else _maps_words(maps, verdicts, target)
    if is_flat(first.input_chw01):
        belief = "The picture is one flat colour: whatever the network says of it, there is nothing in it to point at."
        return Conclusion(found, belief, "choose a photo with something in it.", "bad")
    if chance is not None and chance < UNSEEN and not is_best:
        belief = f"The network does not see {target!r} here: the map shows what little speaks for it. {belief}"
        advice = f"explain what it sees, --target {called(prediction.names[0])!r}, or choose a photo of {target!r}."
        level = worse(level, "doubt")
    elif prediction.names and prediction.unsure:
        advice = "choose a photo with one large subject, or name the class with --target; a guess explains little."
        level = worse(level, "doubt")
    return Conclusion(found, belief, advice, level)


def sanity_conclusion(maps: "Sequence[SaliencyMap]", verdicts: Sequence[SaliencyVerdict]) -> Conclusion:
    """Conclude on whether maps can be believed, which is what their page asks."""
    said = saliency_conclusion(maps, verdicts)
    how = "Each was held against chance, another class and a random last layer."
    return Conclusion(said.belief, f"{how} {said.found}", said.advice, said.level)


def is_flat(image_chw01: np.ndarray) -> bool:
    """Whether a picture is of one colour, to rounding."""
    return bool(np.ptp(image_chw01, axis=(1, 2)).max() <= FLAT)


def _probability(entry: "SaliencyMap", verdict: SaliencyVerdict) -> float | None:
    """What the network gives the class that is explained; if it is not among the best, before anything is deleted."""
    known = dict(zip(entry.prediction.names, entry.prediction.probabilities, strict=True))
    if entry.target.name in known:
        return known[entry.target.name]
    return verdict.deletion_curve[0] if verdict.deletion_curve else None


def most_believable(maps: "Sequence[SaliencyMap]", verdicts: Sequence[SaliencyVerdict]) -> int:
    """Which of several maps to show first: the first that can be believed, if any can."""
    words = [verdict.word for verdict in verdicts[: len(maps)]]
    return words.index(VerdictWord.CLASS) if VerdictWord.CLASS in words else 0


def _map_words(verdict: SaliencyVerdict, target: str) -> tuple[str, str, Level]:
    if verdict.word is VerdictWord.CLASS:
        belief = f"The map can be believed: the pixels it marks carry {target!r}, and another class gives another map."
        return belief, "see whether other methods agree: --methods all.", "good"
    if verdict.word is VerdictWord.EDGES:
        belief = (
            "Read the map as a drawing of edges: for another class, or with the network's last layer made random, it "
            "looks alike."
        )
        return belief, f"try methods that depend more on the class: {METHODS}.", "doubt"
    if verdict.word is VerdictWord.RANDOM:
        belief = f"Do not read the map: the pixels it marks matter no more to {target!r} than pixels drawn at random."
        return belief, f"try another method: {METHODS}.", "bad"
    return "The map could not be tested, so nothing says that it is right.", "name a class with --target.", "doubt"


def _maps_words(
    maps: "Sequence[SaliencyMap]", verdicts: Sequence[SaliencyVerdict], target: str
) -> tuple[str, str, Level]:
    good = [entry for entry, verdict in zip(maps, verdicts, strict=True) if verdict.word is VerdictWord.CLASS]
    if all(verdict.word is VerdictWord.NOT_TESTED for verdict in verdicts):
        return "None of the maps could be tested.", "name a class with --target.", "doubt"
    if not good:
        none = "Neither map" if len(maps) == 2 else f"None of the {len(maps)} maps"
        return f"{none} is about {target!r}.", "try --methods all, or a clearer photo.", "bad"
    titles = listed([entry.title for entry in good])
    if len(good) == len(maps):
        every = "Both" if len(maps) == 2 else f"All {len(maps)}"
        return f"{every} maps can be believed ({titles}).", "look where they agree.", "good"
    others = "The other shows" if len(maps) - len(good) == 1 else "The others show"
    belief = f"{len(good)} of {len(maps)} maps can be believed: {titles}. {others} edges or chance."
    return belief, f"read only the map{'s' if len(good) > 1 else ''} that passed.", "doubt"


def features_conclusion(maps: "Sequence[FeatureMaps]", shared_scale: bool, *, flat: bool = False) -> Conclusion:
    """Conclude on feature maps; `flat`: of a photo of one colour."""
    told, dead, total = [], sum(entry.stats.dead for entry in maps), sum(len(entry.stats.mean_c) for entry in maps)
    for entry in maps[:3]:
        best, does = _most_telling(entry)
        told.append(f"In {entry.layer} channel {best} {does}.")
    if dead:
        told.append(f"{dead} of {total} channels answer to nothing in this photo.")
    compare = (
        "all maps of a layer have one scale, so bright is bright."
        if shared_scale
        else "each map has its own scale, so brightness does not compare from map to map (--scale shared makes it)."
    )
    if flat:
        belief = (
            "The photo is one flat colour: what the maps show is its border, beyond which the network sees nothing."
        )
        return Conclusion(" ".join(told), belief, "choose a photo with something in it.", "doubt")
    best = f"{maps[-1].layer}:{_most_telling(maps[-1])[0]}"
    advice = f"maximise {best} PHOTOS makes the picture which that channel answers to most, and finds it in photos."
    return Conclusion(" ".join(told), f"This is what the network computes, no opinion; {compare}", advice, "good")


def _most_telling(maps: "FeatureMaps") -> tuple[int, str]:
    """The channel to name, and what it does: the first where channels were ranked for something, else the strongest."""
    if maps.selection.channels is None and maps.selection.rank in RANKED_FOR:
        return maps.channels[0], RANKED_FOR[maps.selection.rank]
    return maps.channels[int(maps.maps_khw.max(axis=(1, 2)).argmax())], "answers most strongly of those shown"


def maximise_conclusion(
    found: "Maximised", responses: "Mapping[str, Response]", cells: "Sequence[tuple[str, Cell]]"
) -> Conclusion:
    """Conclude on a picture made for a channel or class, and on the photos' cells that answer most, best first."""
    name, made = found.target.name, found.final
    photo = max(responses, key=lambda each: responses[each].value)
    natural = responses[photo].value
    if not made > max(natural, 0):
        less = f"no more than {photo} does" if not made > natural else f"not at all ({number(made)})"
        said = f"The picture made for {name} excites it {less}."
        return Conclusion(said, "The optimisation did not succeed.", "raise --iterations.", "bad")
    if natural > 0:
        said = f"{name} answers to the picture made for it {made / natural:.2g} times as much as to {photo}."
    else:
        whole = f"not to {photo} as a whole ({number(natural)})"
        said = f"{name} answers to the picture made for it ({number(made)}; below 0 is no answer), and {whole}."
    if cells:
        best, cell = cells[0]
        said += f" Its strongest cell, {number(cell.value)}, is in {best}." if cell.value > 0 else " No cell exceeds 0."
        excited = sum(entry.value > 0 for _, entry in cells)
        if 0 < excited < len(cells):
            does = "excites" if excited == 1 else "excite"
            said += f" Only {excited} of the {len(cells)} parts shown {does} it; the others come nearest."
    belief = "The picture is one of many that would do; what repeats in it is what the channel looks for."
    advice = "run it with another --seed: what stays is the channel's, what changes is luck."
    if cells and len(responses) < FEW_PHOTOS:
        advice += f" Give it {FEW_PHOTOS} photos or more: what their patches have in common says more than a few can."
    return Conclusion(said, belief, advice, "good")
