"""Progress on stderr: of an optimisation, from its events, or of all of a command's work, in stages of foreseen cost."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from commands.options import Progress
from commands.streams import tell


class Step(Protocol):
    """What a progress display needs of an event."""

    @property
    def step(self) -> float:
        """Work done so far, in steps or any other unit."""
        ...

    @property
    def total(self) -> float:
        """Work in all, in the same unit."""
        ...

    @property
    def elapsed_s(self) -> float:
        """Seconds so far."""
        ...


class Display:
    """Shows steps; this one shows nothing."""

    def show(self, event: Step, text: str) -> None:
        """Show one event with a few words."""


class Lines(Display):
    """A line for every tenth of the work."""

    def __init__(self) -> None:
        self.tenths = 0

    def show(self, event: Step, text: str) -> None:
        """Print when another tenth is done."""
        tenths = int(10 * event.step / event.total)
        if tenths > self.tenths:
            self.tenths = tenths
            left_s = event.elapsed_s / event.step * (event.total - event.step)
            tell(f"{tenths * 10:3d} %  {text}  {left_s:.0f} s left")


@contextmanager
def progress(mode: Progress, quiet: bool) -> Iterator[Display]:
    """Open a display: a bar on a terminal, lines elsewhere, nothing when quiet."""
    if mode is Progress.AUTO:
        mode = Progress.BAR if sys.stderr.isatty() else Progress.PLAIN
    if quiet or mode is Progress.NONE:
        yield Display()
    elif mode is Progress.PLAIN:
        yield Lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %  {task.description}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("starting", total=None)

            class Bar(Display):
                def show(self, event: Step, text: str) -> None:
                    bar.update(task, total=event.total, completed=event.step, description=text)

            yield Bar()


@dataclass(frozen=True)
class Moment:
    """How far all the work is."""

    step: float
    total: float
    elapsed_s: float


class Work:
    """All the work from here to the command's end.

    Args:
        stages: Foreseen cost of each stage by name, in order, in seconds or any other unit.
        display: Shows it; nothing if none is given.
    """

    def __init__(self, stages: Mapping[str, float], display: Display | None = None) -> None:
        self.stages, self.display, self.started = dict(stages), display or Display(), time.monotonic()

    def at(self, stage: str, share: float = 0.0, words: str = "") -> None:
        """Show that a share of a stage is done, and all of those before it."""
        names, costs = list(self.stages), list(self.stages.values())
        done = sum(costs[: names.index(stage)]) + share * self.stages[stage]
        self.display.show(Moment(done, sum(costs), time.monotonic() - self.started), words or stage)


@contextmanager
def working(stages: Mapping[str, float], mode: Progress, quiet: bool) -> Iterator[Work]:
    """Open a display of all of a command's work; see `Work`."""
    with progress(mode, quiet) as display:
        yield Work(stages, display)
