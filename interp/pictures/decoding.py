"""From a picture file's bytes to upright 8-bit sRGB pixels, with the alpha that came with them. Pillow and NumPy only.

Only what the pixels need is trusted to be sound: of the EXIF one number, of a PNG's texts nothing.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile

from interp.errors import InputError, OutOfMemoryError
from interp.pictures.deep import is_deep, read_deep
from interp.pictures.original import Original, to_8_bits, white_of
from interp.pictures.png_texts import without_texts
from interp.pictures.profiles import to_srgb

MAX_PIXELS = 100_000_000  # 300 MB as uint8; a full-frame camera makes 24 to 61 million
MIN_SIDE_PX = 16  # one cell of VGG-19's fifth block
DARK_BELOW = 64  # of 255: a picture without a brighter value is worth a word
# An explicit list: Pillow's other decoders are rarely fuzzed, and the one for EPS runs an external program.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "HEIF")
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000", "HEIF")
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
        deep: Its own values where they have 16 bits, (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA uint16.
        white: The value of white among them.
    """

    image: Image.Image
    profile: bytes | None
    lossy: bool
    notes: list[str]
    deep: np.ndarray | None = None
    white: int = 65535

    def original(self) -> Original | None:
        """Its own values, sRGB; None where 8 opaque bits hold them. Adds to the notes."""
        alpha = self.alpha_hw_u8()
        if alpha is not None and alpha.min() == 255:
            alpha = None
        if self.deep is None and alpha is None:
            return None
        plain = self.image.convert("RGBA").convert("RGB") if alpha is not None else self.image
        colours = np.array(to_srgb(plain, self.profile, []), dtype=np.uint8)
        if self.deep is None:
            return Original(colours, alpha)
        if not np.array_equal(colours, np.asarray(plain.convert("RGB"))):
            self.notes.append("its 16 bits a channel are reduced to 8: only so its colours can be converted")
            return None if alpha is None else Original(colours, alpha)
        rgb = self.deep[..., :3] if self.deep.shape[2] > 1 else self.deep.repeat(3, axis=2)
        return Original(rgb, self.deep[..., 3] if alpha is not None else None, self.white)

    def rgb_hwc_u8(self) -> np.ndarray:
        """The pixels on white, sRGB, (H, W, 3) uint8; adds to the notes."""
        rgb = np.array(to_srgb(flatten(self.image, self.notes), self.profile, self.notes), dtype=np.uint8)
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


def decode_array(values: np.ndarray, name: str) -> Decoded:
    """A picture from (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16."""
    _check_size(values.shape[1], values.shape[0], name)
    if values.dtype == np.uint8:
        return Decoded(Image.fromarray(values), None, False, [])
    return _decoded_deep(values.reshape(*values.shape[:2], -1), None, [])


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
        notes.append("partly transparent: looked at on white")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _decode(data: bytes, name: str) -> Decoded:
    _register_heif()
    slim, profile = without_texts(data)
    with _opened(slim) as opened:
        _check_size(*opened.size, name)
        lossy = opened.format in LOSSY_FORMATS and b"VP8L" not in data[:64]  # a lossless WebP
        notes: list[str] = []
        return _decoded(_full_resolution(opened, name, notes), name, notes, lossy, profile, data)


def _opened(data: bytes) -> ImageFile.ImageFile:
    """The picture, undecoded; Pillow loads all its formats only for one that is none of the usual."""
    Image.preinit()
    with suppress(Image.UnidentifiedImageError):
        return _of_known_format(data)
    Image.init()
    return _of_known_format(data)


def _of_known_format(data: bytes) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(data), formats=[kind for kind in FORMATS if kind in Image.OPEN])


def _decoded(
    image: Image.Image, name: str, notes: list[str], lossy: bool, profile: bytes | None = None, data: bytes = b""
) -> Decoded:
    """One frame upright, in 8 bits, in memory of its own; and its 16 bits, if it has as many."""
    _check_size(*image.size, name)
    turned = _orientation(image)
    image.load()
    profile = profile or image.info.get("icc_profile")
    left = _orientation(image)  # Pillow turns a TIFF itself while it loads it
    upright = image.transpose(UPRIGHT[left]) if left in UPRIGHT else image
    if turned in UPRIGHT:
        notes.append("EXIF orientation applied")
    deep = None
    if upright.mode.startswith("I;16"):
        deep = np.asarray(upright).astype(np.uint16)[..., None]
    elif data and is_deep(image, data):
        deep = read_deep(data, upright, turned)
        if deep is None:
            notes.append("its 16 bits a channel are reduced to 8: OpenCV reads them otherwise than Pillow")
    if deep is not None:
        return _decoded_deep(deep, profile, notes)
    eight = _to_8_bit(upright, name, notes)
    return Decoded(eight.copy() if eight is image else eight, profile, lossy, notes)


def _decoded_deep(deep_hwc_u16: np.ndarray, profile: bytes | None, notes: list[str]) -> Decoded:
    """A picture of 16 bits a channel, (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA uint16, upright."""
    white = white_of(int(deep_hwc_u16[..., :3].max()))
    notes.append("16 bits a channel, looked at in 8 bits" + ("" if white == 65535 else f"; white is {white}"))
    own = Original(deep_hwc_u16[..., :3], deep_hwc_u16[..., 3] if deep_hwc_u16.shape[2] == 4 else None, white)
    eight = own.with_alpha(to_8_bits(own.rgb_hwc, white))
    image = Image.fromarray(eight.squeeze(2) if eight.shape[2] == 1 else eight)
    return Decoded(image, profile, False, notes, deep_hwc_u16, white)


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


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name!r} is {width}x{height} px, over the limit of {MAX_PIXELS:,} pixels. Export a smaller picture."
        )
    if min(width, height) < MIN_SIDE_PX:
        raise InputError(
            f"{name!r} is {width}x{height} px; expected at least {MIN_SIDE_PX} px a side. Use a larger picture."
        )


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
    """Bring 32-bit and float grey to 8 bit; leave other modes alone."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise InputError(f"{name!r} holds grey values that are negative or not finite. Export it as 8-bit PNG.")
    highest, is_float = float(values.max()), image.mode == "F"
    white = 1.0 if is_float and highest <= 1 else float(white_of(int(highest)))  # larger fractions are counts
    container = 1.0 if is_float else 65535.0
    notes.append("converted from more than 8 bits a channel" + ("" if white == container else f"; white is {white:g}"))
    return Image.fromarray(to_8_bits(values, white))
