"""Make the decoder of the instant way: photos restyled after paintings of its own making.

    python -m tools.train_decoder photos [photos …] --output out/decoder

The paintings are made first, from the photos, and kept in --output. When compact changes, --start goes on from the
decoder that was made for the old one.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from safetensors.torch import load_file

from commands.options import INTERRUPTED
from commands.outputs import write_atomically
from interp.network.weights import load_vgg
from interp.pictures.images import encode_png, load_picture
from tools.learning import add_options
from tools.train_compact.data import SUFFIXES, load_photos
from tools.train_compact.session import load_checkpoint, prepare_folder, run, train, watch
from tools.train_decoder.export import WEIGHTS_FILE, saved_bytes
from tools.train_decoder.paintings import paint_any
from tools.train_decoder.pictures import SIDE_PX
from tools.train_decoder.training import DecoderRecipe, Training


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run(_parse(arguments), _make)


def _make(options: argparse.Namespace) -> int:
    recipe = DecoderRecipe(options.steps, options.batch, options.learning_rate, seed=options.seed)
    checkpoint = prepare_folder(options)
    files = [path for folder in options.photos for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    photos = [_large_enough(photo) for photo in load_photos(files, watch(options, "photos read"))]
    vgg = load_vgg("compact", device=options.device)
    start = load_file(options.start) if options.start else None
    training = Training(vgg, photos, _paintings(options, photos), recipe, start)
    if options.resume:
        training.restore(load_checkpoint(checkpoint))
    if not train(options, training.run(), training.state, checkpoint):
        return INTERRUPTED
    path = options.output / WEIGHTS_FILE
    write_atomically(path, saved_bytes(training.trained, vgg))
    print(path)
    return 0


def _large_enough(photo_hwc_u8: np.ndarray) -> np.ndarray:
    """The photo, enlarged where a crop would not fit."""
    scale = SIDE_PX / min(photo_hwc_u8.shape[:2])
    return photo_hwc_u8 if scale <= 1 else cv2.resize(photo_hwc_u8, None, fx=scale, fy=scale)


def _paintings(options: argparse.Namespace, photos: list[np.ndarray]) -> list[np.ndarray]:
    """The paintings in the output folder; those that are not there yet are made."""
    folder, found = options.output / "paintings", []
    folder.mkdir(exist_ok=True)
    for number in watch(options, "paintings made")(range(options.paintings), options.paintings):
        path = folder / f"{number:04}.png"
        if not path.exists():
            write_atomically(path, encode_png(paint_any(photos, np.random.default_rng((options.seed, number)))))
        found.append(load_picture(path).rgb_hwc_u8)
    return found


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.train_decoder", description=__doc__, formatter_class=raw)
    parser.add_argument("photos", type=Path, nargs="+", help="folders of photos")
    parser.add_argument("--paintings", type=int, default=400, metavar="COUNT", help="how many to make")
    add_options(parser, DecoderRecipe(), "out/train-decoder")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
