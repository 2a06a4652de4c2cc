"""Searching the settings of our own loop: strength, layer weights, optimiser, learning rate, start.

Three objectives, none of which the loss contains, each 0 at best and about 1 where it has failed: how far patches lie
from the painting's, as a share of how far the photo's do; how much of the photo's edges is lost; and how far the result
moves when the photo is jittered, as a share of what was changed at all. Trials live in an SQLite file, one committed
after the other, so that a study that was killed goes on where it stopped.
"""

import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from interp.errors import InputError, MaskError, OutputError, UsageError
from interp.pictures.images import to_nchw01
from interp.statistics.layers import FIXED_CONTENT, FIXED_STYLE
from stylize.pair import Pair
from stylize.presets import OPTIMIZERS, STARTS, Preset
from stylize.rulers import Rulers, rulers_for

if TYPE_CHECKING:
    import optuna

OBJECTIVES = ("patch distance", "edges lost", "change under jitter")
STRENGTHS = (0.05, 20.0)
WEIGHTS = (0.02, 1.0)  # before they are brought to the sum 1
LEARNING_RATES = (0.005, 0.2)  # Adam's; L-BFGS takes none
IDENTITY = "identity"  # of what is optimised, kept in the file
MAX_FAILURES = 10


@dataclass(frozen=True)
class Attempt:
    """One finished trial.

    Attributes:
        number: Of the trial, from 0.
        values: What was tried, by name.
        objectives: One a name in `OBJECTIVES`, less is better.
        on_front: Whether no other trial is at least as good on all three and better on one.
    """

    number: int
    values: dict[str, Any]
    objectives: tuple[float, float, float]
    on_front: bool = False


@contextmanager
def open_study(path: Path, identity: Mapping[str, str], seed: int, *, resume: bool = False) -> "Iterator[optuna.Study]":
    """Open a study's file, or make it.

    Args:
        path: SQLite file.
        identity: What the trials are about (hashes of pictures and weights, size, region), by name: a resumed study
            must be about the same.
        seed: Of the sampler.
        resume: Whether the file must exist.

    Yields:
        The study; trials that a killed run left behind are marked as failed.

    Raises:
        InputError: If the file to resume is missing or no study.
        UsageError: If it is about something else.
        OutputError: If the file cannot be written.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    if resume and not os.path.isfile(path):  # noqa: PTH113 -- Path's raises for a name that is too long
        raise InputError(f"No such study: {str(path)!r}. Expected the .sqlite3 file of an earlier sweep.")
    try:
        # The path is opened, never read as a URL: there, `?`, `%` and braces mean something.
        storage = optuna.storages.RDBStorage(
            "sqlite://", {"creator": lambda: sqlite3.connect(path), "poolclass": NullPool}
        )
    except (SQLAlchemyError, RuntimeError) as error:
        kind = InputError if resume else OutputError
        raise kind(f"Cannot use {str(path)!r} as a study ({type(error).__name__}). Choose another file.") from error
    try:
        names = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
        if resume and names != ["sweep"]:
            raise InputError(f"{str(path)!r} holds no sweep. Expected the .sqlite3 file of an earlier one.")
        study = optuna.create_study(
            storage=storage,
            study_name="sweep",
            directions=["minimize" for _ in OBJECTIVES],
            load_if_exists=True,
        )
        kept = study.user_attrs.get(IDENTITY, dict(identity))
        differing = [name for name, value in identity.items() if kept.get(name) != value]
        if differing:
            raise UsageError(
                f"The study in {str(path)!r} is about another {' and '.join(differing)}; expected the pictures and "
                "options it was begun with. Begin a new one without --resume."
            )
        study.set_user_attr(IDENTITY, dict(identity))
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        # A sampler's state is not kept: a resumed study draws from a seed of its own, the same each time.
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.get_trials(deepcopy=False)))
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def sweep(
    study: "optuna.Study", pair: Pair, base: Preset, trials: int, watch: Callable[[int], None] | None = None
) -> Iterator[Attempt]:
    """Try settings until so many trials are finished, those of earlier runs included.

    Args:
        study: From `open_study`.
        pair: Pictures, region and network.
        base: What is not searched.
        trials: Finished trials wanted.
        watch: Called with the number of finished trials.

    Yields:
        Each new trial once it is stored.

    Raises:
        MaskError: If the region is too small for the objectives to be measured.
    """
    import optuna

    rulers = rulers_for(pair.vgg, pair.photo_nchw01, pair.alpha_hw01, pair.painting_nchw01, {})
    if not np.isfinite([rulers.photo.patches, rulers.photo.edges_kept]).all():
        height, width = pair.alpha_hw01.shape
        raise MaskError(
            f"The region is too small to judge results by, in {width}x{height} px. Use a larger --size, region, photo."
        )
    failures = 0
    while (done := len(finished(study))) < trials:
        if watch:
            watch(done)
        trial = study.ask()
        objectives = _objectives(pair, rulers, preset_of(ask_values(trial), base))
        if not np.isfinite(objectives).all():
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            failures += 1
            if failures == MAX_FAILURES:
                raise UsageError(
                    f"{failures} trials ended in no finite result. Use other pictures, weights or options."
                )
            continue
        study.tell(trial, objectives)
        yield Attempt(trial.number, dict(trial.params), objectives)


def ask_values(trial: "optuna.Trial") -> dict[str, Any]:
    """Draw one trial's values; every trial has all of them, so that their importance can be told."""
    weights = {f"weight {name}": trial.suggest_float(f"weight {name}", *WEIGHTS, log=True) for name in FIXED_STYLE}
    return {
        "strength": trial.suggest_float("strength", *STRENGTHS, log=True),
        "optimizer": trial.suggest_categorical("optimizer", OPTIMIZERS),
        "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATES, log=True),
        "start": trial.suggest_categorical("start", STARTS),
        **weights,
    }


