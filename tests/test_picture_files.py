"""Sound files with odd metadata, depths, structures and masks: read right, and said. Each case is one kind of fault."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from interp.errors import InputError, UsageError
from interp.pictures.files import as_path, read_text
from interp.pictures.images import load_mask, load_picture


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([4 * x, 5 * y, 128 + 60 * np.sin(x / 9)], -1).astype(np.uint8)


def jpeg_with(rgb: np.ndarray, *entries: tuple[int, int, int, bytes], cut: int | None = None) -> bytes:
    """A JPEG with these EXIF entries (tag, type, count, value), its EXIF cut short."""
    head, data, table = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, count, value in sorted(entries):
        place = value
        if len(value) > 4:
            place, data = struct.pack("<I", head + len(data)), data + value
        table += struct.pack("<HHI", tag, kind, count) + place.ljust(4, b"\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + b"\0\0\0\0" + data
    exif = exif[:cut]
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=95)
    raw = buffer.getvalue()
    return raw[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + raw[2:]


TURNED = (0x0112, 3, 1, struct.pack("<H", 6))


@pytest.mark.parametrize(
    "entries",
    [
        [TURNED, (0x011A, 10, 1, struct.pack("<ii", -1, 0))],  # X resolution -1/0
        [TURNED, (0x011A, 5, 1, struct.pack("<II", 0, 0)), (0x011B, 5, 1, struct.pack("<II", 1 << 31, 0))],
        [TURNED, (0x010F, 2, 4, b"\xff\xfe\xfd\0")],  # a maker's name in no encoding
        [TURNED, (0x8769, 4, 1, struct.pack("<I", 1 << 30))],  # EXIF IFD beyond the end
        [TURNED, (0x8825, 4, 1, struct.pack("<I", 8))],  # a GPS IFD that is the first one again
        [TURNED, (0x9999, 77, 3, b"abc")],  # of an unknown type
        [TURNED, (0x011A, 12, 1, struct.pack("<d", float("nan")))],
    ],
)
def test_only_the_orientation_of_the_exif_is_needed(
    rgb: np.ndarray, entries: list[tuple[int, int, int, bytes]], tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with(rgb, *entries))
    picture = load_picture(path)
    assert picture.size_hw_px == (64, 48) and picture.notes == ("EXIF orientation applied",)
    assert np.abs(picture.rgb_hwc_u8.astype(int) - np.rot90(rgb, -1)).mean() < 4


@pytest.mark.parametrize("value", [0, 1, 9, 300, 65535])
def test_orientations_that_are_none_turn_nothing(rgb: np.ndarray, value: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with(rgb, (0x0112, 3, 1, struct.pack("<H", value))))
    assert load_picture(path).notes == () and load_picture(path).size_hw_px == (48, 64)
    path.write_bytes(jpeg_with(rgb, (0x0112, 2, 4, b"six\0")))
    assert load_picture(path).notes == ()
    path.write_bytes(jpeg_with(rgb, TURNED, cut=17))
    assert load_picture(path).notes == ()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_tiffs_are_turned_once(rgb: np.ndarray, orientation: int, tmp_path: Path) -> None:
    # What each orientation means, by EXIF's own words: where row 0 and column 0 of the file lie.
    upright = {
        2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1], 5: rgb.swapaxes(0, 1), 6: np.rot90(rgb, -1),
        7: rgb[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(rgb),
    }  # fmt: skip
    path = tmp_path / "a.tif"
    Image.fromarray(rgb).save(path, tiffinfo={0x0112: orientation})
    picture = load_picture(path)
    np.testing.assert_array_equal(picture.rgb_hwc_u8, upright[orientation])
    assert picture.notes == ("EXIF orientation applied",)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_large_texts_and_profiles_of_a_png(rgb: np.ndarray, tmp_path: Path) -> None:
    path, large = tmp_path / "a.png", "x" * (1 << 20) + "y"
    for add in ("add_text", "add_itxt"):
        info = PngImagePlugin.PngInfo()
        getattr(info, add)("workflow", large, zip=True)
        Image.fromarray(rgb).save(path, pnginfo=info)
        np.testing.assert_array_equal(load_picture(path).rgb_hwc_u8, rgb)
    many = PngImagePlugin.PngInfo()
    for number in range(70):
        many.add_text(f"prompt {number}", "x" * 1_000_000, zip=True)
    Image.fromarray(rgb).save(path, pnginfo=many)
    np.testing.assert_array_equal(load_picture(path).rgb_hwc_u8, rgb)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    padded = struct.pack(">I", len(profile) + (2 << 20)) + profile[4:] + bytes(2 << 20)
    Image.fromarray(rgb).save(path)
    plain = path.read_bytes()
    path.write_bytes(plain[:33] + chunk(b"iCCP", b"big\0\0" + zlib.compress(padded)) + plain[33:])
    assert np.abs(load_picture(path).rgb_hwc_u8.astype(int) - rgb).max() <= 3
    path.write_bytes(plain[:33] + chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(1 << 24))) + plain[33:-200])
    with pytest.raises(InputError, match=r"damaged|not a picture"):
        load_picture(path)


@pytest.mark.parametrize(
    ("bits", "suffix"), [(10, "png"), (12, "png"), (12, "tif"), (14, "png"), (16, "png"), (8, "png")]
)
def test_deep_greys_are_as_bright_as_their_data(bits: int, suffix: str, tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 64 * 48).reshape(48, 64)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.round(grey * (2**bits - 1)).astype(np.uint16)).save(path)
    picture = load_picture(path)
    assert np.abs(picture.rgb_hwc_u8[..., 0] / 255 - grey).max() < 0.005
    assert f"white is {2**bits - 1}" in picture.notes[0] or bits == 16


def test_other_number_formats(tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 64 * 48).reshape(48, 64)
    for name, values in {"f": grey.astype(np.float32), "f255": (255 * grey).astype(np.float32)}.items():
        path = tmp_path / f"{name}.tif"
        Image.fromarray(values).save(path)
        assert np.abs(load_picture(path).rgb_hwc_u8[..., 0] / 255 - grey).max() < 0.005
    path = tmp_path / "wide.tif"
    Image.fromarray(np.round(grey * (2**20 - 1)).astype(np.int32)).save(path)
    assert np.abs(load_picture(path).rgb_hwc_u8[..., 0] / 255 - grey).max() < 0.005
    Image.fromarray((grey - 0.5).astype(np.float32)).save(path)
    with pytest.raises(InputError, match="negative"):
        load_picture(path)
    Image.fromarray((grey * 12).astype(np.uint8)).save(tmp_path / "dark.png")
    assert load_picture(tmp_path / "dark.png").notes == ("very dark: its brightest value is 12 of 255",)


def test_a_preview_is_not_the_picture(rgb: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "raw.dng"
    small = np.asarray(Image.fromarray(rgb).resize((32, 24)))
    with tifffile.TiffWriter(path) as writer:
        writer.write(small, photometric="rgb", subifds=1, subfiletype=1)
        writer.write(rgb, photometric="rgb", subfiletype=0)
    picture = load_picture(path)
    np.testing.assert_array_equal(picture.rgb_hwc_u8, rgb)
    assert "preview" in picture.notes[0]
    with tifffile.TiffWriter(path) as writer:
        writer.write(small, photometric="rgb", subfiletype=1)
        writer.write(rgb, photometric="rgb", subfiletype=0)
    np.testing.assert_array_equal(load_picture(path).rgb_hwc_u8, rgb)
    with tifffile.TiffWriter(path) as writer:  # a sensor's mosaic, as in a camera's own DNG
        writer.write(small, photometric="rgb", subifds=1, subfiletype=1)
        writer.write(rgb[..., 0].astype(np.uint16), photometric="cfa", subfiletype=0)
    with pytest.raises(InputError, match="raw file"):
        load_picture(path)
    with tifffile.TiffWriter(path) as writer:
        writer.write(small, photometric="rgb", subfiletype=1)
    with pytest.raises(InputError, match="raw file"):
        load_picture(path)


@pytest.fixture(scope="module")
def mask_u8() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    return (((x - 32) ** 2 + (y - 24) ** 2 < 200) * 255).astype(np.uint8)


def read(path: Path) -> tuple[np.ndarray, str]:
    notes: list[str] = []
    return load_mask(path, (48, 64), notes), "; ".join(notes)


@pytest.mark.parametrize("kind", ["rgba.png", "la.png", "rgba.webp", "rgba.tif", "palette.png", "gif.gif"])
def test_where_a_mask_is_transparent_its_alpha_counts(
    rgb: np.ndarray, mask_u8: np.ndarray, kind: str, tmp_path: Path
) -> None:
    path, alpha = tmp_path / kind, Image.fromarray(mask_u8)
    image = Image.fromarray(rgb)
    if kind == "la.png":
        image = image.convert("L")
    if kind in ("palette.png", "gif.gif"):
        index = np.where(mask_u8 > 0, 1, 0).astype(np.uint8)
        image = Image.fromarray(index)
        image.putpalette([255, 255, 255, 10, 20, 30])
        image.save(path, transparency=0)
    else:
        image.putalpha(alpha)
        image.save(path, lossless=True)  # WebP's; others take no notice
    found, notes = read(path)
    np.testing.assert_array_equal(found * 255, mask_u8)
    assert "transparency is the mask" in notes


def test_an_alpha_that_says_nothing_is_no_mask(mask_u8: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for value in (255, 90):
        image = Image.fromarray(mask_u8).convert("RGB")
        image.putalpha(value)
        image.save(path)
        np.testing.assert_array_equal(read(path)[0] * 255, mask_u8)
    image.putalpha(0)
    image.save(path)
    with pytest.raises(UsageError, match="transparent everywhere"):
        read(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"quality": 30}),
        ("b.jpg", {"quality": 75, "progressive": True}),
        ("a.webp", {"quality": 40}),
        ("a.avif", {"quality": 50}),
    ],
)
def test_compression_noise_is_outside(mask_u8: np.ndarray, name: str, options: dict, tmp_path: Path) -> None:
    path = tmp_path / name
    Image.fromarray(mask_u8).save(path, **options)
    found, notes = read(path)
    y, x = np.mgrid[0:48, 0:64]
    distance = np.abs(np.hypot(x - 32, y - 24) - 200**0.5)
    far = distance > 3
    assert (found[far & (mask_u8 == 0)] == 0).mean() > 0.99 and (found[far & (mask_u8 > 0)] == 1).mean() > 0.99
    assert "lossy" in notes


@pytest.mark.parametrize(("low", "high"), [(16, 235), (0, 235), (3, 255), (0, 1), (20, 240)])
def test_a_limited_range_is_black_and_white(mask_u8: np.ndarray, low: int, high: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.where(mask_u8 > 0, high, low).astype(np.uint8)).save(path)
    found, notes = read(path)
    np.testing.assert_array_equal(found * 255, mask_u8)
    assert notes


def test_a_photo_is_no_mask(tmp_path: Path) -> None:
    """In colours, or in grey and the photo itself; its own transparency is one."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "colours.jpg")
    Image.fromarray(noise[..., 0]).save(tmp_path / "grey.png")
    clear = Image.fromarray(noise)
    clear.putalpha(Image.fromarray(np.where(noise[..., 0] > 99, 255, 0).astype(np.uint8)))
    clear.save(tmp_path / "clear.png")
    with pytest.raises(UsageError, match=r"colours.*white where the foreground is"):
        load_mask(tmp_path / "colours.jpg", (48, 64))
    for name in ("grey.png", "clear.png"):
        photo = load_picture(tmp_path / name)
        load_mask(tmp_path / name, (48, 64))
        if name == "grey.png":
            with pytest.raises(UsageError, match="is the photo itself"):
                load_mask(tmp_path / name, (48, 64), photos={photo.sha256})
        else:
            found = load_mask(tmp_path / name, (48, 64), photos={photo.sha256})
            np.testing.assert_array_equal(found > 0, noise[..., 0] > 99)


