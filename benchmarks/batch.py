"""Many pictures: does a batch that is killed end complete, each picture once, and what do further workers gain?

`killed` makes tiny pictures and runs the quickest command over them (`batch kmeans --no-report`), ended by SIGKILL
at random moments and gone on with until it is done; then it looks at what is there. `workers` runs a command over
larger pictures on 1 and on N workers, once they have loaded their libraries. Beside the ratio of times stands how busy
the workers were: the share of their time that went into pictures. Where cores are shared or others want them the ratio
is lower, and the share is not. `waiting` does the same with pictures that take half a second and no processor, so that
each worker has all that it needs: what is lost then is the engine's.

    PYTHONPATH=. python benchmarks/batch.py killed [--pictures 1000] [--kills 3] [--workers 2]
    PYTHONPATH=. python benchmarks/batch.py workers [--workers 2] [--pictures 24] [--side 384]
    PYTHONPATH=. python benchmarks/batch.py waiting [--workers 2] [--pictures 24]
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from commands.many.manifest import CLAIM, NAME
from commands.many.task import Outcome, Task
from commands.many.workers import OnWorkers, Station, Work, do_task

ROOT = Path(__file__).resolve().parent.parent
WAIT_S = 0.5
FILES = 4  # that the command writes for a picture


def make(folder: Path, count: int, side: int) -> list[str]:
    """Pictures of noise, each another."""
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number:04}.png")
    return [str(path) for path in sorted(folder.iterdir())]


def killed(place: Path, pictures: int, kills: int, workers: int) -> None:
    photos, out = make(place / "in", pictures, 24), place / "out"
    line = [sys.executable, "cli.py", "batch", "kmeans", str(place / "in"), "--k", "2", "--no-report", "-q", "--resume"]
    line += ["--out-dir", str(out)] + (["--workers", str(workers)] if workers > 1 else [])
    generator = random.Random(0)
    moments = sorted(generator.randrange(pictures) for _ in range(kills))
    for moment in moments:
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL)
        while process.poll() is None and (not out.exists() or len(list(out.glob("*.kmeans.png"))) <= moment):
            time.sleep(0.02)
        time.sleep(generator.random() / 5)
        process.send_signal(signal.SIGKILL)
        process.wait()
        print(f"killed after {moment} pictures: {len(_entries(out))} lines in the manifest")
    code = subprocess.run(line, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode
    lines = Counter(entry["photo"] for entry in _entries(out))
    results = [path for path in out.iterdir() if not path.name.startswith(".") and path.name != NAME]
    print(f"exit code {code}; {len(lines)} of {pictures} pictures, {sum(lines.values())} lines; {len(results)} results")
    whole = code == 0 and lines == Counter(photos) and len(results) == FILES * pictures
    whole = whole and not any("-2." in path.name for path in results) and not list(out.glob(f".*{CLAIM}"))
    print("complete, each picture once" if whole else "NOT complete, or not each once")


def wait(task: Task, station: Station) -> Outcome:
    time.sleep(WAIT_S)
    return Outcome(0, seconds=WAIT_S)


def gain(place: Path, pictures: int, side: int, workers: int, work: Work) -> None:
    photos = make(place / "in", pictures, side)
    times = {}
    for count in (1, workers):
        with OnWorkers(count, None, 1, work) as runner:
            _done(runner, photos[:count] * 2, place)  # libraries load
            started = time.monotonic()
            outcomes = _done(runner, photos, place)
            times[count] = time.monotonic() - started
        busy = sum(outcome.seconds for outcome in outcomes) / count / times[count]
        print(f"{count} workers: {times[count]:.1f} s for {pictures} pictures; they were busy for {busy:.2f} of it")
    print(f"{workers} workers are {times[1] / times[workers]:.2f} times as fast as one")


def _done(runner: OnWorkers, photos: list[str], place: Path) -> list[Outcome]:
    words = ("--k", "4", "--no-report", "--out-dir", str(place / "out"))
    tasks = [Task("kmeans", (*words, photo), photo, None, Path(photo).stem, Path(photo).stem) for photo in photos]
    outcomes = [outcome for _, outcome in runner.run(tasks, lambda task: None)]
    assert not any(outcome.code for outcome in outcomes), outcomes
    return outcomes


def _entries(out: Path) -> list[dict[str, str]]:
    lines = (out / NAME).read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["killed", "workers", "waiting"], default="killed")
    parser.add_argument("--pictures", type=int, help="1000, or 24")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--workers", type=int, help="1, or 2")
    parser.add_argument("--side", type=int, default=384, help="of the pictures, in px")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if given.what == "killed":
            killed(Path(place), given.pictures or 1000, given.kills, given.workers or 1)
        else:
            work = wait if given.what == "waiting" else do_task
            gain(Path(place), given.pictures or 24, given.side, given.workers or 2, work)


if __name__ == "__main__":
    main()
