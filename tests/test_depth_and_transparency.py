"""16 bits stay 16 bits, transparent stays transparent: synthetic files, read back by a reader by the standard."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from gramscope import restyle
from interp.errors import MaskError
from interp.pictures.images import encode_png, load_picture, mask_u8, reencode
from interp.pictures.original import Original
from segment.kmeans import cluster
from tests.helpers import assert_failed, call, disc, smooth, stripes

SIDE = 96
SHORT: dict[str, Any] = {"size": SIDE, "iterations": 2, "quiet": True}
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # PNG's colour types


def write_png(path: Path, values: np.ndarray, *, profile: bytes = b"") -> None:
    """A PNG as the standard (ISO 15948) has it, without filters; values of uint8 or uint16, (H, W, channels)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, channels = values.shape
    colour = next(kind for kind, count in CHANNELS.items() if count == channels)
    head = struct.pack(">IIBBBBB", width, height, 8 * values.itemsize, colour, 0, 0, 0)
    rows = values.astype(values.dtype.newbyteorder(">")).reshape(height, -1)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    icc = chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)) if profile else b""
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + icc + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def read_png(path: Path) -> np.ndarray:
    """The same backwards, with the five filters; neither Pillow nor OpenCV."""
    data, place, body = path.read_bytes(), 8, b""
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    while place < len(data):
        length = struct.unpack(">I", data[place : place + 4])[0]
        body += data[place + 8 : place + 8 + length] if data[place + 4 : place + 8] == b"IDAT" else b""
        place += 12 + length
    raw, step = zlib.decompress(body), CHANNELS[colour] * depth // 8
    stride, above, rows = width * step, bytearray(width * step), []
    for number in range(height):
        kind, row = raw[number * (stride + 1)], bytearray(raw[number * (stride + 1) + 1 :][:stride])
        for i in range(stride):
            left, up = (row[i - step] if i >= step else 0), above[i]
            corner = above[i - step] if i >= step else 0
            paeth = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
            row[i] = (row[i] + (0, left, up, (left + up) // 2, paeth)[kind]) % 256
        rows.append(bytes(row))
        above = row
    values = np.frombuffer(b"".join(rows), ">u2" if depth == 16 else "u1").reshape(height, width, -1)
    return values.astype(np.uint16 if depth == 16 else np.uint8)


@pytest.fixture(scope="module")
def deep_u16() -> np.ndarray:
    fine = np.random.default_rng(0).integers(-128, 129, (SIDE, SIDE, 3))
    return np.clip(smooth(3, SIDE)[0].permute(1, 2, 0).numpy() * 65535 + fine, 0, 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def painting() -> np.ndarray:
    return stripes(SIDE)[0].permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def clear_u8() -> np.ndarray:
    """A photo whose right quarter nobody sees, and whose middle lets half through."""
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[:, 40:56], alpha[:, 72:] = 128, 0
    return np.dstack([(smooth(5, SIDE)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8), alpha])


def test_the_reader_of_this_test_reads_what_others_write(clear_u8: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(clear_u8).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), clear_u8)
    write_png(tmp_path / "b.png", clear_u8)
    with Image.open(tmp_path / "b.png") as image:
        np.testing.assert_array_equal(np.asarray(image), clear_u8)


def test_deep_colours_are_read_to_the_bit(deep_u16: np.ndarray, tmp_path: Path) -> None:
    alpha = np.tile(np.linspace(0, 65535, SIDE).astype(np.uint16), (SIDE, 1))
    path = tmp_path / "a.png"
    for values in (deep_u16, np.dstack([deep_u16, alpha]), deep_u16[..., :1], deep_u16[..., :1] // 16):
        write_png(path, values)
        picture = load_picture(path)
        own = picture.original
        np.testing.assert_array_equal(own.rgb_hwc, np.broadcast_to(values[..., :3], deep_u16.shape))
        assert own.white == (65535 if values.max() > 4095 else 4095) and "16 bits" in picture.notes[0]
        if values.shape[2] < 4:
            assert np.abs(picture.rgb_hwc_u8 / 255 - own.rgb_hwc / own.white).max() <= 0.5 / 255 + 1e-6
        else:
            np.testing.assert_array_equal(own.alpha_hw, alpha)
            np.testing.assert_array_equal(own.hidden_hw, alpha == 0)
            seen = (own.rgb_hwc / 65535) * (alpha / 65535)[..., None] + 1 - (alpha / 65535)[..., None]
            assert np.abs(picture.rgb_hwc_u8 / 255 - seen).max() < 1.6 / 255
    np.testing.assert_array_equal(load_picture(deep_u16).original.rgb_hwc, deep_u16)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_tiffs_are_turned_once(deep_u16: np.ndarray, orientation: int, order: str, tmp_path: Path) -> None:
    values = deep_u16[:64]
    # What each orientation means, by EXIF's own words: where row 0 and column 0 of the file lie.
    upright = {
        1: values, 2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1], 5: values.swapaxes(0, 1),
        6: np.rot90(values, -1), 7: values[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(values),
    }  # fmt: skip
    path = tmp_path / "a.tif"
    extra = [(274, "H", 1, orientation, False)]
    tifffile.imwrite(path, values, photometric="rgb", byteorder=order, extratags=extra, compression="zlib")  # pyright: ignore
    np.testing.assert_array_equal(load_picture(path).original.rgb_hwc, upright[orientation])


def test_deep_colours_of_another_space_are_said_to_be_reduced(deep_u16: np.ndarray, tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write_png(tmp_path / "same.png", deep_u16, profile=srgb)
    np.testing.assert_array_equal(load_picture(tmp_path / "same.png").original.rgb_hwc, deep_u16)
    swapped = srgb.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    write_png(tmp_path / "other.png", deep_u16, profile=swapped)
    other = load_picture(tmp_path / "other.png")
    assert not other.original.is_deep and any("reduced to 8" in note for note in other.notes)
    assert np.abs(other.rgb_hwc_u8[..., 1] / 255 - deep_u16[..., 0] / 65535).max() < 3 / 255


@pytest.mark.parametrize("channels", [3, 4])
def test_deep_pictures_are_written_to_the_bit(deep_u16: np.ndarray, channels: int, tmp_path: Path) -> None:
    values = np.dstack([deep_u16, deep_u16[..., 0]])[..., :channels]
    (tmp_path / "a.png").write_bytes(encode_png(values))
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), values)
    (tmp_path / "a.tif").write_bytes(reencode(encode_png(values), ".tif"))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), values)


