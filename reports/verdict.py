"""The verdict on a saliency map: in words, as curves, as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure as MatplotlibFigure

from interp.attribution.verdict import SAME_MAP_ABOVE, SaliencyVerdict, VerdictWord
from interp.errors import UsageError
from reports.blocks import Figure, Level, Table, Verdict
from reports.canvas import ACCENT, INK, WARM, closed, line_chart
from reports.store import ImageStore, plain
from reports.wording import number

if TYPE_CHECKING:
    from interp.attribution.saliency import SaliencyMap

LEVELS: dict[VerdictWord, Level] = {
    VerdictWord.CLASS: "good",
    VerdictWord.EDGES: "doubt",
    VerdictWord.RANDOM: "bad",
    VerdictWord.NOT_TESTED: "doubt",
}
COLOURS = {
    VerdictWord.CLASS: ACCENT,
    VerdictWord.EDGES: INK,
    VerdictWord.RANDOM: WARM,
    VerdictWord.NOT_TESTED: INK,
}


def verdict_block(verdict: SaliencyVerdict, title: str = "") -> Verdict:
    """The verdict as a block of the report; the word alone is its title, or follows the one given."""
    numbers = verdict_numbers(verdict)
    word = f"{title}: {verdict.word}" if title else verdict.word.capitalize()
    return Verdict(word, f"{numbers[0].upper()}{numbers[1:]}", LEVELS[verdict.word])


def verdict_sentence(verdict: SaliencyVerdict) -> str:
    """The word and its numbers in one sentence."""
    return f"{verdict.word.capitalize()}: {verdict_numbers(verdict)}"


def verdict_numbers(verdict: SaliencyVerdict) -> str:
    """What the word rests on.

    Example:
        >>> verdict_numbers(SaliencyVerdict(VerdictWord.NOT_TESTED))
        'its target is not a class.'
    """
    if not verdict.finite:
        return "the map, or what the network computes for the test, is not finite."
    if verdict.margin is None:
        return "its target is not a class."
    side = "is not above" if verdict.word is VerdictWord.RANDOM else "is above"
    logit = verdict.random_logit_correlation
    other = "another class untested" if logit is None else f"the map for {verdict.other_class!r} {logit:.3f}"
    return (
        f"insertion - deletion {verdict.margin:.3f} {side} {verdict.random_quantile95:.3f}, the 95 % quantile of "
        f"random rankings; rank correlation with {other}, with the map of a random head "
        f"{verdict.random_head_correlation:.3f} (above {SAME_MAP_ABOVE:g} counts as the same map)."
    )


def verdict_data(verdict: SaliencyVerdict) -> dict[str, Any]:
    """The verdict for programs: its numbers and its sentence."""
    return {**plain(verdict), "sentence": verdict_sentence(verdict)}


@closed
def verdict_curves(verdict: SaliencyVerdict) -> MatplotlibFigure:
    """Draw the insertion and deletion curves behind a verdict on a saliency map.

    Args:
        verdict: A tested one.

    Returns:
        The figure; called from outside, a PNG.

    Raises:
        UsageError: If nothing was tested.
    """
    if not verdict.fractions:
        raise UsageError("The verdict has no curves; expected a tested one, with insertion and deletion.")
    lines = {
        f"insertion, area {verdict.insertion_auc:.3f}": (verdict.fractions, verdict.insertion_curve),
        f"deletion, area {verdict.deletion_auc:.3f}": (verdict.fractions, verdict.deletion_curve),
    }
    x_label = "share of the pixels changed, most salient first"
    return line_chart.figure(lines, x_label=x_label, y_label="probability of the class")


def curves_figure(store: ImageStore, verdict: SaliencyVerdict, caption: str, title: str = "") -> Figure:
    """The curves as a figure of the report; the title, if any, names the map."""
    areas = f"{number(verdict.insertion_auc)} and {number(verdict.deletion_auc)}"
    alt = f"Insertion and deletion curves{f' of {title}' if title else ''}: areas {areas}."
    return Figure(store.chart(verdict_curves.svg(verdict), alt), caption)


def verdict_table(maps: Sequence["SaliencyMap"], verdicts: Sequence[SaliencyVerdict]) -> Table:
    """The verdicts with their numbers; the class too where the maps are of several."""
    several = len({entry.target for entry in maps}) > 1
    header = (
        "Map" if several else "Method",
        "Verdict",
        "Insertion - deletion",
        "Chance, 95 %",
        "Other class",
        "Random head",
    )
    rows = tuple(
        (
            f"{entry.title}, {entry.target.name}" if several else entry.title,
            str(verdict.word),
            _difference(verdict),
            number(verdict.random_quantile95),
            number(verdict.random_logit_correlation),
            number(verdict.random_head_correlation),
        )
        for entry, verdict in zip(maps, verdicts, strict=True)
    )
    caption = (
        "Verdicts. A difference that is not above chance: no better than random. Else, a rank correlation above "
        f"{SAME_MAP_ABOVE:g} with the map for another class or of a random head: follows edges, not the class. Else: "
        "follows the class."
    )
    return Table(caption, header, rows)


def _difference(verdict: SaliencyVerdict) -> str:
    if verdict.margin is None:
        return "–"
    terms = verdict.insertion_auc, verdict.deletion_auc, verdict.margin
    if all(abs(term or 0) < 0.0005 for term in terms):  # of a class that the network does not see
        return number(verdict.margin)
    return f"{verdict.insertion_auc:.3f} - {verdict.deletion_auc:.3f} = {verdict.margin:.3f}"
