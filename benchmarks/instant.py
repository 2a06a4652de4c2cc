"""Seconds of the instant way against the size, from decoded photo to picture, and what a strength changed costs.

    PYTHONPATH=. python benchmarks/instant.py [--sizes 256,512,1024,2048] [--rounds 3] [--threads N]

A whole photo after one painting, patterns both; the network is loaded before. Above 2048 px it works by tiles, and
another strength is not timed. Memory is the process's peak so far.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.speed import pattern
from commands.sizing import LARGE_PX
from interp.statistics.layers import fixed_choice
from stylize import StyledRegion, instant
from stylize.canvas import own_photo, pictures_at
from stylize.feedforward.painting import instant_painter
from stylize.forecast import tile_px


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
    print(f"{'px':>5} {'seconds':>8} {'another strength':>17} {'peak GB':>8}")
    for side in map(int, arguments.sizes.split(",")):
        photo, painting = pattern(side, 0), pattern(512, 1)
        region = StyledRegion(np.ones((side, side), np.float32), painting, fixed_choice())
        tiles = tile_px(0.25) if side > LARGE_PX else 0
        whole = median_s(arguments.rounds, lambda: instant(photo, [region], side, tile_px=tiles))  # noqa: B023 -- called at once
        if tiles:
            print(f"{side:5} {whole:8.2f} {'-':>17} {peak_gb():8.2f}", flush=True)
            continue
        pictures = pictures_at(own_photo(photo, region), region, (side, side))
        known = painter.see(
            pictures.draft_nchw01, pictures.alpha_hw01, pictures.painting_nchw01, pictures.learned_hw01
        )  # fmt: skip
        again = median_s(arguments.rounds, lambda: painter.paint(known, 0.5))  # noqa: B023
        print(f"{side:5} {whole:8.2f} {again:17.2f} {peak_gb():8.2f}", flush=True)


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
