"""Progress of an optimisation, from its events, on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from commands.options import Progress
from commands.streams import tell


class Step(Protocol):
    """What a progress display needs of an event."""

    @property
    def step(self) -> int:
        """Steps so far."""
        ...

    @property
    def total(self) -> int:
        """Steps in all."""
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
        tenths = 10 * event.step // event.total
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
