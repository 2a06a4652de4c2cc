"""Which part gets which painting: two styles at once, a part of a painting, policies of each region."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import QUICK, assert_failed, call

SIDE = 160


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A photo, its mask (a soft disc), a red and a blue painting, and a mask of the painting's left half."""
    folder, noise = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(rows - SIDE / 2, columns - SIDE / 2)
    grey = noise.integers(90, 160, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    waves = (127 + 100 * np.sin((rows + columns) / 4)).astype(np.uint8)
    pictures = {
        "photo": grey,
        "mask": (np.clip((50 - distance) / 4 + 0.5, 0, 1) * 255).astype(np.uint8),
        "red": np.dstack([waves // 4 + 190, waves // 4, waves // 4]),
        "blue": np.dstack([waves // 4, waves // 4, waves // 4 + 190]),
        "left": np.where(columns < SIDE // 2, 255, 0).astype(np.uint8),
    }
    paths = {name: folder / f"{name}.png" for name in pictures}
    for name, picture in pictures.items():
        Image.fromarray(picture).save(paths[name])
    return paths


def restyled(files: dict[str, Path], folder: Path, *arguments: object) -> tuple[np.ndarray, dict]:
    """The result and the record."""
    mask = () if "all" in arguments else ("--mask", files["mask"])
    result = call(
        "stylize", files["photo"], *mask, "--layer-choice", "fixed", "--out-dir", folder,
        "--json", *QUICK, *arguments,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    return np.asarray(Image.open(printed["outputs"]["image"])).astype(int), json.loads(
        Path(printed["record"]).read_text()
    )


def test_two_styles_at_once_each_in_its_region(files: dict[str, Path], tmp_path: Path) -> None:
    image, record = restyled(
        files, tmp_path, "--style-foreground", files["red"], "--style-background", files["blue"],
        "--strength-background", "2", "--keep-colour-foreground", "none",
    )  # fmt: skip
    alpha = np.asarray(Image.open(files["mask"]))
    inside, outside = image[alpha == 255].mean(0), image[alpha == 0].mean(0)
    assert inside[0] > inside[2] + 50 and outside[2] > outside[0] + 50
    regions = record["data"]["regions"]
    assert set(regions) == {"foreground", "background"}
    assert (regions["foreground"]["strength"], regions["background"]["strength"]) == (1.0, 2.0)
    assert {"layers-foreground", "layers-background"} <= {section["id"] for section in record["sections"]}
    assert (tmp_path / "photo.stylize-both.png").is_file()


def test_one_named_region_leaves_the_other_alone(files: dict[str, Path], tmp_path: Path) -> None:
    image, record = restyled(files, tmp_path, "--style-foreground", files["red"])
    alpha, photo = (np.asarray(Image.open(files[name])) for name in ("mask", "photo"))
    assert (image[alpha == 0] == photo[alpha == 0]).all() and set(record["data"]["regions"]) == {"foreground"}


def test_the_paintings_mask_is_used(files: dict[str, Path], tmp_path: Path) -> None:
    """Half red, half blue: with the left half's mask the result is red."""
    halves = np.asarray(Image.open(files["red"])).copy()
    halves[:, SIDE // 2 :] = np.asarray(Image.open(files["blue"]))[:, SIDE // 2 :]
    Image.fromarray(halves).save(tmp_path / "halves.png")
    image, _ = restyled(
        files, tmp_path, "--region", "all", "--style", tmp_path / "halves.png", "--style-mask", files["left"]
    )
    red, _, blue = image.reshape(-1, 3).mean(0)
    assert red > blue + 50


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--style", "red", "--style-foreground", "blue"), "expected one or the other"),
        (("--region", "background", "--style-foreground", "red"), "Drop --region"),
        (("--style-foreground", "red", "--style-background", "blue", "--style-mask", "left"), "two paintings"),
        (("--style-foreground", "red", "--strength-foreground", "0"), "Strength 0"),
    ],
)
def test_contradictions_are_said(
    files: dict[str, Path], arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    paths = [str(files.get(argument, argument)) for argument in arguments]
    result = call("stylize", files["photo"], "--mask", files["mask"], "--out-dir", tmp_path / "out", *paths)
    assert_failed(result, 2, words, folder=tmp_path / "out")
