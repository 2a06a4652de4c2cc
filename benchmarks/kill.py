"""Kill a run at random moments, go on with it, and compare the picture with that of a run left alone.

    python benchmarks/kill.py [--kills 50] [--seed 0] [--size 128] [--iterations 90]

Runs of `stylize --checkpoint FILE --resume --every 1` on the bundled samples are killed (SIGKILL) until the wanted
number is reached; each that ends is compared, byte by byte, and another begins. A moment is so many steps after the
start, as the files of `--every 1` tell, and a part of a step: however busy the machine, kills fall anywhere in the run,
one in ten before its first step. After every kill the folder is looked at: every picture is whole, a checkpoint is
there whole or not at all, and the steps that it does not have are counted.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from safetensors import safe_open

CLI = Path(__file__).parents[1] / "cli.py"
EVERY = 25  # steps between two checkpoints, as --help says
EARLY, LOADING_S, A_STEP_S = 0.1, 4.0, 0.1
BEYOND = 1.3  # of a run's steps: of the moments drawn some come after its end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--iterations", type=int, default=90)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder, "alone.png")
        subprocess.run([*_command(options, alone), "--every", "1"], check=True, capture_output=True)
        steps = len(_pictures(alone))
        print(f"a run left alone takes {steps} steps")
        lost, ended, different = [], 0, 0
        while len(lost) < options.kills:
            here = Path(folder, f"run{ended}")
            here.mkdir()
            lost += _run_to_the_end(options, here, draw, steps, options.kills - len(lost))
            ended += 1
            different += (here / "picture.png").read_bytes() != alone.read_bytes()
    print(
        f"{len(lost)} kills, {sum(each > 0 for each in lost)} of them cost steps, {max(lost)} at most; "
        f"{ended} runs gone on with to the end, {different} pictures different"
    )
    return int(different > 0 or max(lost) > EVERY)


def _run_to_the_end(options: argparse.Namespace, here: Path, draw: random.Random, steps: int, most: int) -> list[int]:
    """How many steps each kill cost."""
    kept, picture = here / "run.safetensors", here / "picture.png"
    command = [*_command(options, picture), "--checkpoint", str(kept), "--resume", "--every", "1"]
    lost: list[int] = []
    while True:
        before = _step(kept)
        for path in _pictures(picture)[before:]:  # of steps that will be done again
            path.unlink()
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if len(lost) < most:
            moment = 0 if draw.random() < EARLY else draw.randint(1, int(BEYOND * steps) - before)
            _wait_for(running, picture, before, moment, draw)
        if len(lost) == most or running.poll() is not None:
            _, said = running.communicate()
            if running.returncode:
                raise SystemExit(f"The run ended with {running.returncode}: {said.decode()}")
            return lost
        running.kill()
        running.communicate()
        lost.append(max(0, _whole(picture) - _step(kept)))
        if picture.exists():
            return lost


def _wait_for(running: subprocess.Popen[bytes], picture: Path, before: int, steps: int, draw: random.Random) -> None:
    """Wait until so many steps are done after those before, or the run has ended, and a part of a step longer."""
    while steps and running.poll() is None and len(_pictures(picture)) < before + steps:
        time.sleep(0.02)
    time.sleep(draw.uniform(0.0, A_STEP_S if steps else LOADING_S))


def _whole(picture: Path) -> int:
    """Number of the last step's picture; one that is half written, whichever it is, cannot be read."""
    found = _pictures(picture)
    for path in [*found[-1:], *([picture] if picture.exists() else [])]:
        with Image.open(path) as image:
            image.load()
    return len(found)


def _pictures(picture: Path) -> list[Path]:
    return sorted(picture.parent.glob(f"{picture.stem}.step-*.png"))


def _step(kept: Path) -> int:
    """Of the checkpoint; 0 where there is none yet. One that is half written cannot be opened."""
    if not kept.exists():
        return 0
    with safe_open(kept, "np") as file:
        return json.loads(file.metadata()["run"])["position"]["step"]


def _command(options: argparse.Namespace, picture: Path) -> list[str]:
    words = f"stylize --region all --size {options.size} --iterations {options.iterations} --threads 1 --no-report"
    return [sys.executable, str(CLI), *words.split(), "--output", str(picture)]


if __name__ == "__main__":
    sys.exit(main())
