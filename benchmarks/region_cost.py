"""Does the cost follow the region? Seconds of regions of a large picture, relative to the whole picture's.

    PYTHONPATH=. python benchmarks/region_cost.py [--size 1024] [--iterations 6]

Claim: time at most 1.15 times the canvases' share of the pixels, so at most .45 for a centred square of a quarter.
"""

import argparse
import time

import numpy as np
import torch

from commands import samples
from interp.network.weights import load_vgg
from interp.pictures.images import load_image
from interp.pictures.sizes import resize_nchw01
from interp.statistics.layers import fixed_choice
from stylize import Settings, StyledRegion, stylize


def shapes(side: int) -> dict[str, np.ndarray]:
    """Regions of a square picture, by name."""
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    square, distance = np.maximum(abs(rows), abs(columns)), np.hypot(rows, columns)
    return {
        "whole picture": np.ones((side, side), np.float32),
        "square, 25 %": (square < 0.25).astype(np.float32),
        "square, 6 %": (square < 0.125).astype(np.float32),
        "disc, 25 %": (distance < 0.282).astype(np.float32),
        "ring, 25 %": ((distance < 0.4) & (distance > 0.283)).astype(np.float32),
        "two corners, 8 %": ((rows * columns > 0) & (np.minimum(abs(rows), abs(columns)) > 0.3)).astype(np.float32),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="side of the square picture in px")
    parser.add_argument("--iterations", type=int, default=6, help="of every scale")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    side = arguments.size
    vgg = load_vgg("compact").to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    photo = resize_nchw01(load_image(samples.photo("astronaut")), (side, side))
    painting = load_image(samples.PAINTING)
    settings = Settings(size_px=side, iterations=arguments.iterations, coarse_iterations=arguments.iterations)
    regions = {name: StyledRegion(alpha, painting, fixed_choice()) for name, alpha in shapes(side).items()}
    seconds: dict[str, list[float]] = {name: [] for name in regions}
    pixels: dict[str, float] = {}
    for _ in range(arguments.runs):  # in turn, so that a busy minute hits all of them
        for name, region in regions.items():
            started, sizes = time.process_time(), {}
            for event in stylize(vgg, photo, [region], settings):
                sizes[event.scale] = event.scene.canvases[0].alpha_hw01.numel()
            seconds[name].append(time.process_time() - started)
            pixels[name] = sum(sizes.values())
    print(f"{side}x{side} px, {arguments.iterations} steps a scale, best of {arguments.runs} runs, CPU seconds")
    print(f"{'region':18} {'seconds':>8} {'time':>6} {'pixels':>7} {'time / pixels':>14}")
    whole = min(seconds["whole picture"]), pixels["whole picture"]
    for name, runs in seconds.items():
        time_share, pixel_share = min(runs) / whole[0], pixels[name] / whole[1]
        print(f"{name:18} {min(runs):8.1f} {time_share:6.2f} {pixel_share:7.2f} {time_share / pixel_share:14.2f}")


if __name__ == "__main__":
    main()
