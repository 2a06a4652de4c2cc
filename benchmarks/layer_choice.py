"""Does the evidence choose better layers than habit? Same pictures, budget and strength; judges that nobody optimised.

Choices: by evidence; the usual relu1_1 … relu5_1 with equal weights; the same with the weights of the original report's
first model. Every content of DATASET/content with every style of DATASET/style is judged by stylize.rulers; the
differences are paired, with bootstrap intervals. Rule, fixed before judging: the evidence wins if at least two of the
three judges prefer it with an interval clear of zero and none is against it with one.

    PYTHONPATH=. python benchmarks/layer_choice.py DATASET --contents lion,sailboat [--size 384]
    PYTHONPATH=. python benchmarks/layer_choice.py            # planted truths only: no data set needed
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from commands import samples
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import load_image
from interp.pictures.sizes import fit_painting_nchw01, resize_nchw01, working_size_hw_px
from interp.statistics.layers import FIXED_STYLE, LayerChoice, choose_layers, fixed_choice
from stylize import Settings, StyledRegion, stylize
from stylize.rulers import RANDOM_NETWORK, random_judge, rulers_for

REPORT_WEIGHTS = (1.0, 0.75, 0.2, 0.2, 0.2)  # the original report's Model 1, relu1_1 … relu5_1
JUDGES = {"style": -1, "patches": -1, "edges kept": 1}  # name: the sign that makes more better
RESAMPLES = 10_000
PLANTED_PX = 320


def report_choice() -> LayerChoice:
    """The usual layers with the report's weights."""
    total = sum(REPORT_WEIGHTS)
    weights: dict[str, float] = {name: weight / total for name, weight in zip(FIXED_STYLE, REPORT_WEIGHTS, strict=True)}
    return LayerChoice(weights, fixed_choice().content_layer)


CHOICES: dict[str, Callable[[Vgg, Tensor, Tensor], LayerChoice]] = {
    "evidence": choose_layers,
    "equal weights": lambda vgg, photo, painting: fixed_choice(),
    "report's weights": lambda vgg, photo, painting: report_choice(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, nargs="?", help="folder with content/ and style/")
    parser.add_argument("--contents", help="names, comma-separated; default all")
    parser.add_argument("--size", type=int, default=384, help="long side in px")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    vgg = load_vgg("compact").to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    planted(vgg)
    if arguments.dataset:
        names = arguments.contents.split(",") if arguments.contents else None
        contents = [
            path for path in sorted((arguments.dataset / "content").iterdir()) if not names or path.stem in names
        ]
        compare(vgg, contents, sorted((arguments.dataset / "style").iterdir()), arguments.size)


def planted(vgg: Vgg) -> None:
    """Stripes of known width, and a painting at several stroke widths: the mean depth must grow with them."""
    photo = resize_nchw01(load_image(samples.photo("astronaut")), (PLANTED_PX, PLANTED_PX))
    painting = load_image(samples.PAINTING)
    height, width = painting.shape[-2:]
    pictures = {f"stripes of {period} px": stripes(period) for period in (4, 8, 16, 32, 64)}
    for zoom in (1, 1.5, 2, 3):
        part = painting[..., : int(height / zoom), : int(width / zoom)]
        pictures[f"strokes enlarged {zoom:g} times"] = resize_nchw01(part, (PLANTED_PX, PLANTED_PX))
    print("planted truth: mean depth of the style layers, 1 (finest block) … 5 (coarsest)")
    for name, picture in pictures.items():
        print(f"  {name:28} {choose_layers(vgg, photo, picture).mean_depth:.2f}")


def stripes(period_px: int) -> Tensor:
    wave = ((torch.arange(PLANTED_PX) // (period_px // 2)) % 2).float()
    return wave.expand(1, 3, PLANTED_PX, PLANTED_PX).contiguous()


def compare(vgg: Vgg, contents: list[Path], styles: list[Path], size_px: int) -> None:
    """Restyle every pair with every choice, print the marks, then the paired differences."""
    marks: dict[str, list[tuple[float, ...]]] = {name: [] for name in CHOICES}
    print(f"\n{'pair':44} {'choice':18} {'style':>7} {'patches':>8} {'edges':>6}")
    for content in contents:
        for style in styles:
            photo, painting = load_image(content), load_image(style)
            size = working_size_hw_px((photo.shape[-2], photo.shape[-1]), size_px)
            small = resize_nchw01(photo, size)
            everywhere = np.ones(size, np.float32)
            rulers = rulers_for(vgg, small, everywhere, painting, random_judge())
            for name, choose in CHOICES.items():
                choice = choose(vgg, small, fit_painting_nchw01(painting, size))
                region = StyledRegion(everywhere, painting, choice)
                *_, last = stylize(vgg, small, [region], Settings(size_px=size_px))
                found = rulers.read(last.image_nchw01)
                marks[name].append((found.judges[RANDOM_NETWORK], found.patches, found.edges_kept))
                print(f"{f'{content.stem} after {style.stem}':44} {name:18} {marks_line(marks[name][-1])}", flush=True)
    for name, rows in marks.items():
        print(f"{f'mean of {len(rows)}':44} {name:18} {marks_line(tuple(np.mean(rows, 0)))}")
    for rival in list(CHOICES)[1:]:
        judge(np.array(marks["evidence"]), np.array(marks[rival]), rival)


def judge(ours: np.ndarray, theirs: np.ndarray, rival: str) -> None:
    """Print each judge's mean difference with its interval, and the verdict by the rule above."""
    picks = np.random.default_rng(0).integers(0, len(ours), (RESAMPLES, len(ours)))
    for_us = against = 0
    print(f"\nevidence minus {rival}, 95 % bootstrap interval over {len(ours)} pairs; + is better")
    for column, (name, sign) in enumerate(JUDGES.items()):
        better = sign * (ours - theirs)[:, column]
        low, high = np.quantile(better[picks].mean(1), (0.025, 0.975))
        for_us, against = for_us + (low > 0), against + (high < 0)
        print(f"  {name:12} {better.mean():+.3f}  ({low:+.3f} … {high:+.3f})")
    won = for_us >= 2 and not against
    print(f"  the evidence {'wins' if won else 'does not win'}: {for_us} judges for it, {against} against")


def marks_line(marks: tuple[float, ...]) -> str:
    return f"{marks[0]:7.3f} {marks[1]:8.3f} {marks[2]:6.2f}"


if __name__ == "__main__":
    main()
