"""Whether a saliency map is to be believed: the rule, and the numbers it goes by.

`sanity` measures them, `reports.verdict` puts them into words.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

SAME_MAP_ABOVE = 0.9  # rank correlation above which two maps count as the same


class VerdictWord(StrEnum):
    """What a map shows."""

    CLASS = "follows the class"
    EDGES = "follows edges, not the class"
    RANDOM = "no better than random"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class SaliencyVerdict:
    """What a saliency map may be used for, with the evidence; numbers are None where nothing was tested.

    Attributes:
        word: The verdict, by `word_for`.
        insertion_auc: Area under the class's probability while pixels, the map's best first, return to a
            blurred picture.
        deletion_auc: The same while they are replaced by the mean colour; low is good.
        random_quantile95: 95 % quantile of insertion - deletion over 20 random rankings.
        random_logit_correlation: Spearman correlation with the map for another class, drawn at random; None where the
            network knows only one.
        random_head_correlation: Spearman correlation with the map after the classifier's head is randomised.
        other_class: Name of that other class.
        fractions: Shares of the pixels changed, 0 to 1.
        insertion_curve: Probability of the class at each share.
        deletion_curve: Likewise.
        finite: Whether the map, and what the network computes for the test, are.
    """

    word: VerdictWord
    insertion_auc: float | None = None
    deletion_auc: float | None = None
    random_quantile95: float | None = None
    random_logit_correlation: float | None = None
    random_head_correlation: float | None = None
    other_class: str = ""
    fractions: tuple[float, ...] = ()
    insertion_curve: tuple[float, ...] = ()
    deletion_curve: tuple[float, ...] = ()
    finite: bool = True

    @property
    def margin(self) -> float | None:
        """Insertion AUC - deletion AUC."""
        if self.insertion_auc is None or self.deletion_auc is None:
            return None
        return self.insertion_auc - self.deletion_auc


def word_for(margin: float, quantile95: float, logit: float | None, head: float) -> VerdictWord:
    """Apply the rule.

    Args:
        margin: Insertion - deletion AUC of the map.
        quantile95: The same of random rankings, their 95 % quantile.
        logit: Rank correlation with the map for another class; None where there is none.
        head: Rank correlation with the map of a random head.

    Returns:
        `RANDOM` if the margin is not above the quantile; else `EDGES` if a correlation is above .9; else `CLASS`.
        `NOT_TESTED` if a number is not finite: every comparison with NaN is false, and would end in the best word.

    Example:
        >>> word_for(0.1, 0.2, 0.0, 0.0), word_for(0.3, 0.2, 0.95, 0.0), word_for(0.3, 0.2, None, 0.5)
        (<VerdictWord.RANDOM: 'no better than random'>, <VerdictWord.EDGES: 'follows edges, not the class'>,
         <VerdictWord.CLASS: 'follows the class'>)
    """
    if not all(map(math.isfinite, (margin, quantile95, logit or 0.0, head))):
        return VerdictWord.NOT_TESTED
    if margin <= quantile95:
        return VerdictWord.RANDOM
    return VerdictWord.EDGES if max(logit or 0.0, head) > SAME_MAP_ABOVE else VerdictWord.CLASS
