"""What a user is told while a command works: before the start, on the way, and when it is interrupted."""

import functools
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands.progress import Display, Moment, Stages, Step
from interp.errors import OutOfMemoryError
from tests.helpers import call

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("--size", "64", "--iterations", "2", "--weights", "compact", "--prompt", "contrast")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright disc on noise, 96 px."""
    path = tmp_path_factory.mktemp("in") / "me.png"
    rows, columns = np.mgrid[:96, :96] - 48
    picture = np.random.default_rng(0).integers(0, 90, (96, 96, 3), dtype=np.uint8)
    picture[np.hypot(rows, columns) < 25] = (230, 200, 40)
    Image.fromarray(picture).save(path)
    return path


def test_all_work_is_counted_and_foretold(photo: Path, tmp_path: Path) -> None:
    """What is said before the start, a word for every step, and a last line only when the report is written."""
    result = call(
        "stylize", photo, "--style-foreground", photo, "--style-background", photo, "--out-dir", tmp_path, *QUICK
    )
    assert result.exit_code == 0, result.stderr
    lines = result.stderr.splitlines()
    places = [
        next(number for number, line in enumerate(lines) if line.startswith(words))
        for words in (
            "Working at 64x64 px, enlarged to 96x96 at the end. Foreseen on this machine:",
            "Measuring how well each layer",
            "Taking each region out of the photo",
            "Painting.",
            "Enlarging what was painted",
            "Bringing it into the photo.",
            "Writing the pictures.",
            "Measuring whether anything outside reached the inside.",
            "Making a texture",
            "Drawing the report.",
            "Writing the report.",
            "100 %  done",
        )
    ]
    assert places == sorted(places) and places[-1] == len(lines) - 1
    shown = [int(line.split("%")[0]) for line in lines if "%  " in line]
    assert shown == sorted(set(shown)) and shown[-2] < 100
    record = json.loads((tmp_path / "me.stylize-both.report.json").read_text())["data"]
    assert record["enlarged"] == "guided" and record["painted_hw_px"] == [64, 64]
    assert "painted at 64×64 px and enlarged" in (tmp_path / "me.stylize-both.report.html").read_text("utf-8")


def test_a_size_beyond_the_memory_is_reduced_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from commands.checks import machine

    Image.new("RGB", (1300, 200), "teal").save(tmp_path / "wide.png")
    (tmp_path / "quick.toml").write_text("coarsest_px = 4096\niterations = 1\n")
    monkeypatch.setattr(machine, "total_bytes", lambda: int(1.5e9))
    result = call(
        "stylize", tmp_path / "wide.png", "--region", "all", "--no-report", "--weights", "compact",
        "--preset", tmp_path / "quick.toml", "--size", "1300", "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = re.search(r"1300 px would take about .* GB of memory, .* worked at (\d+) px", result.stderr)
    assert found and 64 <= int(found[1]) < 1300 and f"Working at {found[1]}x" in result.stderr, result.stderr


def test_a_photo_that_no_size_makes_fit_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from commands.checks import machine

    monkeypatch.setattr(machine, "total_bytes", lambda: int(0.5e9))
    result = call("stylize", "--region", "all", "--no-report", "--weights", "compact", "--out-dir", tmp_path)
    assert result.exit_code == OutOfMemoryError.exit_code and not list(tmp_path.iterdir()), result.stderr
    assert "and 0.5 GB may be used here" in " ".join(result.stderr.split()) and "Painting" not in result.stderr


class Seen(Display):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def show(self, event: Step, text: str) -> None:
        assert isinstance(event, Moment)
        self.moments.append(event)


def test_shares_never_fall_when_more_work_is_found() -> None:
    seen = Seen()
    stages = Stages({"libraries": 1}, seen)
    stages.at("libraries")
    stages.foresee({"libraries": 2, "cut": 2, "paint": 6, "write": 10})
    stages.at("cut", 1.0)
    assert seen.moments[-1].step == pytest.approx(4 / 20) and seen.moments[0].left_s is None
    stages.foresee({"paint": 36, "write": 10})  # six times as much as thought: the bar goes on from a fifth
    for share in (0.0, 0.5, 1.0):
        stages.at("paint", share)
        assert seen.moments[-1].step == pytest.approx(0.2 + 0.8 * share * 36 / 46)
    stages.finish()
    assert seen.moments[-1].step == pytest.approx(1) and seen.moments[-1].left_s == pytest.approx(0)


def test_work_that_ends_early_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a tenth of the painting in the ten seconds foreseen for it, twenty seconds of composing are left."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    seen = Seen()
    stages = Stages({"paint": 100, "compose": 20}, seen)
    now[0] = 10.0
    stages.at("paint", 0.1)
    assert seen.moments[-1].left_s == pytest.approx(110)
    stages.end_early()
    stages.at("compose")
    assert seen.moments[-1].left_s == pytest.approx(20)
    assert seen.moments[-1].step == pytest.approx(10 / 120)
    stages.at("compose", 0.5)
    assert seen.moments[-1].step == pytest.approx((10 / 120 + 1) / 2)


def interrupted(words: str, *arguments: str, number: int = signal.SIGINT) -> tuple[list[str], list[Path]]:
    """What a command that gets a signal at some words says, and the paths that it prints."""
    # Where the tests themselves run in the background, a shell has told them, and so their children, to ignore Ctrl-C.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(ROOT / "cli.py"), *arguments], **pipes, preexec_fn=heed) as process:
        assert process.stderr and process.stdout
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(words):
                process.send_signal(number)
        printed = [Path(path) for path in process.stdout.read().split()]
    assert process.returncode == 130, said
    return said, printed


@pytest.mark.skipif(sys.platform == "win32", reason="there a process cannot be asked to end")
def test_interrupted_before_its_report_is_made_a_run_names_the_pictures_that_it_wrote(
    photo: Path, tmp_path: Path
) -> None:
    command = ["stylize", str(photo), "--instant", "--prompt", "contrast", "--out-dir", str(tmp_path)]
    said, printed = interrupted("Measuring the result", *command)
    assert any("the report is not" in line for line in said), said
    assert len(printed) == 3 and all(path.is_file() for path in printed)
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.skipif(sys.platform == "win32", reason="there a process cannot be asked to end")
def test_an_interrupted_painting_is_brought_into_the_photo_in_the_same_words(photo: Path, tmp_path: Path) -> None:
    command = ["stylize", str(photo), "--iterations", "5000", "--out-dir", str(tmp_path)]
    options = ["--size", "64", "--weights", "compact", "--prompt", "contrast", "--threads", "1", "--no-report"]
    said, printed = interrupted("Painting.", *command, *options)
    after = said[next(number for number, line in enumerate(said) if "Interrupted at step" in line) :]
    for words in ("Enlarging what was painted", "Bringing it into the photo", "Writing the pictures", "100 %  done"):
        assert any(line.startswith(words) for line in after), said
    assert [path.is_file() for path in printed] == [True] * 3


@pytest.mark.skipif(sys.platform == "win32", reason="there a process cannot be asked to end")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_comparison_keeps_what_is_finished(number: int, photo: Path, tmp_path: Path) -> None:
    """The second way has five thousand steps to go when the signal comes."""
    command = ["compare", str(photo), "--presets", "draft,report-pytorch"]
    options = ["--size", "64", "--jitters", "0", "--weights", "compact", "--threads", "1", "--out-dir", str(tmp_path)]
    said, printed = interrupted("draft: ", *command, *options, number=number)
    assert any("Interrupted: 1 of 2 ways were finished" in line for line in said), said
    assert [path.suffix for path in printed] == [".png", ".html"] and all(path.is_file() for path in printed)
    outcomes = json.loads((tmp_path / "me.compare.report.json").read_text())["data"]["outcomes"]
    assert [[entry["way"]["name"] for entry in outcome] for outcome in outcomes.values()] == [["draft"]]
