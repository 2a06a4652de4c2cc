"""Contact sheets of style transfers and what neutral judges say of them: every content with every style, by variant.

The folder holds content/, style/ and, for photos with a region, content_masks/NAME.png (white = foreground). Each row
of a sheet is one pair: photo, painting, then one result a variant. The table gives the judges' means
(stylize.rulers: none of them is part of any loss) and CPU seconds. With --judge, trained networks that the run did not
use say how near each layer's mean and covariance are to the painting's: 0 the photo, 1 another part of the painting.

    PYTHONPATH=. python benchmarks/look.py DATASET OUT [--contents flower] [--size 512] [--variants default,crowsonkb]
        [--weights FILE] [--judge FILE …] [--format caffe]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from benchmarks.crowsonkb import crowsonkb
from benchmarks.trained_judge import LAYERS, TrainedJudge
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import Picture, encode_png, load_mask, load_picture, quantise_hw01, to_hwc_u8, to_nchw01
from interp.pictures.sizes import fit_painting_nchw01, resize_hw01, resize_nchw01, working_size_hw_px
from interp.statistics.layers import choose_layers, fixed_choice
from stylize import Settings, StyledRegion, compose, stylize
from stylize.rulers import RANDOM_NETWORK, random_judge, rulers_for

CELL_PX, LABEL_PX = 384, 16
Marks = tuple[float, float, float]  # distances in a random network and of patches, edges kept


@dataclass(frozen=True)
class Variant:
    """One way to restyle: changes to the default settings, the evidence's layers or the usual ones, a strength."""

    settings: dict[str, Any] = field(default_factory=dict)
    evidence: bool = False
    strength: float = 1.0
    crowsonkb: bool = False


