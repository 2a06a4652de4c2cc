"""Who wins on what, and the report's claim, in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reports.blocks import Paragraph, Table
from reports.record import Section
from reports.wording import number, percent

if TYPE_CHECKING:
    from stylize.standings import Claim, Standing


def standings_section(ranked: "Sequence[Standing]", pairs: int) -> Section:
    """Who wins on what.

    Args:
        ranked: One a criterion.
        pairs: How many pairs were compared.

    Returns:
        Section `who-wins`.
    """
    names = list(ranked[0].values) if ranked else []
    rows = tuple(
        (
            f"{standing.criterion} ({'more' if standing.more_is_better else 'less'} is better)",
            *(_spread(standing.values[name]) for name in names),
            " = ".join(standing.winners),
        )
        for standing in ranked
    )
    over = "" if pairs == 1 else f"; mean over {pairs} pairs (least … most)"
    caption = f"Every way on every criterion{over}. Ways within 2 % of the best share the win."
    blocks = (*map(Paragraph, winning_sentences(ranked)), Table(caption, ("Criterion", *names, "Wins"), rows))
    intro = (
        "Measured alike for all, none of it in the units of anyone's own loss. A way that does little keeps much of "
        "the photo: read the distances to both pictures together."
    )
    return Section("who-wins", "Who wins on what", intro, blocks)


def winning_sentences(ranked: "Sequence[Standing]") -> tuple[str, ...]:
    """For each way what it wins, in words."""
    names = list(ranked[0].values) if ranked else []
    won = {name: [standing.criterion for standing in ranked if standing.winners == (name,)] for name in names}
    return tuple(
        f"{name} wins on {', '.join(criteria)}." if criteria else f"{name} wins on nothing alone."
        for name, criteria in won.items()
    )


def claim_sentence(claim: "Claim") -> str:
    """The report's claim, that model 1 is the better one, answered with numbers."""
    sentence = (
        f"The report found model 1 better: {'so it is' if claim.holds else 'not on every ruler'}. At layers nobody "
        f"optimised the photo starts {claim.photo:.2f} from the painting; model 1 ends at {claim.model1:.2f}, model 2 "
        f"as run at {claim.model2:.2f}; patches end {claim.patches1:.2f} and {claim.patches2:.2f} from the painting's."
    )
    if claim.closed is None:
        return sentence
    return (
        f"{sentence} With its Gram matrix repaired and nothing else touched, model 2 ends at {claim.fixed:.2f}: that "
        f"one line, which the report did not name, {_closed(claim.closed)}."
    )


def claim_in_short(claim: "Claim") -> str:
    """The same without figures."""
    sentence = (
        "The report's claim that its first model is the better one holds here: it ends nearer to the painting."
        if claim.holds
        else "The report's claim that its first model is the better one does not hold on every ruler here."
    )
    if claim.closed is None or claim.model2 <= claim.model1:
        return sentence
    much = (
        "all" if claim.closed >= 1 else "most" if claim.closed >= 0.5 else "a part" if claim.closed > 0 else "nothing"
    )
    return f"{sentence} One line of the second model, its Gram matrix, accounts for {much} of the difference."


def _closed(share: float) -> str:
    """How much of the gap a repair closes, in words where a share would be none."""
    return (
        "closes the gap and more"
        if share > 1
        else f"closes {percent(share)} of the gap"
        if share > 0
        else "closes none of the gap"
    )


def _spread(values: Sequence[float]) -> str:
    mean = number(float(np.mean(values)))
    return mean if len(values) == 1 else f"{mean} ({number(min(values))} … {number(max(values))})"
