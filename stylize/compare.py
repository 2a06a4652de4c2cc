"""The comparative study: several ways to restyle one photo, with the same painting, weights, size and region."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.pictures.images import to_hwc_u8, to_nchw01
from stylize.contest import Contest, Contestant, Own, jittered, restyled_nchw01, rms_change
from stylize.historical import RecipeLoss, recipe_notes
from stylize.judge import Judge, Reading
from stylize.peak import PeakMemory
from stylize.presets import Settings
from stylize.recipes import Recipe

READINGS = 20  # a run, at steps that grow geometrically
SPIKE = 1.1  # a loss this many times the step before it
OWN_EVERY = 20  # our own way prescribes no interval


@dataclass(frozen=True)
class Stability:
    """How calmly a way arrives.

    Attributes:
        spikes: Steps whose loss exceeds 1.1 times that of the step before, at the same scale.
        gradient_spread: Over the second half, the gradient norm's 95 % quantile over its 5 % quantile.
        diverged: Whether the loss ended above its start, or stopped being finite.
        jitter_rms: Root mean square change of the result inside the region, 0 … 255, when every value of the photo
            moves by up to 1/255; mean over the repeats, None without any.
        jitter_share: The same over what the way changes of the photo at all: a way that does little is not calm.
        jitter_style: Change of the mean style distance, likewise.
    """

    spikes: int
    gradient_spread: float
    diverged: bool
    jitter_rms: float | None = None
    jitter_share: float | None = None
    jitter_style: float | None = None


@dataclass(frozen=True)
class Trial:
    """One way, run.

    Attributes:
        name: Of the recipe or preset.
        title: What it is.
        steps: Evaluations of its loss.
        seconds: Of work, wall clock, judging left out.
        cpu_seconds: The same in processor time.
        peak_bytes: Largest memory above what was in use before; None where the system does not tell.
        optimised: Layers in its loss.
        readings: The yardstick along the way; the last is of the result as saved.
        losses: Its own loss at each step.
        first_style_gradient: Norm of its style loss's gradient at the photo; None for our own relative loss.
        stability: How calmly it arrived.
        changed_outside: Share of the pixels outside the region that differ from the photo.
        every: Steps between snapshots.
        snapshots: (step, picture) pairs.
        result_hwc_u8: The result, at the working size.
        notes: What a reader must know.
    """

    name: str
    title: str
    steps: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    optimised: tuple[str, ...]
    readings: tuple[Reading, ...]
    losses: np.ndarray = field(repr=False)
    first_style_gradient: float | None
    stability: Stability
    changed_outside: float
    every: int
    snapshots: tuple[tuple[int, np.ndarray], ...] = field(repr=False)
    result_hwc_u8: np.ndarray = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def last(self) -> Reading:
        """The yardstick on the result."""
        return self.readings[-1]


@dataclass(frozen=True)
class Tick:
    """Progress over all runs; what a progress display needs."""

    step: int
    total: int
    elapsed_s: float


def compare(
    contest: Contest, contestants: Sequence[Contestant], watch: Callable[[Tick, str], None] | None = None
) -> Iterator[Trial]:
    """Run several ways on one photo and judge them alike.

    Args:
        contest: What they share.
        contestants: Recipes and settings of our own.
        watch: Called after every step with the progress over all runs, and a few words.

    Yields:
        A trial as soon as it is finished.

    Raises:
        UsageError: If a recipe cuts its result and there is nothing to cut it with.
    """
    for contestant in contestants:
        if isinstance(contestant, Recipe) and contestant.cut_result and contest.cut is None:
            raise UsageError(
                f"Preset {contestant.name!r} cuts a region out of its result; "
                "expected --region foreground or background."
            )
    judge = Judge(contest.vgg, contest.photo_nchw01, contest.painting_nchw01, contest.alpha_hw01)
    runs: list[tuple[Contestant, _Run]] = []
    repeated = [
        way for number, way in enumerate(contestants) if any(_alike(way, other) for other in contestants[:number])
    ]
    total = sum(contest.steps_of(way) for way in contestants if way not in repeated) * (1 + contest.jitters)
    clock = _Clock(total, watch)
    for contestant in contestants:
        run = next((run for way, run in runs if _alike(way, contestant)), None)
        if run is None:
            run = _run(contest, judge, contestant, clock)
            runs.append((contestant, run))
        yield _trial(contest, judge, contestant, run)


@dataclass
class _Clock:
    total: int
    watch: Callable[[Tick, str], None] | None
    step: int = 0
    started: float = field(default_factory=time.monotonic)

    def tick(self, words: str) -> None:
        self.step += 1
        if self.watch:
            self.watch(Tick(self.step, max(self.total, self.step), time.monotonic() - self.started), words)


@dataclass(frozen=True)
class _Run:
    """What a run left behind before anything is cut or pasted."""

    images: tuple[Tensor, ...]  # the result, then one a jitter
    readings: tuple[Reading, ...]
    snapshots: tuple[tuple[int, np.ndarray], ...]
    losses: np.ndarray
    scales: np.ndarray
    gradient_norms: np.ndarray
    seconds: float
    cpu_seconds: float
    peak_bytes: int | None


def _run(contest: Contest, judge: Judge, contestant: Contestant, clock: _Clock) -> _Run:
    """One run with readings and snapshots, and its jittered repeats."""
    steps, every = contest.steps_of(contestant), getattr(contestant, "every", OWN_EVERY)
    read_at = set(np.unique(np.geomspace(1, steps, READINGS).round().astype(int)).tolist())
    readings = [judge.read(contest.photo_nchw01, 0, 0.0)]
    snapshots, losses, scales, norms, seconds, cpu_seconds = [], [], [], [], 0.0, 0.0
    image = contest.photo_nchw01
    with PeakMemory(contest.photo_nchw01.device.type) as peak:
        events = contest.events(contestant, contest.photo_nchw01)
        while True:
            began, cpu_began = time.perf_counter(), time.process_time()
            event = next(events, None)
            seconds += time.perf_counter() - began
            cpu_seconds += time.process_time() - cpu_began
            if event is None:
                break
            losses.append(event.losses["total"])
            scales.append(event.scale)
            clock.tick(contestant.name)
            image = restyled_nchw01(event)
            norms.append(event.gradient_norm)
            if event.step in read_at and event.step < steps:
                with peak.paused():
                    readings.append(judge.read(contest.paste(image, contest.alpha_hw01), event.step, seconds))
            if event.step % every == 0 and event.step < steps:
                snapshots.append((event.step, to_hwc_u8(contest.paste(image, contest.alpha_hw01))))
    images = [image]
    generator = torch.Generator().manual_seed(contest.seed)
    for _ in range(contest.jitters):
        for event in contest.events(contestant, jittered(contest.photo_nchw01, generator)):
            image = restyled_nchw01(event)
            clock.tick(f"{contestant.name}, photo jittered")
        images.append(image)
    return _Run(
        tuple(images), tuple(readings), tuple(snapshots), np.array(losses), np.array(scales), np.array(norms),
        seconds, cpu_seconds, peak.bytes,
    )  # fmt: skip


def _trial(contest: Contest, judge: Judge, contestant: Contestant, run: _Run) -> Trial:
    """Cut or paste, judge the results, and sum up."""
    cut, notes = isinstance(contestant, Recipe) and contestant.cut_result, []
    results = []
    for image in run.images:
        alpha = contest.alpha_hw01
        if cut and contest.cut:
            alpha = contest.cut(to_hwc_u8(contest.paste(image, np.ones_like(alpha))))
        results.append(to_hwc_u8(contest.paste(image, alpha)))
    photo_u8 = to_hwc_u8(contest.photo_nchw01)
    lasts = [judge.read(to_nchw01(result).to(contest.photo_nchw01), len(run.losses), run.seconds) for result in results]
    outside = contest.alpha_hw01 == 0
    changed = float((results[0] != photo_u8).any(2)[outside].mean()) if outside.any() else 0.0
    first = None
    if isinstance(contestant, Own):
        notes.append(f"Starts from {_start_in_words(contestant.settings)}; the recipes start from the photo itself.")
    if isinstance(contestant, Recipe):
        side = max(contest.photo_nchw01.shape[-2:])
        loss = RecipeLoss(contest.vgg, contest.photo_nchw01, contest.painting_nchw01, contestant, side)
        first = loss.first_style_gradient_norm()
        notes = recipe_notes(contestant, contest.vgg, side, contest.steps_of(contestant), first)
    readings = (run.readings[0], lasts[0]) if cut else (*run.readings, lasts[0])
    return Trial(
        contestant.name, contestant.title, len(run.losses), run.seconds, run.cpu_seconds, run.peak_bytes,
        _optimised(contestant), readings, run.losses, first,
        _stability(contest, judge, run, results, lasts), changed,
        getattr(contestant, "every", OWN_EVERY), () if cut else run.snapshots, results[0], tuple(notes),
    )  # fmt: skip


def _start_in_words(settings: Settings) -> str:
    return "noise" if settings.start == "noise" else "the photo recoloured to the painting"


def _stability(
    contest: Contest, judge: Judge, run: _Run, results: Sequence[np.ndarray], lasts: Sequence[Reading]
) -> Stability:
    losses = run.losses
    norms = run.gradient_norms[len(run.gradient_norms) // 2 :]
    low, high = np.quantile(norms, [0.05, 0.95]) if len(norms) else (math.nan, math.nan)
    diverged = not np.isfinite(losses).all() or losses[-1] > losses[run.scales == run.scales[-1]][0]
    rms = [rms_change(result, results[0], contest.alpha_hw01) for result in results[1:]]
    moved = rms_change(results[0], to_hwc_u8(contest.photo_nchw01), contest.alpha_hw01)
    style = [abs(last.mean_style(judge.layers) - lasts[0].mean_style(judge.layers)) for last in lasts[1:]]
    return Stability(
        count_spikes(losses, run.scales),
        float(high / low) if low > 0 else math.nan,
        bool(diverged),
        float(np.mean(rms)) if rms else None,
        float(np.mean(rms)) / moved if rms and moved > 0 else None,
        float(np.mean(style)) if style else None,
    )


def count_spikes(losses: np.ndarray, scales: np.ndarray) -> int:
    """Steps whose loss exceeds 1.1 times that of the step before, at the same scale."""
    return int(((losses[1:] > SPIKE * losses[:-1]) & (scales[1:] == scales[:-1])).sum())


def _optimised(contestant: Contestant) -> tuple[str, ...]:
    if isinstance(contestant, Recipe):
        return (*contestant.style_layers, contestant.content_layer)
    return (*contestant.choice.style_weights, contestant.choice.content_layer)


def _alike(one: Contestant, other: Contestant) -> bool:
    """Whether two recipes differ only in what is done with the result."""
    if not (isinstance(one, Recipe) and isinstance(other, Recipe)):
        return one is other
    bare = [replace(way, name="", title="", cut_result=False, sources={}) for way in (one, other)]
    return bare[0] == bare[1]