def test_soft_masks_stay_as_they_are_and_stray_greys_are_said(mask_u8: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    ramp = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (48, 1))
    Image.fromarray(ramp).save(path)
    np.testing.assert_array_equal(read(path)[0] * 255, ramp)
    noisy = mask_u8.copy()
    noisy[:6] = np.random.default_rng(0).integers(0, 9, (6, 64))
    Image.fromarray(noisy).save(path)
    assert "nearly black" in read(path)[1]


WHAT_ELSE = {
    b"<!DOCTYPE html><html>Access denied</html>": "web page",
    b"\0\0\0\x20ftypisom\0\0\0\0isomiso2": "video",
    b"\x1aE\xdf\xa3" + bytes(60): "video",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>": "SVG",
    b"%PDF-1.7\n": "PDF",
    b"version https://git-lfs.github.com/spec/v1\n": "LFS",
}


@pytest.mark.parametrize("content", WHAT_ELSE)
def test_what_is_no_picture_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=WHAT_ELSE[content]):
        load_picture(path)


def test_heic_is_read_or_explained(rgb: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    with pytest.raises(InputError, match=r"pillow-heif|damaged"):
        load_picture(path)
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.fromarray(rgb)).save(path, quality=95)
    assert np.abs(load_picture(path).rgb_hwc_u8.astype(int) - rgb).mean() < 6


