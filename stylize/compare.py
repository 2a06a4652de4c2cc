"""The comparative study: several ways to restyle one photo, with the same painting, weights, size and region."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.images import to_hwc_u8, to_nchw01
from interp.layers import LayerChoice
from interp.vgg import Vgg
from stylize.historical import RecipeEvent, RecipeLoss, follow, paste, recipe_notes
from stylize.judge import Judge, Reading
from stylize.optimise import StepEvent, scale_sizes_hw_px, stylize
from stylize.peak import PeakMemory
from stylize.presets import Settings
from stylize.recipes import Recipe
from stylize.region import StyledRegion

READINGS = 20  # a run, at steps that grow geometrically
SPIKE = 1.1  # a loss this many times the step before it
JITTER = 1 / 255  # largest change of a value of the photo
OWN_EVERY = 20  # our own way prescribes no interval


@dataclass(frozen=True)
class Own:
    """Our own way as a contestant.

    Attributes:
        name: Of the preset.
        settings: Of the loop.
        choice: Layers.
        strength: Painting against photo.
    """

    name: str
    settings: Settings
    choice: LayerChoice
    strength: float = 1.0

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"this project, preset {self.name}"


Contestant = Recipe | Own
Cut = Callable[[np.ndarray], np.ndarray]


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


@dataclass(frozen=True)
class Contest:
    """What all ways share.

    Attributes:
        vgg: The network.
        photo_nchw01: (1, 3, H, W), the photo at the working size.
        painting_nchw01: (1, 3, h, w).
        alpha_hw01: (H, W), the region at that size.
        iterations: At most this many steps a recipe; None for each one's own.
        jitters: Repeats from a photo whose values move by up to 1/255.
        seed: Of the jitter.
        cut: GrabCut on a result, (H, W, 3) uint8 -> alpha of what it would have been the region; for recipes that cut.
    """

    vgg: Vgg = field(repr=False)
    photo_nchw01: Tensor = field(repr=False)
    painting_nchw01: Tensor = field(repr=False)
    alpha_hw01: np.ndarray = field(repr=False)
    iterations: int | None = None
    jitters: int = 1
    seed: int = 0
    cut: Cut | None = field(default=None, repr=False)

    def steps_of(self, contestant: Contestant) -> int:
        """Evaluations of one run."""
        if isinstance(contestant, Recipe):
            return min(contestant.iterations, self.iterations or contestant.iterations)
        settings = self._settings(contestant)
        height, width = self.photo_nchw01.shape[-2:]
        coarse = len(scale_sizes_hw_px((height, width), settings)) - 1
        return settings.iterations + coarse * settings.coarse_iterations

    def events(self, contestant: Contestant, photo_nchw01: Tensor) -> "Iterator[StepEvent] | Iterator[RecipeEvent]":
        """Run one way on a photo."""
        if isinstance(contestant, Recipe):
            count, side = self.steps_of(contestant), max(photo_nchw01.shape[-2:])
            return follow(
                self.vgg, photo_nchw01, self.painting_nchw01, contestant, size_px=side, iterations=count
            )  # fmt: skip
        region = StyledRegion(self.alpha_hw01, self.painting_nchw01, contestant.choice, contestant.strength)
        return stylize(self.vgg, photo_nchw01, [region], self._settings(contestant))

    def paste(self, image_nchw01: Tensor, alpha_hw01: np.ndarray) -> Tensor:
        """Bring a restyled picture, of any size, into the photo."""
        return paste(self.photo_nchw01, image_nchw01, alpha_hw01)

    def _settings(self, contestant: Own) -> Settings:
        settings = replace(contestant.settings, size_px=max(64, *self.photo_nchw01.shape[-2:]))
        if self.iterations is None:
            return settings
        shorter = min(settings.iterations, self.iterations), min(settings.coarse_iterations, self.iterations)
        return replace(settings, iterations=shorter[0], coarse_iterations=shorter[1])


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


def jittered(photo_nchw01: Tensor, generator: torch.Generator) -> Tensor:
    """The photo with every value moved by up to 1/255."""
    noise = (2 * torch.rand(photo_nchw01.shape, generator=generator) - 1) * JITTER
    return (photo_nchw01 + noise.to(photo_nchw01)).clamp(0, 1)


def rms_change(one_hwc_u8: np.ndarray, other_hwc_u8: np.ndarray, alpha_hw01: np.ndarray) -> float:
    """Root mean square difference of two pictures inside a region, 0 … 255."""
    squares = np.square(one_hwc_u8.astype(np.float64) - other_hwc_u8).mean(2)
    return float(np.sqrt((alpha_hw01 * squares).sum() / alpha_hw01.sum()))


def restyled_nchw01(event: StepEvent | RecipeEvent) -> Tensor:
    """What is to be pasted: a recipe's picture, or our own region's image before it is composed."""
    return event.restyled_rchw if isinstance(event, StepEvent) else event.image_nchw01


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
