"""Does the evidence choose better layers than habit? Same pictures, budget and strength; rulers that nobody optimised.

Choices: by evidence; the usual relu1_1 … relu5_1 with equal weights; the same with the weights of the original
report's first model. Every content of DATASET/content is restyled after every style of DATASET/style. Rulers: the
painting's mean and covariance at relu1_1 … relu5_1 of each --judge, a trained net that the run does not use (without
one, covariances in a random net); patches; edges kept. Differences are paired, with bootstrap intervals.

Rule, fixed before judging: the evidence wins over a rival if at least two rulers prefer it with a 95 % interval clear
of zero and none is against it with one.

    PYTHONPATH=. python benchmarks/layer_choice.py            # planted truths only: no data set needed
    PYTHONPATH=. python benchmarks/layer_choice.py DATASET --contents NAME,NAME [--size 384]
        [--weights FILE] [--judge FILE --judge FILE] [--format caffe]
"""

import argparse
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from benchmarks.trained_judge import TrainedJudge
from commands import samples
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import load_image, to_nchw01
from interp.pictures.sizes import fit_painting_nchw01, resize_nchw01, working_size_hw_px
from interp.statistics.layers import FIXED_STYLE, LayerChoice, choose_layers, fixed_choice
from stylize import Settings, StyledRegion, stylize
from stylize.rulers import random_judge, rulers_for
from tools.paint_night import paint

REPORT_WEIGHTS = (1.0, 0.75, 0.2, 0.2, 0.2)  # the original report's Model 1, relu1_1 … relu5_1
EDGES_KEPT = "edges kept"  # more is better; of every other ruler less is
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
    parser.add_argument("--styles", help="names, comma-separated; default all")
    parser.add_argument("--size", type=int, default=384, help="long side in px")
    parser.add_argument("--iterations", type=int, help="at every scale; default the loop's own")
    parser.add_argument("--weights", default="compact", help="name or file of the net that restyles")
    parser.add_argument("--judge", default=[], action="append", metavar="FILE", help="a net that judges; several times")
    parser.add_argument("--format", choices=("torchvision", "caffe"), help="of files that do not tell themselves")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    vgg = network(arguments.weights, arguments.format)
    planted(vgg)
    if arguments.dataset:
        judges = {Path(file).stem: network(file, arguments.format) for file in arguments.judge}
        settings = Settings(size_px=arguments.size)
        if arguments.iterations:
            settings = replace(settings, iterations=arguments.iterations, coarse_iterations=arguments.iterations)
        pairs = itertools.product(
            pictures(arguments.dataset / "content", arguments.contents),
            pictures(arguments.dataset / "style", arguments.styles),
        )
        compare(vgg, judges, list(pairs), settings)


def network(source: str, layout: str | None) -> Vgg:
    vgg = load_vgg(source, layout=None if source == "compact" else layout)
    return vgg.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def pictures(folder: Path, names: str | None) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if not names or path.stem in names.split(",")]


def planted(vgg: Vgg) -> None:
    """Patterns and strokes of known size, and the photo itself: the mean depth must grow with them."""
    photo = resize_nchw01(load_image(samples.photo("astronaut")), (PLANTED_PX, PLANTED_PX))
    print("planted truth: mean depth of the style layers, 1 (finest block) … 5 (coarsest)")
    for name, (draw, sizes) in PLANTED.items():
        depths = [f"{size} px {choose_layers(vgg, photo, draw(size)).mean_depth:.2f}" for size in sizes]
        print(f"  {name:10} {'   '.join(depths)}")
    print(f"  the photo as its own painting: {choose_layers(vgg, photo, photo).mode}")


def coloured(light_hw: np.ndarray) -> Tensor:
    colours = np.where(light_hw[..., None], (0.85, 0.75, 0.3), (0.1, 0.2, 0.45))
    return torch.from_numpy(colours.astype(np.float32)).permute(2, 0, 1)[None]


def stripes(period_px: int) -> Tensor:
    return coloured(COLUMNS % period_px < period_px / 2)


def dots(period_px: int) -> Tensor:
    middle = period_px / 2 - 0.5
    return coloured(np.hypot(COLUMNS % period_px - middle, ROWS % period_px - middle) < 0.3 * period_px)


