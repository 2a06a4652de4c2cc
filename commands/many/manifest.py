"""What a batch has done, a line a task, kept so that nothing is lost however it ends, and nothing is done twice.

A task's results are claimed in a hidden file before they are written. The claim goes when the task's line is on the
disk: one that is found at the start is a killed run's, and the files it names are unfinished.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from commands.many.doing import hashes_of
from commands.many.task import Outcome, Task, name_of
from commands.on_the_way import steps_of
from commands.reservation import reserve
from interp.errors import OutputError
from interp.pictures.files import printable

NAME, CLAIM = "manifest.jsonl", ".unfinished"
DONE, FAILED, LOST = "done", "failed", "lost"  # lost: the process that worked on it died


class Manifest:
    """The manifest of a folder of results, held against other batches until it is closed.

    Args:
        folder: Where the results go; made if missing.

    Raises:
        OutputError: If the folder cannot be written to, or another batch is writing to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            hold = reserve(folder, NAME)
            if hold is None:
                raise OutputError(
                    f"Another batch is writing to {str(folder)!r}. Wait for it, or choose another folder."
                )
            self.hold = hold
            self._cut_off()
            self.entries = _latest(self.path)
            self.file = self.path.open("ab")
        except OSError as error:
            raise OutputError(
                f"Cannot write {str(self.path)!r}: {error.strerror}. Choose another --out-dir."
            ) from error
        for claim in folder.glob(f".*{CLAIM}"):
            self._drop(claim)

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):  # of a line that could not be written, as `add` has said
            self.file.close()
        self.hold.release()

    def refuse_again(self, tasks: Iterable[Task]) -> None:
        """Refuse to make anew what is written down here, under numbered names.

        Raises:
            OutputError: If some of the tasks are.
        """
        again = sum(task.key in self.entries for task in tasks)
        if again:
            raise OutputError(
                f"{str(self.path)!r} has {again} of these pictures already. Add --resume to go on with them "
                "(--retry-failed tries again what failed), or choose another --out-dir."
            )

    def add(self, task: Task, outcome: Outcome) -> None:
        """Write down what came of a task; it is on the disk when this returns.

        Raises:
            OutputError: If it cannot be written.
        """
        status = LOST if outcome.lost else FAILED if outcome.code else DONE
        entry = {
            "key": task.key, "status": status, "command": task.command, "words": task.words, "photo": task.photo,
            "painting": task.painting, "inputs": outcome.inputs, "outputs": _files(outcome), "code": outcome.code,
            "series": outcome.outputs.get("series") or task.series_from, "message": outcome.message,
            "notes": outcome.notes, "seconds": round(outcome.seconds, 3), "earlier": task.own if outcome.code else (),
        }  # fmt: skip
        try:
            self.file.write(json.dumps(entry).encode() + b"\n")
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise OutputError(f"Cannot write {str(self.path)!r}: {error.strerror}.") from error
        self.entries[task.key] = entry
        for name in set(task.own) - set(_own(entry)):
            with suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)
        self._drop(claim_path(self.folder, task.key))

    def owning(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks, each with the names of the files that it has made earlier and no other after it."""
        makers = Counter(name for entry in self.entries.values() for name in _own(entry))
        names = [_own(self.entries[task.key]) if task.key in self.entries else () for task in tasks]
        return [
            replace(task, own=tuple(name for name in own if makers[name] == 1))
            for task, own in zip(tasks, names, strict=True)
        ]

    def discard(self, task: Task) -> None:
        """Remove what a task whose process died has left."""
        self._drop(claim_path(self.folder, task.key))

    def settled(self, task: Task, failures_too: bool) -> bool:
        """Whether a task was done, or failed where that settles it, and every file of it is what it was."""
        entry = self.entries.get(task.key)
        if entry is None or (entry["status"] != DONE and not failures_too):
            return False
        written = {str(self.folder / each["file"]): each["sha256"] for each in entry["outputs"].values()}
        return all(hashes_of(files) == files for files in (entry["inputs"], written))

    def failed(self, task: Task) -> bool:
        """Whether a settled task failed."""
        return self.entries[task.key]["status"] != DONE

    def series(self, tasks: Iterable[Task]) -> str | None:
        """The file that some of these tasks, those done, match."""
        entries = [self.entries[task.key] for task in tasks if task.key in self.entries]
        files = [entry["series"] for entry in entries if entry["series"] and entry["status"] == DONE]
        return next((file for file in files if Path(file).is_file()), None)

    def _drop(self, claim: Path) -> None:
        """Give a claim up; what it names is removed unless the task is down as done."""
        with suppress(OSError, ValueError, TypeError):  # none; or torn, before anything it names was written
            done = self.entries.get(claim.name[1 : -len(CLAIM)], {})
            kept = {each["file"] for each in done.get("outputs", {}).values()}
            claimed = [self.folder / Path(name).name for name in json.loads(claim.read_bytes())]
            on_the_way = steps_of(claimed[0]) if claimed[0].name not in kept else []
            for path in (*claimed, *on_the_way):
                if path.name not in kept:
                    path.unlink(missing_ok=True)
        with suppress(OSError):
            claim.unlink(missing_ok=True)

    def _cut_off(self) -> None:
        """Cut away a last line that a crash left unfinished."""
        data = self.path.read_bytes() if self.path.exists() else b""
        if not data.endswith(b"\n") and data:
            os.truncate(self.path, data.rfind(b"\n") + 1)


def failures(folder: Path) -> list[tuple[str, str]]:
    """Name of each picture of a folder's batches that has no result, not by other options either, and why."""
    found: dict[tuple[str, str | None, str], dict[str, Any]] = {}
    with suppress(OSError, OutputError):
        for entry in sorted(_latest(folder / NAME).values(), key=lambda entry: entry["status"] == DONE):
            found[entry["photo"], entry["painting"], entry["command"]] = entry  # one that is done comes last
    left = [entry for entry in found.values() if entry["status"] != DONE]
    return [(printable(name_of(entry["photo"], entry["painting"])), printable(entry["message"])) for entry in left]


def _latest(path: Path) -> dict[str, dict[str, Any]]:
    """The latest line of each task, by its key.

    Raises:
        OutputError: If it is no manifest.
    """
    if not path.exists():
        return {}
    try:
        return {entry["key"]: entry for entry in map(json.loads, path.read_bytes().splitlines())}
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{str(path)!r} is no manifest of a batch ({error}). Move it away, or choose another --out-dir."
        ) from error


def _files(outcome: Outcome) -> dict[str, dict[str, str]]:
    """Name in the folder and hash of each result, so that the folder can be moved."""
    return {name: {"file": Path(path).name, "sha256": outcome.hashes[path]} for name, path in outcome.outputs.items()}


def _own(entry: dict[str, Any]) -> list[str]:
    """Names of the files that a task has made, also before it failed."""
    named = [*(each["file"] for each in entry["outputs"].values()), *entry.get("earlier", ())]
    return [Path(name).name for name in named]


def claim_path(folder: Path, key: str) -> Path:
    """Where the claim of a task lies."""
    return folder / f".{key}{CLAIM}"


def claim(folder: Path, key: str, paths: Iterable[Path]) -> None:
    """Write down which files a task is about to write; on the disk when this returns.

    Raises:
        OutputError: If it cannot be written.
    """
    path = claim_path(folder, key)
    try:
        with path.open("w") as file:
            file.write(json.dumps([each.name for each in paths]))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"Cannot write {str(path)!r}: {error.strerror}. Choose another --out-dir.") from error
