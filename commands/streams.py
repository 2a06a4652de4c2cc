"""What reaches the user: results on standard output, words on standard error, whatever becomes of the two."""

import contextlib
import os
import sys
from pathlib import Path

import typer

from interp.errors import OutputError

DISPLAY = contextlib.ExitStack()  # the progress display that is open, if any
SCRIPT = "python cli.py"  # how texts name the program


def as_typed(text: str) -> str:
    """A text with the program called as the user called it: the script, or the installed console script."""
    return text if Path(sys.argv[0]).name == "cli.py" else text.replace(SCRIPT, "gramscope")


def tell(message: str) -> None:
    """Say something on standard error; a full disk or a reader that left does not stop the work."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(as_typed(message), err=True)


def show(result: str | Path) -> None:
    """Print one result on standard output.

    Raises:
        OutputError: If it cannot be printed; results are written before they are printed.
    """
    text = str(result)
    try:
        typer.echo(text if _encodable(text) else os.fsencode(text))  # a path's own bytes name the file anyway
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError) as error:
        abandon_stdout()
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"Standard output takes nothing ({reason}); the results are written, {text} among them."
        ) from error


def _encodable(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def abandon_stdout() -> None:
    """Let Python's own flush at the end go nowhere instead of failing once more (see the docs of SIGPIPE)."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
