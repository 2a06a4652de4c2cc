"""The size to work at, and what is said before the work starts: how long it will take, and in how much memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from commands.work import Work
from interp.errors import OutOfMemoryError

USABLE = 0.8  # of the machine's memory: others need some, too
LARGE_PX = 2048  # above it by tiles, whatever the memory
FINDING, LOOKING = "foreground", "looking"  # stages
GROWING = ("default", "instant")  # at one size, so that the latter is a preview; other presets have their own

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from stylize.forecast import Extent, Forecast, Machine
    from stylize.ways import Way


def sized(
    work: Work, way: "Way", alphas_hw01: "list[np.ndarray]", vgg: "Vgg", *, grows: bool
) -> "tuple[Way, Forecast]":
    """The way at a size that this machine can take, and what it will take; both are said.

    Args:
        work: Says it.
        way: As named, with the size that was given; the default one is brought to the photo's own size, or less.
        alphas_hw01: (H, W) each, the regions.
        vgg: The network.
        grows: Whether no size was asked for.
    """
    from stylize.forecast import Extent, forecast

    regions, width, machine = [Extent.of(alpha) for alpha in alphas_hw01], vgg.info.width, _machine(work)
    if grows and way.name in GROWING:
        way = _grown(way, regions, width, machine)
    way = _fitting(work, way, regions, width, machine)
    found = forecast(way, regions, width, machine.threads)
    _foretell(work, way, regions, found, machine)
    work.foresee(found.stages(reported=not work.options.no_report))
    return way, found


def foresee_all(
    work: Work, way: "Way", photo_hw_px: tuple[int, int], regions: int, vgg: "Vgg", first: Sequence[str], *,
    grows: bool,
) -> None:  # fmt: skip
    """Show all the work from the start, as if each region filled the photo; `sized` knows better later.

    Args:
        work: Shows it.
        way: As for `sized`.
        photo_hw_px: Of the photo.
        regions: How many are restyled.
        vgg: The network.
        first: The stages before the layers, in order: `FINDING` the foreground, `LOOKING` at what the network sees.
        grows: As for `sized`.
    """
    from stylize.forecast import LIBRARIES_S, NETWORK_S, Extent, finding_s, forecast, looking_s

    extents, width, machine = [Extent(photo_hw_px, photo_hw_px)] * regions, vgg.info.width, _machine(work)
    if grows and way.name in GROWING:
        way = _grown(way, extents, width, machine)
    found = forecast(way, extents, width, machine.threads)
    looking = looking_s(vgg.info.native_size_px, width, machine.threads) if vgg.info.native_size_px else 0.0
    costs = {FINDING: finding_s(found.photo_pixels), LOOKING: looking}
    before = {"libraries": LIBRARIES_S, "network": NETWORK_S} | {stage: costs[stage] for stage in first}
    work.foresee(before | found.stages(reported=not work.options.no_report))
    work.at("network", 1.0)


def _grown(way: "Way", regions: "list[Extent]", width: float, machine: "Machine") -> "Way":
    """The way at the size that the default one would be brought to."""
    from stylize.forecast import affordable
    from stylize.presets import PRESETS

    usual = replace(PRESETS["default"], precision=way.precision)
    return replace(way, size_px=affordable(usual, regions, width, machine).size_px)


def _fitting(work: Work, way: "Way", regions: "list[Extent]", width: float, machine: "Machine") -> "Way":
    """The way as memory takes it: by tiles where a picture is large, and where they do not help at a smaller size.

    Raises:
        OutOfMemoryError: If no size fits, not even into all of the memory.
    """
    from stylize.forecast import STEP_PX, forecast, largest_size_px, tile_px

    def needed(way: "Way") -> float:
        return forecast(way, regions, width, machine.threads).peak_bytes

    whole, wanted = way, needed(way)
    large = max(way.scales(regions[0].photo_hw_px)[-1][0]) > LARGE_PX or wanted > machine.memory_bytes
    tiled = way.in_tiles(way.tile_px or tile_px(width))
    if large and needed(tiled) < wanted:
        way = tiled
    if needed(way) > machine.memory_bytes:
        total = machine.memory_bytes / USABLE
        limits = machine.memory_bytes, total
        largest = next(filter(None, (largest_size_px(way, regions, width, limit) for limit in limits)), 0)
        if not largest:
            least = needed(replace(way, size_px=STEP_PX))
            raise OutOfMemoryError(
                f"At the smallest size this photo takes about {_gigabytes(least)} of memory, and {_gigabytes(total)} "
                "may be used here. Export a smaller photo, or raise the limit."
            )
        work.warn(
            f"{way.size_px} px would take about {_gigabytes(needed(way))} of memory, and this machine should not be "
            f"asked for more than {_gigabytes(machine.memory_bytes)}: worked at {largest} px."
        )
        way, whole = replace(way, size_px=largest), replace(whole, size_px=largest)
        way = way if needed(way) < needed(whole) else whole
    if way.tile_px > whole.tile_px:
        work.say(f"Worked on by tiles of {way.tile_px} px: less memory, about twice the time.")
    return way


def _foretell(work: Work, way: "Way", regions: "list[Extent]", found: "Forecast", machine: "Machine") -> None:
    """Say at which size the work is done, what it will take, and what this machine could take."""
    from commands.checks.machine import available_bytes
    from stylize.forecast import FASTEST, SLOWEST, largest_size_px, tile_px

    photo = regions[0].photo_hw_px
    size, _ = way.scales(photo)[-1]
    enlarged = f", enlarged to {photo[1]}x{photo[0]} at the end" if size != photo else ""
    if way.size_px > max(photo):
        enlarged = ", which is all that the photo has"
    time = "time unknown on this device"
    if work.device() == "cpu":
        seconds = sum(found.stages(reported=not work.options.no_report).values())
        threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
        time = f"{_duration(FASTEST * seconds, SLOWEST * seconds)} with {threads}"
    in_tiles = way.in_tiles(tile_px(found.width))
    largest = min(max(photo), largest_size_px(in_tiles, regions, found.width, machine.memory_bytes))
    more = f" Possible is up to --size {largest}." if largest > max(size) else ""
    work.say(
        f"Working at {size[1]}x{size[0]} px{enlarged}. Foreseen on this machine: {time}, about "
        f"{_gigabytes(found.peak_bytes)} of memory.{more}"
    )
    if found.peak_bytes > available_bytes():
        work.warn(f"Only {_gigabytes(available_bytes())} of memory are free now: close other programs.")


def _machine(work: Work) -> "Machine":
    import torch

    from commands.checks.machine import total_bytes
    from stylize.forecast import Machine

    return Machine(torch.get_num_threads(), USABLE * work.memory_share * total_bytes())


def _duration(least_s: float, most_s: float) -> str:
    """A range in words.

    Example: 40 s to 2 min.
    """
    if most_s < 1:
        return "less than a second"
    if most_s < 90:
        return f"{least_s:.0f} to {most_s:.0f} s"
    least = f"{least_s:.0f} s" if least_s < 60 else f"{least_s / 60:.0f}"
    return f"{least} to {most_s / 60:.0f} min"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
