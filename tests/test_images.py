"""Files to pictures and back: every kind comes out right, or with one clear message."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from interp.errors import InputError, UsageError
from interp.pictures import images, sizes


@pytest.fixture
def picture_u8(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)


def saved(tmp_path: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)  # pyright: ignore[reportArgumentType]
    return path


def test_png_round_trip_is_exact(picture_u8: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(images.encode_png(picture_u8))
    picture = images.load_picture(path)
    np.testing.assert_array_equal(picture.rgb_hwc_u8, picture_u8)
    assert picture.notes == () and picture.size_hw_px == (24, 40) and picture.stem == "a"
    np.testing.assert_array_equal(images.to_hwc_u8(images.to_nchw01(picture_u8)), picture_u8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(picture_u8: np.ndarray, tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = images.load_picture(saved(tmp_path, Image.fromarray(picture_u8), "a.png", exif=exif))
    upright = {
        1: picture_u8, 2: picture_u8[:, ::-1], 3: picture_u8[::-1, ::-1], 4: picture_u8[::-1],
        5: picture_u8.transpose(1, 0, 2), 6: np.rot90(picture_u8, -1), 7: np.rot90(picture_u8, 2).transpose(1, 0, 2),
        8: np.rot90(picture_u8),
    }[orientation]  # fmt: skip
    np.testing.assert_array_equal(picture.rgb_hwc_u8, upright)
    assert bool(picture.notes) == (orientation != 1)


def test_alpha_is_flattened_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((20, 20, 4), np.uint8)
    rgba[:, 10:] = (200, 0, 0, 128)
    picture = images.load_picture(saved(tmp_path, Image.fromarray(rgba), "a.png"))
    assert (picture.rgb_hwc_u8[:, :10] == 255).all()
    np.testing.assert_allclose(picture.rgb_hwc_u8[0, 10], np.array([227, 127, 127]), atol=1)
    assert "white" in picture.notes[0]


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    picture = images.load_picture(saved(tmp_path, Image.fromarray(ramp), "a.png"))
    np.testing.assert_allclose(picture.rgb_hwc_u8[..., 0], ramp / 257, atol=0.51)
    assert "8 bits" in picture.notes[0]


def test_animated_gif_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    picture = images.load_picture(path)
    assert (picture.rgb_hwc_u8 == (255, 0, 0)).all() and "first of 2" in picture.notes[0]


@pytest.mark.parametrize(
    ("mode", "suffix"), [("CMYK", "jpg"), ("L", "jpg"), ("P", "png"), ("1", "png"), ("YCbCr", "tif")]
)
def test_other_modes_become_rgb(picture_u8: np.ndarray, tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.fromarray(picture_u8).convert(mode)
    options = {"compression": "tiff_lzw"} if suffix == "tif" else {}  # old Pillows cannot read their own plain one
    picture = images.load_picture(saved(tmp_path, image, f"a.{suffix}", **options))
    assert picture.rgb_hwc_u8.shape == (24, 40, 3)


def test_a_wide_profile_is_converted_and_srgb_is_left_alone(tmp_path: Path) -> None:
    picture_u8 = np.full((20, 20, 3), (180, 90, 60), np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = images.load_picture(saved(tmp_path, Image.fromarray(picture_u8), "s.png", icc_profile=srgb))
    np.testing.assert_array_equal(same.rgb_hwc_u8, picture_u8)
    # The same profile with its red and green primaries exchanged: what it calls red is sRGB's green.
    swapped = srgb.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    other = images.load_picture(saved(tmp_path, Image.fromarray(picture_u8), "o.png", icc_profile=swapped))
    np.testing.assert_allclose(other.rgb_hwc_u8[0, 0], np.array([90, 180, 60]), atol=2)
    assert "to sRGB" in other.notes[0]
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # cannot belong to an RGB picture
    odd = images.load_picture(saved(tmp_path, Image.fromarray(picture_u8), "l.png", icc_profile=lab))
    np.testing.assert_array_equal(odd.rgb_hwc_u8, picture_u8)
    assert any("ignored" in note for note in odd.notes)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.png", b"", "0 bytes"),
        ("text.jpg", b"just text, no picture", "not a picture"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "damaged|not a picture"),
    ],
)
def test_bad_files_get_one_clear_message(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        images.load_picture(path)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_truncated_pictures_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for suffix in ("png", "jpg", "webp", "tif", "bmp"):
        whole = saved(tmp_path, noise, f"whole.{suffix}").read_bytes()
        cut = tmp_path / f"cut.{suffix}"
        cut.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=r"damaged|not a picture"):
            images.load_picture(cut)


def test_sizes_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1x1"):
        images.load_picture(saved(tmp_path, Image.new("RGB", (1, 1)), "dot.png"))
    header = bytearray(saved(tmp_path, Image.new("1", (64, 64)), "huge.png").read_bytes())
    header[16:24] = (20000).to_bytes(4, "big") * 2
    import zlib

    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(header)
    with pytest.raises(InputError, match="limit"):
        images.load_picture(tmp_path / "huge.png")


def test_what_is_no_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source, words in (
        (tmp_path, "folder"),
        (tmp_path / "none.png", "No such file"),
        ("/dev/null", "device"),
        ("a\0b", "read"),
    ):
        with pytest.raises(InputError, match=words):
            images.load_picture(source)
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "lime").save(buffer, "PNG")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(buffer.getvalue())))
    assert images.load_picture("-").name == "stdin"


def test_masks_must_fit_the_photo(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("L", (40, 20), 128), "mask.png")
    np.testing.assert_allclose(images.load_mask(path, (20, 40)), 128 / 255)
    assert images.load_mask(path, (40, 80)).shape == (40, 80)
    with pytest.raises(UsageError, match="40x20"):
        images.load_mask(path, (40, 40))


@given(hnp.arrays(np.float32, (5, 7), elements=st.floats(-1, 2, width=32)))
def test_a_quantised_mask_survives_its_png(alpha: np.ndarray) -> None:
    quantised = images.quantise_hw01(alpha)
    np.testing.assert_array_equal(images.quantise_hw01(quantised), quantised)
    np.testing.assert_array_equal(images.mask_u8(quantised) / np.float32(255), quantised)
    np.testing.assert_array_equal(images.mask_u8(images.quantise_hw01(1 - quantised)), 255 - images.mask_u8(quantised))


@given(st.integers(16, 6000), st.integers(16, 6000), st.integers(64, 1024))
def test_working_size_never_enlarges_and_keeps_strips_usable(height: int, width: int, side: int) -> None:
    rows, columns = sizes.working_size_hw_px((height, width), side)
    assert rows <= height and columns <= width and min(rows, columns) >= min(height, width, 64) - 1
    assert max(rows, columns) <= side or min(rows, columns) <= 64


def test_painting_gets_the_photos_area() -> None:
    rows, columns = sizes.painting_size_hw_px((1000, 2000), (400, 200))
    assert rows * columns == pytest.approx(80_000, rel=0.02) and columns / rows == pytest.approx(2, rel=0.02)
    assert sizes.painting_size_hw_px((100, 100), (400, 400)) == (100, 100)
    assert sizes.painting_size_hw_px((1000, 1000), (400, 400), 0.5) == (200, 200)


def test_resizing_stays_in_range() -> None:
    image = (torch.rand(1, 3, 40, 60) > 0.5).float()
    for size in ((20, 30), (80, 120), (40, 60)):
        resized = sizes.resize_nchw01(image, size)
        assert tuple(resized.shape[-2:]) == size and bool(((resized >= 0) & (resized <= 1)).all())
