"""The comparative study: several ways to restyle one photo, with the same painting, weights, size and region."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.pictures.images import to_nchw01
from stylize.descent import gradient_nchw
from stylize.forecast import MEGAPIXEL_S, Extent, Job, forecast
from stylize.optimise import StepEvent
from stylize.pair import Pair
from stylize.rulers import Reading, Rulers, random_judge, rulers_for
from stylize.ways import Way

READINGS = 20  # a run, at steps that grow geometrically
SPIKE = 1.1  # a loss this many times the step before it


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
        jitter_style: Change of the mean Gram distance, likewise.
    """

    spikes: int
    gradient_spread: float
    diverged: bool
    jitter_rms: float | None = None
    jitter_share: float | None = None
    jitter_style: float | None = None


@dataclass(frozen=True)
class Waypoint:
    """A reading on the way: after how many evaluations (0: the photo), and how many seconds of work."""

    step: int
    seconds: float
    reading: Reading


@dataclass(frozen=True)
class Outcome:
    """One way, run.

    Attributes:
        way: As named.
        run_as: Within the comparison's limits.
        steps: Evaluations of its loss.
        seconds: Of work, wall clock, readings left out.
        cpu_seconds: The same in processor time.
        layers: In its loss.
        waypoints: Readings along the way; the last is of the result as saved.
        losses: Its own loss at each step.
        first_gradient: Norm of its loss's gradient at its start, per unit of the [0, 1] range.
        stability: How calmly it arrived.
        changed_outside: Share of the pixels outside the region that differ from the photo.
        snapshots: (step, picture) pairs.
        result_hwc_u8: The result, at the working size.
    """

    way: Way
    run_as: Way
    steps: int
    seconds: float
    cpu_seconds: float
    layers: tuple[str, ...]
    waypoints: tuple[Waypoint, ...]
    losses: np.ndarray = field(repr=False)
    first_gradient: float
    stability: Stability
    changed_outside: float
    snapshots: tuple[tuple[int, np.ndarray], ...] = field(repr=False)
    result_hwc_u8: np.ndarray = field(repr=False)

    @property
    def name(self) -> str:
        """The way's."""
        return self.way.name

    @property
    def start(self) -> Reading:
        """The reading of the photo."""
        return self.waypoints[0].reading

    @property
    def last(self) -> Reading:
        """The reading of the result."""
        return self.waypoints[-1].reading


def compare(pair: Pair, ways: Sequence[Way], watch: Callable[[float, str], None] | None = None) -> Iterator[Outcome]:
    """Run several ways on one photo and read all of them on the same rulers.

    Args:
        pair: What they share.
        ways: What to compare; those that differ only in what is done with the result share a run.
        watch: Called after every step and reading with the share of all work that is done, and a few words.

    Yields:
        An outcome as soon as it is finished.

    Raises:
        UsageError: If a way cuts its result and there is nothing to cut it with.
    """
    for way in ways:
        if way.cut_result and pair.cut is None:
            raise UsageError(
                f"Preset {way.name!r} cuts a region out of its result; expected --region foreground or background."
            )
    rulers = rulers_for(pair.vgg, pair.photo_nchw01, pair.alpha_hw01, pair.painting_nchw01, random_judge())
    clock = _Clock(foreseen_s(pair, ways), watch)
    runs: list[tuple[Way, _Run]] = []
    for way in ways:
        run = next((run for other, run in runs if other.uncut() == way.uncut()), None)
        if run is None:
            run = _run(pair, rulers, way, clock)
            clock.tick((1 + pair.jitters) * _reading_s(pair), way.name)
            runs.append((way, run))
        yield _outcome(pair, rulers, way, run)


def foreseen_s(pair: Pair, ways: Sequence[Way]) -> float:
    """Seconds that a comparison is foreseen to take on one thread (`forecast`).

    Ways that differ only in what is done with the result count once.
    """
    different = [
        way for number, way in enumerate(ways) if way.uncut() not in [other.uncut() for other in ways[:number]]
    ]
    readings = sum(len(_read_at(pair.steps_of(way))) + 1 + pair.jitters for way in different)
    runs = sum(_costs_s(pair, way)[-1] for way in different) * (1 + pair.jitters)
    return readings * _reading_s(pair) + runs


def _costs_s(pair: Pair, way: Way) -> list[float]:
    """Foreseen seconds until after each evaluation of one run."""
    found = forecast(pair.as_run(way), [Extent.of(pair.alpha_hw01)], pair.vgg.info.width, threads=1)
    return [share * found.painting_s for share in found.shares]


def _read_at(steps: int) -> set[int]:
    """After which evaluations of a run there is a reading; that of the result comes later."""
    return set(np.geomspace(1, steps, READINGS).round().astype(int).tolist()) - {steps}


def _reading_s(pair: Pair) -> float:
    """Foreseen seconds of one reading: a look at a network of full width, without its gradient."""
    return Job(1, pair.alpha_hw01.size, sum(MEGAPIXEL_S["float32"]) / 3).seconds


