"""Damaged files and wild options end in exit 0 or a documented code: no traceback, nothing half-written.

500 damaged files run in the suite; `pytest tests/test_fuzz.py --fuzz-cases 20000` runs more. A failing case is named by
its number, from which it is made again.
"""

import io
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from typer.testing import CliRunner, Result

from cli import app
from commands import samples

DOCUMENTED = {0, 2, 3, 4, 5, 6, 7}  # 1 is an internal error: a bug
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


@pytest.fixture(scope="session")
def originals() -> list[bytes]:
    """Small real pictures of every format, with the extras that decoders trip over."""
    photo = Image.open(samples.photo("astronaut")).convert("RGB").resize((64, 48))
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    alpha = photo.copy()
    alpha.putalpha(128)
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    files = [
        _encoded(photo, "PNG", icc_profile=profile, exif=exif),
        _encoded(alpha, "PNG"),
        _encoded(deep, "PNG"),
        _encoded(photo.quantize(16), "PNG"),
        _encoded(photo, "JPEG", exif=exif, icc_profile=profile),
        _encoded(photo, "JPEG", progressive=True),
        _encoded(photo.convert("CMYK"), "JPEG"),
        _encoded(photo, "WEBP"),
        _encoded(alpha, "WEBP", lossless=True),
        _encoded(photo, "TIFF", compression="tiff_lzw"),
        _encoded(deep, "TIFF"),
        _encoded(photo, "GIF", save_all=True, append_images=[photo.rotate(90)]),
        _encoded(photo, "BMP"),
        _encoded(photo, "PPM"),
    ]
    Image.init()
    return files + [_encoded(photo, kind) for kind in ("AVIF", "JPEG2000") if kind in Image.SAVE]


def damaged(data: bytes, draw: random.Random) -> bytes:
    """One to six random injuries: bit flips, cuts, repeats, extreme numbers, foreign pieces."""
    body = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(max(1, min(len(body), draw.choice((32, 128, len(body) or 1)))))  # headers more often
        kind = draw.randrange(5)
        if kind == 0:
            body[place : place + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del body[place : place + draw.randint(1, 64)]
        elif kind == 2:
            body[place:place] = body[place : place + draw.randint(1, 64)]
        elif kind == 3:
            body[place : place + 4] = struct.pack(draw.choice("<>") + "I", draw.choice(EXTREMES))
        else:
            del body[place + 16 :]
    return bytes(body)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def assert_decent(result: Result, folder: Path, label: str) -> None:
    """Exit code documented, one message, and either every printed file whole or none written."""
    assert result.exit_code in DOCUMENTED, f"{label}: exit {result.exit_code}\n{result.stderr}"
    assert "Traceback" not in result.stderr, label
    written = sorted(folder.iterdir()) if folder.exists() else []
    if result.exit_code == 0:
        assert sorted(result.stdout.splitlines()) == [str(path) for path in written], label
    else:
        assert not written and result.stdout == "" and result.stderr.strip(), label
    for path in written:
        if path.suffix == ".png":
            Image.open(path).load()
        path.unlink()


def test_damaged_files(originals: list[bytes], tmp_path: Path, pytestconfig: pytest.Config) -> None:
    for case in range(int(str(pytestconfig.getoption("--fuzz-cases")))):
        draw = random.Random(case)
        path = tmp_path / "in.bin"
        path.write_bytes(damaged(draw.choice(originals), draw))
        command = (
            ["featuremaps", "--size", "48"]
            if case % 25 == 0
            else ["segment", "--prompt", "contrast", "--features", "color"]
        )
        result = call(*command, str(path), "--no-report", "--out-dir", str(tmp_path / "out"))
        assert_decent(result, tmp_path / "out", f"case {case}")


def test_the_originals_themselves_are_read(originals: list[bytes], tmp_path: Path) -> None:
    for number, data in enumerate(originals):
        path = tmp_path / "in.bin"
        path.write_bytes(data)
        result = call(
            "segment",
            "--box",
            "8,4,40,40",
            "--features",
            "color",
            str(path),
            "--no-report",
            "--out-dir",
            str(tmp_path / "out"),
        )
        assert_decent(result, tmp_path / "out", f"original {number}")
        assert result.exit_code in (0, 7), result.stderr  # 7: nothing to cut, but read


WILD = st.text(max_size=40)


@given(box=WILD | st.lists(st.integers(-(10**12), 10**12), min_size=4, max_size=4).map(lambda n: ",".join(map(str, n))))
@example(box="0,0,64,48")
@example(box="1e3,0,5,5")
@example(box="١,٢,٣,٤")
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wild_boxes(originals: list[bytes], tmp_path: Path, box: str) -> None:
    path = tmp_path / "in.png"
    path.write_bytes(originals[0])
    result = call("segment", str(path), f"--box={box}", "--no-report", "--out-dir", str(tmp_path / "out"))
    assert_decent(result, tmp_path / "out", repr(box))


@given(
    option=st.sampled_from(["--style-layers", "--content-layer", "--preset", "--weights", "--mask", "--style"]),
    value=WILD,
)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wild_names(originals: list[bytes], tmp_path: Path, option: str, value: str) -> None:
    path = tmp_path / "in.png"
    path.write_bytes(originals[0])
    result = call(
        "stylize", str(path), "--region=all", f"{option}={value}", "--size=64", "--iterations=1", "--no-report",
        f"--out-dir={tmp_path / 'out'}",
    )  # fmt: skip
    assert_decent(result, tmp_path / "out", f"{option}={value!r}")


@given(name=st.text(min_size=1, max_size=60).filter(lambda name: "/" not in name))  # which is no part of a name
@example(name="-rf")
@example(name="..")
@example(name="Ünïcödé 絵 🎨")
@example(name='"><script>alert(1)</script>')
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_file_names(originals: list[bytes], tmp_path: Path, name: str) -> None:
    path = tmp_path / "in" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    try:
        path.write_bytes(originals[0])
    except (OSError, ValueError):
        return  # no such file can exist
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    half = Image.new("L", (48, 64))  # the original is turned upright by its EXIF
    half.paste(255, (0, 0, 48, 32))
    half.save(mask)
    result = call("segment", f"--mask={mask}", f"--out-dir={out}", "--", str(path))
    assert result.exit_code == 0, result.stderr
    assert all("<script>alert" not in page.read_text() for page in out.glob("*.html"))
    for written in out.iterdir():
        written.unlink()
