"""`stylize --preset`: recipes of other work, and files."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cli import app
from commands import samples

QUICK = ("--size", "64", "--iterations", "2", "--weights", "compact", "--json")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["stylize", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "me.png"
    Image.open(samples.photo("astronaut")).resize((128, 128)).save(path)
    return path


def pixels(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_a_recipe_is_followed_on_everything_and_pasted_into_the_region(photo: Path, tmp_path: Path) -> None:
    place = "--region", "foreground", "--prompt", "contrast", "--out-dir", tmp_path
    results = {}
    for name in ("report-tensorflow-fixed", "report-isolated"):
        result = call(photo, "--preset", name, *place, *QUICK)
        assert result.exit_code == 0, result.stderr
        results[name] = json.loads(result.stdout)
        outputs = results[name]["outputs"]
        assert set(outputs) == {"image", "mask", "alpha", "report"}
        outside = pixels(outputs["alpha"]) == 0
        assert 0 < outside.mean() < 1 and (pixels(outputs["image"])[outside] == pixels(photo)[outside]).all()
        assert (pixels(outputs["image"])[~outside] != pixels(photo)[~outside]).mean() > 0.3
        page = Path(outputs["report"]).read_text("utf-8")
        assert "Same formulas, another net (compact" in page and "Constants and their sources" in page
        data = json.loads(Path(results[name]["record"]).read_text())["data"]
        assert data["way"]["name"] == name and data["steps"] == 2
    masks = [pixels(entry["outputs"]["alpha"]) for entry in results.values()]
    assert (masks[0] != masks[1]).any()  # one is cut from the photo, the other from the result


def test_a_file_sets_strength_and_layers_and_options_go_before_it(photo: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'base = "draft"\nstrength = 2.5\ncontent_layer = "relu3_1"\n[style_layers]\nrelu1_1 = 1\nrelu2_1 = 3\n'
    )
    found = []
    for extra in ((), ("--strength", "0.5", "--style-layers", "relu1_2")):
        result = call(photo, "--region", "all", "--preset", file, *extra, "--out-dir", tmp_path, *QUICK)
        assert result.exit_code == 0, result.stderr
        found.append(json.loads(Path(json.loads(result.stdout)["record"]).read_text())["data"])
    regions = [next(iter(data["regions"].values())) for data in found]
    assert [region["strength"] for region in regions] == [2.5, 0.5]
    choices = [region["choice"] for region in regions]
    assert choices[0]["style_weights"] == {"relu1_1": 0.25, "relu2_1": 0.75} and choices[0]["mode"] == "given"
    assert choices[1]["style_weights"] == {"relu1_2": 1.0} and choices[1]["content_layer"] == "relu3_1"
    assert found[0]["way"]["coarse_iterations"] == 30  # the draft's


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "report-pytorhc"], "Did you mean 'report-pytorch'"),
        (["--preset", "gatys", "--strength", "2", "--optimizer", "adam"], "--strength, --optimizer cannot be combined"),
        (["--preset", "report-isolated", "--region", "all"], "expected --region foreground or background"),
        (["--preset", "gatys", "--style-foreground", samples.PAINTING, "--style-background", samples.PAINTING], "one"),
        (["--preset", "wrong.toml"], "Did you mean 'strength'"),
        (["--preset", "missing.toml"], "No such file"),
    ],
)
def test_wrong_use(
    arguments: list[str], words: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.toml").write_text("strenght = 2\n")
    result = call(photo, "--out-dir", "out", *arguments, *QUICK)
    assert result.exit_code == (3 if "No such" in words else 2), result.stderr
    assert words in result.stderr and result.stdout == ""
