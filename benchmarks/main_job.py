"""The main job, bare: `stylize --region background` on the bundled samples, as a process of its own.

Prints seconds and peak memory beside the claim: within 45 s and 1.5 GB on two cores. On an idle machine:

    python benchmarks/main_job.py [--runs 3]

Or what each stage of any command takes, in CPU seconds, the least of the runs:

    python benchmarks/main_job.py [--runs 3] --stages stylize --region background --instant
"""

import argparse
import itertools
import json
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


# Marks the CPU seconds at every stage that a command shows and every sentence that it says.
MARKED = """
import atexit, json, sys, time
from commands.work import Work

marks = [("interpreter and command line", 0.0)]

def marking(name):
    said = getattr(Work, name)
    def marked(work, words, *more, **options):
        if name == "say" or words != marks[-1][0]:
            marks.append((words, time.process_time()))
        return said(work, words, *more, **options)
    setattr(Work, name, marked)

marking("say")
marking("at")
atexit.register(lambda: print("marks", json.dumps([*marks, ("", time.process_time())]), file=sys.stderr))
import cli
cli.main()
"""


def stages(arguments: list[str], runs: int) -> dict[str, float]:
    """Least CPU seconds between each mark and the next; the words of those below .02 s are left out."""
    taken: dict[str, list[float]] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", MARKED, *arguments, "-q", "--progress", "none", "--out-dir", folder]
            told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr.splitlines()[-1]
        marks = json.loads(told.removeprefix("marks "))
        sums: dict[str, float] = {}
        for (words, begun), (_, ended) in itertools.pairwise(marks):
            sums[words] = sums.get(words, 0.0) + ended - begun
        for words, seconds in sums.items():
            taken.setdefault(words, []).append(seconds)
    return {words: min(seconds) for words, seconds in taken.items() if min(seconds) > 0.02}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stages", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args()
    if options.stages:
        found = stages(options.stages, options.runs)
        for words, seconds in found.items():
            print(f"{seconds:7.2f}  {words[:90]}")
        total = sum(found.values())
        print(f"{total:7.2f}  in all; beside the painting {total - found.get('painting', 0):.2f}")
        return
    runs = options.runs
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
