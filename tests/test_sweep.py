"""The sweep: its front, its choice, and a study that survives being killed."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli import app
from commands import samples
from stylize.preset_file import read_preset
from stylize.presets import Preset, Settings
from stylize.sweep import Attempt, choose, on_front, open_study, preset_of

ROOT = Path(__file__).parent.parent
QUICK = ("--size", "64", "--iterations", "1", "--weights", "compact")


def test_front_by_the_definition(rng: np.random.Generator) -> None:
    points = rng.integers(0, 4, (40, 3)).tolist()
    for point, found in zip(points, on_front(points), strict=True):
        beaten = any(all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in points)
        assert found is not beaten


def test_the_choice_is_no_extreme() -> None:
    """Doing nothing and doing too much lie on the front too, and are not chosen."""
    points = [(1.0, 0.0, 0.9), (0.1, 0.9, 0.8), (0.3, 0.3, 0.3), (0.5, 0.2, 0.4), (1.0, 0.9, 0.95)]
    front = on_front(points)
    attempts = [Attempt(i, {}, point, best) for i, (point, best) in enumerate(zip(points, front, strict=True))]
    assert [attempt.on_front for attempt in attempts] == [True, True, True, True, False]
    assert choose(attempts).number == 2


def test_values_become_a_preset_at_the_bases_own_size() -> None:
    values = {f"weight {name}": 0.1 for name in ("relu1_1", "relu2_1", "relu3_1", "relu4_1")} | {"weight relu5_1": 0.6}
    values |= {"strength": 3.0, "optimizer": "adam", "learning_rate": 0.02, "start": "noise"}
    found = preset_of(values, Preset(size_px=640))
    assert (found.size_px, found.optimizer, found.learning_rate, found.start) == (640, "adam", 0.02, "noise")
    assert found.strength == 3.0 and found.style_layers is not None
    assert found.style_layers["relu5_1"] == pytest.approx(0.6) and sum(found.style_layers.values()) == pytest.approx(1)


def finished_rows(path: Path) -> list[tuple[int, float]]:
    """Read the file without Optuna: number and first objective of every finished trial."""
    query = (
        "SELECT t.number, v.value FROM trials t JOIN trial_values v ON v.trial_id = t.trial_id "
        "WHERE t.state = 'COMPLETE' AND v.objective = 0 ORDER BY t.number"
    )
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return []
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # the tables are not made yet
        return []
    finally:
        connection.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "me.png"
    Image.open(samples.photo("astronaut")).resize((96, 96)).save(path)
    return path


def test_a_killed_sweep_goes_on_and_loses_no_finished_trial(photo: Path, tmp_path: Path) -> None:
    store = tmp_path / "out" / "me.sweep.study.sqlite3"
    arguments = [sys.executable, "cli.py", "sweep", str(photo), "--out-dir", str(tmp_path / "out"), *QUICK]
    process = subprocess.Popen([*arguments, "--trials", "1000"], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        while len(finished_rows(store)) < 3 and process.poll() is None:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    before = finished_rows(store)
    assert len(before) >= 3
    wanted = len(before) + 2
    again = CliRunner().invoke(
        app,
        [
            "sweep",
            str(photo),
            "--out-dir",
            str(tmp_path / "out"),
            *QUICK,
            "--resume",
            str(store),
            "--trials",
            str(wanted),
        ],
    )
    assert again.exit_code == 0, again.output
    assert f"{len(before)} trials finished earlier" in again.stderr
    after = finished_rows(store)
    assert after[: len(before)] == before and len(after) == wanted
    printed = [Path(line) for line in again.stdout.splitlines()]
    assert [path.suffix for path in printed] == [".png", ".toml", ".sqlite3", ".html"] and printed[2] == store
    preset = read_preset(printed[1])
    assert preset.size_px == Settings().size_px and preset.strength and preset.style_layers
    page = printed[3].read_text("utf-8")
    assert "Pareto front" in page and "[style_layers]" in page

    other = CliRunner().invoke(
        app, ["sweep", str(samples.photo("coffee")), "--out-dir", str(tmp_path), *QUICK, "--resume", str(store)]
    )
    assert other.exit_code == 2 and "another photo" in other.stderr
    assert finished_rows(store) == after


def test_what_is_no_study_is_refused(photo: Path, tmp_path: Path) -> None:
    missing = CliRunner().invoke(
        app, ["sweep", str(photo), *QUICK, "--out-dir", str(tmp_path), "--resume", "no.sqlite3"]
    )
    assert missing.exit_code == 3 and "No such study" in missing.stderr
    words = tmp_path / "words.sqlite3"
    words.write_text("these are words, not a database, and there are quite a few of them")
    damaged = CliRunner().invoke(app, ["sweep", str(photo), *QUICK, "--out-dir", str(tmp_path), "--resume", str(words)])
    assert damaged.exit_code == 3 and "study" in damaged.stderr and words.read_text().startswith("these are words")


def test_the_same_seed_draws_the_same_values(tmp_path: Path) -> None:
    from stylize.sweep import ask_values

    drawn = []
    for number in range(2):
        with open_study(tmp_path / f"{number}.sqlite3", {"photo": "a"}, 5) as study:
            drawn.append([ask_values(study.ask()) for _ in range(2)])
    assert drawn[0] == drawn[1] and drawn[0][0] != drawn[0][1]
