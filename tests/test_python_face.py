"""One call from Python: what it takes, what it gives back, and that it is the command line's own road."""

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

import gramscope
from gramscope import restyle
from interp import activations, load_image, load_picture, quick_verdict, saliency_map
from interp.attribution.saliency import SaliencyMap
from interp.attribution.targets import Target
from interp.errors import InputError, OutputError, UsageError
from interp.network.classify import Prediction
from interp.network.vgg import Vgg
from interp.pictures.images import load_mask, to_hwc_u8
from segment import segment
from tests.helpers import call, disc, smooth, stripes

SIDE = 96
SHORT: dict[str, Any] = {"size": SIDE, "iterations": 2, "quiet": True}
BOX = (16, 16, 64, 64)


@pytest.fixture(scope="module")
def photo_u8() -> np.ndarray:
    pixels = to_hwc_u8(smooth(1, SIDE))
    pixels[disc(SIDE) > 0.5] = (220, 40, 30)
    return pixels


@pytest.fixture(scope="module")
def painting_u8() -> np.ndarray:
    return to_hwc_u8(stripes(SIDE))


@pytest.fixture(scope="module")
def files(photo_u8: np.ndarray, painting_u8: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = folder / "photo.png", folder / "painting.png"
    for path, pixels in zip(paths, (photo_u8, painting_u8), strict=True):
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture(scope="module")
def done(photo_u8: np.ndarray, painting_u8: np.ndarray) -> gramscope.Restyled:
    return restyle(photo_u8, painting_u8, box=BOX, **SHORT)


def test_a_file_a_picture_and_an_array_are_the_command_lines_result(
    files: tuple[Path, Path], photo_u8: np.ndarray, painting_u8: np.ndarray, done: gramscope.Restyled, tmp_path: Path
) -> None:
    again = restyle(Image.fromarray(photo_u8), painting_u8 / 255, box="16,16,64,64", **SHORT)
    np.testing.assert_array_equal(again.pixels_hwc, done.pixels_hwc)
    out = tmp_path / "a.png"
    told = call(
        "stylize", files[0], "--style", files[1], "--box", "16,16,64,64", "--size", SIDE, "--iterations", 2,
        "--no-report", "-o", out,
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    np.testing.assert_array_equal(load_picture(out).rgb_hwc_u8, done.pixels_hwc)


def test_the_outside_is_the_photos(done: gramscope.Restyled, photo_u8: np.ndarray) -> None:
    outside = done.alpha_hw01 == 0
    assert 0 < outside.mean() < 1 and done.changed_outside == 0
    np.testing.assert_array_equal(done.pixels_hwc[outside], photo_u8[outside])
    assert (done.pixels_hwc[~outside] != photo_u8[~outside]).any()


def test_what_a_notebook_shows(done: gramscope.Restyled, tmp_path: Path) -> None:
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(done._repr_png_()))), done.pixels_hwc)
    page = done._repr_html_()
    assert page.count("<img") == 3 and "none differ" in page and "box" in page
    assert done.image.size == (SIDE, SIDE)
    for name in ("a.png", "a.webp", "a.tif"):
        assert done.save(tmp_path / name) == tmp_path / name
        found = cv2.imread(str(tmp_path / name))
        assert found is not None
        np.testing.assert_array_equal(found[..., ::-1], done.pixels_hwc)
    with pytest.raises(UsageError, match="report=True"):
        done.save_report(tmp_path / "a.html")
    with pytest.raises(UsageError, match=r"\.xyz"):
        done.save(tmp_path / "a.xyz")


def test_a_report_tells_of_the_call_and_inputs_stay(
    files: tuple[Path, Path], done: gramscope.Restyled, tmp_path: Path
) -> None:
    told = restyle(*files, "foreground", box="16,16,64,64", report=True, **SHORT)
    page = told.save_report(tmp_path / "a.html").read_text()
    assert "restyle(" in page and "Unchanged outside" in page
    with pytest.raises(OutputError, match="input"):
        told.save(files[0])


def test_a_mask_may_be_an_array(photo_u8: np.ndarray, painting_u8: np.ndarray) -> None:
    inside = disc(SIDE) > 0.5
    for mask in (inside, inside.astype(np.float32), Image.fromarray(inside)):
        found = restyle(photo_u8, painting_u8, "foreground", mask=mask, **SHORT)
        np.testing.assert_array_equal(found.alpha_hw01 > 0, inside)
    soft = disc(SIDE)
    np.testing.assert_array_equal(load_mask(soft, (SIDE, SIDE)), soft)


