"""Restyling commands with odd inputs: tiny pictures, losses that are not finite, studies under odd names."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

from cli import app
from commands.reservation import reserve
from interp.errors import InputError, WeightsError
from stylize.descent import Descent, Loss, descend
from stylize.patches import patch_quantiles
from stylize.sweep import open_study

NAN, INF = float("nan"), float("inf")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("in")
    rng = np.random.default_rng(0)
    for name, side in (("tiny", 17), ("photo", 64), ("style", 40)):
        Image.fromarray(rng.integers(0, 256, (side, side + 1, 3), dtype=np.uint8)).save(place / f"{name}.png")
    return place


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_loss_that_was_never_finite_is_an_error(optimizer: str, bad: float) -> None:
    def loss(image: Tensor) -> tuple[Tensor, dict[str, float]]:
        return image.sum() * bad, {"total": bad}

    with pytest.raises(WeightsError, match="first step"):
        list(descend(loss, torch.full((1, 3, 4, 4), 0.5), 3, Descent(optimizer)))


def test_a_gradient_that_is_not_finite_is_an_error_too() -> None:
    def loss(image: Tensor) -> tuple[Tensor, dict[str, float]]:
        return (image - image.detach()).abs().sqrt().sum(), {"total": 0.0}  # 0, with an infinite slope

    with pytest.raises(WeightsError, match="gradient nan"):
        list(descend(loss, torch.full((1, 3, 4, 4), 0.5), 3, Descent("adam")))


def walls(bad: float, good: int) -> tuple[list[Tensor], Loss]:
    """What was asked of a loss that is bad after some good evaluations, and that loss."""
    seen: list[Tensor] = []

    def loss(image: Tensor) -> tuple[Tensor, dict[str, float]]:
        seen.append(image.detach().clone())
        value = (image**2).sum() * (1.0 if len(seen) <= good else bad)
        return value, {"total": float(value.detach())}

    return seen, loss


@pytest.mark.parametrize("bad", [NAN, 1e9])
def test_an_optimiser_that_runs_away_twice_is_ended_with_the_best_picture(bad: float) -> None:
    seen, loss = walls(bad, 2)
    events = list(descend(loss, torch.full((1, 3, 4, 4), 0.5), 9, Descent("adam", 0.1)))
    assert len(events) == 4 and torch.equal(events[-1].image_nchw01, seen[1])
    assert torch.equal(seen[3], seen[1])  # gone on from there


def test_a_picture_that_is_its_own_painting_does_not_run_away(tmp_path: Path) -> None:
    """Its loss starts at almost nothing, and any other is many times as large."""
    Image.new("RGB", (96, 96), (200, 90, 40)).save(tmp_path / "flat.png")
    result = call(
        "stylize", tmp_path / "flat.png", "--style", tmp_path / "flat.png", "--region", "all", "--size", "96",
        "--iterations", "8", "--weights", "compact", "--no-report", "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0 and "ran away" not in result.stderr, result.stderr


def test_a_way_of_other_work_ends_at_once_with_its_last_sound_picture() -> None:
    seen, loss = walls(NAN, 2)
    events = list(descend(loss, torch.full((1, 3, 4, 4), 0.5), 9, Descent("adam", 0.1, keeps_best=False)))
    assert len(events) == 3 and torch.equal(events[-1].image_nchw01, seen[1])


def test_after_running_away_a_shorter_step_can_save_the_run() -> None:
    """A steep valley: the optimiser's own step throws it out, a tenth of it does not."""

    def loss(image: Tensor) -> tuple[Tensor, dict[str, float]]:
        value = ((image - 0.5) ** 4).sum() * 1e3
        return value, {"total": float(value.detach())}

    start = torch.full((1, 3, 4, 4), 0.45)
    *_, last = events = list(descend(loss, start, 60, Descent("adam", 0.5)))
    totals = [event.figures["total"] for event in events]
    assert len(events) == 60 and max(totals) > 10 * totals[0]
    assert float(loss(last.image_nchw01)[0]) == min(totals) < totals[0] / 10


