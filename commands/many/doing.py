"""One task done in this process, as if its words had been typed; nothing that it may meet is raised."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import typer

from commands.failing import Failed
from commands.many.task import Assignment, Outcome, Task
from commands.named_files import files_named
from commands.networks import Networks


def do(command: Any, task: Task, networks: Networks, claims: bool = False) -> Outcome:
    """Do a task.

    Args:
        command: The command, as typer makes it.
        task: The task.
        networks: Those that are loaded already.
        claims: See `Assignment`.
    """
    started = time.monotonic()
    given = Assignment(task, networks, claims)
    code, message, inputs = 0, "", {}
    try:
        context = command.make_context(task.command, list(task.words), obj=given)
        with context:
            inputs = hashes_of([task.photo, *map(str, files_named(context.params))] if claims else [])
            command.invoke(context)
    except Failed as failed:
        code, message = failed.exit_code, failed.message
    except typer.Exit as stop:
        code = stop.exit_code
    for path in given.outputs.values() if claims else ():
        given.hashes.setdefault(path, _sha256(path) or "")
    seconds = time.monotonic() - started
    return Outcome(code, message, inputs, given.outputs, given.hashes, tuple(given.notes), seconds)


class InTurn:
    """Does tasks one after another in this process, whose commands speak for themselves.

    Args:
        command: What does them, as typer makes it.
        claims: See `Assignment`.
    """

    live = True

    def __init__(self, command: Any, claims: bool = False) -> None:
        self.command, self.claims, self.networks = command, claims, Networks()

    def run(self, tasks: Iterable[Task], begin: Callable[[Task], None]) -> Iterator[tuple[Task, Outcome]]:
        """Do them; `begin` is called before each."""
        for task in tasks:
            begin(task)
            yield task, do(self.command, task, self.networks, self.claims)


def hashes_of(paths: Iterable[str]) -> dict[str, str | None]:
    """SHA-256 of each file; None for one that cannot be read."""
    return {path: _sha256(path) for path in paths if path != "-"}


def _sha256(path: str) -> str | None:
    with suppress(OSError, ValueError):
        found = Path(path).stat()
        return _digest(path, found.st_size, found.st_mtime_ns, found.st_ino)
    return None


@lru_cache(maxsize=64)
def _digest(path: str, *unchanged: int) -> str:
    """SHA-256 of a file, as long as nothing says that it changed: many pictures may share a painting, or weights."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
