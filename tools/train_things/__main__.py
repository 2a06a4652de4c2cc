"""Make the network that marks things: a decoder on a VGG-19's features, learned from photos with masks.

    python -m tools.train_things photos masks --output out/things

masks holds NAME.png, white inside, for every photo NAME.*. When the VGG-19 changes, --start goes on from the decoder
that was made for the old one; with --steps 0 it is only measured on the new one, and saved as made for it.
"""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from commands.options import INTERRUPTED
from commands.outputs import write_atomically
from interp.network.weights import load_vgg
from tools.learning import add_options
from tools.train_compact.session import load_checkpoint, prepare_folder, run, say, train, watch
from tools.train_things.export import WEIGHTS_FILE, saved_bytes
from tools.train_things.measure import measure
from tools.train_things.pictures import load_masked, split
from tools.train_things.training import ThingsRecipe, Training


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run(_parse(arguments), _make)


def _make(options: argparse.Namespace) -> int:
    recipe = ThingsRecipe(options.steps, options.batch, options.learning_rate, seed=options.seed)
    checkpoint = prepare_folder(options)
    vgg = load_vgg(options.network, device=options.device).to(memory_format=torch.channels_last)
    learn_from, held_out = split(load_masked(options.photos, options.masks, watch(options, "photos read")), options.val)
    training = Training(vgg, learn_from, recipe, load_file(options.start) if options.start else None)
    if options.resume:
        training.restore(load_checkpoint(checkpoint))
    if not train(options, training.run(), training.state, checkpoint):
        return INTERRUPTED
    path = options.output / WEIGHTS_FILE
    write_atomically(path, saved_bytes(training.trained, vgg))
    if held_out:
        say(options, measure(vgg, training.trained, held_out))
    print(path)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.train_things", description=__doc__, formatter_class=raw)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("masks", type=Path, help="folder of their masks, NAME.png")
    parser.add_argument("--network", default="compact", help="the VGG-19, by name or file")
    parser.add_argument("--val", type=float, default=0.1, metavar="SHARE", help="of the photos, to measure on")
    add_options(parser, ThingsRecipe(), "out/train-things")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