def test_pictures_on_the_way(folder: Path, tmp_path: Path) -> None:
    """Files every so many steps and at the end, and a moving picture in which only the region moves."""
    half = np.zeros((64, 65), np.uint8)
    half[:, :40] = 255
    Image.fromarray(half).save(tmp_path / "half.png")
    command = [
        "stylize", folder / "photo.png", "--style", folder / "style.png", "--mask", tmp_path / "half.png", "--region",
        "foreground", "--size", "64", "--iterations", "10", "--weights", "compact", "--every", "4", "--timelapse",
        "gif", "--no-report", "-o", tmp_path / "made.png",
    ]  # fmt: skip
    result = call(*command)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in tmp_path.glob("*.step-*")) == [f"made.step-{n:05}.png" for n in (4, 8, 10)]
    photo = np.asarray(Image.open(folder / "photo.png"))
    last = np.asarray(Image.open(tmp_path / "made.step-00010.png"))
    assert np.array_equal(last, np.asarray(Image.open(tmp_path / "made.png")))
    assert np.array_equal(last[:, 40:], photo[:, 40:])
    with Image.open(tmp_path / "made.timelapse.gif") as moving:
        frames = []
        for number in range(moving.n_frames):  # pyright: ignore[reportAttributeAccessIssue]
            moving.seek(number)
            frames.append(np.asarray(moving.convert("RGB")).astype(int))
    assert 2 <= len(frames) <= 10
    assert np.abs(frames[-1] - frames[0])[:, :38].mean() > 3 * np.abs(frames[-1] - frames[0])[:, 42:].mean()
    for path in tmp_path.glob("made.*"):
        if ".step-" not in path.name:
            path.unlink()
    again = call(*command)
    assert again.exit_code == 4 and "made.step-00004.png' exists" in " ".join(again.stderr.split())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--instant", "--every", "3"], 2, "--every: the instant way is over at once"),
        (["--checkpoint", "made.png"], 4, "is a result of this run"),
    ],
)
def test_what_cannot_be_kept_on_the_way_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("stylize", folder / "photo.png", "--style", folder / "style.png", "-o", "made.png", *words)
    assert result.exit_code == code and said in " ".join(result.stderr.split())
    assert not list(tmp_path.glob("made*"))


@pytest.mark.parametrize("side", [16, 24, 26, 27])
def test_a_picture_may_be_smaller_than_a_patch_of_its_coarsest_band(side: int) -> None:
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    bands = patch_quantiles(image, torch.ones(side, side))
    assert bands[-1] is None and len(bands) > 1


def test_compare_takes_every_size_that_is_loaded(folder: Path, tmp_path: Path) -> None:
    result = call(
        "compare", folder / "tiny.png", "--style", folder / "style.png", "--presets", "default", "--iterations", "1",
        "--jitters", "0", "--no-report", "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.exit_code in (0, 7), result.stderr


@pytest.mark.parametrize("name", ["what?", "a%20b", "{SCHEMA_VERSION}", "x#y", "a:b@c", "絵"])
def test_a_study_lies_where_its_path_says(name: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    place = tmp_path / name
    place.mkdir()
    path = place / f"{name}.sqlite3"
    with open_study(path, {"photo": "a"}, 0):
        pass
    assert path.is_file() and [entry.name for entry in tmp_path.iterdir()] == [name]
    with open_study(path, {"photo": "a"}, 0, resume=True) as study:
        assert study.user_attrs
    with pytest.raises(InputError, match="No such study"), open_study(Path("b" * 300), {}, 0, resume=True):
        pass


def test_a_study_in_use_is_not_shared(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    path = tmp_path / "s.sqlite3"
    with open_study(path, {}, 0):
        pass
    hold = reserve(tmp_path, path.name)
    assert hold
    result = call("sweep", folder / "photo.png", "--resume", path, "--out-dir", tmp_path / "out")
    assert result.exit_code == 4 and "Another run" in result.stderr
    hold.release()
