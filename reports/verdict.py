"""The verdict on a saliency map: its level and colour, its curves, its table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from interp.errors import UsageError
from reports.canvas import ACCENT, WARM, line_chart
from reports.record import Level, Table
from reports.wording import number

if TYPE_CHECKING:
    from interp.attribution.saliency import Attribution
    from interp.attribution.sanity import Verdict

VERDICT_LEVELS: dict[str, Level] = {"follows the class": "good", "no better than random": "bad"}
WORD_COLOURS = {"follows the class": ACCENT, "no better than random": WARM}


def verdict_curves(verdict: "Verdict") -> bytes:
    """Draw the insertion and deletion curves behind a verdict on a saliency map.

    Args:
        verdict: A tested one.

    Returns:
        PNG.

    Raises:
        UsageError: If nothing was tested.
    """
    if not verdict.fractions or verdict.insertion_auc is None or verdict.deletion_auc is None:
        raise UsageError("The verdict has no curves; expected a tested one, with insertion and deletion.")
    lines = {
        f"insertion, area {verdict.insertion_auc:.3f}": (verdict.fractions, verdict.insertion_curve),
        f"deletion, area {verdict.deletion_auc:.3f}": (verdict.fractions, verdict.deletion_curve),
    }
    x_label = "share of the pixels changed, most salient first"
    return line_chart(lines, x_label=x_label, y_label="probability of the class")


def verdict_table(attributions: Sequence["Attribution"], verdicts: Sequence["Verdict"]) -> Table:
    """The verdicts with their numbers."""
    header = ("Method", "Verdict", "Insertion - deletion", "Chance, 95 %", "Other class", "Random head")
    rows = tuple(
        (
            entry.title,
            verdict.word,
            _difference(verdict),
            number(verdict.random_quantile95),
            number(verdict.random_logit_correlation),
            number(verdict.random_head_correlation),
        )
        for entry, verdict in zip(attributions, verdicts, strict=True)
    )
    caption = (
        "Verdicts. A difference that is not above chance: no better than random. Else, a rank correlation above 0.9 "
        "with the map for another class or of a random head: follows edges, not the class. Else: follows the class."
    )
    return Table(caption, header, rows)


def _difference(verdict: "Verdict") -> str:
    if verdict.insertion_auc is None or verdict.deletion_auc is None or verdict.margin is None:
        return "–"
    return f"{verdict.insertion_auc:.3f} - {verdict.deletion_auc:.3f} = {verdict.margin:.3f}"
