"""What both steps need around their loops: the output folder, checkpoints, Ctrl-C, progress."""

import argparse
import io
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from commands.options import INTERRUPTED
from commands.outputs import write_atomically
from commands.progress import progress
from interp.errors import GramscopeError, OutputError, UsageError, WeightsError
from tools.train_compact.data import Watch

CHECKPOINT = "checkpoint.pt"
Item = TypeVar("Item")


def run(options: argparse.Namespace, make: Callable[[argparse.Namespace], int]) -> int:
    """Make something on so many threads; errors are one message. Returns the exit code."""
    torch.set_flush_denormal(True)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        return make(options)
    except GramscopeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"Interrupted; {options.output / CHECKPOINT} has what was saved before.", file=sys.stderr)
        return INTERRUPTED


@dataclass(frozen=True)
class TrainEvent:
    """One step of so many, for the progress display.

    Attributes:
        step: Steps so far.
        total: Steps in all.
        elapsed_s: Seconds that `step` steps take at this run's pace.
        text: What to say of it.
    """

    step: int
    total: int
    elapsed_s: float
    text: str = ""


def prepare_folder(options: argparse.Namespace) -> Path:
    """Make the output folder; return the checkpoint's path."""
    checkpoint = options.output / CHECKPOINT
    if checkpoint.exists() and not options.resume:
        raise OutputError(f"{str(checkpoint)!r} exists. Add --resume to continue it, or choose another --output.")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make {str(options.output)!r}: {error.strerror}. Choose another --output.") from error
    return checkpoint


def load_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """Read what `train` saved."""
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on missing or damaged files
        raise WeightsError(f"Cannot load {str(checkpoint)!r} ({error}). Start again without --resume.") from error


def check_made_with(state: Mapping[str, Any], made_with: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another run.

    Raises:
        UsageError: If it was made with other options, pictures or networks.
    """
    if differing := [name for name, value in made_with.items() if state["made_with"].get(name) != value]:
        raise UsageError(
            f"The checkpoint was made with another {', '.join(differing)}; expected the same options and pictures. "
            "Give those, or another --output."
        )


def train(
    options: argparse.Namespace, events: Iterator[TrainEvent], state: Callable[[], dict[str, Any]], checkpoint: Path
) -> bool:
    """Train to the end of the events; False if Ctrl-C stopped it after a step. Either way the state is saved."""
    with _ctrl_c() as stop, progress(options.progress, options.quiet) as display:
        for event in events:
            display.show(event, event.text)
            if stop or event.step % options.save_every == 0:
                _save(state(), checkpoint)
            if stop:
                say(options, f"Interrupted; add --resume to continue from {checkpoint}.")
                return False
    _save(state(), checkpoint)
    return True


def _save(state: dict[str, Any], checkpoint: Path) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(checkpoint, buffer.getvalue())


@contextmanager
def _ctrl_c() -> Iterator[list[int]]:
    """Collect the first Ctrl-C, so that a step is never cut in two; the second one interrupts at once."""
    stop: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def collect(number: int, _: object) -> None:
        stop.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, collect)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def watch(options: argparse.Namespace, text: str) -> Watch:
    """A pass-through that shows how many of how many pictures are read."""

    def watching(items: Iterable[Item], total: int) -> Iterator[Item]:
        started = time.monotonic()
        with progress(options.progress, options.quiet) as display:
            for step, item in enumerate(items, start=1):
                display.show(TrainEvent(step, total, time.monotonic() - started), text)
                yield item

    return watching


def say(options: argparse.Namespace, message: str) -> None:
    """Tell the user something on stderr."""
    if not options.quiet:
        print(message, file=sys.stderr)
