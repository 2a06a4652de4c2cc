"""Who wins on what, and the report's claim in numbers."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from interp.network.layer_names import RELU_NAMES
from interp.statistics.layers import FIXED_STYLE
from stylize.compare import Outcome
from stylize.recipes import PYTORCH, TENSORFLOW, TENSORFLOW_FIXED

TIE = 0.02  # of the best value: closer than this shares the win


class About(StrEnum):
    """What a criterion is about."""

    STYLE = "style"
    PHOTO = "photo"
    SPEED = "speed"
    STEADINESS = "steadiness"


@dataclass(frozen=True)
class Criterion:
    """One thing to win on.

    Attributes:
        name: In a few words.
        about: Its kind.
        of: Reads it off an outcome; None or NaN where it was not measured.
        more_is_better: Direction.
    """

    name: str
    about: About
    of: Callable[[Outcome], float | None]
    more_is_better: bool = False


@dataclass(frozen=True)
class Standing:
    """A criterion over all pairs.

    Attributes:
        criterion: Its name.
        about: Its kind.
        values: For each way its value for every pair.
        winners: Names of the best by the mean over the pairs; several where they tie.
        more_is_better: Direction.
    """

    criterion: str
    about: About
    values: dict[str, tuple[float, ...]]
    winners: tuple[str, ...]
    more_is_better: bool


def unseen_layers(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """ReLU layers that were measured and that no way had in its loss."""
    used = {name for outcome in outcomes for name in outcome.layers}
    return tuple(name for name in RELU_NAMES if name in outcomes[0].last.gram and name not in used)


def criteria(unseen: Sequence[str], judges: Sequence[str]) -> tuple[Criterion, ...]:
    """What is compared, in the order of the table."""
    style, photo, speed, steady = About.STYLE, About.PHOTO, About.SPEED, About.STEADINESS
    return (
        Criterion("Gram distance, relu1_1 … relu5_1", style, lambda it: it.last.mean_gram(FIXED_STYLE)),
        Criterion("Gram distance, unseen layers", style, lambda it: it.last.mean_gram(unseen)),
        *(Criterion(f"{name} distance", style, lambda it, name=name: it.last.judges[name]) for name in judges),
        Criterion("patch distance", style, lambda it: it.last.patches),
        Criterion("distance to the photo, relu4_2", photo, lambda it: it.last.content),
        Criterion("edges kept", photo, lambda it: it.last.edges_kept, more_is_better=True),
        Criterion("seconds", speed, lambda it: it.seconds),
        Criterion("processor seconds", speed, lambda it: it.cpu_seconds),
        Criterion("iterations a second", speed, lambda it: it.steps / it.seconds, more_is_better=True),
        Criterion("spikes of its own loss", steady, lambda it: float(it.stability.spikes)),
        Criterion("spread of the gradient norm", steady, lambda it: it.stability.gradient_spread),
        Criterion(
            "change under a jittered photo, of its own change",
            steady,
            lambda it: it.stability.jitter_share,
        ),
        Criterion("pixels outside changed, %", photo, lambda it: 100 * it.changed_outside),
    )


def standings(outcomes_by_pair: Mapping[str, Sequence[Outcome]]) -> tuple[Standing, ...]:
    """Rank the ways on every criterion.

    Args:
        outcomes_by_pair: For each pair of pictures its outcomes, the same ways in each.

    Returns:
        One standing a criterion that was measured for every way and that tells any two of them apart.
    """
    every = [outcome for outcomes in outcomes_by_pair.values() for outcome in outcomes]
    names = list(dict.fromkeys(outcome.name for outcome in every))
    found = []
    for criterion in criteria(unseen_layers(every), list(every[0].last.judges)):
        values = {name: tuple(_number(criterion.of(each)) for each in every if each.name == name) for name in names}
        means = {name: float(np.mean(numbers)) for name, numbers in values.items()}
        if all(map(math.isfinite, means.values())) and len(set(means.values())) > 1:
            winners = _best(means, criterion.more_is_better)
            found.append(Standing(criterion.name, criterion.about, values, winners, criterion.more_is_better))
    return tuple(found)


def best_at(ranked: Sequence[Standing], about: About) -> tuple[tuple[str, ...], int, int]:
    """Who wins on most criteria of a kind, shared wins too: their names, how many they win, of how many."""
    told = [standing for standing in ranked if standing.about is about]
    wins = {name: sum(name in standing.winners for standing in told) for standing in told for name in standing.values}
    most = max(wins.values(), default=0)
    return tuple(name for name, count in wins.items() if count == most), most, len(told)


@dataclass(frozen=True)
class Claim:
    """The report's claim, that model 1 is the better one, in numbers: Gram distances at layers nobody optimised.

    Attributes:
        photo: Of the photo itself.
        model1: Of model 1's result.
        model2: Of model 2's as run.
        fixed: Of model 2's with its Gram matrix repaired; None where it was not run.
        patches1: Model 1's distance of patches.
        patches2: Model 2's.
    """

    photo: float
    model1: float
    model2: float
    fixed: float | None
    patches1: float
    patches2: float

    @property
    def holds(self) -> bool:
        """Whether both rulers put model 1 nearer to the painting."""
        return self.model1 < self.model2 and self.patches1 < self.patches2

    @property
    def closed(self) -> float | None:
        """The share of the gap between the models that the repair closes."""
        gap = self.model2 - self.model1
        return None if self.fixed is None or gap == 0 else (self.model2 - self.fixed) / gap


def claim_of(outcomes: Sequence[Outcome], unseen: Sequence[str]) -> Claim | None:
    """Test the claim; None unless both models ran."""
    by_name = {outcome.name: outcome for outcome in outcomes}
    if PYTORCH.name not in by_name or TENSORFLOW.name not in by_name:
        return None
    first, second = by_name[PYTORCH.name], by_name[TENSORFLOW.name]
    fixed = by_name.get(TENSORFLOW_FIXED.name)
    return Claim(
        first.start.mean_gram(unseen),
        first.last.mean_gram(unseen),
        second.last.mean_gram(unseen),
        fixed.last.mean_gram(unseen) if fixed else None,
        first.last.patches,
        second.last.patches,
    )


def _best(means: Mapping[str, float], more_is_better: bool) -> tuple[str, ...]:
    best = max(means.values()) if more_is_better else min(means.values())
    return tuple(name for name, value in means.items() if abs(value - best) <= TIE * abs(best))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
