"""Kill a run at random moments, go on with it, and compare the picture with that of a run left alone.

    python benchmarks/kill.py [--kills 50] [--seed 0] [--size 192] [--iterations 300]

Runs of `stylize --checkpoint FILE --resume` on the bundled samples are killed (SIGKILL) until the wanted number is
reached; each that ends is compared, byte by byte, and another begins. After every kill the folder is looked at: a
checkpoint is there whole or not at all.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors import safe_open

CLI = Path(__file__).parents[1] / "cli.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--iterations", type=int, default=300)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder, "alone.png")
        begun = time.monotonic()
        subprocess.run(_command(options, alone), check=True, capture_output=True)
        seconds = time.monotonic() - begun
        print(f"a run left alone takes {seconds:.1f} s")
        kills, ended, different, lost = 0, 0, 0, []
        while kills < options.kills:
            here = Path(folder, f"run{ended}")
            here.mkdir()
            killed, steps = _run_to_the_end(options, here, draw, seconds, options.kills - kills)
            kills, ended, lost = kills + killed, ended + 1, lost + steps
            different += (here / "picture.png").read_bytes() != alone.read_bytes()
    print(
        f"{kills} kills, {ended} runs gone on with to the end, {different} pictures different; "
        f"steps in the file went back {sum(each < 0 for each in lost)} times"
    )
    return int(different > 0)


def _run_to_the_end(
    options: argparse.Namespace, here: Path, draw: random.Random, seconds: float, most: int
) -> tuple[int, list[int]]:
    """How often it was killed, and how much farther the file was after each time."""
    kept, picture = here / "run.safetensors", here / "picture.png"
    command = [*_command(options, picture), "--checkpoint", str(kept), "--resume"]
    kills, gained, before = 0, [], 0
    while True:
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            running.wait(draw.uniform(0.0, 1.3 * seconds) if kills < most else None)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            kills += 1
            after = _step(kept)
            gained.append(after - before)
            before = after
            if not picture.exists():
                continue
            return kills, gained  # killed after the picture was written
        if running.returncode:
            assert running.stderr is not None
            raise SystemExit(f"The run ended with {running.returncode}: {running.stderr.read().decode()}")
        return kills, gained


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