def test_settings_that_cannot_be_honoured(photo_u8: np.ndarray, painting_u8: np.ndarray) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"region": "sky"}, "background"),
        ({"region": "all", "box": BOX}, "--box does nothing"),
        ({"preset": "gatys", "strength": 2.0}, "gatys"),
        ({"keep_colour": "maybe"}, "luminance"),
        ({"box": (1.5, 2, 3, 4)}, "whole numbers"),
        ({"seed": -1}, "Seed -1"),
        ({"device": "abacus"}, "cpu"),
        ({"size": 8}, "64"),
    ]
    for given, words in cases:
        with pytest.raises(UsageError, match=words):
            restyle(photo_u8, painting_u8, **given)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((32, 32, 2), np.uint8), "no picture"),
        (np.zeros((3, 32, 40), np.uint8), "channels first"),
        (np.zeros((2, 32, 32, 3), np.uint8), "no picture"),
        (np.zeros((32, 32, 3), np.int64), "astype"),
        (np.full((32, 32, 3), 255.0), "from 255 to 255"),
        (np.full((32, 32, 3), -0.1), "from -0.1"),
        (np.full((32, 32, 3), np.nan), "nan"),
        (np.zeros((0, 0, 3), np.uint8), "no picture"),
        (np.zeros((1, 1, 3), np.uint8), "1x1"),
        (np.zeros((32, 32, 3), complex), "complex"),
        (None, "NoneType"),
        (b"bytes", "bytes"),
    ],
)
def test_what_is_no_picture(array: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_picture(array)  # pyright: ignore[reportArgumentType]


def test_a_pillow_picture_is_read_as_its_file_is(photo_u8: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo_u8[:, :64]).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(photo_u8).convert("P").save(tmp_path / "palette.png")
    clear = Image.fromarray(photo_u8)
    clear.putalpha(90)
    clear.save(tmp_path / "clear.png")
    for path in tmp_path.iterdir():
        with Image.open(path) as opened:
            found, expected = load_picture(opened), load_picture(path)
            np.testing.assert_array_equal(found.rgb_hwc_u8, expected.rgb_hwc_u8)
            assert (found.name, found.notes) == (expected.name, expected.notes)


def test_the_packages_functions_take_them_too(files: tuple[Path, Path], photo_u8: np.ndarray, compact: Vgg) -> None:
    tensor, mask_hw = load_image(files[0]), segment(photo_u8, box_xywh_px=BOX).mask_hw
    assert torch.equal(load_image(photo_u8), tensor)
    for source in (files[0], str(files[0]), Image.fromarray(photo_u8), photo_u8):
        maps = activations(compact, source, ["relu2_1"])
        assert torch.equal(maps["relu2_1"], compact.activations(tensor, ["relu2_1"])["relu2_1"])
        saliency = saliency_map(compact, source)
        np.testing.assert_array_equal(saliency.map_chw, saliency_map(compact, tensor).map_chw)
        np.testing.assert_array_equal(segment(source, box_xywh_px=BOX).mask_hw, mask_hw)
    assert quick_verdict(compact, files[0], saliency, steps=2) == quick_verdict(compact, tensor, saliency, steps=2)


def test_a_result_is_shown_in_a_line(done: gramscope.Restyled) -> None:
    assert repr(done) == f"<photo, {SIDE}x{SIDE}: background after painting>"
    picture = np.zeros((3, 4, 6), np.float32)
    found = SaliencyMap("gradient", Target("cat", 3), picture, picture, Prediction((), (), (), (4, 6)))
    assert repr(found) == "<Gradient for 'cat', 6x4>"


def test_every_name_of_the_module_resolves() -> None:
    assert all(getattr(gramscope, name).__doc__ for name in gramscope.__all__)
    assert gramscope.saliency is gramscope.saliency_map and sorted(gramscope.__all__) == dir(gramscope)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = gramscope.no_such_name


def test_the_cut_from_python_is_the_commands(tmp_path: Path) -> None:
    photo = tmp_path / "me.png"
    Image.fromarray(skimage.data.astronaut()).resize((192, 192)).save(photo)
    cut = gramscope.segment(photo, quiet=True)
    result = call("segment", photo, "--no-report", "--json", "-o", tmp_path / "cut.png")
    assert result.exit_code == 0
    written = np.asarray(Image.open(json.loads(result.stdout)["outputs"]["alpha"]))
    np.testing.assert_array_equal(np.round(cut.alpha_hw01 * 255).astype(np.uint8), written)
    with pytest.raises(UsageError, match="Seed"):
        gramscope.segment(photo, seed=-1)
