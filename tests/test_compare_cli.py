"""`compare` as a user meets it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from commands import samples
from tests.helpers import call

QUICK = ("--size", "64", "--iterations", "2", "--jitters", "0", "--weights", "compact")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "me.png"
    Image.open(samples.photo("astronaut")).resize((128, 128)).save(path)
    return path


def test_two_pairs_a_region_and_why(photo: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text("strength = 3\n[style_layers]\nrelu1_1 = 1\n")
    result = call(
        "compare", photo, "--also", samples.photo("chelsea"), "--region", "foreground", "--prompt", "contrast",
        "--presets", f"{preset},report-pytorch,report-tensorflow,report-tensorflow-fixed,report-isolated",
        "--why", "--why-size", "64", "--why-iterations", "5", "--out-dir", tmp_path, "--json", *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert set(printed["outputs"]) == {"figure", "report"}
    page = Path(printed["outputs"]["report"]).read_text("utf-8")
    for words in (
        "The report found model 1 better", "Same formulas, another net", "Steps shown: no effect, by construction",
        "First gradient", "2 of the recipe's 5,000", "Shapley", "the team's TensorFlow notebook",
    ):  # fmt: skip
        assert words.replace("'", "&#39;") in page, words
    data = json.loads(Path(printed["record"]).read_text())["data"]
    assert [len(outcomes) for outcomes in data["outcomes"].values()] == [5, 5]
    first = next(iter(data["outcomes"].values()))
    assert first[0]["way"]["name"] == str(preset) and first[0]["layers"][0] == "relu1_1" and first[0]["steps"] == 2
    assert all(entry["changed_outside"] == 0 for entry in first if entry["way"]["name"] != "report-isolated")
    assert len(data["why"]) == 5 and data["why_iterations"] == [2, 5]
    again = call("report", printed["record"], "-o", tmp_path / "again.html")
    assert again.exit_code == 0 and (tmp_path / "again.html").read_text("utf-8") == page


def test_bare_names_are_numbered(tmp_path: Path) -> None:
    for _ in range(2):
        result = call("compare", "--out-dir", tmp_path, "--presets", "draft,gatys", "--no-report", *QUICK)
        assert result.exit_code == 0 and "bundled sample" in result.stderr, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["astronaut.compare-2.png", "astronaut.compare.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--presets", "report-pytorhc"], "Did you mean 'report-pytorch'"),
        (["--presets", "default,default"], "twice"),
        (["--presets", "report-isolated"], "expected --region"),
        (["--also", "a.png", "--box", "1,2,3,4"], "--prompt"),
        (["--also-style", "a.png"], "a painting for each photo"),
        (["--region", "foreground", "--box", "1,2"], "X,Y,W,H"),
    ],
)
def test_wrong_use_is_exit_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = call("compare", "--out-dir", tmp_path / "out", *arguments)
    assert result.exit_code == 2 and words in result.stderr, result.stderr
    assert result.stdout == "" and not (tmp_path / "out").exists()
