"""The one exception tree.

GramscopeError (1)
├── UsageError (2)          an option that cannot be honoured: unknown layer or preset, a box outside the picture
├── InputError (3)          a file that cannot be read as a picture
├── OutputError (4)         a result that cannot, or would not, be written
├── WeightsError (5)        weights missing, damaged, or of another network
├── OutOfMemoryError (6)    the working size does not fit
└── MaskError (7)           no usable region

The number is the exit code of the command line. Every message says what was passed, what was expected and what to do.
"""

import difflib
import errno
from collections.abc import Iterable

# How torch (CPU, CUDA, MPS), cuDNN, cuBLAS and OpenCV say it; a CUDA "illegal memory access" is a bug, not a lack.
OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "insufficient memory",
    "failed to allocate", "alloc_failed", "invalid buffer size",
)  # fmt: skip


class GramscopeError(Exception):
    """Base of every error raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(GramscopeError):
    """An option or argument that cannot be honoured."""

    exit_code = 2


class InputError(GramscopeError):
    """An input that cannot be read as a picture."""

    exit_code = 3


class OutputError(GramscopeError):
    """A result that cannot, or would not, be written."""

    exit_code = 4


class WeightsError(GramscopeError):
    """Weights that are missing, damaged, or belong to another network."""

    exit_code = 5


class OutOfMemoryError(GramscopeError):
    """The job does not fit into memory at this size."""

    exit_code = 6


class MaskError(GramscopeError):
    """A region that is empty, everything, or too small to use."""

    exit_code = 7


def unknown_name(kind: str, name: str, known: Iterable[str], meant: str | None = None) -> UsageError:
    """Build the error for a name that is not among the known ones, with the nearest match.

    Args:
        kind: What was looked up, in the singular ("layer", "preset").
        name: What was passed.
        known: All valid names.
        meant: The one that was meant, where the caller can tell.

    Returns:
        The error, to be raised by the caller.
    """
    names = list(known)
    by_case = {known_name.lower(): known_name for known_name in names}
    near = [meant] if meant else [by_case[close] for close in difflib.get_close_matches(name.lower(), by_case, n=1)]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UsageError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on whatever device."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return any(words in str(error).lower() for words in OUT_OF_MEMORY)
