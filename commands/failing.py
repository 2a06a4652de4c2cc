"""How a command ends when it cannot go on: one message, a documented exit code."""

import traceback
from collections.abc import Callable
from typing import NoReturn

import typer

from commands.streams import DISPLAY, tell
from interp.errors import GramscopeError, OutOfMemoryError, is_out_of_memory

INTERRUPTED = 130


class Failed(typer.Exit):
    """An exit that says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code)
        self.message = message


def with_errors(action: Callable[[], None], debug: bool, has_size: bool = False) -> None:
    """Run a command's body; end in a documented exit code whatever happens.

    Args:
        action: The body.
        debug: Whether to print the traceback of an error.
        has_size: Whether a smaller --size would help where memory runs out.
    """
    try:
        action()
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt as interrupt:
        fail("Interrupted; nothing was written.", INTERRUPTED, interrupt, debug)
    except GramscopeError as error:
        fail(str(error), error.exit_code, error, debug)
    except Exception as error:
        if not is_out_of_memory(error):
            message = (
                f"Internal error ({type(error).__name__}: {error}). Run again with --debug and report the traceback."
            )
            fail(message, GramscopeError.exit_code, error, debug)
        advice = "Use a smaller --size." if has_size else "Close other programs, or export a smaller picture."
        fail(f"Out of memory. {advice}", OutOfMemoryError.exit_code, error, debug)


def fail(message: str, code: int, error: BaseException, debug: bool) -> NoReturn:
    """Print one message and exit."""
    DISPLAY.close()
    if debug:
        tell("".join(traceback.format_exception(error)).rstrip())
    tell(f"Error: {message}" if code != INTERRUPTED else message)
    raise Failed(code, message) from error
