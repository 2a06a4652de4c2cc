"""Seconds and memory of one evaluation: the textbook loop, ours, and ours without each trick.

The textbook loop: VGG-19 cut after relu5_1, frozen, no ReLU in place, NCHW, float32; Gram matrices of relu1_1 … relu5_1
and the content of relu4_2; one scale, one forward and one backward pass and an Adam step.

    PYTHONPATH=. python benchmarks/speed.py [--weights random|compact|FILE] [--size 512] [--rounds 3]

Every case is a process of its own, in turn, so that a busy minute hits all of them; the ratios are of medians. The
last column is the share of the machine's own matrix products (float32, measured here) that the convolutions reach.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
WARM = 2  # evaluations before those that count
CASES = (
    "textbook", "ours", "float32", "float32, no Winograd", "by autograd", "without a border", "squared covariances",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="random")
    parser.add_argument("--format", help="torchvision or caffe, of a file that does not tell")
    parser.add_argument("--size", type=int, default=512, help="side of the square picture in px")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--cpu", action="store_true", help="seconds of a processor, which a busy machine stretches less"
    )
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        run_case(arguments)
        return
    import commands  # noqa: F401 -- from here on processes wait for their threads as the command line does

    found: dict[str, list[tuple[float, float, float]]] = {case: [] for case in CASES}
    for _ in range(arguments.rounds):
        for case in CASES:
            command = [sys.executable, __file__, *sys.argv[1:], "--case", case]
            answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
            seconds, memory, work = map(float, answer.stdout.split())
            found[case].append((seconds, memory, work))
    rate = matrix_rate()
    print(f"{arguments.size}x{arguments.size} px, weights {arguments.weights}, medians of {arguments.rounds}")
    print(f"{os.cpu_count()} cores, {rate / 1e9:.0f} GFLOP/s in float32 matrix products")
    print(f"{'case':22} {'s / evaluation':>14} {'/ textbook':>11} {'peak GB':>8} {'of the rate':>12}")
    base = statistics.median(run[0] for run in found["textbook"])
    for case, runs in found.items():
        seconds, memory, work = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{case:22} {seconds:14.3f} {seconds / base:11.2f} {memory:8.2f} {work / seconds / rate:12.2f}")


def run_case(arguments: argparse.Namespace) -> None:
    """Print seconds an evaluation, peak memory in GB (Linux: ru_maxrss in KiB) and the convolutions' operations."""
    from interp.network.weights import load_vgg

    torch.set_flush_denormal(True)
    vgg = load_vgg(arguments.weights, layout=arguments.format)
    picture, painting = (pattern(arguments.size, seed) for seed in (0, 1))
    steps = (
        textbook(vgg, picture, painting) if arguments.case == "textbook" else ours(vgg, picture, painting, arguments)
    )
    clock = time.process_time if arguments.cpu else time.monotonic
    ends = [clock() for _ in islice(steps, WARM + arguments.steps)][WARM - 1 :]
    seconds = statistics.median(after - before for before, after in pairwise(ends))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(seconds, memory, operations(vgg, arguments.size))


def textbook(vgg, photo_nchw01: Tensor, painting_nchw01: Tensor) -> Iterator[None]:
    """The textbook loop, one evaluation at a time."""
    from interp.statistics.layers import FIXED_CONTENT, FIXED_STYLE

    wanted = {vgg.layer_module(name): name for name in (*FIXED_STYLE, FIXED_CONTENT)}

    def maps(image: Tensor) -> dict[str, Tensor]:
        value, found = vgg.normalise(image), {}
        for module in vgg.features:
            value = module(value)
            if module in wanted:
                found[wanted[module]] = value
            if len(found) == len(wanted):
                return found
        return found

    def gram(values: Tensor) -> Tensor:
        flat = values.flatten(2)[0]
        return flat @ flat.T / flat.numel()

    with torch.no_grad():
        style = {name: gram(value) for name, value in maps(painting_nchw01).items()}
        content = maps(photo_nchw01)[FIXED_CONTENT]
    image = photo_nchw01.clone().requires_grad_()
    optimiser = torch.optim.Adam([image], lr=0.02)
    while True:
        found = maps(image)
        loss = F.mse_loss(found[FIXED_CONTENT], content)
        for name in FIXED_STYLE:
            loss = loss + 1e3 * F.mse_loss(gram(found[name]), style[name])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield


