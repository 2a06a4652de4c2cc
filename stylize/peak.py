"""Peak memory of a stretch of work."""

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import torch


class PeakMemory:
    """Measure the largest memory in use within a `with` block, above what was in use when it began.

    CUDA: torch's own allocator. Linux: the process's resident memory, whose high-water mark is reset first (proc(5),
    clear_refs), after freed memory is given back, where the C library can. Elsewhere `bytes` stays None.

    Args:
        device: Name of the device that computes.
    """

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"
        self.bytes: int | None = None
        self.before: int | None = None

    def __enter__(self) -> "PeakMemory":
        """Reset the mark."""
        with contextlib.suppress(OSError, ValueError):  # no /proc, or one that may not be written
            self._reset()
            self.before = torch.cuda.memory_allocated() if self.cuda else _status_bytes("VmRSS")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Read the mark."""
        self._read()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the work within out of the measurement."""
        self._read()
        yield
        if self.before is not None:
            self._reset()

    def _read(self) -> None:
        if self.before is not None:
            peak = torch.cuda.max_memory_allocated() if self.cuda else _status_bytes("VmHWM")
            self.bytes = max(self.bytes or 0, peak - self.before)

    def _reset(self) -> None:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # glibc keeps freed blocks: the work would seem to need nothing, or more
        Path("/proc/self/clear_refs").write_text("5")


def _status_bytes(key: str) -> int:
    """A field of /proc/self/status, which is in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise ValueError(f"no {key} in /proc/self/status")
