"""A series: what its first picture came to is kept, and the others are made with that."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm

from commands.many.manifest import NAME
from interp.pictures.colour import ColourMap
from interp.statistics.layers import Origin, fixed_choice, kept_choice
from reports.layers import layer_sentences
from stylize.region import StyledRegion
from tests.helpers import call, smooth
from tests.test_batch import entries

QUICK = ("--instant", "--size", "64", "--region", "all", "--no-report", "--weights", "compact", "--out-dir")
STYLE = "painting.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of different colours, 64 px, and two paintings."""
    place = tmp_path_factory.mktemp("in")
    for number, name in enumerate(["a.png", "b.png", "c.png", STYLE, "other.png"]):
        pixels = smooth(number, 64)[0].permute(1, 2, 0).numpy() * (0.4 + 0.15 * number)
        Image.fromarray((pixels * 255).astype(np.uint8)).save(place / name)
    return place


def moments(path: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3) / 255
    return pixels.mean(0), np.cov(pixels.T, bias=True)


def test_what_is_kept_is_the_firsts_own(folder: Path, tmp_path: Path) -> None:
    """Against SciPy's square roots, from the files; the first itself is what it is without a series."""
    command = ("stylize", folder / "a.png", folder / "b.png", "--style", folder / STYLE)
    assert call(*command, *QUICK, tmp_path / "plain").exit_code == 0
    done = call(*command, "--series", *QUICK, tmp_path / "series")
    assert done.exit_code == 0, done.output
    kept = json.loads((tmp_path / "series" / "a.stylize-all.series.json").read_text())
    part = kept["parts"]["picture"]
    (mean, covariance), (target, wanted) = moments(folder / "a.png"), moments(folder / STYLE)
    root = sqrtm(covariance)
    matrix = np.linalg.inv(root) @ sqrtm(root @ wanted @ root) @ np.linalg.inv(root)
    gains, axes = np.linalg.eigh(matrix)
    np.testing.assert_allclose(part["matrix"], axes @ np.diag(gains.clip(max=3)) @ axes.T, atol=2e-3)
    np.testing.assert_allclose(part["centre"], mean, atol=1e-5)
    np.testing.assert_allclose(part["target"], target, atol=1e-5)
    assert (kept["photo"], kept["size_px"], part["content_layer"]) == ("a.png", 64, "relu4_2")
    plain, series = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.png")} for name in ("plain", "series")
    )
    assert plain["a.stylize-all.png"] == series["a.stylize-all.png"]
    assert plain["b.stylize-all.png"] != series["b.stylize-all.png"]
    assert not (tmp_path / "series" / "b.stylize-all.series.json").exists()
    alone = call(
        "stylize", folder / "b.png", "--style", folder / STYLE, *QUICK, tmp_path / "alone",
        "--series-from", tmp_path / "series" / "a.stylize-all.series.json",
    )  # fmt: skip
    assert alone.exit_code == 0, alone.output
    assert (tmp_path / "alone" / "b.stylize-all.png").read_bytes() == series["b.stylize-all.png"]


@pytest.mark.parametrize("colour", ["none", "match", "luminance"])
def test_a_kept_recolouring_is_used_whatever_the_photo(colour: str) -> None:
    """The draft, or the painting where that is recoloured, is the kept affine map of itself."""
    matrix = torch.tensor([[0.5, 0.1, 0], [0, 0.4, 0.1], [0.1, 0, 0.6]]).double()
    centre, target = torch.tensor([0.5, 0.4, 0.3]).double(), torch.tensor([0.4, 0.5, 0.45]).double()
    photo, painting = smooth(1, 64), smooth(2, 64)
    region = StyledRegion(
        np.ones((64, 64), np.float32), painting, fixed_choice(), colour=colour,
        recolouring=ColourMap(matrix, centre, target),
    )  # fmt: skip
    draft, learnt, _, used = region.pictures(photo, torch.ones(64, 64), (64, 64), 1.0)
    own = StyledRegion(np.ones((64, 64), np.float32), painting, fixed_choice(), colour=colour)
    own_draft, own_learnt, _, _ = own.pictures(photo, torch.ones(64, 64), (64, 64), 1.0)
    moved, before, other, same = (
        (draft, photo, learnt, own_learnt) if colour == "none" else (learnt, own.lesson((64, 64))[0], draft, own_draft)
    )
    expected = np.einsum("ij,njhw->nihw", matrix.numpy(), before.numpy() - centre.numpy()[:, None, None])
    np.testing.assert_allclose(moved, (expected + target.numpy()[:, None, None]).clip(0, 1), atol=1e-6)
    assert used is region.recolouring and torch.equal(other, same)