def checks(period_px: int) -> Tensor:
    return coloured((COLUMNS // (period_px / 2) + ROWS // (period_px / 2)) % 2 > 0)


def rings(period_px: int) -> Tensor:
    return coloured(np.sin(2 * np.pi * np.hypot(COLUMNS - 100, ROWS - 140) / period_px) > 0)


def blobs(period_px: int) -> Tensor:
    noise = np.random.default_rng(1).standard_normal((PLANTED_PX, PLANTED_PX))
    fine, coarse = (ndimage.gaussian_filter(noise, period_px / share, mode="wrap") for share in (6, 3))
    return coloured(fine > coarse)


def strokes(width_px: int) -> Tensor:
    return to_nchw01(paint(PLANTED_PX, PLANTED_PX, width_px, seed=5))


ROWS, COLUMNS = np.mgrid[:PLANTED_PX, :PLANTED_PX]
PLANTED: dict[str, tuple[Callable[[int], Tensor], tuple[int, ...]]] = {
    "stripes": (stripes, (4, 11, 32)),
    "dots": (dots, (6, 17, 48)),
    "checks": (checks, (6, 17, 48)),
    "rings": (rings, (6, 17, 48)),
    "blobs": (blobs, (6, 17, 48)),
    "strokes": (strokes, (3, 9, 24)),
}


def compare(vgg: Vgg, judges: dict[str, Vgg], pairs: list[tuple[Path, Path]], settings: Settings) -> None:
    """Restyle every pair with every choice, print what the rulers read, then the paired differences."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CHOICES}
    for content, style in pairs:
        photo, painting = load_image(content), load_image(style)
        size = working_size_hw_px((photo.shape[-2], photo.shape[-1]), settings.size_px)
        small, fitted, everywhere = (
            resize_nchw01(photo, size),
            fit_painting_nchw01(painting, size),
            np.ones(size, np.float32),
        )
        read = ruler(vgg, judges, small, painting)
        for name, choose in CHOICES.items():
            choice = choose(vgg, small, fitted)
            *_, last = stylize(vgg, small, [StyledRegion(everywhere, painting, choice)], settings)
            found[name].append(read(last.image_nchw01.clamp(0, 1)))
            print(f"{f'{content.stem} after {style.stem}':44} {name:18} {told(found[name][-1])}", flush=True)
    for name, rows in found.items():
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        print(f"{f'mean of {len(rows)}':44} {name:18} {told(means)}")
    for rival in list(CHOICES)[1:]:
        decide(found["evidence"], found[rival], rival)


def ruler(vgg: Vgg, judges: dict[str, Vgg], photo: Tensor, painting: Tensor) -> Callable[[Tensor], dict[str, float]]:
    """What reads a result beside its photo and painting, by name."""
    everywhere = np.ones(photo.shape[-2:], np.float32)
    rulers = rulers_for(vgg, photo, everywhere, painting, {} if judges else random_judge())
    fitted = fit_painting_nchw01(painting, (photo.shape[-2], photo.shape[-1]))
    trained = {name: TrainedJudge(net, photo, fitted, everywhere) for name, net in judges.items()}

    def read(image: Tensor) -> dict[str, float]:
        reading = rulers.read(image)
        style = {f"style in {name}": float(np.mean(judge.distances(image))) for name, judge in trained.items()}
        return {**(style or reading.judges), "patches": reading.patches, EDGES_KEPT: reading.edges_kept}

    return read


def decide(ours: list[dict[str, float]], theirs: list[dict[str, float]], rival: str) -> None:
    """Print each ruler's mean difference with its interval, and the verdict by the rule above."""
    picks = np.random.default_rng(0).integers(0, len(ours), (RESAMPLES, len(ours)))
    for_us = against = 0
    print(f"\nevidence minus {rival}, 95 % bootstrap interval over {len(ours)} pairs; + is better")
    for name in ours[0]:
        differences = np.array([own[name] - other[name] for own, other in zip(ours, theirs, strict=True)])
        better = differences if name == EDGES_KEPT else -differences
        low, high = np.quantile(better[picks].mean(1), (0.025, 0.975))
        for_us, against = for_us + (low > 0), against + (high < 0)
        print(f"  {name:44} {better.mean():+.3f}  ({low:+.3f} … {high:+.3f})")
    won = for_us >= 2 and not against
    print(f"  the evidence {'wins' if won else 'does not win'}: {for_us} rulers for it, {against} against")


def told(reading: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in reading.items())


if __name__ == "__main__":
    main()
