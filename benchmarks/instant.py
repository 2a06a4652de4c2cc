"""Seconds of the instant way against the size, from decoded photo to picture: the decoder's pass, with the optimiser's
three steps as --instant has them, and another strength of the pass. Beside them the pass of a network of as many
multiply-adds a pixel as MicroAST's (Wang et al. 2023, .47 M numbers, 28 k a pixel), with random weights.

    PYTHONPATH=. python benchmarks/instant.py [--sizes 256,512,1024,2048] [--rounds 3] [--threads N]

A whole photo after one painting, patterns both; the networks are loaded before. Above 2048 px it works by tiles, and
only the pass is timed. Memory is the process's peak so far.
"""

import argparse
import resource
import statistics
import time
from collections import deque
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.speed import pattern
from commands.sizing import LARGE_PX
from interp.network.weights import load_vgg
from interp.statistics.layers import fixed_choice
from stylize import StyledRegion, instant, stylize
from stylize.canvas import own_photo, pictures_at
from stylize.feedforward.painting import instant_painter
from stylize.forecast import tile_px
from stylize.presets import PRESETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="256,512,1024,2048", help="sides in px, comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    painter = instant_painter(torch.device("cpu"), "auto")
    vgg, micro = load_vgg("compact"), microast_like()
    print(f"{'px':>5} {'pass':>8} {'--instant':>10} {'another strength':>17} {'MicroAST-like':>14} {'peak GB':>8}")
    for side in map(int, arguments.sizes.split(",")):
        photo, painting = pattern(side, 0), pattern(512, 1)
        region = StyledRegion(np.ones((side, side), np.float32), painting, fixed_choice())
        tiles = tile_px(0.25) if side > LARGE_PX else 0
        whole = median_s(arguments.rounds, lambda: instant(photo, [region], side, tile_px=tiles))  # noqa: B023 -- called at once
        if tiles:
            print(f"{side:5} {whole:8.2f} {'-':>10} {'-':>17} {'-':>14} {peak_gb():8.2f}", flush=True)
            continue
        way = PRESETS["instant"].limited(side, None)
        touched = median_s(arguments.rounds, lambda: deque(stylize(vgg, photo, [region], way), 1))  # noqa: B023
        pictures = pictures_at(own_photo(photo, region), region, (side, side))
        known = painter.see(
            pictures.draft_nchw01, pictures.alpha_hw01, pictures.painting_nchw01, pictures.learned_hw01
        )  # fmt: skip
        again = median_s(arguments.rounds, lambda: painter.paint(known, 0.5))  # noqa: B023
        alike = median_s(arguments.rounds, lambda: micro(photo))  # noqa: B023
        print(f"{side:5} {whole:8.2f} {touched:10.2f} {again:17.2f} {alike:14.2f} {peak_gb():8.2f}", flush=True)


def microast_like() -> nn.Module:
    """28 thousand multiply-adds a pixel in float32: down to a quarter of the side, four convolutions, up."""
    down = nn.Conv2d(3, 16, 9, padding=4), nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(32, 64, 3, 2, 1)
    middle = (nn.Conv2d(64, 64, 3, padding=1) for _ in range(4))
    up = nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, padding=1), nn.Upsample(scale_factor=2)
    chain = [*down, *middle, *up, nn.Conv2d(32, 3, 9, padding=4)]
    return nn.Sequential(*chain).to(memory_format=torch.channels_last).requires_grad_(False)


def peak_gb() -> float:
    """Of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def median_s(rounds: int, run: Callable[[], object]) -> float:
    """Seconds of a run, the median of some after a first one."""
    run()
    found = []
    for _ in range(rounds):
        started = time.monotonic()
        run()
        found.append(time.monotonic() - started)
    return statistics.median(found)


if __name__ == "__main__":
    main()
