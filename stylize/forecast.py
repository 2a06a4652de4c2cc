"""What a run will take: seconds and bytes, from the pixels that it works on.

The rates are constants, measured once (`benchmarks/forecast.py`), so that a size chosen by them is the same on every
run: no choice may depend on a timing. Machines differ, so the seconds are told as a range.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from interp.attribution.sanity import RANDOM_RANKINGS, STEPS
from interp.network.precision import resolve_precision
from stylize.canvas import MARGIN_PX
from stylize.fill import BORDER_PX
from stylize.presets import PRESETS
from stylize.tiles import GRID_PX, HALO_PX, worth_tiles
from stylize.ways import Way

# Measured on one thread with AVX-512 at widths w of 1/4, 1/2 and 1 of VGG-19's channels. An evaluation takes a fixed
# time, and a million pixels of a canvas a w + b w² seconds: 1.4, 2.9, 9.0 in float32; 0.7, 1.4, 3.7 in bfloat16.
EVALUATION_S = 0.01
MEGAPIXEL_S = {"float32": (4.2, 4.6), "bfloat16": (2.2, 1.4)}  # a, b
THREAD_GAIN = 0.8  # n threads do n to this power of one's work
FASTEST, SLOWEST = 0.6, 2.0  # of the forecast; with AVX2 alone, or on a busy machine, it takes twice the time

# The other stages, in evaluations at the finest scale ("looks") or seconds.
LAYERS_LOOKS, READING_LOOKS, ISOLATION_LOOKS = 3.0, 1.8, 2.5
TEXTURE_EVALUATIONS, TEXTURE_PIXELS = 60, 96 * 96
FORWARD = 1 / 3  # of an evaluation
LIBRARIES_S, NETWORK_S, REPORT_S = 1.5, 0.2, 2.0
FOREGROUND_S, FOREGROUND_MEGAPIXEL_S = 1.0, 0.15  # each of the latter, of the photo
PREPARING_MEGAPIXEL_S, ENLARGING_MEGAPIXEL_S = 0.25, 0.5  # of each region
COMPOSING_MEGAPIXEL_S, WRITING_MEGAPIXEL_S = 0.3, 0.35
ISOLATION_MEGAPIXEL_S, REPORT_MEGAPIXEL_S = 0.2, 0.15

# Peak memory, rounded up: in any case, by the network (its classifier's weights, as they load; times w²), a pixel of
# the largest canvas (times √w, in float32, L-BFGS' history full), a pixel of the photo.
FIXED_BYTES, NETWORK_BYTES, CANVAS_BYTES, PHOTO_BYTES = 0.8e9, 1.6e9, 2400, 100
# By tiles, a pixel of the canvas costs its images, with what the optimiser remembers, and times w the maps held;
# what a tile may cost; looks at a tile for each at the whole.
IMAGES_BYTES, CONTENT_BYTES = 130, 64
TILE_BYTES, TILE_LOOKS = 1.2e9, 4 / 3

# The photo's own size is worked at where painting is foreseen to take less than the first, half of it where less than
# the second: it is worth waiting for what avoids an enlargement by more than two.
OWN_SIZE_S, HALF_SIZE_S = 60.0, 180.0
LARGEST_PX, STEP_PX = 1024, 64
LARGEST_SIZE_PX = 8192  # that `Settings` takes


@dataclass(frozen=True)
class Extent:
    """How large a photo is, and the box around a region in it.

    Attributes:
        photo_hw_px: Height and width.
        box_hw_px: Likewise.
    """

    photo_hw_px: tuple[int, int]
    box_hw_px: tuple[int, int]

    @classmethod
    def of(cls, alpha_hw01: np.ndarray) -> "Extent":
        """Of a region, given at the photo's size."""
        lines = [np.flatnonzero((alpha_hw01 > 0).any(axis)) for axis in (1, 0)]
        rows, columns = (int(line[-1] - line[0] + 1) if len(line) else 0 for line in lines)
        return cls((alpha_hw01.shape[0], alpha_hw01.shape[1]), (rows, columns))

    def canvas_pixels(self, size_hw_px: tuple[int, int]) -> int:
        """Of the region's canvas at a scale: its box with margins, on the pools' grid, within the bordered picture."""
        return math.prod(
            min(side + 2 * BORDER_PX, box * side // photo + 2 * MARGIN_PX + GRID_PX)
            for box, photo, side in zip(self.box_hw_px, self.photo_hw_px, size_hw_px, strict=True)
        )


@dataclass(frozen=True)
class Job:
    """One region at one scale.

    Attributes:
        evaluations: Of its loss.
        pixels: Of its canvas.
        megapixel_s: Seconds that a million pixels take in one evaluation.
    """

    evaluations: int
    pixels: int
    megapixel_s: float

    @property
    def seconds(self) -> float:
        """On one thread."""
        return self.evaluations * (EVALUATION_S + self.pixels / 1e6 * self.megapixel_s)


@dataclass(frozen=True)
class Machine:
    """What a run may use.

    Attributes:
        threads: Of the processor.
        memory_bytes: Not what is free just now: that would change from run to run.
    """

    threads: int
    memory_bytes: float


@dataclass(frozen=True)
class Forecast:
    """What a run will take.

    Attributes:
        jobs: Scale by scale, region by region, as they are done.
        regions: How many.
        threads: That share the work.
        photo_pixels: Of the photo.
        width: Of the network.
        enlarged: Whether the result is.
        tiled: Whether a large canvas is worked on by tiles.
    """

    jobs: tuple[Job, ...]
    regions: int
    threads: int
    photo_pixels: int
    width: float
    enlarged: bool
    tiled: bool = False

    @property
    def painting_s(self) -> float:
        """Of the optimisation."""
        return sum(job.seconds for job in self.jobs) / self.threads**THREAD_GAIN

    def stages(self, *, reported: bool) -> dict[str, float]:
        """Seconds of each stage from the choice of layers to the end, in order.

        Args:
            reported: Whether a report is written.
        """
        gain = self.threads**THREAD_GAIN
        finest = self.jobs[-self.regions :]
        look = sum(job.seconds / job.evaluations for job in finest) / gain
        photo = self.photo_pixels / 1e6
        textures = self.regions * Job(TEXTURE_EVALUATIONS, TEXTURE_PIXELS, self.jobs[-1].megapixel_s).seconds
        told = {
            "layers": LAYERS_LOOKS * look,
            "preparing": PREPARING_MEGAPIXEL_S * photo * self.regions,
            "painting": self.painting_s,
            "enlarging": ENLARGING_MEGAPIXEL_S * photo * self.regions * self.enlarged,
            "composing": COMPOSING_MEGAPIXEL_S * photo,
            "writing": WRITING_MEGAPIXEL_S * photo,
            "reading": READING_LOOKS * look,
            "isolation": ISOLATION_LOOKS * look + ISOLATION_MEGAPIXEL_S * photo,
            "textures": textures / gain,
            "report": REPORT_S + REPORT_MEGAPIXEL_S * photo,
        }
        if reported:
            return told
        return dict(itertools.takewhile(lambda stage: stage[0] != "reading", told.items()))

    @property
    def shares(self) -> list[float]:
        """How much of the optimisation is done after each evaluation, up to 1."""
        costs = [job.seconds / job.evaluations for job in self.jobs for _ in range(job.evaluations)]
        done = list(itertools.accumulate(costs))
        return [cost / done[-1] for cost in done]

    @property
    def peak_bytes(self) -> float:
        """Peak memory of the process."""
        largest = max(job.pixels for job in self.jobs)
        whole = peak_bytes(largest, self.photo_pixels, self.width)
        if not self.tiled:
            return whole
        kept = largest * (IMAGES_BYTES + CONTENT_BYTES * self.width)
        return min(whole, peak_bytes(0, self.photo_pixels, self.width) + TILE_BYTES + kept)


def forecast(way: Way, regions: Sequence[Extent], width: float, threads: int) -> Forecast:
    """Foresee a run.

    Args:
        way: How.
        regions: What is restyled.
        width: Of the network, as a fraction of VGG-19's.
        threads: Of the processor.

    Returns:
        The forecast.

    Example:
        >>> from stylize.presets import PRESETS
        >>> found = forecast(PRESETS["default"], [Extent((512, 512), (512, 512))], 0.25, 2)
        >>> [job.pixels for job in found.jobs]
        [25600, 82944, 295936]
    """
    photo = regions[0].photo_hw_px
    linear, square = MEGAPIXEL_S[resolve_precision(way.precision, "cpu")]
    rate = linear * width + square * width**2
    again = TILE_LOOKS * ((way.tile_px + 2 * HALO_PX) / max(1, way.tile_px)) ** 2
    jobs = []
    for size, count in way.scales(photo):
        for region in regions:
            pixels = region.canvas_pixels(size) if way.isolates else math.prod(size)
            jobs.append(Job(count, pixels, rate * again if worth_tiles((1, pixels), way.tile_px) else rate))
    enlarged = way.scales(photo)[-1][0] != photo
    return Forecast(tuple(jobs), len(regions), threads, math.prod(photo), width, enlarged, way.tile_px > 0)


def looking_s(native_px: int, width: float, threads: int) -> float:
    """Seconds of `quick_verdict` on a square picture: forward passes for each ranking's two curves."""
    linear, square = MEGAPIXEL_S["float32"]
    pixels = native_px**2
    passes = 2 * (RANDOM_RANKINGS + 1) * (STEPS + 1)
    return passes * FORWARD * pixels / 1e6 * (linear * width + square * width**2) / threads**THREAD_GAIN


def finding_s(photo_pixels: int) -> float:
    """Seconds of cutting the foreground."""
    return FOREGROUND_S + FOREGROUND_MEGAPIXEL_S * photo_pixels / 1e6


def affordable(way: Way, regions: Sequence[Extent], width: float, machine: Machine) -> Way:
    """The way at the largest working size, from its own up, that time and memory allow.

    Args:
        way: How; `size_px` is the size that is always taken.
        regions: What is restyled.
        width: Of the network.
        machine: What may be used.

    Returns:
        The same at the photo's own size, 1024 px at most, or less, in steps of 64 px, until painting is foreseen to
        take no longer than a minute; or at half the photo's, if that is more, within three minutes. Neither takes more
        than the machine's memory.
    """

    def within(longest_s: float, size: int) -> int:
        while size > way.size_px:
            found = forecast(replace(way, size_px=size), regions, width, machine.threads)
            if found.painting_s <= longest_s and found.peak_bytes <= machine.memory_bytes:
                return size
            size -= STEP_PX
        return way.size_px

    own = max(regions[0].photo_hw_px)
    sizes = within(OWN_SIZE_S, min(LARGEST_PX, own)), within(HALF_SIZE_S, min(LARGEST_PX, own // 2))
    return replace(way, size_px=max(sizes))


def tile_px(width: float) -> int:
    """Side of the tiles that a network of a width is worked by."""
    return int(math.sqrt(TILE_BYTES / pixel_bytes(width)) - 2 * HALO_PX) // STEP_PX * STEP_PX


def largest_size_px(way: Way, regions: Sequence[Extent], width: float, memory_bytes: float) -> int:
    """The largest working size, a multiple of 64 px, whose peak stays within a memory; 0 if there is none."""
    longest = max(regions[0].photo_hw_px)
    for size in range(-(-longest // STEP_PX) * STEP_PX, 0, -STEP_PX):
        if forecast(replace(way, size_px=size), regions, width, 1).peak_bytes <= memory_bytes:
            return size
    return 0


def largest_square_px(width: float, memory_bytes: float) -> int:
    """Side of the largest square photo, a multiple of 64 px, that is worked at its own size, by tiles; 0 if none is."""
    for side in range(LARGEST_SIZE_PX, 0, -STEP_PX):
        way = replace(PRESETS["default"], size_px=side, tile_px=tile_px(width))
        if forecast(way, [Extent((side, side), (side, side))], width, 1).peak_bytes <= memory_bytes:
            return side
    return 0


def peak_bytes(canvas_pixels: int, photo_pixels: int, width: float) -> float:
    """Peak memory of a run whose largest canvas has so many pixels."""
    return fixed_bytes(width) + pixel_bytes(width) * canvas_pixels + PHOTO_BYTES * photo_pixels


def fixed_bytes(width: float) -> float:
    """What a run takes whatever its size."""
    return FIXED_BYTES + NETWORK_BYTES * width**2


def pixel_bytes(width: float) -> float:
    """What a run takes for each pixel of its largest canvas."""
    return CANVAS_BYTES * math.sqrt(width)
