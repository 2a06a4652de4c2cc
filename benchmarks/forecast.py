"""What stylize/forecast.py predicts from: CPU seconds and peak memory of evaluations, by the network's width.

Each case is a process of its own on one thread, a whole square picture at one scale. Seconds are those between the
second evaluation and the last; bytes a pixel come from the two sizes.

    PYTHONPATH=. python benchmarks/forecast.py [--sizes 256,512] [--widths 0.25,0.5,1] [--steps 6] [--precision float32]
"""

import argparse
import resource
import subprocess
import sys
import time


def case(width: float, side: int, steps: int, precision: str) -> tuple[float, float]:
    """CPU seconds per million pixels and evaluation; peak bytes."""
    import numpy as np
    import torch

    from interp.network.weights import load_vgg
    from interp.statistics.layers import fixed_choice
    from stylize import Settings, StyledRegion, stylize

    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    vgg = load_vgg("random", width=width).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    photo, painting = (torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    region = StyledRegion(np.ones((side, side), np.float32), painting, fixed_choice())
    settings = Settings(size_px=side, coarsest_px=side, iterations=steps, precision=precision)
    began, pixels = 0.0, 1
    for event in stylize(vgg, photo, [region], settings):
        pixels = event.scene.canvases[0].alpha_hw01.numel()
        began = began or time.process_time()
    seconds = (time.process_time() - began) / (steps - 1) / pixels * 1e6
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="256,512", help="two sides in px")
    parser.add_argument("--widths", default="0.25,0.5,1")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--case", nargs=2, type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(*case(arguments.case[0], int(arguments.case[1]), arguments.steps, arguments.precision))
        return
    sides = [int(side) for side in arguments.sizes.split(",")]
    print(f"{'width':>6} {'s / MP, each size':>20} {'peak GB, each size':>20} {'bytes a pixel':>14}")
    for width in arguments.widths.split(","):
        found = []
        for side in sides:
            command = [sys.executable, __file__, "--steps", str(arguments.steps), "--precision", arguments.precision]
            command += ["--case", width, str(side)]
            found.append([float(word) for word in subprocess.check_output(command, text=True).split()])
        rates, peaks = [s for s, _ in found], [p / 1e9 for _, p in found]
        seconds, gigabytes = (" ".join(f"{value:.3g}" for value in column) for column in (rates, peaks))
        slope = (found[-1][1] - found[0][1]) / (sides[-1] ** 2 - sides[0] ** 2)
        print(f"{width:>6} {seconds:>20} {gigabytes:>20} {slope:14.0f}", flush=True)


if __name__ == "__main__":
    main()