VARIANTS: dict[str, Variant] = {
    "default": Variant(),
    "evidence": Variant(evidence=True),
    "max pools": Variant({"pooling": "max"}),
    "noise": Variant({"start": "noise"}),
    "adam": Variant({"optimizer": "adam"}),
    "float32": Variant({"precision": "float32"}),
    "mixed": Variant({"pooling": "mixed"}),
    "adam 2": Variant({"optimizer": "adam", "learning_rate": 0.02}),
    "mixed adam": Variant({"pooling": "mixed", "optimizer": "adam", "learning_rate": 0.02}),
    "tv": Variant({"total_variation": 0.1}),
    "one scale": Variant({"coarsest_px": 8192, "iterations": 100}),
    "one pass": Variant({"start": "instant", "coarsest_px": 8192, "iterations": 1}),
    "instant": Variant({"start": "instant", "coarsest_px": 8192, "iterations": 4}),
    "from instant": Variant({"start": "instant"}),
    "twice": Variant({"iterations": 60, "coarse_iterations": 100}),
    "crowsonkb": Variant(crowsonkb=True),
    "weak": Variant(strength=0.3),
    "strong": Variant(strength=3.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--contents", default="flower,tubingen", help="names, comma-separated")
    parser.add_argument("--styles", help="names, comma-separated; default all")
    parser.add_argument("--regions", default="all", help="of foreground,background,all; masked photos only")
    parser.add_argument("--variants", default="default", help=f"of {', '.join(VARIANTS)}")
    parser.add_argument("--size", type=int, default=512, help="long side in px")
    parser.add_argument("--weights", default="compact", help="name or file of the network that restyles")
    parser.add_argument("--judge", nargs="+", default=[], help="names or files of trained networks that judge")
    parser.add_argument("--format", help="torchvision or caffe, of files that do not tell")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    names = arguments.variants.split(",")
    styles = sorted((arguments.dataset / "style").iterdir())
    if arguments.styles:
        styles = [path for path in styles if path.stem in arguments.styles.split(",")]
    nets = [load_vgg(source, layout=arguments.format) for source in arguments.judge]
    vgg = load_vgg(arguments.weights, layout=arguments.format).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    marks: dict[str, list[tuple[Marks, float]]] = {name: [] for name in names}
    scores: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for content in arguments.contents.split(","):
        photo = load_picture(next((arguments.dataset / "content").glob(f"{content}.*")))
        for region in arguments.regions.split(","):
            alpha = region_of(arguments.dataset, content, photo, region)
            rows = []
            for path in styles:
                painting = load_picture(path)
                judge = judge_of(photo, painting, alpha, arguments.size)
                trained = [trained_judge(net, photo, painting, alpha, arguments.size) for net in nets]
                row = [photo.rgb_hwc_u8, painting.rgb_hwc_u8]
                for name in names:
                    result, seconds = restyle(vgg, photo, painting, alpha, VARIANTS[name], arguments.size)
                    marks[name].append((judge(result), seconds))
                    scores[name].append(np.array([score(result) for score in trained]))
                    row.append(result)
                    target = arguments.output / f"{content}-{path.stem}-{region}-{name.replace(' ', '_')}.png"
                    target.write_bytes(encode_png(result))
                    print(f"{target.name:64} {describe(*marks[name][-1])}", flush=True)
                    print_scores(arguments.judge, scores[name][-1])
                rows.append(row)
            sheet(rows, ["photo", "painting", *names]).save(arguments.output / f"sheet-{content}-{region}.png")
    print(f"\n{'variant':20} {'style':>7} {'patches':>8} {'edges':>6} {'cpu s':>7}   means of {len(marks[names[0]])}")
    for name, pairs in marks.items():
        style, patches, edges, seconds = np.mean([(*found, seconds) for found, seconds in pairs], 0)
        print(f"{name:20} {describe((style, patches, edges), seconds)}")
        print_scores(arguments.judge, np.mean(scores[name], 0))


def print_scores(judges: list[str], scores: np.ndarray) -> None:
    """A line a judging network: 0 the photo, 1 another part of the painting, layer by layer."""
    for judge, values in zip(judges, scores, strict=True):
        shown = "  ".join(f"{layer} {value:6.3f}" for layer, value in zip(LAYERS, values, strict=True))
        print(f"    {Path(judge).stem:28} {shown}", flush=True)


def region_of(dataset: Path, content: str, photo: Picture, region: str) -> np.ndarray:
    """The region's alpha at the photo's size."""
    if region == "all":
        return np.ones(photo.size_hw_px, np.float32)
    mask = load_mask(dataset / "content_masks" / f"{content}.png", photo.size_hw_px)
    return mask if region == "foreground" else quantise_hw01(1 - mask)


def judge_of(photo: Picture, painting: Picture, alpha: np.ndarray, size_px: int) -> Callable[[np.ndarray], Marks]:
    """A judge of results at the working size."""
    size = working_size_hw_px(photo.size_hw_px, size_px)
    small = resize_nchw01(photo.image_nchw01, size)
    rulers = rulers_for(load_vgg("compact"), small, resize_hw01(alpha, size), painting.image_nchw01, random_judge())

    def judge(result: np.ndarray) -> Marks:
        found = rulers.read(resize_nchw01(to_nchw01(result), size))
        return found.judges[RANDOM_NETWORK], found.patches, found.edges_kept

    return judge


def trained_judge(
    net: Vgg, photo: Picture, painting: Picture, alpha: np.ndarray, size_px: int
) -> Callable[[np.ndarray], list[float]]:
    """A trained network's judge of results at the working size."""
    size = working_size_hw_px(photo.size_hw_px, size_px)
    fitted = fit_painting_nchw01(painting.image_nchw01, size)
    judge = TrainedJudge(net, resize_nchw01(photo.image_nchw01, size), fitted, resize_hw01(alpha, size))
    return lambda result: judge.scores(resize_nchw01(to_nchw01(result), size))


def restyle(
    vgg: Vgg, photo: Picture, painting: Picture, alpha: np.ndarray, variant: Variant, size_px: int
) -> tuple[np.ndarray, float]:
    """The result and its CPU seconds, layer choice included."""
    started = time.process_time()
    if variant.crowsonkb:
        found = crowsonkb(vgg, photo.image_nchw01, painting.image_nchw01, size_px)
        return to_hwc_u8(resize_nchw01(found, photo.size_hw_px)), time.process_time() - started
    settings = replace(Settings(size_px=size_px), **variant.settings)
    size = working_size_hw_px(photo.size_hw_px, size_px)
    choice = fixed_choice()
    if variant.evidence:
        small = resize_nchw01(photo.image_nchw01, size)
        fitted = fit_painting_nchw01(painting.image_nchw01, size)
        choice = choose_layers(vgg, small, fitted, resize_hw01(alpha, size))
    styled = StyledRegion(alpha, painting.image_nchw01, choice, variant.strength)
    *_, last = stylize(vgg, photo.image_nchw01, [styled], settings)
    return compose(photo.rgb_hwc_u8, [styled], last.restyled_rchw), time.process_time() - started


def describe(marks: Marks, seconds: float) -> str:
    return f"{marks[0]:7.3f} {marks[1]:8.3f} {marks[2]:6.2f} {seconds:7.1f}"


def sheet(rows: list[list[np.ndarray]], names: list[str]) -> Image.Image:
    """A labelled grid of pictures, each fitted into a square cell."""
    canvas = Image.new("RGB", (CELL_PX * len(names), LABEL_PX + CELL_PX * len(rows)), "white")
    draw = ImageDraw.Draw(canvas)
    for column, name in enumerate(names):
        draw.text((CELL_PX * column + 4, 2), name, fill="black")
        for number, row in enumerate(rows):
            picture = Image.fromarray(row[column])
            picture.thumbnail((CELL_PX - 4, CELL_PX - 4), Image.Resampling.LANCZOS)
            canvas.paste(picture, (CELL_PX * column, LABEL_PX + CELL_PX * number))
    return canvas


if __name__ == "__main__":
    main()