@dataclass
class _Clock:
    """How much of the foreseen work is done."""

    total_s: float
    watch: Callable[[float, str], None] | None
    done_s: float = 0.0

    def tick(self, seconds: float, words: str) -> None:
        """So much more is done."""
        self.done_s += seconds
        if self.watch:
            self.watch(min(1.0, self.done_s / self.total_s), words)


@dataclass(frozen=True)
class _Run:
    """What a run left behind before its region is cut from its result."""

    ends: tuple[StepEvent, ...]  # the result, then one a jitter
    waypoints: tuple[Waypoint, ...]
    snapshots: tuple[tuple[int, np.ndarray], ...]
    losses: np.ndarray
    scales: np.ndarray
    gradient_norms: np.ndarray
    seconds: float
    cpu_seconds: float


def _run(pair: Pair, rulers: Rulers, way: Way, clock: _Clock) -> _Run:
    """One run with readings and snapshots, and its jittered repeats."""
    steps, uncut = pair.steps_of(way), way.uncut()
    read_at = _read_at(steps)
    waypoints, snapshots, figures = [Waypoint(0, 0.0, rulers.photo)], [], []
    last, seconds, cpu_seconds, events = None, 0.0, 0.0, pair.events(way)
    costs = np.diff(_costs_s(pair, way), prepend=0.0).tolist()
    while True:
        began, cpu_began = time.perf_counter(), time.process_time()
        event = next(events, None)
        seconds += time.perf_counter() - began
        cpu_seconds += time.process_time() - cpu_began
        if event is None:
            break
        last = event
        figures.append((event.losses["total"], event.scale, event.gradient_norm))
        clock.tick(costs[event.step - 1], way.name)
        if event.step in read_at:
            clock.tick(_reading_s(pair), way.name)
            waypoints.append(Waypoint(event.step, seconds, rulers.read(_image_of(pair, pair.result_of(event, uncut)))))
        if way.shows(event.step, steps):
            snapshots.append((event.step, pair.result_of(event, uncut)))
    assert last is not None
    ends, generator = [last], torch.Generator().manual_seed(pair.seed)
    for _ in range(pair.jitters):
        for event in pair.events(way, pair.jittered(generator)):
            last = event
            clock.tick(costs[event.step - 1], f"{way.name}, photo jittered")
        ends.append(last)
    losses, scales, norms = (np.array(column) for column in zip(*figures, strict=True))
    return _Run(tuple(ends), tuple(waypoints), tuple(snapshots), losses, scales, norms, seconds, cpu_seconds)


def _outcome(pair: Pair, rulers: Rulers, way: Way, run: _Run) -> Outcome:
    """Cut or paste, read the results, and sum up."""
    results = [pair.result_of(event, way) for event in run.ends]
    readings = [rulers.read(_image_of(pair, result)) for result in results]
    end = Waypoint(len(run.losses), run.seconds, readings[0])
    outside, canvas = pair.alpha_hw01 == 0, run.ends[0].scene.canvases[0]
    return Outcome(
        way=way,
        run_as=pair.as_run(way),
        steps=len(run.losses),
        seconds=run.seconds,
        cpu_seconds=run.cpu_seconds,
        layers=canvas.loss.layers,
        waypoints=(run.waypoints[0], end) if way.cut_result else (*run.waypoints, end),
        losses=run.losses,
        first_gradient=float(gradient_nchw(canvas.loss, canvas.start_nchw01).norm()),
        stability=_stability(pair, rulers, run, results, readings),
        changed_outside=float((results[0] != pair.photo_hwc_u8).any(2)[outside].mean()) if outside.any() else 0.0,
        snapshots=() if way.cut_result else run.snapshots,
        result_hwc_u8=results[0],
    )


def _stability(
    pair: Pair, rulers: Rulers, run: _Run, results: Sequence[np.ndarray], readings: Sequence[Reading]
) -> Stability:
    losses, norms = run.losses, run.gradient_norms[len(run.gradient_norms) // 2 :]
    low, high = np.quantile(norms, [0.05, 0.95]) if len(norms) else (math.nan, math.nan)
    diverged = not np.isfinite(losses).all() or losses[-1] > losses[run.scales == run.scales[-1]][0]
    rms = [pair.rms_change(result, results[0]) for result in results[1:]]
    moved = pair.rms_change(results[0], pair.photo_hwc_u8)
    style, *others = (reading.mean_gram(rulers.layers) for reading in readings)
    return Stability(
        count_spikes(losses, run.scales),
        float(high / low) if low > 0 else math.nan,
        bool(diverged),
        float(np.mean(rms)) if rms else None,
        float(np.mean(rms)) / moved if rms and moved > 0 else None,
        float(np.mean([abs(other - style) for other in others])) if others else None,
    )


def count_spikes(losses: np.ndarray, scales: np.ndarray) -> int:
    """Steps whose loss exceeds 1.1 times that of the step before, at the same scale."""
    return int(((losses[1:] > SPIKE * losses[:-1]) & (scales[1:] == scales[:-1])).sum())


def _image_of(pair: Pair, picture_hwc_u8: np.ndarray) -> Tensor:
    return to_nchw01(picture_hwc_u8).to(pair.photo_nchw01)
