"""From a picture file's bytes to upright 8-bit sRGB pixels, with the alpha that came with them. Pillow and NumPy only.

Only what the pixels need is trusted to be sound: of the EXIF one number, of a PNG's texts nothing.
"""

import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms, ImageFile

from interp.errors import InputError, OutOfMemoryError

MAX_PIXELS = 100_000_000  # 300 MB as uint8; a full-frame camera makes 24 to 61 million
MIN_SIDE_PX = 16  # one cell of VGG-19's fifth block
MAX_PROFILE_BYTES = 1 << 26  # printers' profiles have some megabytes
PROFILE_ROUNDING = 3  # of 255; sRGB profiles of different makers differ by less
DARK_BELOW = 64  # of 255: a picture without a brighter value is worth a word
# An explicit list: Pillow's other decoders are rarely fuzzed, and the one for EPS runs an external program.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "HEIF")
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000", "HEIF")
PNG_SIGNATURE, PNG_TEXTS = b"\x89PNG\r\n\x1a\n", (b"tEXt", b"zTXt")
ORIENTATION, NEW_SUBFILE_TYPE, REDUCED = 0x0112, 0x00FE, 1
# EXIF 2.3, section 4.6.4: what brings each orientation upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    Attributes:
        image: Upright, 8 bit, in its own mode, with its transparency.
        profile: Its ICC profile.
        lossy: Whether its format may have changed the values.
        notes: What was done beyond plain decoding.
    """

    image: Image.Image
    profile: bytes | None
    lossy: bool
    notes: list[str]

    def rgb_hwc_u8(self) -> np.ndarray:
        """The pixels on white, sRGB, (H, W, 3) uint8; adds to the notes."""
        rgb = np.array(_to_srgb(flatten(self.image, self.notes), self.profile, self.notes), dtype=np.uint8)
        brightest = int(rgb.max())
        if 0 < brightest < DARK_BELOW:
            self.notes.append(f"very dark: its brightest value is {brightest} of 255")
        return rgb

    def alpha_hw_u8(self) -> np.ndarray | None:
        """How opaque each pixel is, (H, W) uint8; None without transparency."""
        if not self.image.has_transparency_data:
            return None
        return np.asarray(self.image.convert("RGBA").getchannel("A"))


def decode(data: bytes, name: str) -> Decoded:
    """Decode a file's first frame.

    Args:
        data: The file's bytes.
        name: Of the file, for messages.

    Raises:
        InputError: If it is no picture, damaged, smaller than 16 px or over 100 million pixels.
        OutOfMemoryError: If it does not fit into memory.
    """
    with _as_input_errors(name, data):
        return _decode(data, name)


def decode_opened(image: Image.Image, name: str) -> Decoded:
    """Decode a picture that Pillow has opened, at the frame where it stands; see `decode`."""
    with _as_input_errors(name):
        return _decoded(image, name, [], lossy=getattr(image, "format", None) in LOSSY_FORMATS)


@contextmanager
def _as_input_errors(name: str, data: bytes = b"") -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's size and metadata warnings: checked or irrelevant here
            yield
    except (InputError, OutOfMemoryError):
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"Decoding {name!r} does not fit into memory. Export a smaller picture.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{name!r} is over the limit of {MAX_PIXELS:,} pixels. Export a smaller picture.") from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{name!r} is {_what_else(data)}") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error … on damaged data
        raise InputError(f"{name!r} is damaged or incomplete ({error}). Export it again.") from error


def flatten(image: Image.Image, notes: list[str]) -> Image.Image:
    """Composite transparency onto white."""
    if not image.has_transparency_data:
        return image.convert("RGB") if image.mode in ("P", "1") else image
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        notes.append("transparency flattened on white")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _decode(data: bytes, name: str) -> Decoded:
    _register_heif()
    Image.init()  # formats that Pillow registers late, or was built without
    slim, profile = _without_texts(data)
    with Image.open(io.BytesIO(slim), formats=[kind for kind in FORMATS if kind in Image.OPEN]) as opened:
        lossy = opened.format in LOSSY_FORMATS and b"VP8L" not in data[:64]  # a lossless WebP
        _check_size(opened, name)
        notes: list[str] = []
        return _decoded(_full_resolution(opened, name, notes), name, notes, lossy, profile)


def _decoded(image: Image.Image, name: str, notes: list[str], lossy: bool, profile: bytes | None = None) -> Decoded:
    """One frame upright, in 8 bits, in memory of its own."""
    _check_size(image, name)
    turned = _orientation(image)
    image.load()
    profile = profile or image.info.get("icc_profile")
    left = _orientation(image)  # Pillow turns a TIFF itself while it loads it
    upright = image.transpose(UPRIGHT[left]) if left in UPRIGHT else image
    if turned in UPRIGHT:
        notes.append("EXIF orientation applied")
    eight = _to_8_bit(upright, name, notes)
    return Decoded(eight.copy() if eight is image else eight, profile, lossy, notes)


def _register_heif() -> None:
    """Let Pillow read HEIC where the optional pillow-heif is installed."""
    if "HEIF" in Image.OPEN:
        return
    try:
        from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingImports]
    except ImportError:
        return
    register_heif_opener()


def _what_else(data: bytes) -> str:
    """What a file is that Pillow does not know."""
    start = data[:64].lstrip().lower()
    if data[4:8] == b"ftyp":
        if data[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"):
            return "a HEIC photo: run `pip install pillow-heif`, or export it as JPEG."
        return "a video (or sound): export one frame of it as a picture."
    if data[:4] == b"\x1aE\xdf\xa3" or (data[:4] == b"RIFF" and data[8:12] == b"AVI "):
        return "a video: export one frame of it as a picture."
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture: download the picture itself."
    if start.startswith((b"<svg", b"<?xml")):
        return "a drawing (SVG or XML), not a picture of pixels: export it as PNG."
    if start.startswith(b"%pdf"):
        return "a PDF: export the page as PNG."
    if b"git-lfs" in start:
        return "a Git LFS pointer, not the picture itself: run `git lfs pull`."
    return f"not a picture this program reads; expected {', '.join(FORMATS)}. Convert it first."


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            f"{name!r} is {image.width}x{image.height} px, over the limit of {MAX_PIXELS:,} pixels. "
            "Export a smaller picture."
        )
    if min(image.size) < MIN_SIDE_PX:
        raise InputError(
            f"{name!r} is {image.width}x{image.height} px; expected at least {MIN_SIDE_PX} px a side. "
            "Use a larger picture."
        )


def _without_texts(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG without its texts, which Pillow would unpack only to refuse large ones, and its ICC profile.

    Anything unusual is left for Pillow to judge.
    """
    if not data.startswith(PNG_SIGNATURE):
        return data, None
    kept, profile, place = [PNG_SIGNATURE], None, len(PNG_SIGNATURE)
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : end - 4]
        if end > len(data):
            break
        is_text = kind in PNG_TEXTS or (kind == b"iTXt" and not body.startswith(b"XML:com.adobe.xmp\0\0"))
        if kind == b"iCCP" and profile is None:
            profile = _inflated_profile(body)
        if not is_text and not (kind == b"iCCP" and profile):
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]]), profile