def test_paths_as_people_paste_them(rgb: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "my photo é.png"
    Image.fromarray(rgb).save(path)
    for pasted in (f"'{path}'", f'"{path}"', path.as_uri(), f"file://localhost{path.as_uri()[7:]}", f" {path} "):
        assert load_picture(pasted).name == path.name
    odd = tmp_path / "'quoted'"
    Image.fromarray(rgb).save(odd, "PNG")
    assert as_path(str(odd)) == odd
    for address in ("https://example.org/a.jpg", "HTTP://x/y.png"):
        with pytest.raises(InputError, match="address"):
            load_picture(address)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_as_editors_save_them(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes("strength = 2.0 # é\r\nsize_px = 128\r\n".encode(encoding))
    assert read_text(path, "a TOML file") == "strength = 2.0 # é\nsize_px = 128\n"
    path.write_bytes("é".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_text(path, "a TOML file")


def test_files_written_by_hand_may_begin_with_a_mark(tmp_path: Path) -> None:
    from commands.foreground import load_hints
    from stylize.preset_file import read_preset

    preset, hints = tmp_path / "a.toml", tmp_path / "a.json"
    preset.write_bytes(b"\xef\xbb\xbfstrength = 2.0\n")
    hints.write_bytes(b'\xef\xbb\xbf{"foreground": [[[9, 9]]]}')
    assert read_preset(preset).strength == 2.0 and len(load_hints(str(hints)).foreground) == 1
    hints.write_text("[" * 100_000)
    with pytest.raises(InputError, match="no JSON"):
        load_hints(str(hints))


@pytest.mark.parametrize("width", [30000, 32768, 40000, 999999])
def test_strokes_may_be_wider_than_opencv_draws(width: int) -> None:
    from segment.hints import add_hints, read_hints
    from segment.trimap import Trimap

    stroke = {"points": [[96, 80], [100, 90]], "width": width}
    drawn = add_hints(Trimap(np.full((144, 192), 2, np.uint8), "box"), read_hints({"foreground": [stroke]}))
    assert (drawn.labels_hw_u8 == 1).all()
