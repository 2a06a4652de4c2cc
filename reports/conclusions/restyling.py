"""Of a restyling, a comparison, a sweep."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.blocks import Level
from reports.record import Conclusion, worse
from reports.wording import listed, percent
from stylize.standings import About, best_at

if TYPE_CHECKING:
    from stylize.isolate import Isolation
    from stylize.standings import Standing
    from stylize.sweep import Attempt

# Share of the way to the painting's style: words only. By eye on the bundled pair, preset draft: grain at strength 0.03
# (share .56), strokes at 0.3 (.83), a painting at 1 (1.00).
STRONG, SOME, NONE = 0.9, 0.6, 0.05
TOPICS = {
    About.STYLE: "the painting's style",
    About.PHOTO: "the photo kept",
    About.SPEED: "speed",
    About.STEADINESS: "steadiness",
}
UNMEASURED = "No ruler tells how well it worked: judge by eye."
OUTLINES, LOST = 0.6, 0.3  # edges kept, a correlation


def stylize_conclusion(
    regions: Sequence[tuple[str, float, float]],
    isolation: "Isolation",
    doubts: Sequence[str],
    *,
    interrupted: bool = False,
    finer_px: int | None = None,
    first_look: bool = False,
    strength: float = 1.0,
    hidden: Sequence[tuple[str, float]] = (),
) -> Conclusion:
    """Conclude on a restyling.

    Args:
        regions: Name, share of the way from the photo's style to the painting's, edges kept (both NaN where they could
            not be measured) of each.
        isolation: What was measured outside.
        doubts: Sentences about the cut.
        interrupted: Whether it was stopped early.
        finer_px: A larger working size that the photo allows, if there is one.
        first_look: Whether it was made by the quick ways that choose a painting and a strength.
        strength: The weakest that was asked for.
        hidden: Regions that lie behind what is transparent of the photo, and what share of the visible they are.
    """
    found = " ".join(_style_sentence(*entry) for entry in regions)
    shares = [share for _, share, _ in regions if not math.isnan(share)]
    edges = [kept for *_, kept in regions if not math.isnan(kept)]
    little = any(not share > SOME for share in shares)
    belief, level = _isolation_belief(isolation, measured=bool(shares))
    buts = [
        *(
            f"But {percent(share)} of what is visible of the photo is {region}: little can change."
            for region, share in hidden
        ),
        f"But the cut is doubtful. {' '.join(doubts)}" if doubts else "",
        "But the run was stopped before its end." if interrupted else "",
        "But only a part of the style came over: judge by eye." if little else "",
    ]
    belief = " ".join([belief, *filter(None, buts)])
    if any(buts) or not shares:
        level = worse(level, "doubt")
    if interrupted:
        advice = "run it again and let it finish, for more of the style."
    elif hidden:
        advice = "restyle another --region, or say with --box or --mask what the foreground is."
    elif doubts:
        advice = (
            "look at the outline under Region; where it is wrong, give --box, or mark places with --point and --not."
        )
    elif not shares:
        advice = "choose a painting that is less like the photo, or a larger region."
    else:
        advice = _refinement(little, strength, first_look, min(edges, default=1.0), finer_px)
    return Conclusion(found, belief, advice, level)


def _refinement(little: bool, strength: float, first_look: bool, edges_kept: float, finer_px: int | None) -> str:
    """What to try for another picture."""
    if little and strength < 1:
        return f"for more of the style, raise --strength; it was {strength:g}."
    if first_look:
        return "this is a first look; without --instant and --preset draft strokes are finer and more style comes over."
    if little:
        return "for more of the style, raise --strength or --iterations."
    if edges_kept < LOST:
        return "for more of the photo, lower --strength."
    if finer_px:
        return f"the photo allows finer strokes: --size {finer_px} (it takes longer)."
    return "--strength makes the style weaker or stronger; another painting is --style FILE."


def _style_sentence(region: str, share: float, edges_kept: float) -> str:
    if math.isnan(share):
        return (
            f"The {region} was repainted, but how far it went cannot be told: to the network photo and painting are "
            "too alike, or it is too small."
        )
    if share <= NONE:
        return (
            f"The {region} was repainted, but measured by layers that had no say in it, it came no closer to the "
            "painting."
        )
    much = "takes on" if share >= STRONG else "takes on much of" if share >= SOME else "takes on a part of"
    sentence = (
        f"The {region} {much} the painting's style: it went {percent(min(share, 1))} of the way from the photo to it"
    )
    if edges_kept >= OUTLINES:
        return f"{sentence}, and the photo's outlines are still there."
    if edges_kept < LOST:
        return f"{sentence}, and most of the photo's outlines are gone."
    return f"{sentence}."


def _isolation_belief(isolation: "Isolation", *, measured: bool) -> tuple[str, Level]:
    if len(isolation.leak) > 1:
        return _apart_belief(max(isolation.leak))
    if not isolation.outside_pixels:
        return (
            "The style was measured with a ruler that the optimisation did not see." if measured else UNMEASURED,
            "good",
        )
    if isolation.max_abs_outside:
        return f"Pixels outside the region changed, by up to {isolation.max_abs_outside} of {isolation.white}.", "bad"
    return f"Nothing outside was touched: {isolation.outside_pixels:,} pixels are the photo's, bit for bit.", "good"


def _apart_belief(leak: float) -> tuple[str, Level]:
    if leak:
        return f"The regions reached into each other: what paints one changes by {percent(leak)} with the other.", "bad"
    return "Nothing of one region reached the other, to the last bit.", "good"


def compare_conclusion(standings: "Sequence[Standing]", claim: str | None, pairs: int) -> Conclusion:
    """Conclude on a comparison of ways."""
    won: dict[tuple[str, ...], list[str]] = {}
    for about, topic in TOPICS.items():
        names, count, of = best_at(standings, about)
        if of:
            won.setdefault(names, []).append(f"{topic} ({count} of {of} criteria)")
    said = [
        f"{listed(names)} {'wins' if len(names) == 1 else 'win'} on {listed(topics)}" for names, topics in won.items()
    ]
    found = f"{'; '.join(said)}." if said else "Nothing tells the ways apart."
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
    gone = (
        f"{percent(1 - style)} of the distance between the photo's small squares and the painting's is gone"
        if style < 1
        else "its small squares are no more like the painting's than the photo's are"
    )
    found = (
        f"Trial {best.number} was chosen of {len(attempts)}, counted from 0: {gone}, and {percent(min(1, lost))} of "
        "the photo's edges are lost."
    )
    belief = f"{front} trials are not beaten by any other; which of them is best is a matter of taste."
    if len(attempts) < 10:
        belief += f" {len(attempts)} trials are few: the search has hardly begun."
    if not style < 1:
        belief += " The chosen one has failed at the style."
    advice = f"stylize PHOTO --preset {preset} uses it at full size; more trials: --resume."
    return Conclusion(found, belief, advice, "good" if len(attempts) >= 10 and style < 1 else "doubt")
