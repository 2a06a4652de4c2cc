"""Reading the bytes of an input: a path as people give it, or standard input."""

import stat
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from interp.errors import InputError

MAX_FILE_BYTES = 1 << 30
MAX_TEXT_BYTES = 1 << 28  # a record with its pictures has some megabytes


def as_path(source: str | Path) -> Path:
    """A path from what was pasted: `file://` URLs, and quotes that a file manager put around it.

    Raises:
        InputError: If it is the address of a page.
    """
    text = str(source)
    if text.lower().startswith("file:"):
        return Path(url2pathname(unquote(urlparse(text).path)))
    if text.lower().startswith(("http:/", "https:/", "ftp:/", "data:")):
        raise InputError(
            f"{text[:80]!r} is an address, not a file: nothing is downloaded here. Save the picture first."
        )
    unquoted = text.strip().strip("'\"")
    try:
        return Path(unquoted) if unquoted != text and unquoted and not Path(text).exists() else Path(source)
    except (OSError, ValueError):
        return Path(source)


def display_name(source: str | Path) -> str:
    """A source's name for titles, messages and default outputs."""
    return "stdin" if str(source) == "-" else printable(as_path(source).name)


def printable(text: str) -> str:
    """A text that UTF-8 can hold: bytes of a file's name that are no UTF-8 are shown as such."""
    return text.encode(errors="backslashreplace").decode()


def read_bytes(source: str | Path) -> bytes:
    """Read a picture's bytes from a regular file, or from standard input for `-`.

    Raises:
        InputError: If there is no such file, or it is a folder, a device, empty, or over 1 GiB.
    """
    data = _from_stdin() if str(source) == "-" else _from_file(as_path(source))
    if not data:
        raise InputError(f"{str(source)!r} is empty (0 bytes); expected a picture.")
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{str(source)!r} is larger than 1 GiB; expected a picture. Export a smaller one.")
    return data


def read_text(path: str | Path, expected: str) -> str:
    """Read a text file written by hand: UTF-8, or UTF-16 that says so, a byte order mark taken off.

    Args:
        path: The file.
        expected: What it should be, for the message ("a TOML file").

    Raises:
        InputError: If it cannot be read, is no such text, or over 256 MiB.
    """
    try:
        with as_path(path).open("rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
        if len(data) > MAX_TEXT_BYTES:
            raise InputError(f"{str(path)!r} is larger than 256 MiB; expected {expected}.")
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # Windows' Notepad, PowerShell's >
        return data.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{str(path)!r} is no UTF-8 text ({error.reason}); expected {expected}. Save it as UTF-8."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot read {str(path)!r}: {reason}. Expected {expected}.") from error


def _from_stdin() -> bytes:
    if sys.stdin is None:
        raise InputError("Standard input is closed; expected a picture on it. Pass a file instead of `-`.")
    try:
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read standard input: {error}. Pass a file instead of `-`.") from error


def _from_file(path: Path) -> bytes:
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise InputError(f"{str(path)!r} is a folder; expected one picture file.")
        if not stat.S_ISREG(info.st_mode):
            raise InputError(f"{str(path)!r} is a device or pipe; expected a picture file (or `-`).")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"No such file: {str(path)!r}. Check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot read {str(path)!r}: {reason}.") from error