def test_kept_layers_are_told(tmp_path: Path, folder: Path) -> None:
    choice = kept_choice(fixed_choice(), {"relu1_1": 0.25, "relu4_1": 0.75}, "relu3_1")
    assert choice.mode == "series" and choice.style_from is Origin.SERIES
    told = " ".join(layer_sentences(choice))
    assert "first picture of the series" in told and "relu4_1 75%" in told and "relu3_1" in told
    kept = tmp_path / "mine.json"
    options = ("--style", folder / STYLE, "--size", "64", "--region", "all", "--instant", "--weights", "compact")
    first = call("stylize", folder / "a.png", *options, "--series", "--out-dir", tmp_path / "out", "--json")
    assert first.exit_code == 0, first.output
    outputs = json.loads(first.stdout)
    series = json.loads(Path(outputs["outputs"]["series"]).read_text())
    series["parts"]["picture"] |= {"style_weights": {"relu1_1": 0.25, "relu3_1": 0.75}, "content_layer": "relu3_1"}
    kept.write_text(json.dumps(series))
    done = call("stylize", folder / "b.png", *options, "--series-from", kept, "--out-dir", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    records = [Path(json.loads(each.stdout)["record"]).read_text() for each in (first, done)]
    assert "the first: layers, recolouring and size are kept in a.stylize-all.series.json" in records[0]
    assert f"those of a.png, from {kept}" in records[1] and "first picture of the series sets the style" in records[1]
    assert "style from relu1_1, relu3_1, content from relu3_1 (series)" in done.stderr


def test_in_a_batch_the_first_that_succeeds_leads(folder: Path, tmp_path: Path) -> None:
    """One series for each painting; what is added later matches it."""
    many, out = tmp_path / "in", tmp_path / "out"
    many.mkdir()
    for name in ("b.png", "c.png"):
        (many / name).write_bytes((folder / name).read_bytes())
    (many / "a.png").write_text("no picture")
    styles = ("--styles", folder / STYLE, "--styles", folder / "other.png")
    command = ("batch", "stylize", many, *styles, "--series", *QUICK, out)
    assert call(*command).exit_code == 8
    files = {path.name for path in out.glob("*.series.json")}
    assert files == {"b-painting.stylize-all.series.json", "b-other.stylize-all.series.json"}
    told = {(entry["photo"][-5], Path(entry["painting"]).stem): entry["series"] for entry in entries(out)}
    assert told == {
        (photo, painting): None if photo == "a" else str(out / f"b-{painting}.stylize-all.series.json")
        for photo in "abc" for painting in ("painting", "other")
    }  # fmt: skip
    before = len(entries(out))
    (many / "a.png").write_bytes((folder / "a.png").read_bytes())
    assert call(*command, "--resume").exit_code == 0
    added = entries(out)[before:]
    assert [entry["photo"][-5:] for entry in added] == ["a.png"] * 2 and len(list(out.glob("*.series.json"))) == 2
    assert all(str(out / "b-") in entry["series"] and entry["series"] in entry["inputs"] for entry in added)
    assert NAME in {path.name for path in out.iterdir()}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"parts": {}}, 2, "another region"),
        ({"size_px": "x"}, 3, "series.json"),
        ({"matrix": [[1, 2], [3, 4]]}, 3, "nine numbers"),
        ({"centre": [1, 2, float("nan")]}, 3, "number"),
        ({"content_layer": "relu9_9"}, 3, "relu9_9"),
        ({"style_weights": {}}, 3, "number"),
        ({"painting_sha256": "0"}, 2, "another region, painting"),
        ({"colour": "match"}, 2, "another region, painting"),
        ({"more": 1}, 3, "series.json"),
        (None, 3, "series.json"),
    ],
)
def test_what_is_no_series_is_refused(
    change: dict[str, object] | None, code: int, words: str, folder: Path, tmp_path: Path
) -> None:
    from interp.pictures.images import load_picture

    part = {
        "painting_sha256": load_picture(folder / STYLE).sha256, "colour": "none", "style_weights": {"relu1_1": 1.0},
        "content_layer": "relu4_2", "matrix": np.eye(3).tolist(), "centre": [0, 0, 0], "target": [0, 0, 0],
    }  # fmt: skip
    whole = {"photo": "a.png", "size_px": 64, "parts": {"picture": part}}
    if change and set(change) <= {"parts", "size_px"}:
        whole |= change
    elif change:
        part |= change
    (tmp_path / "kept.json").write_text("[]" if change is None else json.dumps(whole))
    done = call(
        "stylize", folder / "b.png", "--style", folder / STYLE, *QUICK, tmp_path / "out",
        "--series-from", tmp_path / "kept.json",
    )  # fmt: skip
    assert done.exit_code == code and words in done.stderr and not (tmp_path / "out").exists(), done.stderr


def test_series_and_recipes_of_other_work(folder: Path, tmp_path: Path) -> None:
    done = call(
        "stylize", folder / "a.png", "--style", folder / STYLE, "--preset", "gatys", "--series", "--out-dir", tmp_path
    )
    assert done.exit_code == 2 and "--series" in done.stderr
