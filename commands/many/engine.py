"""The engine: tasks are done by a runner, told of, kept in a manifest, and summed up in one page and one exit code."""

import time
import webbrowser
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import typer

from commands.failing import INTERRUPTED
from commands.many.manifest import Manifest
from commands.many.task import Outcome, Task, show_results
from commands.progress import Moment, Progress, progress
from commands.report import write_index
from commands.streams import tell
from interp.errors import InputError, OutputError
from interp.pictures.files import printable

PARTLY_FAILED = 8


class Runner(Protocol):
    """Does tasks."""

    @property
    def live(self) -> bool:
        """Whether the commands speak to the user themselves."""
        ...

    def run(self, tasks: Iterable[Task], begin: Callable[[Task], None]) -> Iterator[tuple[Task, Outcome]]:
        """Do tasks, and give each back with what came of it as soon as that is known; `begin` is called before it."""
        ...


@dataclass(frozen=True)
class Manner:
    """How the user wants to be told, as the command's own options say.

    Attributes:
        folder: Where the results go.
        quiet: Whether to keep silent.
        as_json: Whether results are printed as JSON.
        mode: How progress is shown.
        indexed: Whether an index is written in the end.
        opened: Whether it is opened in a browser.
    """

    folder: Path
    quiet: bool = False
    as_json: bool = False
    mode: Progress = Progress.AUTO
    indexed: bool = True
    opened: bool = False


@dataclass
class Batch:
    """Tasks on their way.

    Args:
        tasks: All of them.
        runner: Does them.
        manner: How to tell.
        manifest: Where they are written down, if anywhere.
        resume: Whether to pass over those that are down as done or failed, and unchanged.
        retry_failed: Whether those that failed are tried again nevertheless.
    """

    tasks: Sequence[Task]
    runner: Runner
    manner: Manner
    manifest: Manifest | None = None
    resume: bool = False
    retry_failed: bool = False
    ended: int = 0
    failed: dict[Task, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def work_off(self) -> None:
        """Do the tasks; one that fails does not stop the others.

        Raises:
            typer.Exit: With 8 if some failed, with the first one's code if all did, with 130 if interrupted.
        """
        open_tasks = [task for task in self.tasks if not (self.resume and self._passed_over(task))]
        if self.manifest:
            open_tasks = self.manifest.owning(open_tasks)
        if self.ended and not self.manner.quiet:
            tell(f"{self.ended} of {len(self.tasks)} pictures passed over: they are as the manifest has them.")
        interrupted = False
        try:
            self._do(open_tasks)
        except KeyboardInterrupt:
            interrupted = True
        self._sum_up(interrupted)

    def _passed_over(self, task: Task) -> bool:
        manifest = self.manifest
        if manifest is None or not manifest.settled(task, failures_too=not self.retry_failed):
            return False
        self.ended += 1
        if manifest.failed(task):
            self.failed[task] = manifest.entries[task.key]["code"]
        return True

    def _do(self, tasks: Sequence[Task]) -> None:
        shown = self.manner.quiet or self.runner.live  # live commands have displays of their own
        started, earlier = time.monotonic(), self.ended
        with progress(Progress.NONE if shown else self.manner.mode, self.manner.quiet) as display:
            for task, outcome in self._in_order(tasks):
                if outcome.code == INTERRUPTED:
                    show_results(task.command, outcome.outputs, self.manner.as_json)
                    raise KeyboardInterrupt
                if self.manifest:
                    self.manifest.add(task, outcome)
                self.ended += 1
                self._tell(task, outcome)
                done, elapsed = self.ended - earlier, time.monotonic() - started
                left_s = elapsed / done * (len(self.tasks) - self.ended)
                words = f"{self.ended} of {len(self.tasks)} pictures"
                display.show(Moment(self.ended / len(self.tasks), elapsed, left_s), words)

    def _in_order(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Do what can be done; of a series first one picture, which the others are to match."""
        yield from self.runner.run([task for task in tasks if not task.begins_series], self._begin)
        waiting = [task for task in tasks if task.begins_series]
        series = {task.painting: self._series_of(task.painting) for task in waiting}
        while first := {task.painting: task for task in reversed(waiting) if series[task.painting] is None}:
            waiting = [task for task in waiting if task not in first.values()]
            for task, outcome in self.runner.run(list(first.values()), self._begin):
                series[task.painting] = outcome.outputs.get("series")
                yield task, outcome
        yield from self.runner.run([task.matching(series[task.painting] or "") for task in waiting], self._begin)

    def _series_of(self, painting: str | None) -> str | None:
        """The file of a series that was begun earlier, where the batch goes on."""
        if self.manifest is None or not self.resume:
            return None
        return self.manifest.series(task for task in self.tasks if task.painting == painting)

    def _begin(self, task: Task) -> None:
        if self.manifest:
            self.manifest.discard(task)
        if self.runner.live and not self.manner.quiet:
            tell(f"[{self.ended + 1} of {len(self.tasks)}] {task.name}")

    def _tell(self, task: Task, outcome: Outcome) -> None:
        if outcome.code:
            self.failed[task] = outcome.code
            self.reasons[printable(task.name)] = printable(outcome.message or f"exit code {outcome.code}")
        if outcome.outputs:  # some that failed have a result nevertheless
            show_results(task.command, outcome.outputs, self.manner.as_json)
        if self.runner.live:
            return
        if outcome.code:
            tell(f"Error: {task.name}: {outcome.message or f'exit code {outcome.code}'}")
        for note in outcome.notes if not self.manner.quiet else ():
            tell(f"Note: {task.name}: {note}")

    def _sum_up(self, interrupted: bool) -> None:
        total, done = len(self.tasks), self.ended - len(self.failed)
        if not self.manner.quiet:
            names = f"; failed: {', '.join(task.name for task in self.failed)}" if self.failed else ""
            again = " --retry-failed tries them again." if self.failed and self.manifest else ""
            tell(f"{done} of {total} pictures done{names}.{again}")
        if done and self.manner.indexed:
            self._write_index()
        if interrupted:
            if self.manifest:
                tell("Interrupted: the same command with --resume goes on.")
            raise typer.Exit(INTERRUPTED)
        if self.failed:
            raise typer.Exit(PARTLY_FAILED if done else next(iter(self.failed.values())))

    def _write_index(self) -> None:
        """Write the index of the results, which is no reason to fail."""
        try:
            page = write_index(self.manner.folder, failed=self.reasons)
        except (InputError, OutputError) as error:
            tell(f"Note: no index was written: {error}")
            return
        if not self.manner.quiet:
            tell(f"All of them at a glance: {page}")
        if self.manner.opened:
            webbrowser.open(page.resolve().as_uri())
