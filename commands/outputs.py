"""Result files: their names, numbering, and atomic writing."""

import itertools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interp.errors import OutputError, UsageError

REPORT, RECORD = "report", "record"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class OutputPlan:
    """Where each result of a run will go, decided before any work.

    Attributes:
        paths: Path of each output by name; the first is the main one.
    """

    paths: dict[str, Path]

    def write(self, name: str, data: bytes) -> Path:
        """Write one output; see `write_atomically`."""
        write_atomically(self.paths[name], data)
        return self.paths[name]


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file through a temporary one, so that nobody ever sees half of it.

    Raises:
        OutputError: If the file cannot be written.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"Cannot write {str(path)!r}: {error.strerror}. Choose another place.") from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def plan_outputs(
    command: str, stem: str, extensions: dict[str, str], *, region: str = "", output: Path | None = None,
    out_dir: Path = Path("out"), overwrite: bool = False, inputs: Sequence[str | Path] = (),
) -> OutputPlan:  # fmt: skip
    """Decide where results go, and check that they may.

    Automatic names are `{stem}.{command}[-{region}][-{number}][.{name}].{extension}`; the main output has no name part,
    and one number serves the whole run. An explicit output gives its own folder and stem to the others.

    Args:
        command: Name of the command.
        stem: Of the input picture.
        extensions: Extension of each output by name; the first is the main one.
        region: Added to the name when not empty.
        output: Explicit path of the main output.
        out_dir: Folder for automatic names; made if missing.
        overwrite: Whether existing explicit outputs may be replaced.
        inputs: Files that must not be written over.

    Returns:
        The plan.

    Raises:
        OutputError: If the folder cannot be written to, or an explicit output exists or is an input.
        UsageError: If the explicit output has an extension that is not a picture's.
    """
    main = next(iter(extensions))
    folder = output.parent if output else out_dir
    _make_writable(folder)
    if output is None:
        base = f"{_safe(stem)}.{command}" + (f"-{region}" if region else "")
        candidates = (_named(folder, base, number, extensions) for number in itertools.count(1))
        return OutputPlan(next(paths for paths in candidates if not any(path.exists() for path in paths.values())))
    if output.suffix.lower() not in PICTURE_SUFFIXES:
        raise UsageError(f"Output {str(output)!r} ends in {output.suffix!r}; expected {', '.join(PICTURE_SUFFIXES)}.")
    paths = {**_named(folder, output.stem, 1, extensions), main: output}
    for path in paths.values():
        if any(path.resolve() == Path(source).resolve() for source in inputs):
            raise OutputError(f"{str(path)!r} is an input of this run. Choose another --output.")
        if path.exists() and (not overwrite or path.is_dir()):
            raise OutputError(f"{str(path)!r} exists. Add --overwrite, or choose another --output.")
    return OutputPlan(paths)


def _named(folder: Path, base: str, number: int, extensions: dict[str, str]) -> dict[str, Path]:
    numbered = base if number == 1 else f"{base}-{number}"
    main = next(iter(extensions))
    stems = {name: numbered if name == main else f"{numbered}.{name}" for name in extensions}
    if RECORD in stems:  # the record lies beside its page under the same name
        stems[RECORD] = f"{numbered}.{REPORT}"
    return {name: folder / f"{stems[name]}.{extension}" for name, extension in extensions.items()}


def _safe(stem: str) -> str:
    """A stem without separators, control characters or a leading dot or dash, at most 80 bytes long."""
    cleaned = "".join(
        "_" if character in '/\\:*?"<>|' or not character.isprintable() else character for character in stem
    )
    return cleaned.lstrip(".-").encode()[:80].decode(errors="ignore") or "picture"


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"Cannot write into {str(folder)!r}: {reason}. Choose another --out-dir or --output."
        ) from error


def _umask() -> int:
    """The process's umask: a temporary file starts private, a result should not stay so."""
    current = os.umask(0)
    os.umask(current)
    return current
