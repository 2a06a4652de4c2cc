"""Progress on stderr: of an optimisation, from its events, or of all of a command's work, stage by stage."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from commands.options import Progress
from commands.streams import DISPLAY, tell


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


def left(event: Step) -> str:
    """The time left, at the pace until now."""
    if not event.step:
        return ""
    seconds = round(event.elapsed_s / event.step * (event.total - event.step))
    return f"{seconds} s left" if seconds < 100 else f"{seconds / 60:.0f} min left"


class Lines(Display):
    """A line for every tenth of the work."""

    def __init__(self) -> None:
        self.tenths = 0

    def show(self, event: Step, text: str) -> None:
        """Print when another tenth is done."""
        tenths = int(10 * event.step / event.total)
        if tenths > self.tenths:
            self.tenths = tenths
            tell(f"{tenths * 10:3d} %  {text}  {left(event)}")


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
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %  {task.description}"),
            TimeElapsedColumn(),
        )
        with RichProgress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("starting", total=None)

            class Bar(Display):
                def show(self, event: Step, text: str) -> None:
                    bar.update(task, total=event.total, completed=event.step, description=f"{text}  {left(event)}")

            yield Bar()


def open_display(mode: Progress, quiet: bool) -> Display:
    """Open a display that stays until `DISPLAY` is closed; there is one at a time."""
    DISPLAY.close()
    return DISPLAY.enter_context(progress(mode, quiet))


@dataclass(frozen=True)
class Moment:
    """How far all the work is."""

    step: float
    total: float
    elapsed_s: float


class Stages:
    """All the work from here to a command's end.

    Args:
        costs: Foreseen cost of each stage by name, in order, in seconds or any other unit.
        display: Shows it.
    """

    def __init__(self, costs: Mapping[str, float], display: Display) -> None:
        self.costs, self.display, self.started = dict(costs), display, time.monotonic()

    def at(self, stage: str, share: float = 0.0, words: str = "") -> None:
        """Show that a share of a stage is done, and all of those before it."""
        names, costs = list(self.costs), list(self.costs.values())
        done = sum(costs[: names.index(stage)]) + share * self.costs[stage]
        self._show(done, words or stage)

    def finish(self) -> None:
        """Show that everything is done."""
        self._show(sum(self.costs.values()), "done")

    def _show(self, done: float, words: str) -> None:
        self.display.show(Moment(done, sum(self.costs.values()), time.monotonic() - self.started), words)