@pytest.mark.parametrize("white", [65535, 4095])
def test_outside_the_region_a_deep_photo_keeps_its_values(
    deep_u16: np.ndarray, painting: np.ndarray, white: int, tmp_path: Path
) -> None:
    values = deep_u16 if white == 65535 else deep_u16 // 16
    done = restyle(values, painting, "foreground", mask=disc(SIDE), **SHORT)
    outside = done.alpha_hw01 == 0
    assert done.pixels_hwc.dtype == np.uint16 and done.changed_outside == 0 and outside.any()
    np.testing.assert_array_equal(read_png(done.save(tmp_path / "a.png")), done.pixels_hwc)
    np.testing.assert_array_equal(tifffile.imread(done.save(tmp_path / "a.tif")), done.pixels_hwc)
    np.testing.assert_array_equal(done.pixels_hwc[outside], values[outside])
    # Inside it is the 8-bit photo's result, before it was rounded.
    plain = restyle(load_picture(values).rgb_hwc_u8, painting, "foreground", mask=disc(SIDE), **SHORT)
    inside = done.alpha_hw01 == 1
    difference = done.pixels_hwc[inside] / white - plain.pixels_hwc[inside] / 255
    assert 0.2 / 255 < np.abs(difference).max() <= 0.5 / 255 + 0.5 / white + 1e-6
    assert np.asarray(done.image).dtype == np.uint8


def test_the_command_line_and_its_report(deep_u16: np.ndarray, painting: np.ndarray, tmp_path: Path) -> None:
    photo, style, mask, out = (tmp_path / name for name in ("photo.png", "style.png", "mask.png", "out.tif"))
    write_png(photo, deep_u16)
    Image.fromarray((painting * 255).astype(np.uint8)).save(style)
    Image.fromarray(mask_u8(disc(SIDE))).save(mask)
    given = ["stylize", photo, "--style", style, "--mask", mask, "--size", SIDE, "--iterations", 1]
    done = call(*given, "-o", out)
    assert done.exit_code == 0, done.output
    written = tifffile.imread(out)
    outside = np.asarray(Image.open(tmp_path / "out.alpha.png")) == 255  # of a background's run, the foreground's
    assert written.dtype == np.uint16 and outside.any()
    np.testing.assert_array_equal(written[outside], deep_u16[outside])
    isolation = json.loads((tmp_path / "out.report.json").read_text())["data"]["isolation"]
    assert (isolation["white"], isolation["max_abs_outside"]) == (65535, 0)
    small = call(*given, "--no-report", "-o", tmp_path / "small.webp")
    assert small.exit_code == 0 and "8 bits" in small.stderr