def preset_of(values: Mapping[str, Any], base: Preset) -> Preset:
    """A trial's values as a preset, at the base's own sizes and iterations."""
    weights = {name: values[f"weight {name}"] for name in FIXED_STYLE}
    total = sum(weights.values())
    return replace(
        base,
        **{name: values[name] for name in ("strength", "optimizer", "learning_rate", "start")},
        style_layers={name: weight / total for name, weight in weights.items()},
        content_layer=FIXED_CONTENT,
        name="sweep",
    )


def finished(study: "optuna.Study") -> list[Attempt]:
    """All finished trials, with the Pareto front marked."""
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    front = on_front([tuple(trial.values) for trial in complete])
    return [
        Attempt(trial.number, dict(trial.params), (trial.values[0], trial.values[1], trial.values[2]), best)
        for trial, best in zip(complete, front, strict=True)
    ]


def on_front(objectives: list[tuple[float, ...]]) -> list[bool]:
    """For each point whether no other is at least as small everywhere and smaller somewhere."""
    points = np.array(objectives, dtype=float)
    return [not ((points <= point).all(1) & (points < point).any(1)).any() for point in points]


def choose(attempts: list[Attempt]) -> Attempt:
    """The front's trial nearest to (0, 0, 0): each objective is 0 at best and about 1 where it has failed."""
    front = [attempt for attempt in attempts if attempt.on_front]
    return min(front, key=lambda attempt: math.hypot(*attempt.objectives))


def importances(study: "optuna.Study", seed: int = 0) -> dict[str, dict[str, float]]:
    """How much each value matters to each objective: fANOVA (Hutter et al. 2014), shares that add up to 1.

    Args:
        study: From `open_study`.
        seed: Of the random forest that fANOVA takes apart.

    Returns:
        Objective -> value -> share; empty with fewer than ten finished trials, which tell nothing.
    """
    import optuna

    if len(finished(study)) < 10:
        return {}
    found = {}
    for place, name in enumerate(OBJECTIVES):

        def target(trial: "optuna.trial.FrozenTrial", place: int = place) -> float:
            return trial.values[place]

        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        found[name] = optuna.importance.get_param_importances(study, evaluator=evaluator, target=target)
    return found


def result_of(pair: Pair, preset: Preset, photo_nchw01: Tensor | None = None) -> np.ndarray:
    """Run a preset, on another photo if one is given; (H, W, 3) uint8 at the pair's size."""
    *_, last = pair.events(preset, photo_nchw01)
    return pair.result_of(last, preset)


def _objectives(pair: Pair, rulers: Rulers, preset: Preset) -> tuple[float, float, float]:
    """Run a preset twice, the second time from a jittered photo, and read the result."""
    result = result_of(pair, preset)
    again = result_of(pair, preset, pair.jittered(torch.Generator().manual_seed(pair.seed)))
    reading = rulers.read(to_nchw01(result).to(pair.photo_nchw01))
    moved = pair.rms_change(result, pair.photo_hwc_u8)
    shaken = pair.rms_change(result, again) / moved if moved > 0 else 1.0
    return reading.patches / max(rulers.photo.patches, 1e-6), 1 - reading.edges_kept, shaken
