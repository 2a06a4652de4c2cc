"""The size to work at, and what is said before the work starts: how long it will take, and in how much memory."""

from dataclasses import replace
from typing import TYPE_CHECKING

from commands.run import Run

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from stylize.forecast import Extent, Forecast, Machine
    from stylize.ways import Way


def sized(run: Run, way: "Way", alphas_hw01: "list[np.ndarray]", vgg: "Vgg") -> "tuple[Way, Forecast]":
    """The way at a size that this machine can take, and what it will take; both are said.

    Args:
        run: The command's, with --size.
        way: As named, with the size that was given. The default one is brought to the photo's usual size, or less;
            other presets were made for their own.
        alphas_hw01: (H, W) each, the regions.
        vgg: The network.
    """
    from stylize.forecast import Extent, affordable, forecast

    regions, width, machine = [Extent.of(alpha) for alpha in alphas_hw01], vgg.info.width, _machine()
    if way.name == "default" and not run.is_given("size"):
        way = affordable(way, regions, width, machine)
    else:
        way = _fitting(run, way, regions, width, machine)
    found = forecast(way, regions, width, machine.threads)
    _foretell(run, way, regions, found, machine)
    return way, found


def _fitting(run: Run, way: "Way", regions: "list[Extent]", width: float, machine: "Machine") -> "Way":
    """The way at a size asked for, or at the largest one that the memory takes."""
    from stylize.forecast import forecast, largest_size_px

    needed = forecast(way, regions, width, machine.threads).peak_bytes
    largest = largest_size_px(way, regions, width, machine.memory_bytes)
    if needed <= machine.memory_bytes or not largest:
        return way
    run.warn(
        f"{way.size_px} px would take about {_gigabytes(needed)} of memory and this machine has "
        f"{_gigabytes(machine.memory_bytes)}: worked at {largest} px."
    )
    return replace(way, size_px=largest)


def _foretell(run: Run, way: "Way", regions: "list[Extent]", found: "Forecast", machine: "Machine") -> None:
    """Say at which size the work is done, what it will take, and what this machine could take."""
    from commands.checks.machine import available_bytes
    from stylize.forecast import FASTEST, SLOWEST, largest_size_px

    photo = regions[0].photo_hw_px
    size, _ = way.scales(photo)[-1]
    enlarged = f", enlarged to {photo[1]}x{photo[0]} at the end" if size != photo else ""
    time = "time unknown on this device"
    if run.device() == "cpu":
        seconds = sum(found.stages(not run.options.no_report).values())
        threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
        time = f"{_duration(FASTEST * seconds, SLOWEST * seconds)} with {threads}"
    largest = largest_size_px(way, regions, found.width, machine.memory_bytes)
    more = f" (its memory takes --size {largest})" if largest > max(size) else ""
    run.say(
        f"Working at {size[1]}x{size[0]} px{enlarged}. Foreseen on this machine{more}: {time}, about "
        f"{_gigabytes(found.peak_bytes)} of memory."
    )
    if found.peak_bytes > available_bytes():
        run.warn(f"Only {_gigabytes(available_bytes())} of memory are free now: close other programs.")


def _machine() -> "Machine":
    import torch

    from commands.checks.machine import total_bytes
    from stylize.forecast import Machine

    return Machine(torch.get_num_threads(), total_bytes())


def _duration(least_s: float, most_s: float) -> str:
    """A range in words.

    Example: 40 s to 2 min.
    """
    if most_s < 90:
        return f"{least_s:.0f} to {most_s:.0f} s"
    least = f"{least_s:.0f} s" if least_s < 60 else f"{least_s / 60:.0f}"
    return f"{least} to {most_s / 60:.0f} min"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
