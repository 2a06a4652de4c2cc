"""How a command ends when it cannot go on: one message, a documented exit code."""

import errno
import traceback
from collections.abc import Callable
from typing import NoReturn

import typer

from commands.streams import tell
from interp.errors import GramscopeError, OutOfMemoryError

INTERRUPTED = 130
# How torch (CPU, CUDA, MPS), cuDNN, cuBLAS and OpenCV say it; a CUDA "illegal memory access" is a bug, not a lack.
OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "insufficient memory",
    "failed to allocate", "alloc_failed", "invalid buffer size",
)  # fmt: skip


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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on whatever device."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return any(words in str(error).lower() for words in OUT_OF_MEMORY)


def fail(message: str, code: int, error: BaseException, debug: bool) -> NoReturn:
    """Print one message and exit."""
    if debug:
        tell("".join(traceback.format_exception(error)).rstrip())
    tell(f"Error: {message}" if code != INTERRUPTED else message)
    raise typer.Exit(code) from error
