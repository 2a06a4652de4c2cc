"""Who wins on what, and what the numbers say of the report's claim."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from interp.network.layer_names import RELU_NAMES
from interp.statistics.layers import FIXED_STYLE
from stylize.compare import Trial
from stylize.factors import Attribution, Effect
from stylize.recipes import PYTORCH, TENSORFLOW, TENSORFLOW_FIXED

TIE = 0.02  # of the best value: closer than this shares the win


@dataclass(frozen=True)
class Criterion:
    """One thing to win on.

    Attributes:
        name: In a few words.
        of: Reads it off a trial; None or NaN where it was not measured.
        more_is_better: Direction.
    """

    name: str
    of: Callable[[Trial], float | None]
    more_is_better: bool = False


@dataclass(frozen=True)
class Standing:
    """A criterion over all pairs.

    Attributes:
        criterion: Its name.
        values: For each recipe its value for every pair.
        winners: Names of the best by the mean over the pairs; several where they tie.
        more_is_better: Direction.
    """

    criterion: str
    values: dict[str, tuple[float, ...]]
    winners: tuple[str, ...]
    more_is_better: bool


def unseen_layers(trials: Sequence[Trial]) -> tuple[str, ...]:
    """ReLU layers that were measured and that no trial had in its loss."""
    used = {name for trial in trials for name in trial.optimised}
    return tuple(name for name in RELU_NAMES if name in trials[0].last.style and name not in used)


def criteria(unseen: Sequence[str]) -> tuple[Criterion, ...]:
    """What is compared, in the order of the table."""
    return (
        Criterion("Gram distance, relu1_1 … relu5_1", lambda trial: trial.last.mean_style(FIXED_STYLE)),
        Criterion("Gram distance, unseen layers", lambda trial: trial.last.mean_style(unseen)),
        Criterion("random-network distance", lambda trial: trial.last.marks.style_gram),
        Criterion("patch distance", lambda trial: trial.last.marks.patches),
        Criterion("distance to the photo, relu4_2", lambda trial: trial.last.content),
        Criterion("edges kept", lambda trial: trial.last.marks.edges_kept, more_is_better=True),
        Criterion("seconds", lambda trial: trial.seconds),
        Criterion("processor seconds", lambda trial: trial.cpu_seconds),
        Criterion("iterations a second", lambda trial: trial.steps / trial.seconds, more_is_better=True),
        Criterion("peak memory, MB", lambda trial: None if trial.peak_bytes is None else trial.peak_bytes / 1e6),
        Criterion("spikes of its own loss", lambda trial: float(trial.stability.spikes)),
        Criterion("spread of the gradient norm", lambda trial: trial.stability.gradient_spread),
        Criterion("change under a jittered photo, of its own change", lambda trial: trial.stability.jitter_share),
        Criterion("pixels outside changed, %", lambda trial: 100 * trial.changed_outside),
    )


def standings(trials_by_pair: Mapping[str, Sequence[Trial]]) -> tuple[Standing, ...]:
    """Rank the trials on every criterion.

    Args:
        trials_by_pair: For each pair of pictures its trials, the same recipes in each.

    Returns:
        One standing a criterion that was measured for every recipe and that tells any two of them apart.
    """
    every = [trial for trials in trials_by_pair.values() for trial in trials]
    names = list(dict.fromkeys(trial.name for trial in every))
    found = []
    for criterion in criteria(unseen_layers(every)):
        values = {name: tuple(_number(criterion.of(trial)) for trial in every if trial.name == name) for name in names}
        means = {name: float(np.mean(numbers)) for name, numbers in values.items()}
        if all(map(math.isfinite, means.values())) and len(set(means.values())) > 1:
            winners = _best(means, criterion.more_is_better)
            found.append(Standing(criterion.name, values, winners, criterion.more_is_better))
    return tuple(found)


def winning_sentences(ranked: Sequence[Standing]) -> tuple[str, ...]:
    """For each recipe what it wins, in words."""
    names = list(ranked[0].values) if ranked else []
    won = {name: [standing.criterion for standing in ranked if standing.winners == (name,)] for name in names}
    return tuple(
        f"{name} wins on {', '.join(criteria)}." if criteria else f"{name} wins on nothing alone."
        for name, criteria in won.items()
    )


def claim_sentence(trials: Sequence[Trial], unseen: Sequence[str]) -> str | None:
    """The report's claim, that model 1 is the better one, answered with numbers; None unless both models ran."""
    by_name = {trial.name: trial for trial in trials}
    if PYTORCH.name not in by_name or TENSORFLOW.name not in by_name:
        return None
    first, second = by_name[PYTORCH.name], by_name[TENSORFLOW.name]
    start, one, two = (reading.mean_style(unseen) for reading in (first.readings[0], first.last, second.last))
    holds = one < two and first.last.marks.patches < second.last.marks.patches
    sentence = (
        f"The report found model 1 better: {'so it is' if holds else 'not on every ruler'}. At layers nobody optimised "
        f"the photo starts {start:.2f} from the painting; model 1 ends at {one:.2f}, model 2 as run at {two:.2f}; "
        f"patches end {first.last.marks.patches:.2f} and {second.last.marks.patches:.2f} from the painting's."
    )
    if TENSORFLOW_FIXED.name not in by_name or two == one:
        return sentence
    fixed = by_name[TENSORFLOW_FIXED.name].last.mean_style(unseen)
    return (
        f"{sentence} With its Gram matrix repaired and nothing else touched, model 2 ends at {fixed:.2f}: that one "
        f"line, which the report did not name, closes {(two - fixed) / (two - one):.0%} of the gap."
    )


def effect_sentence(effect: Effect, attribution: Attribution) -> str:
    """One factor's part in one figure, beside what the report said."""
    total = attribution.model1 - attribution.model2
    share = f", {round(100 * effect.value / total) + 0}% of the whole difference" if abs(total) > 1e-9 else ""
    name = effect.factor.name
    return (
        f"{name[:1].upper()}{name[1:]}: {effect.value:+.3f}{share}; from {effect.least:+.3f} to {effect.most:+.3f} "
        f"depending on the other factors ({effect.factor.claim})."
    )


def _best(means: Mapping[str, float], more_is_better: bool) -> tuple[str, ...]:
    best = max(means.values()) if more_is_better else min(means.values())
    return tuple(name for name, value in means.items() if abs(value - best) <= TIE * abs(best))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
