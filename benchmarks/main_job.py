"""The main job, bare: `stylize --region background` on the bundled samples, as a process of its own.

Prints seconds and peak memory beside the claim: within 45 s and 1.5 GB on two cores. On an idle machine:

    python benchmarks/main_job.py [--runs 3]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLAIM_S, CLAIM_GB = 45, 1.5


def run(arguments: list[str]) -> tuple[float, float, float]:
    """Run the command line; return wall seconds, CPU seconds and peak memory in GB (Linux: ru_maxrss in KiB)."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, str(ROOT / "cli.py"), *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed with status {status}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    jobs = {
        "--help": ["--help"],
        "featuremaps": ["featuremaps", "-q"],
        "saliency": ["saliency", "-q"],
        "stylize --region background": ["stylize", "--region", "background", "-q"],
    }
    print(f"{'command':30} {'wall s':>8} {'cpu s':>8} {'peak GB':>8}   (medians of {runs}, {os.cpu_count()} cores)")
    for name, arguments in jobs.items():
        with tempfile.TemporaryDirectory() as folder:
            place = [] if name == "--help" else ["--out-dir", folder]
            results = [run([*arguments, *place]) for _ in range(runs)]
        wall, cpu, memory = (statistics.median(column) for column in zip(*results, strict=True))
        print(f"{name:30} {wall:8.2f} {cpu:8.2f} {memory:8.2f}")
    print(f"claims: --help under 0.3 s; stylize within {CLAIM_S} s and {CLAIM_GB} GB on two cores")


if __name__ == "__main__":
    main()
