"""Progress on stderr: of an optimisation, from its events, or of all of a command's work, stage by stage."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from commands.options import Progress
from commands.streams import DISPLAY, tell

DOUBT_S = 5.0  # of work as fast as foreseen: the pace is believed after a few seconds


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


@dataclass(frozen=True)
class Moment:
    """How far all the work is.

    Attributes:
        step: Share that is done.
        elapsed_s: Seconds so far.
        left_s: Seconds left; None while nothing is known.
    """

    step: float
    elapsed_s: float
    left_s: float | None
    total: float = 1.0


class Display:
    """Shows steps; this one shows nothing."""

    def show(self, event: Step, text: str) -> None:
        """Show one event with a few words."""


def left(event: Step) -> str:
    """The time left, at the pace until now."""
    if isinstance(event, Moment):
        seconds = event.left_s
    else:
        seconds = event.elapsed_s / event.step * (event.total - event.step) if event.step else None
    if seconds is None:
        return ""
    seconds = round(seconds)
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


class Stages:
    """All the work from here to a command's end.

    What is foreseen may change on the way: the share that is shown goes on from where it is, and never falls.

    Args:
        costs: Foreseen seconds of each stage by name, in order.
        display: Shows it.
    """

    def __init__(self, costs: Mapping[str, float], display: Display) -> None:
        self.costs, self.display, self.started = dict(costs), display, time.monotonic()
        self.stage, self.share = next(iter(costs)), 0.0
        self.origin = 0.0, 0.0  # what was done, and the share shown, when the costs last changed

    def at(self, stage: str, share: float = 0.0, words: str = "") -> None:
        """Show that a share of a stage is done, and all of those before it."""
        self.stage, self.share = stage, share
        done, total, elapsed = self._done(), sum(self.costs.values()), time.monotonic() - self.started
        pace = (elapsed + DOUBT_S) / (done + DOUBT_S)
        left_s = pace * (total - done) if done else None
        self.display.show(Moment(self._shown(), elapsed, left_s), words or stage)

    def foresee(self, costs: Mapping[str, float]) -> None:
        """Change what is foreseen from here on; the present stage, unless it is named, ends where it is."""
        shown, names = self._shown(), list(self.costs)
        passed = {name: self.costs[name] for name in names[: names.index(self.stage)]}
        if self.stage not in costs:
            passed[self.stage], self.share = self.share * self.costs[self.stage], 1.0
        self.costs = passed | dict(costs)
        self.origin = self._done(), shown

    def end_early(self) -> None:
        """The rest of the present stage is not done: time and share go by those after it."""
        names = list(self.costs)
        self.foresee({name: self.costs[name] for name in names[names.index(self.stage) + 1 :]})

    def finish(self) -> None:
        """Show that everything is done."""
        self.at(list(self.costs)[-1], 1.0, "done")

    def _done(self) -> float:
        names = list(self.costs)
        before = sum(self.costs[name] for name in names[: names.index(self.stage)])
        return before + self.share * self.costs[self.stage]

    def _shown(self) -> float:
        done, shown = self.origin
        total = sum(self.costs.values())
        left = total - self._done()  # exactly 0 at the end, whatever was rounded on the way
        return 1 - (1 - shown) * left / (total - done) if total > done else 1.0