def test_a_transparent_photo_stays_so(clear_u8: np.ndarray, painting: np.ndarray, tmp_path: Path) -> None:
    done = restyle(clear_u8, painting, "foreground", mask=disc(SIDE, 0.48), **SHORT)
    written = read_png(done.save(tmp_path / "a.png"))
    np.testing.assert_array_equal(written, done.pixels_hwc)
    np.testing.assert_array_equal(written[..., 3], clear_u8[..., 3])
    hidden, outside = clear_u8[..., 3] == 0, done.alpha_hw01 == 0
    assert outside[hidden].all() and not outside[(disc(SIDE, 0.48) > 0) & ~hidden].any()
    np.testing.assert_array_equal(written[outside], clear_u8[outside])  # also the colours that nobody sees
    for name in ("a.webp", "a.tif"):
        with Image.open(done.save(tmp_path / name)) as image:
            np.testing.assert_array_equal(np.asarray(image), written)
    with Image.open(done.save(tmp_path / "a.jpg")) as image:
        assert image.mode == "RGB" and np.asarray(image)[:, 76:].min() > 240

    other = clear_u8.copy()
    other[hidden, :3] = 255 - other[hidden, :3]
    again = restyle(other, painting, "foreground", mask=disc(SIDE, 0.48), **SHORT)
    np.testing.assert_array_equal(again.pixels_hwc[~hidden], done.pixels_hwc[~hidden])
    with pytest.raises(MaskError, match="transparent all over"):
        restyle(clear_u8, painting, "foreground", mask=hidden, **SHORT)


def test_a_region_that_is_hardly_visible_is_told_of(clear_u8: np.ndarray, painting: np.ndarray) -> None:
    foreground = np.ones((SIDE, SIDE), np.float32)
    foreground[30:48, 20:38] = 0
    foreground[clear_u8[..., 3] == 0] = 0
    done = restyle(clear_u8, painting, "background", mask=foreground, **SHORT)
    assert any("of what is visible of the photo is background" in note for note in done.notes)
    done = restyle(clear_u8, painting, "foreground", mask=foreground, **SHORT)
    assert not any("visible" in note for note in done.notes)


def test_a_cutout_is_no_less_transparent_than_its_photo(clear_u8: np.ndarray, tmp_path: Path) -> None:
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    write_png(photo, clear_u8)
    Image.fromarray(mask_u8(disc(SIDE))).save(mask)
    done = call("segment", photo, "--mask", mask, "--no-report", "-o", tmp_path / "cut.png")
    assert done.exit_code == 0, done.output
    matte = read_png(tmp_path / "cut.alpha.png")[..., 0]
    expected = np.round(matte / 255 * clear_u8[..., 3])
    np.testing.assert_array_equal(read_png(tmp_path / "cut.png")[..., 3], expected)
    flat = call("segment", photo, "--mask", mask, "--no-report", "-o", tmp_path / "flat.jpg")
    assert flat.exit_code == 0 and "on white" in flat.stderr


def test_clusters_of_what_is_seen(clear_u8: np.ndarray, tmp_path: Path) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "map.png"
    write_png(photo, clear_u8)
    done = call("kmeans", photo, "--k", 2, "--no-report", "-o", out)
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read_png(out)[..., 3], clear_u8[..., 3])
    blackened = read_png(tmp_path / "map.blackout.png")
    kept = (blackened[..., :3] != 0).any(axis=2)
    np.testing.assert_array_equal(blackened[kept], clear_u8[kept])
    alone = cluster(clear_u8[:, :72, :3].copy(), k=2)
    told = json.loads((tmp_path / "map.stats.json").read_text())["clusters"]
    assert [entry["share"] for entry in told] == pytest.approx(alone.shares, abs=0.02)
    assert all(
        abs(int(a[i : i + 2], 16) - int(b[i : i + 2], 16)) < 6
        for a, b in zip([entry["colour"] for entry in told], alone.hex_colours, strict=True)
        for i in (1, 3, 5)
    )
    flat = call("kmeans", photo, "--k", 2, "--no-report", "-o", tmp_path / "flat.jpg")
    assert flat.exit_code == 0 and "on white" in flat.stderr
    write_png(photo, clear_u8 * np.array([1, 1, 1, 0], np.uint8))
    nothing = call("kmeans", photo, "--k", 2, "--no-report", "-o", tmp_path / "no.png")
    assert_failed(nothing, 7, "transparent everywhere")


def test_alpha_in_the_range_of_its_colours() -> None:
    rgb = np.full((2, 2, 3), 1000, np.uint16)
    whole, twelve = (np.array([[0, top], [(top + 1) // 2, top]], np.uint16) for top in (65535, 4095))
    for alpha in (whole, twelve):
        np.testing.assert_array_equal(Original(rgb, alpha, 4095).alpha_hw_u8, [[0, 255], [128, 255]])
