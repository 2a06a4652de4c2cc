"""Result files: their names, numbering, reservation and atomic writing."""

import itertools
import os
import re
import tempfile
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from commands.reservation import Reservation, reserve
from interp.errors import OutputError, UsageError

REPORT, RECORD = "report", "record"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
PNG = b"\x89PNG\r\n\x1a\n"
FORBIDDEN = '/\\:*?"<>|'  # somewhere: on Windows, exFAT, network shares
# Windows' names of devices, with any extension (learn.microsoft.com/windows/win32/fileio/naming-a-file).
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}


@dataclass(frozen=True)
class OutputPlan:
    """Where each result of a run will go, decided before any work.

    Attributes:
        paths: Path of each output by name; the first is the main one.
        hold: Keeps other processes from the names; to be released once the run has ended.
        made: The results' folder where it was not there before.
    """

    paths: dict[str, Path]
    hold: Reservation | None = None
    made: Path | None = None

    def close(self) -> None:
        """Give the names up once the run has ended, and the folder that was made for them if nothing came into it."""
        if self.hold:
            self.hold.release()
        if self.made:
            with suppress(OSError):
                self.made.rmdir()  # which takes only an empty one

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
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"Cannot write {str(path)!r}: {reason}. Choose another place.") from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def in_format_of(path: Path, data: bytes) -> bytes:
    """A PNG in the format that a path's name says; anything else as it is.

    Raises:
        OutputError: If that format cannot hold it.
    """
    if not data.startswith(PNG) or path.suffix.lower() == ".png":
        return data
    from interp.pictures.images import reencode

    try:
        return reencode(data, path.suffix)
    except (OSError, ValueError) as error:  # WebP ends at 16,383 px a side, JPEG at 65,535
        raise OutputError(f"Cannot write {str(path)!r}: {error}. Choose a name in .png.") from error


def plan_outputs(
    command: str, stem: str, extensions: dict[str, str], *, region: str = "", output: str | Path | None = None,
    out_dir: Path = Path("out"), overwrite: bool = False, inputs: Iterable[str | Path] = (), own: Collection[str] = (),
) -> OutputPlan:  # fmt: skip
    """Decide where results go, check that they may, and hold the names against other processes.

    Automatic names are `{stem}.{command}[-{region}][-{number}][.{name}].{extension}`; the main output has no name part,
    and one number serves the whole run. An explicit output gives its own folder and stem to the others.

    Args:
        command: Name of the command.
        stem: Of the input picture.
        extensions: Extension of each output by name; the first is the main one.
        region: Added to the name when not empty.
        output: Explicit path of the main output; a folder stands for `out_dir`.
        out_dir: Folder for automatic names; made if missing.
        overwrite: Whether existing explicit outputs may be replaced.
        inputs: Files that must not be written over.
        own: Automatic names that the same run had earlier: it gets their number again, and writes over them.

    Returns:
        The plan.

    Raises:
        OutputError: If the folder cannot be written to, or an explicit output exists, is an input or is being written
            by another run.
        UsageError: If the explicit output has an extension that is not a picture's.
    """
    if output is not None and is_folder(str(output)):
        output, out_dir = None, Path(output)
    if output is not None:
        return _explicit(Path(output), extensions, overwrite, inputs)
    made = _make_writable(out_dir)
    base = f"{_safe(stem)}.{command}" + (f"-{region}" if region else "")
    for number in itertools.chain(_numbers_of(own, base), itertools.count(1)):
        hold = reserve(out_dir, base if number == 1 else f"{base}-{number}")
        if hold is None:
            continue
        paths = _named(out_dir, base, number, extensions)
        if not any(path.exists() and path.name not in own for path in paths.values()):
            return OutputPlan(paths, hold, made)
        hold.release()
    raise AssertionError("numbers do not end")


def check_suffix(output: Path) -> None:
    """Refuse a name that is no picture's."""
    if output.suffix.lower() not in PICTURE_SUFFIXES:
        raise UsageError(
            f"Output {str(output)!r} ends in {output.suffix!r}; expected {', '.join(PICTURE_SUFFIXES)}, or a folder."
        )


def is_folder(output: str) -> bool:
    """Whether an explicit output names a folder: one that is there, or a name that ends like one."""
    return output.endswith(("/", os.sep)) or os.path.isdir(output)  # noqa: PTH112 -- Path drops the last slash


def check_replaceable(path: Path, overwrite: bool, inputs: Iterable[str | Path]) -> None:
    """Refuse to write over what must stay.

    Raises:
        OutputError: If the path is an input of the run, exists unasked, or can be no file's name.
    """
    try:
        existing = path.stat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"Cannot write {str(path)!r}: {reason}. Choose another --output.") from error
    if any(os.path.samestat(existing, Path(source).stat()) for source in inputs):
        raise OutputError(f"{str(path)!r} is an input of this run. Choose another --output.")
    if not overwrite or path.is_dir():
        raise OutputError(f"{str(path)!r} exists. Add --overwrite, or choose another --output.")


def _explicit(output: Path, extensions: dict[str, str], overwrite: bool, inputs: Iterable[str | Path]) -> OutputPlan:
    check_suffix(output)
    made = _make_writable(output.parent)
    paths = {**_named(output.parent, output.stem, 1, extensions), next(iter(extensions)): output}
    hold = reserve(output.parent, output.stem)
    if hold is None:
        raise OutputError(f"Another run is writing {str(output)!r}. Wait for it, or choose another --output.")
    try:
        for path in paths.values():
            check_replaceable(path, overwrite, inputs)
    except OutputError:
        hold.release()
        raise
    return OutputPlan(paths, hold, made)


def _numbers_of(names: Collection[str], base: str) -> list[int]:
    """The numbers that a run's automatic names have."""
    found = (re.fullmatch(rf"{re.escape(base)}(?:-(\d+))?\..*", name) for name in names)
    return sorted({int(match[1] or 1) for match in found if match})


def _named(folder: Path, base: str, number: int, extensions: dict[str, str]) -> dict[str, Path]:
    numbered = base if number == 1 else f"{base}-{number}"
    main = next(iter(extensions))
    stems = {name: numbered if name == main else f"{numbered}.{_legal(name, '-')}" for name in extensions}
    if RECORD in stems:  # the record lies beside its page under the same name
        stems[RECORD] = f"{numbered}.{REPORT}"
    return {name: folder / f"{stems[name]}.{extension}" for name, extension in extensions.items()}


def _safe(stem: str) -> str:
    """A stem that is a name everywhere: no separators, controls, leading dot or dash, no device; at most 80 bytes."""
    cleaned = _legal(stem, "_").lstrip(".-").encode()[:80].decode(errors="ignore") or "picture"
    return f"_{cleaned}" if cleaned.split(".")[0].strip().upper() in DEVICES else cleaned


def _legal(text: str, instead: str) -> str:
    return "".join(instead if letter in FORBIDDEN or not letter.isprintable() else letter for letter in text)


def _make_writable(folder: Path) -> Path | None:
    """Make a folder if it is missing, and say whether it was: it is returned then."""
    try:
        missing = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"Cannot write into {str(folder)!r}: {reason}. Choose another --out-dir or --output."
        ) from error
    return folder if missing else None


def _umask() -> int:
    """The process's umask: a temporary file starts private, a result should not stay so."""
    current = os.umask(0)
    os.umask(current)
    return current
