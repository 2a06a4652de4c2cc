"""Which difference between the report's two models matters? A full factorial, and Shapley values over it.

Model 2 turns into model 1 factor by factor, in every combination. Iterations cost no run: a result after fewer of them
is read off the same trajectory. How often a picture is shown changes no number at all, so it is no factor.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_nchw01
from interp.statistics.layers import fixed_choice
from stylize.forecast import MEGAPIXEL_S, Job
from stylize.optimise import stylize
from stylize.recipes import PYTORCH, TENSORFLOW, Recipe
from stylize.region import StyledRegion
from stylize.rulers import RANDOM_NETWORK, Reading, random_judge, rulers_for

NAMED, UNNAMED = "a cause, said the report", "not named by the report"


@dataclass(frozen=True)
class Factor:
    """One difference between the models.

    Attributes:
        name: In a few words.
        fields: The recipe's constants that it sets together.
        claim: What the report said of it.
    """

    name: str
    fields: tuple[str, ...]
    claim: str


FACTORS = (
    Factor("Gram definition", ("gram", "divisor"), UNNAMED),
    Factor(
        "optimiser and learning rate",
        ("optimizer", "learning_rate", "epsilon"),
        "learning rate: a cause, said the report",
    ),
    Factor("style : content weight", ("style_weight", "content_weight"), NAMED),
    Factor("layer weights", ("style_layers",), NAMED),
    Factor("value range and clamping", ("space", "clamp"), UNNAMED),
)
ITERATIONS = Factor("iterations", ("iterations",), NAMED)  # read off one trajectory
PRINT_INTERVAL = Factor("steps shown", ("every",), NAMED)  # no effect, by construction
Corner = tuple[bool, ...]  # for each player whether it takes model 1's side


@dataclass(frozen=True)
class Effect:
    """What one factor does to one figure on the way from model 2 to model 1.

    Attributes:
        factor: Which.
        value: Shapley value, in the figure's unit.
        least: Smallest change it makes in any combination of the others.
        most: Largest.
    """

    factor: Factor
    value: float
    least: float
    most: float


@dataclass(frozen=True)
class Explanation:
    """One figure, explained.

    Attributes:
        figure: Name of the figure.
        model2: Its value for model 2.
        model1: For model 1.
        effects: One a factor; they add up to `model1 - model2`.
    """

    figure: str
    model2: float
    model1: float
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Factorial:
    """All combinations, read.

    Attributes:
        readings: The reading of each corner; the last place says whether iterations take model 1's side.
        iterations: Model 2's and model 1's.
        size_px: Side of the square both models saw.
        unseen: Layers that no corner optimised.
    """

    readings: dict[Corner, Reading]
    iterations: tuple[int, int]
    size_px: int
    unseen: tuple[str, ...]

    def explanations(self) -> tuple[Explanation, ...]:
        """Explain each ruler by Shapley values."""
        figures: dict[str, Callable[[Reading], float]] = {
            "Gram distance, unseen layers": lambda reading: reading.mean_gram(self.unseen),
            f"{RANDOM_NETWORK} distance": lambda reading: reading.judges[RANDOM_NETWORK],
            "patch distance": lambda reading: reading.patches,
            "distance to the photo": lambda reading: reading.content,
            "edges kept": lambda reading: reading.edges_kept,
        }
        return tuple(
            explain(name, {corner: of(reading) for corner, reading in self.readings.items()}, PLAYERS)
            for name, of in figures.items()
        )


PLAYERS = (*FACTORS, ITERATIONS)


def corners(count: int) -> list[Corner]:
    """All 2^count combinations."""
    return list(itertools.product((False, True), repeat=count))


def recipe_at(corner: Sequence[bool]) -> Recipe:
    """Model 2 with some factors taken from model 1.

    Args:
        corner: For each of `FACTORS` whether it is model 1's.

    Returns:
        The mixed recipe; all False is model 2, all True model 1.
    """
    taken = [name for factor, ours in zip(FACTORS, corner, strict=True) if ours for name in factor.fields]
    return replace(TENSORFLOW, name="mixed", **{name: getattr(PYTORCH, name) for name in taken})


def foreseen_s(vgg: Vgg, size_px: int, iterations: int) -> float:
    """Seconds that a factorial is foreseen to take on one thread (`forecast`); see `factorial`."""
    width, (linear, square) = vgg.info.width, MEGAPIXEL_S["float32"]
    rate = linear * width + square * width**2
    return len(corners(len(FACTORS))) * Job(iterations, size_px * size_px, rate).seconds


def factorial(
    vgg: Vgg,
    photo_nchw01: Tensor,
    painting_nchw01: Tensor,
    *,
    size_px: int = 128,
    iterations: int | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> Factorial:
    """Run every combination of the factors once.

    Both pictures are stretched to one square, as model 2 does; model 1 stretches the painting to the photo, so on a
    square photo the two fits are one, and the fit is no factor.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        painting_nchw01: (1, 3, h, w) RGB in [0, 1].
        size_px: Side of the square.
        iterations: Model 1's, shortened; model 2's is two fifths of it, as 2000 is of 5000. None for 5000.
        watch: Called after every step with the steps so far and in all.

    Returns:
        The readings.
    """
    more = PYTORCH.iterations if iterations is None else iterations
    fewer = max(1, round(more * TENSORFLOW.iterations / PYTORCH.iterations))
    size = size_px, size_px
    photo, painting = resize_nchw01(photo_nchw01, size), resize_nchw01(painting_nchw01, size)
    everywhere = np.ones(size, np.float32)
    region = StyledRegion(everywhere, painting_nchw01, fixed_choice())
    rulers = rulers_for(vgg, photo, everywhere, painting, random_judge())
    readings: dict[Corner, Reading] = {}
    every = corners(len(FACTORS))
    for number, corner in enumerate(every):
        recipe, event = replace(recipe_at(corner), size_px=size_px, iterations=more), None
        for event in stylize(vgg, photo, [region], recipe):
            if event.step == fewer:
                readings[(*corner, False)] = rulers.read(event.image_nchw01)
            if watch:
                watch(number * more + event.step, len(every) * more)
        assert event is not None
        readings[(*corner, True)] = rulers.read(event.image_nchw01)
        readings.setdefault((*corner, False), readings[(*corner, True)])  # it had ended before, not finite any more
    used = {PYTORCH.content_layer, *PYTORCH.style_layers}
    return Factorial(readings, (fewer, more), size_px, tuple(name for name in rulers.layers if name not in used))


def shapley(values: Mapping[Corner, float]) -> tuple[float, ...]:
    """Shapley values of a full factorial (Shapley 1953): a player's change, averaged over the orders of joining.

    Args:
        values: The figure at each of the 2^n corners.

    Returns:
        One value a player; they add up to the figure with all players minus the figure with none.

    Example:
        >>> shapley({(a, b): 3.0 * a + 1.0 * b for a in (False, True) for b in (False, True)})
        (3.0, 1.0)
    """
    count = len(next(iter(values)))
    shares = []
    for player in range(count):
        weighted = []
        for others, change in _changes(values, player):
            size = sum(others)
            weight = math.factorial(size) * math.factorial(count - 1 - size) / math.factorial(count)
            weighted.append(weight * change)
        shares.append(math.fsum(weighted))
    return tuple(shares)


def explain(figure: str, values: Mapping[Corner, float], players: Sequence[Factor]) -> Explanation:
    """Explain one figure: Shapley value and range of every player."""
    count = len(players)
    effects = []
    for player, (factor, value) in enumerate(zip(players, shapley(values), strict=True)):
        changes = [change for _, change in _changes(values, player)]
        effects.append(Effect(factor, value, min(changes), max(changes)))
    return Explanation(figure, values[(False,) * count], values[(True,) * count], tuple(effects))


def _changes(values: Mapping[Corner, float], player: int) -> Iterator[tuple[Corner, float]]:
    """For every combination of the others, what the player changes."""
    for corner, value in values.items():
        if not corner[player]:
            joined = (*corner[:player], True, *corner[player + 1 :])
            yield corner, values[joined] - value