def ours(vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, arguments: argparse.Namespace) -> Iterator[None]:
    """Our loop at its finest scale, without one of its tricks where the case says so."""
    import numpy as np

    from interp.network import frozen_pass
    from interp.statistics.layers import fixed_choice
    from stylize import Settings, StyledRegion, fill, losses, stylize

    size, case = arguments.size, arguments.case
    if case == "by autograd":
        losses.FrozenPass = AutogradPass  # pyright: ignore[reportAttributeAccessIssue]
    if case == "float32, no Winograd":
        frozen_pass.pays = lambda weight, dtype: False
    if case == "squared covariances":
        losses.GaussianTarget = SquaredTarget  # pyright: ignore[reportAttributeAccessIssue]
    settings = Settings(
        size_px=size, coarsest_px=size, iterations=WARM + arguments.steps,
        precision="float32" if case.startswith("float32") else "auto",
    )  # fmt: skip
    region = StyledRegion(np.ones((size, size), np.float32), painting_nchw01, fixed_choice())
    if case == "without a border":
        fill.BORDER_PX = 0
    for _ in stylize(vgg, photo_nchw01, [region], settings):
        yield


def plain_moments(features_nchw: Tensor, mask_hw01: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance, left to autograd."""
    flat, weights = features_nchw.float().flatten(2)[0], mask_hw01.flatten() / mask_hw01.sum()
    mean = flat @ weights
    centred = flat - mean[:, None]
    return mean, (centred * weights) @ centred.T


class AutogradPass:
    """The network's layers as automatic differentiation has them, in the precision of `FrozenPass`."""

    def __init__(self, vgg, layers: list[str], pooling: str, precision: str) -> None:
        self.vgg, self.layers, self.pooling, self.half = vgg, layers, pooling, precision == "bfloat16"

    def look(self, image_nchw01: Tensor, masks: dict[str, Tensor], kept: Sequence[str]) -> tuple[dict, dict]:
        maps = self(image_nchw01)
        moments = {name: plain_moments(maps[name], mask) for name, mask in masks.items()}
        return moments, {name: maps[name] for name in kept}

    def __call__(self, image_nchw01: Tensor) -> dict[str, Tensor]:
        image = image_nchw01.contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.half):
            return self.vgg.activations(image, self.layers, self.pooling)


class SquaredTarget:
    """Squared differences of mean and covariance: what a distance without a matrix root costs."""

    def __init__(self, moments: tuple[Tensor, Tensor]) -> None:
        self.moments = [value.detach() for value in moments]

    @classmethod
    def of(cls, moments: tuple[Tensor, Tensor]) -> "SquaredTarget":
        return cls(moments)

    def distance(self, moments: tuple[Tensor, Tensor]) -> Tensor:
        pairs = zip(moments, self.moments, strict=True)
        return torch.stack([(own - target).square().sum() / target.square().sum() for own, target in pairs]).mean()


def pattern(size_px: int, seed: int) -> Tensor:
    """A picture with detail at every scale."""
    generator, total = torch.Generator().manual_seed(seed), torch.zeros(1, 3, size_px, size_px)
    for grain in (1, 4, 16, 64):
        coarse = torch.rand(1, 3, -(-size_px // grain), -(-size_px // grain), generator=generator)
        total += F.interpolate(coarse, size=(size_px, size_px), mode="bilinear") / 4
    return total


def operations(vgg, size_px: int) -> float:
    """Multiplications and additions of the convolutions to relu5_1 and of their gradient to the image."""
    from interp.network.layer_names import LAYERS

    total = 0.0
    for (name, place), module in zip(LAYERS.items(), vgg.features, strict=True):
        if name.startswith("conv"):
            total += 2 * 2 * module.weight.numel() * (size_px // place.stride_px) ** 2
        if name == "relu5_1":
            return total
    return total


def matrix_rate() -> float:
    """Operations a second of float32 matrix products, the best of a few."""
    matrix = torch.rand(2048, 2048)
    best = float("inf")
    for _ in range(5):
        started = time.monotonic()
        torch.mm(matrix, matrix)
        best = min(best, time.monotonic() - started)
    return 2 * 2048**3 / best


if __name__ == "__main__":
    main()
