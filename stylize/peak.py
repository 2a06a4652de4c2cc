"""Peak memory of a stretch of work."""

import contextlib
import ctypes
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
        self.device = device
        self.bytes: int | None = None

    def __enter__(self) -> "PeakMemory":
        """Reset the mark."""
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
            return self
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # glibc keeps freed blocks: the run would seem to need nothing
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self.before = _status_bytes("VmRSS")
        except (OSError, ValueError):
            self.before = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Read the mark."""
        if self.before is None:
            return
        peak = torch.cuda.max_memory_allocated() if self.device == "cuda" else _status_bytes("VmHWM")
        self.bytes = max(0, peak - self.before)


def _status_bytes(key: str) -> int:
    """A field of /proc/self/status, which is in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise ValueError(f"no {key} in /proc/self/status")
