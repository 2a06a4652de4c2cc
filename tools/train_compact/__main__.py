"""Train weights like `compact` from pictures in folders.

Example: python -m tools.train_compact tiny-imagenet --width .25 --output out/my-compact
"""

import argparse
import io
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from commands.options import INTERRUPTED, Progress
from commands.outputs import write_atomically
from commands.progress import progress
from interp.errors import GramscopeError, OutputError, WeightsError
from interp.network.weights import load_vgg
from tools.train_compact import export
from tools.train_compact.data import Pictures, Watch, class_names, find_files, load_pictures
from tools.train_compact.recipe import BATCH, SIDE_PX, STAGES, Recipe, scaled_stages
from tools.train_compact.train import Training

CHECKPOINT = "checkpoint.pt"
EQUALISE_PICTURES = 1_000
Item = TypeVar("Item")


@dataclass(frozen=True)
class Count:
    """So many of so many, for the progress display."""

    step: int
    total: int
    elapsed_s: float


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parse(arguments)
    try:
        return _run(options)
    except GramscopeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"Interrupted; {options.output / CHECKPOINT} has what was saved before.", file=sys.stderr)
        return INTERRUPTED


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.train_compact", description=__doc__)
    parser.add_argument("data_dir", type=Path, help="train/CLASS/… and val/CLASS/…, or CLASS/… to be split")
    parser.add_argument("--width", type=float, default=0.25, help="channels as a fraction of VGG-19's")
    parser.add_argument(
        "--output", type=Path, default=Path("out/train-compact"), help="folder for results and checkpoint"
    )
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --output")
    images = [stage.images for stage in STAGES]
    parser.add_argument(
        "--images", type=int, nargs=len(images), default=images, metavar="N", help="images of each stage"
    )
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--side", type=int, default=SIDE_PX, help="native side of the squares, px")
    parser.add_argument("--val-share", type=float, default=0.1, help="share to measure on, where there is no val/")
    parser.add_argument("--names", type=Path, help="file with lines of folder, tab, name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--save-every", type=int, default=500, metavar="STEPS", help="steps between checkpoints")
    parser.add_argument("--progress", type=Progress, choices=list(Progress), default=Progress.AUTO)
    parser.add_argument("-q", "--quiet", action="store_true", help="errors only on stderr")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    recipe = Recipe(options.width, options.side, options.batch, options.seed, scaled_stages(options.images))
    checkpoint = _prepare_folder(options)
    torch.set_flush_denormal(True)
    if options.threads:
        torch.set_num_threads(options.threads)
    files = find_files(options.data_dir, options.val_share, options.seed)
    classes = class_names(files.folders, options.names)
    train = load_pictures(files.train, recipe.side_px, _watch(options, "training pictures read"))
    val = load_pictures(files.val, recipe.side_px, _watch(options, "validation pictures read"))
    training = Training(train, len(classes), recipe, options.device)
    if options.resume:
        training.restore(_load(checkpoint))
    while not training.finished:
        if not _train_stage(options, training, checkpoint):
            _say(options, f"Interrupted; add --resume to continue from {checkpoint}.")
            return INTERRUPTED
        top1, _ = export.accuracy(training.model.eval().logits, val, options.device)
        _say(
            options, f"Stage {training.stage_index} done: top-1 {top1:.3f} on {len(val.labels_n)} validation pictures."
        )
    for path in _export(options, training, classes, val):
        print(path)
    return 0


def _prepare_folder(options: argparse.Namespace) -> Path:
    """Make the output folder; return the checkpoint's path."""
    checkpoint = options.output / CHECKPOINT
    if checkpoint.exists() and not options.resume:
        raise OutputError(f"{str(checkpoint)!r} exists. Add --resume to continue it, or choose another --output.")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make {str(options.output)!r}: {error.strerror}. Choose another --output.") from error
    return checkpoint


def _load(checkpoint: Path) -> dict:
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on missing or damaged files
        raise WeightsError(f"Cannot load {str(checkpoint)!r} ({error}). Start again without --resume.") from error


def _save(training: Training, checkpoint: Path) -> None:
    buffer = io.BytesIO()
    torch.save(training.state(), buffer)
    write_atomically(checkpoint, buffer.getvalue())


def _train_stage(options: argparse.Namespace, training: Training, checkpoint: Path) -> bool:
    """Train to the end of a stage; False if Ctrl-C stopped it after a step."""
    with _ctrl_c() as stop, progress(options.progress, options.quiet) as display:
        for event in training.run_stage():
            display.show(event, f"{event.stage}, {event.side_px} px  loss {event.loss:.3f}")
            if stop or event.step % options.save_every == 0:
                _save(training, checkpoint)
            if stop:
                return False
    _save(training, checkpoint)
    return True


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


def _export(
    options: argparse.Namespace, training: Training, classes: list[dict[str, str]], val: Pictures
) -> list[Path]:
    """Fold, equalise, save, load again, measure, describe."""
    vgg = export.folded(training.model)
    chosen = torch.randperm(len(val.labels_n), generator=torch.Generator().manual_seed(options.seed))[
        :EQUALISE_PICTURES
    ]
    sample = Pictures(val.images_nchw_u8[chosen], val.labels_n[chosen])
    dead = export.equalise_channels(vgg, export.batches01(sample, options.device))
    for layer, channels in dead.items():
        _say(options, f"Dead channels in {layer}: {', '.join(map(str, channels))}.")
    path = export.save_weights(vgg, training.recipe, classes, options.output)
    saved = load_vgg(path, device=options.device)
    measured = export.measure(saved, val, dead, options.device)
    _say(options, f"The saved file: top-1 {measured.top1:.3f}, top-5 {measured.top5:.3f}.")
    counts = (len(training.pictures.labels_n), len(val.labels_n), len(sample.labels_n))
    card = options.output / export.CARD_FILE
    write_atomically(card, export.model_card(path, saved, training.recipe, measured, counts).encode())
    return [path, options.output / export.CLASSES_FILE, card]


def _watch(options: argparse.Namespace, text: str) -> Watch:
    def watch(items: Iterable[Item], total: int) -> Iterator[Item]:
        started = time.monotonic()
        with progress(options.progress, options.quiet) as display:
            for step, item in enumerate(items, start=1):
                display.show(Count(step, total, time.monotonic() - started), text)
                yield item

    return watch


def _say(options: argparse.Namespace, message: str) -> None:
    if not options.quiet:
        print(message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