def _inflated_profile(body: bytes) -> bytes | None:
    _, _, rest = body.partition(b"\0")
    try:
        unpacking = zlib.decompressobj()
        profile = unpacking.decompress(rest[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if unpacking.eof else None


def _full_resolution(image: ImageFile.ImageFile, name: str, notes: list[str]) -> Image.Image:
    """The picture itself: the first frame, but not a TIFF's preview that comes before it."""
    frames = getattr(image, "n_frames", 1)
    if not _is_preview(image):
        if frames > 1 and image.format != "MPO":  # an MPO's further frames are previews of the same photo
            notes.append(f"animated or multi-page: first of {frames} frames used")
        return image
    preview_px = image.width * image.height
    for frame in range(1, frames):
        image.seek(frame)
        if not _is_preview(image):
            notes.append("its first page is a preview: the full picture was used")
            return image
    image.seek(0)
    try:
        inside = image.get_child_images()  # SubIFDs
    except Exception:  # a sensor's own data, for which Pillow has no decoder
        inside = []
    largest = max(inside, key=lambda child: child.width * child.height, default=image)
    if largest.width * largest.height <= preview_px:
        raise InputError(
            f"{name!r} is a camera's raw file; only its small preview can be read. Export it as TIFF or JPEG."
        )
    notes.append("its first page is a preview: the full picture was used")
    return largest


def _is_preview(image: Image.Image) -> bool:
    kind = getattr(image, "tag_v2", {}).get(NEW_SUBFILE_TYPE, 0)
    return isinstance(kind, int) and bool(kind & REDUCED)


def _orientation(image: Image.Image) -> int:
    """The one number of the EXIF that the pixels need; 1 where it cannot be read."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF is no damaged picture
        return 1
    return found if isinstance(found, int) else 1


def _to_8_bit(image: Image.Image, name: str, notes: list[str]) -> Image.Image:
    """Bring 16-bit, 32-bit and float grey to 8 bit; leave other modes alone."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise InputError(f"{name!r} holds grey values that are negative or not finite. Export it as 8-bit PNG.")
    top = _top(float(values.max()), image.mode == "F")
    container = 1.0 if image.mode == "F" else 65535.0
    notes.append("converted from more than 8 bits a channel" + ("" if top == container else f"; white is {top:g}"))
    return Image.fromarray(np.round(values / top * 255).astype(np.uint8))


def _top(highest: float, is_fraction: bool) -> float:
    """The value that is white: sensors' 10, 12 and 14 bits lie in 16, and larger fractions are counts."""
    if is_fraction and highest <= 1:
        return 1.0
    bits = max(8, int(highest).bit_length())
    return float(2 ** (bits if bits > 16 or bits == 8 else bits + bits % 2) - 1)


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB")
            if image.mode == "RGB" and _changes_nothing(transform):
                return image
            converted = ImageCms.applyTransform(image, transform)
            if converted is not None:
                name = ImageCms.getProfileDescription(source).strip() or "an unnamed profile"
                notes.append(f"colours converted from {name} to sRGB")
                return converted
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
            notes.append(f"colour profile ignored ({error})")
    if image.mode not in ("RGB", "L"):
        notes.append(f"colours converted from {image.mode} to RGB")
    return image.convert("RGB")


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform moves no colour of a coarse cube by more than rounding: an sRGB profile by any name."""
    steps = np.linspace(0, 255, 16).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(64, 64, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform), dtype=np.int16)
    return int(np.abs(moved - cube).max()) <= PROFILE_ROUNDING
