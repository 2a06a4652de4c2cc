"""Odd but valid pictures go through whole commands: right answer, own size, no surprise."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cli import app
from commands import samples

ROOT = Path(__file__).parent.parent


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)  # pyright: ignore[reportArgumentType]
    return path


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.open(samples.photo("astronaut")).convert("RGB").resize((128, 96))


def stylized(path: Path, out: Path, *more: str) -> Image.Image:
    result = call(
        "stylize", path, "--region", "all", "--size", "96", "--iterations", "2", "--no-report", "-o", out, *more
    )
    assert result.exit_code == 0, result.stderr
    with Image.open(out) as image:
        return image.copy()


@pytest.mark.parametrize("size", [(4000, 40), (40, 1500), (33, 31), (17, 200)])
def test_extreme_shapes_keep_their_size(photo: Image.Image, size: tuple[int, int], tmp_path: Path) -> None:
    path = saved(photo.resize(size), tmp_path / "in.png")
    assert stylized(path, tmp_path / "out.png", "--style-layers", "relu1_1,relu2_1").size == size
    grid = call("featuremaps", path, "--layers", "conv1_1,relu5_1", "--no-report", "--out-dir", tmp_path / "maps")
    assert grid.exit_code == 0, grid.stderr


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("cmyk.jpg", lambda image: image.convert("CMYK")),
        ("palette.png", lambda image: image.quantize(32)),
        ("grey16.tif", lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)),
        ("web.webp", lambda image: image),
        ("Ünïcödé 絵 🎨.png", lambda image: image),
        ("-dash.png", lambda image: image),
        ("a'b\"c $(x).png", lambda image: image),
    ],
)
def test_every_kind_reaches_the_result(photo: Image.Image, name: str, convert: object, tmp_path: Path) -> None:
    path = saved(convert(photo), tmp_path / name)  # pyright: ignore[reportCallIssue]
    result = call("segment", "--box", "20,10,90,80", "--out-dir", tmp_path / "out", "--", path)
    assert result.exit_code == 0, result.stderr
    written = [Path(line) for line in result.stdout.splitlines()]
    with Image.open(written[0]) as mask:
        assert all(file.is_file() for file in written) and mask.size == (128, 96)


def test_rotated_photos_come_out_upright(photo: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(photo, tmp_path / "in.jpg", exif=exif)
    out = stylized(path, tmp_path / "out.png", "--style-layers", "relu1_1")
    assert out.size == (96, 128) and not out.getexif()


def test_standard_input_is_a_picture(photo: Image.Image, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    command = [
        sys.executable,
        "cli.py",
        "segment",
        "-",
        "--box",
        "20,10,90,80",
        "--no-report",
        "--out-dir",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, input=buffer.getvalue(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "stdin.segment.png").is_file()
    torn = subprocess.run(command, cwd=ROOT, input=buffer.getvalue()[:500], capture_output=True, check=False)
    assert torn.returncode == 3 and b"Traceback" not in torn.stderr


@pytest.mark.parametrize("source", ["/dev/null", "", "/dev/zero", "no/such/file.png"])
def test_what_is_no_picture_is_exit_3(source: str, tmp_path: Path) -> None:
    source = source or str(tmp_path)  # a folder that surely holds no picture
    result = call("segment", source, "--box", "1,1,9,9", "--out-dir", tmp_path / "out")
    assert result.exit_code == 3 and result.stdout == "" and not (tmp_path / "out").exists()
