"""Make weights like `compact`, in two steps: classify pictures in folders, then learn a full-width VGG-19's features.

    python -m tools.train_compact classify tiny-imagenet --output out/start
    python -m tools.train_compact distil --start out/start/compact-vgg19.safetensors --teacher vgg19.pth \\
        --photos photos --tiles tiny-imagenet --output out/compact
"""

import argparse
import sys
from pathlib import Path

import torch

from commands.options import Progress
from tools.train_compact.recipe import STAGES, DistilRecipe, Recipe
from tools.train_compact.session import run
from tools.train_compact.steps import classify, distil


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parse(arguments)
    return run(options, options.run)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.train_compact", description=__doc__, formatter_class=raw)
    steps = parser.add_subparsers(required=True, metavar="classify | distil")
    first = steps.add_parser("classify", help="train from scratch on pictures in folders, one a class")
    first.set_defaults(run=classify)
    first.add_argument("data_dir", type=Path, help="train/CLASS/… and val/CLASS/…, or CLASS/… to be split")
    first.add_argument("--width", type=float, default=Recipe.width, help="channels as a fraction of VGG-19's")
    images = [stage.images for stage in STAGES]
    first.add_argument("--images", type=int, nargs=len(images), default=images, metavar="N", help="of each stage")
    first.add_argument("--names", type=Path, help="file with lines of folder, tab, name")
    _add_shared(first, Recipe, "classify", "native side of the squares, px")

    second = steps.add_parser("distil", help="teach what classify made the features of a full-width VGG-19")
    second.set_defaults(run=distil)
    second.add_argument("--start", type=Path, required=True, help="what classify wrote, classes.json beside it")
    second.add_argument("--teacher", type=Path, required=True, help="a VGG-19, .pth or .safetensors")
    second.add_argument("--teacher-format", help="torchvision or caffe, if the file does not tell")
    second.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of photos")
    second.add_argument("--tiles", type=Path, required=True, help="the folder that classify learned from")
    second.add_argument("--crops", type=int, default=DistilRecipe.crops, help="seen in all")
    second.add_argument("--learning-rate", type=float, default=DistilRecipe.learning_rate)
    _add_shared(second, DistilRecipe, "distil", "side of the crops, px")
    return parser.parse_args(arguments)


def _add_shared(parser: argparse.ArgumentParser, recipe: type[Recipe | DistilRecipe], folder: str, side: str) -> None:
    output = Path("out/train-compact") / folder
    parser.add_argument("--output", type=Path, default=output, help="folder for results and checkpoint")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --output")
    parser.add_argument("--batch", type=int, default=recipe.batch)
    parser.add_argument("--side", type=int, default=recipe.side_px, help=side)
    parser.add_argument("--val-share", type=float, default=0.1, help="share to measure on, where there is no val/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--terms", nargs=2, action="append", default=[], metavar=("SOURCE", "TEXT"),
        help="for the model card: the terms of a file or folder given here; once for each",
    )  # fmt: skip
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--save-every", type=int, default=500, metavar="STEPS", help="steps between checkpoints")
    parser.add_argument("--progress", type=Progress, choices=list(Progress), default=Progress.AUTO)
    parser.add_argument("-q", "--quiet", action="store_true", help="errors only on stderr")


if __name__ == "__main__":
    sys.exit(main())
