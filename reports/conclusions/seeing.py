"""Of what the network sees: saliency maps, feature maps, a channel's own picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from interp.attribution.verdict import SaliencyVerdict, VerdictWord
from reports.blocks import Level
from reports.record import Conclusion, worse
from reports.wording import number, percent

if TYPE_CHECKING:
    from interp.attribution.maximise import Maximised
    from interp.attribution.response import Cell, Response
    from interp.attribution.saliency import SaliencyMap
    from interp.network.classify import Prediction
    from interp.network.features import FeatureMaps

FEW_PHOTOS = 12
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
            f"The network is unsure what this is: its best guess, {prediction.names[0]!r}, has a probability of only "
            f"{percent(prediction.probabilities[0])}."
        )
    return f"The network sees {prediction.names[0]!r} (probability {percent(prediction.probabilities[0])})."


def saliency_conclusion(maps: "Sequence[SaliencyMap]", verdicts: Sequence[SaliencyVerdict]) -> Conclusion:
    """Conclude on one saliency map or several of one target."""
    first, target = maps[0], maps[0].target.name
    found = seen(first.prediction)
    if not first.prediction.names or target != first.prediction.names[0]:
        found = f"Explained is {target!r}. {found}"
    if len(maps) == 1:
        belief, advice, level = _map_words(verdicts[0], target)
    else:
        belief, advice, level = _maps_words(maps, verdicts, target)
    if first.prediction.names and first.prediction.unsure:
        advice = "choose a photo with one large subject, or name the class with --target; a guess explains little."
        level = worse(level, "doubt")
    return Conclusion(found, belief, advice, level)


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
            "Read the map as a drawing of edges: for another class, or a network that has forgotten, it looks alike."
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
        return f"None of the {len(maps)} maps is about {target!r}.", "try --methods all, or a clearer photo.", "bad"
    titles = ", ".join(entry.title for entry in good)
    if len(good) == len(maps):
        every = "Both" if len(maps) == 2 else f"All {len(maps)}"
        return f"{every} maps can be believed ({titles}).", "look where they agree.", "good"
    belief = f"{len(good)} of {len(maps)} maps can be believed: {titles}. The others show edges or chance."
    return belief, "read only the maps that passed.", "doubt"


def features_conclusion(maps: "Sequence[FeatureMaps]", shared_scale: bool) -> Conclusion:
    """Conclude on feature maps."""
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
        said = f"{name} answers to the picture made for it ({number(made)}), and {whole}."
    if cells:
        best, cell = cells[0]
        said += f" Its strongest cell, {number(cell.value)}, is in {best}." if cell.value > 0 else " No cell exceeds 0."
    belief = "The picture is one of many that would do; what repeats in it is what the channel looks for."
    advice = "run it with another --seed: what stays is the channel's, what changes is luck."
    if cells and len(responses) < FEW_PHOTOS:
        advice += f" Give it {FEW_PHOTOS} photos or more: what their patches have in common says more than a few can."
    return Conclusion(said, belief, advice, "good")
