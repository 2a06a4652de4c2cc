"""Conclusions: what was found, whether to believe it, what to try next; sentences that follow the numbers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from interp.attribution.verdict import SaliencyVerdict, VerdictWord
from reports.record import Conclusion, Level
from reports.wording import percent

if TYPE_CHECKING:
    from interp.attribution.maximise import Maximised, Response
    from interp.attribution.saliency import SaliencyMap
    from interp.network.classify import Prediction
    from interp.network.features import FeatureMaps
    from interp.statistics.gram_compare import GramComparison, LayerStyle
    from interp.statistics.layers import LayerChoice
    from segment.kmeans import Clusters
    from segment.segmentation import Segmentation
    from stylize.isolate import Isolation
    from stylize.standings import Standing
    from stylize.sweep import Attempt

STRONG, SOME, NONE = 0.7, 0.35, 0.05  # share of the way to the painting's style: words only, no measurement
OUTLINES, LOST = 0.6, 0.3  # edges kept, a correlation
METHODS = "--methods gradient,integrated-gradients,grad-cam"


def stylize_conclusion(
    regions: Sequence[tuple[str, float, float]],
    isolation: "Isolation",
    doubts: Sequence[str],
    *,
    interrupted: bool = False,
    finer_px: int | None = None,
) -> Conclusion:
    """Conclude on a restyling.

    Args:
        regions: Name, share of the photo's style distance that is gone, edges kept (NaN where not measured) of each.
        isolation: What was measured outside.
        doubts: Sentences about the cut.
        interrupted: Whether it was stopped early.
        finer_px: A larger working size that the photo allows, if there is one.
    """
    found = " ".join(_style_sentence(*entry) for entry in regions)
    shares, edges = [share for _, share, _ in regions], [kept for *_, kept in regions if not math.isnan(kept)]
    belief, level = _isolation_belief(isolation)
    if doubts:
        belief, level = f"{belief} The cut itself is doubtful: {' '.join(doubts)}", _worse(level, "doubt")
    if interrupted:
        belief, level = f"{belief} But the run was stopped before its end.", _worse(level, "doubt")
    if not min(shares) > NONE:
        level = _worse(level, "doubt")
    if interrupted:
        advice = "run it again and let it finish, for more of the style."
    elif doubts:
        advice = (
            "look at the outline under Region; where it is wrong, give --box, or mark places with --point and --not."
        )
    elif not min(shares) > SOME:
        advice = "for more of the style, raise --strength or --iterations."
    elif edges and min(edges) < LOST:
        advice = "for more of the photo, lower --strength."
    elif finer_px:
        advice = f"the photo allows finer strokes: --size {finer_px} (it takes longer)."
    else:
        advice = "--strength makes the style weaker or stronger; another painting is --style FILE."
    return Conclusion(found, belief, advice, level)


def _style_sentence(region: str, share: float, edges_kept: float) -> str:
    if math.isnan(share):
        return f"The {region} was restyled; it is too small to measure how far."
    if share <= NONE:
        return f"The {region} did not come closer to the painting's style."
    much = "takes on" if share >= STRONG else "takes on some of" if share >= SOME else "hardly takes on"
    sentence = (
        f"The {region} {much} the painting's style: {percent(min(share, 1))} of the difference between them is gone"
    )
    if edges_kept >= OUTLINES:
        return f"{sentence}, and the photo's outlines are still there."
    if edges_kept < LOST:
        return f"{sentence}, and so are most of the photo's outlines."
    return f"{sentence}."


def _isolation_belief(isolation: "Isolation") -> tuple[str, Level]:
    if not isolation.outside_pixels:
        return "The style was measured with a ruler that the optimisation did not see.", "good"
    if isolation.max_abs_outside:
        return f"Pixels outside the region changed, by up to {isolation.max_abs_outside} of {isolation.white}.", "bad"
    return f"Nothing outside was touched: {isolation.outside_pixels:,} pixels are the photo's, bit for bit.", "good"


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
        level = _worse(level, "doubt")
    return Conclusion(found, belief, advice, level)


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
        return f"All {len(maps)} maps can be believed ({titles}).", "look where they agree.", "good"
    belief = f"{len(good)} of {len(maps)} maps can be believed: {titles}. The others show edges or chance."
    return belief, "read only the maps that passed.", "doubt"


def segment_conclusion(segmentation: "Segmentation", how: str, doubts: Sequence[str]) -> Conclusion:
    """Conclude on a cut; `how` it was found, and the sentences of what to look at."""
    pieces = "one piece" if segmentation.components == 1 else f"{segmentation.components:,} pieces"
    found = f"The foreground covers {percent(segmentation.area_share)} of the photo, in {pieces}."
    if doubts:
        advice = "compare the outline with the photo; give --box X,Y,W,H, or mark places with --point and --not."
        return Conclusion(found, f"Doubtful: {' '.join(doubts)}", advice, "doubt")
    if segmentation.prompt == "mask":
        return Conclusion(found, "The mask was given, so it is as good as its maker.", _USE, "good")
    belief = f"Nothing speaks against it. {how}"
    return Conclusion(found, belief, f"where the outline is wrong, mark it: --point X,Y --not X,Y. {_USE}", "good")


_USE = "Restyle behind or inside it: stylize PHOTO --mask with the mask file."


def features_conclusion(maps: "Sequence[FeatureMaps]", shared_scale: bool) -> Conclusion:
    """Conclude on feature maps."""
    told, dead, total = [], sum(entry.stats.dead for entry in maps), sum(len(entry.stats.mean_c) for entry in maps)
    for entry in maps[:3]:
        best = entry.channels[int(entry.maps_khw.max(axis=(1, 2)).argmax())]
        told.append(f"In {entry.layer} channel {best} answers most strongly of those shown.")
    if dead:
        told.append(f"{dead} of {total} channels answer to nothing in this photo.")
    compare = (
        "all maps of a layer have one scale, so bright is bright."
        if shared_scale
        else "each map has its own scale, so brightness does not compare from map to map (--scale shared makes it)."
    )
    last = maps[-1]
    best = last.channels[int(last.maps_khw.max(axis=(1, 2)).argmax())]
    advice = f"maximise {last.layer}:{best} makes the picture which that channel answers to most."
    return Conclusion(" ".join(told), f"This is what the network computes, no opinion; {compare}", advice, "good")


def layers_conclusion(choice: "LayerChoice") -> Conclusion:
    """Conclude on the evidence for layers."""
    told = [entry for entry in choice.style_evidence if not math.isnan(entry.ratio)]
    beyond = [entry for entry in told if entry.beyond_chance]
    if not told:
        return Conclusion("Painting or photo is too small to compare.", "Nothing was measured.", "use --size.", "doubt")
    best = max(told, key=lambda entry: abs(math.log(max(entry.ratio, 1e-9))))
    more = f"{best.ratio:.2g} times the photo's" if best.ratio >= 1 else f"only {best.ratio:.2g} times the photo's"
    found = f"Painting and photo differ most at {best.layer}: the painting has {more} detail of that scale."
    if beyond:
        belief, level = f"At {len(beyond)} of {len(told)} layers the difference is more than chance gives.", "good"
    else:
        belief, level = "No layer tells the two apart by more than chance gives: the choice hardly matters.", "doubt"
    advice = "stylize --layer-choice auto takes the layers that the evidence names"
    if choice.mode == "evidence":
        advice += f": style from {', '.join(choice.style_weights)}, content from {choice.content_layer}"
    return Conclusion(found, belief, f"{advice}; without it, the usual ones.", level)


def gram_conclusion(comparison: "GramComparison", names: Sequence[str]) -> Conclusion:
    """Conclude on Gram matrices of one picture or several."""
    if not comparison.layers:
        return _one_style(comparison.styles[0], names[0])
    best = next((entry for entry in comparison.layers if entry.layer == comparison.best), None)
    if best is None:
        found = "The pictures are too small for any layer to be measured."
        return Conclusion(found, "Nothing was measured.", "use a larger --size, or larger pictures.", "doubt")
    couples, (one, other) = len(names) * (len(names) - 1) // 2, best.farthest
    found = (
        f"{best.layer} tells these pictures apart best; {names[one]} and {names[other]} are farthest apart in style."
    )
    if best.beyond_chance == couples:
        belief, level = "Every pair differs by more than parts of one picture differ among themselves.", "good"
    elif best.beyond_chance:
        belief = f"{best.beyond_chance} of {couples} pairs differ by more than chance gives; the others may be alike."
        level = "doubt"
    else:
        belief, level = "No pair differs by more than chance gives: call their styles alike.", "doubt"
    return Conclusion(found, belief, f"stylize --style-layers {best.layer} restyles with what differs.", level)


def _one_style(style: "Sequence[LayerStyle]", name: str) -> Conclusion:
    measured = [entry for entry in style if not math.isnan(entry.stationarity)]
    if not measured:
        found = f"{name} is too small to say whether its style is the same everywhere."
        return Conclusion(found, "Nothing was compared.", "use a larger --size.", "doubt")
    most = max(measured, key=lambda entry: entry.stationarity)
    least = min(measured, key=lambda entry: entry.stationarity)
    found = (
        f"The style of {name} is most alike all over at {most.stats.layer} ({most.stationarity:.2f} of 1), least at "
        f"{least.stats.layer} ({least.stationarity:.2f})."
    )
    belief = "These figures describe one picture; a style is told from another only by comparing."
    return Conclusion(found, belief, f"gram {name} OTHER says which layers tell the two apart.", "good")


def clusters_conclusion(clusters: "Clusters", why: str, neutrality: str) -> Conclusion:
    """Conclude on clusters of pixels."""
    big = max(range(clusters.k), key=lambda place: clusters.shares[place])
    found = (
        f"The photo falls into {clusters.k} groups of pixels; the largest holds {percent(clusters.shares[big])} of it."
    )
    advice = {
        "good": "segment PHOTO should cut this photo by itself.",
        "doubt": "segment PHOTO, and look at the outline; --box helps.",
        "bad": "segment PHOTO --box X,Y,W,H, with the subject in the box.",
    }[clusters.neutral]
    return Conclusion(found, f"{neutrality} {why}", advice, clusters.neutral)


def compare_conclusion(standings: "Sequence[Standing]", claim: str | None, pairs: int) -> Conclusion:
    """Conclude on a comparison of ways."""
    names = list(standings[0].values) if standings else []
    won = {name: sum(standing.winners == (name,) for standing in standings) for name in names}
    best = [name for name in names if won[name] == max(won.values())]
    if not names or not max(won.values()):
        found = "No way wins on anything alone."
    elif len(best) == 1:
        found = f"{best[0]} wins on most: {won[best[0]]} of {len(standings)} criteria."
    else:
        found = f"{' and '.join(best)} win on equally many criteria: {won[best[0]]} of {len(standings)} each."
    belief = f"{claim} " if claim else ""
    belief += (
        "One pair of pictures: another pair may rank the ways differently."
        if pairs == 1
        else f"The mean over {pairs} pairs of pictures."
    )
    advice = "trust your eyes first; --also PHOTO adds pairs, --why asks which difference matters."
    return Conclusion(found, belief, advice, "doubt" if pairs == 1 else "good")


def sweep_conclusion(attempts: "Sequence[Attempt]", best: "Attempt", preset: str) -> Conclusion:
    """Conclude on a sweep."""
    front = sum(attempt.on_front for attempt in attempts)
    style, lost, _ = best.objectives
    gone = f"{percent(1 - style)} of the distance to the painting's patches is gone" if style < 1 else "no closer"
    found = (
        f"Trial {best.number} of {len(attempts)} was chosen: {gone}, and {percent(min(1, lost))} of the edges are lost."
    )
    belief = f"{front} trials are not beaten by any other; which of them is best is a matter of taste."
    if len(attempts) < 10:
        belief += f" {len(attempts)} trials are few: the search has hardly begun."
    advice = f"stylize PHOTO --preset {preset} uses it at full size; more trials: --resume."
    return Conclusion(found, belief, advice, "good" if len(attempts) >= 10 else "doubt")


def maximise_conclusion(found: "Maximised", response: "Response", photo: str) -> Conclusion:
    """Conclude on a picture made for a channel or class."""
    name, made, natural = found.target.name, found.final, response.value
    if not made > natural:
        said = f"The picture made for {name} excites it no more than {photo} does."
        return Conclusion(said, "The optimisation did not succeed.", "raise --iterations.", "bad")
    much = f"{made / natural:.2g} times as much as" if natural > 0 else "and does not answer to"
    said = f"{name} answers to the picture made for it {much} {photo}."
    belief = "The picture is one of many that would do; what repeats in it is what the channel looks for."
    return Conclusion(
        said, belief, "run it with another --seed: what stays is the channel's, what changes is luck.", "good"
    )


def _worse(one: Level, other: Level) -> Level:
    order: tuple[Level, ...] = ("good", "doubt", "bad")
    return order[max(order.index(one), order.index(other))]
