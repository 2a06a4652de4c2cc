"""The one place where files become pictures and back.

Everything inside the project is float32 RGB NCHW in [0, 1], sRGB (`*_nchw01`), or a mask float32 HW in [0, 1]
(`*_hw01`, 1 = inside). uint8 HWC exists only here and at the edges of the segmentation. Decoding and encoding use
Pillow and NumPy; torch is imported only by the converters that return tensors: inputs are checked before it loads.
"""

import hashlib
import io
import stat
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms, ImageOps

from interp.errors import InputError, OutOfMemoryError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 100_000_000  # 300 MB as uint8; a full-frame camera makes 24 to 61 million
MAX_FILE_BYTES = 1 << 30
PROFILE_ROUNDING = 3  # of 255; sRGB profiles of different makers differ by less
MIN_SIDE_PX = 16  # one cell of VGG-19's fifth block
# An explicit list: Pillow's other decoders are rarely fuzzed, and the one for EPS runs an external program.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000")


@dataclass(frozen=True)
class Picture:
    """A decoded picture: oriented, sRGB, opaque.

    Attributes:
        rgb_hwc_u8: Pixels, (H, W, 3) uint8, RGB, sRGB.
        name: File name without folder, for titles and default output names.
        sha256: Of the file's bytes.
        notes: What was done beyond plain decoding, one sentence each ("alpha flattened on white").
    """

    rgb_hwc_u8: np.ndarray = field(repr=False)
    name: str
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def size_hw_px(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb_hwc_u8.shape[0], self.rgb_hwc_u8.shape[1]

    @property
    def stem(self) -> str:
        """Name without extension, never empty."""
        return Path(self.name).stem or "picture"

    @property
    def image_nchw01(self) -> "Tensor":
        """The pixels as (1, 3, H, W) float32 in [0, 1]."""
        return to_nchw01(self.rgb_hwc_u8)


def read_bytes(source: str | Path) -> bytes:
    """Read a picture's bytes from a regular file, or from standard input for `-`.

    Raises:
        InputError: If there is no such file, or it is a folder, a device, empty, or over 1 GiB.
    """
    if str(source) == "-":
        data = _read_stdin()
    else:
        path = Path(source)
        try:
            info = path.stat()
            if stat.S_ISDIR(info.st_mode):
                raise InputError(f"{str(source)!r} is a folder; expected one picture file.")
            if not stat.S_ISREG(info.st_mode):
                raise InputError(f"{str(source)!r} is a device or pipe; expected a picture file (or `-`).")
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError as error:
            raise InputError(f"No such file: {str(source)!r}. Check the path.") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"Cannot read {str(source)!r}: {reason}.") from error
    if not data:
        raise InputError(f"{str(source)!r} is empty (0 bytes); expected a picture.")
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{str(source)!r} is larger than 1 GiB; expected a picture. Export a smaller one.")
    return data


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise InputError("Standard input is closed; expected a picture on it. Pass a file instead of `-`.")
    try:
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read standard input: {error}. Pass a file instead of `-`.") from error


def load_picture(source: str | Path) -> Picture:
    """Decode a picture file: first frame, EXIF orientation applied, sRGB, opaque on white, 8 bit.

    Args:
        source: Path of a PNG, JPEG, WebP, TIFF, GIF, BMP, PPM, AVIF or JPEG 2000 file, or `-` for standard input.

    Returns:
        The picture with notes on every conversion.

    Raises:
        InputError: If the file cannot be read or decoded, is smaller than 16 px or over 100 million pixels.
    """
    data = read_bytes(source)
    name = "stdin" if str(source) == "-" else Path(source).name
    rgb, notes = _decode(data, name)
    return Picture(rgb, name, hashlib.sha256(data).hexdigest(), tuple(notes))


def load_image(path: str | Path) -> "Tensor":
    """Load a picture file as a tensor.

    Args:
        path: Picture file.

    Returns:
        (1, 3, H, W) float32, RGB, sRGB, [0, 1].

    Raises:
        InputError: As `load_picture`.

    Example:
        >>> import tempfile, pathlib
        >>> from PIL import Image
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "red.png"
        >>> Image.new("RGB", (32, 16), "red").save(path)
        >>> load_image(path).shape
        torch.Size([1, 3, 16, 32])
    """
    return load_picture(path).image_nchw01


def load_mask(source: str | Path, size_hw_px: tuple[int, int]) -> np.ndarray:
    """Load a mask picture: white = inside, grey = partly.

    Args:
        source: Picture file; its luminance is the mask.
        size_hw_px: The photo's height and width; a mask of the same shape but another size is resized.

    Returns:
        (H, W) float32 in [0, 1], multiples of 1/255.

    Raises:
        InputError: If the file is no picture.
        UsageError: If its aspect ratio is not the photo's.
    """
    picture = load_picture(source)
    grey = Image.fromarray(picture.rgb_hwc_u8).convert("L")
    height, width = size_hw_px
    if abs(grey.height * width - grey.width * height) > 0.01 * grey.width * height:
        raise UsageError(
            f"Mask {picture.name!r} is {grey.width}x{grey.height} px, the photo {width}x{height}; "
            "expected the same shape. Export the mask from this photo."
        )
    if (grey.height, grey.width) != size_hw_px:
        grey = grey.resize((width, height), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float32) / np.float32(255)


def _decode(data: bytes, name: str) -> tuple[np.ndarray, list[str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's size and metadata warnings: checked or irrelevant here
            Image.init()  # formats that Pillow registers late, or was built without
            with Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN]) as image:
                _check_size(image, name)
                return _to_rgb(image)
    except (InputError, OutOfMemoryError):
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"Decoding {name!r} does not fit into memory. Export a smaller picture.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{name!r} is over the limit of {MAX_PIXELS:,} pixels. Export a smaller picture.") from error
    except Image.UnidentifiedImageError as error:
        raise InputError(
            f"{name!r} is not a picture this program reads; expected {', '.join(FORMATS)}. Convert it first."
        ) from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error … on damaged data
        raise InputError(f"{name!r} is damaged or incomplete ({error}). Export it again.") from error


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


def _to_rgb(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # an MPO's further frames are previews of the same photo
        notes.append(f"animated or multi-page: first of {frames} frames used")
    image.load()
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if upright.size != image.size or image.getexif().get(0x0112, 1) not in (0, 1):
        notes.append("EXIF orientation applied")
    flat = _flatten(_to_8_bit(upright, notes), notes)
    return np.array(_to_srgb(flat, profile, notes), dtype=np.uint8), notes


def _to_8_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    """Bring 16-bit, 32-bit and float grey to 8 bit; leave other modes alone."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image, dtype=np.float64)
    top = 1.0 if image.mode == "F" else 65535.0
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > top:
        raise ValueError(f"grey values outside 0 … {top:g}")
    notes.append("converted from more than 8 bits a channel")
    return Image.fromarray(np.round(values / top * 255).astype(np.uint8))


def _flatten(image: Image.Image, notes: list[str]) -> Image.Image:
    """Composite transparency onto white."""
    if not image.has_transparency_data:
        return image.convert("RGB") if image.mode in ("P", "1") else image
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        notes.append("transparency flattened on white")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


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
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
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


def encode_png(pixels_u8: np.ndarray) -> bytes:
    """Encode (H, W), (H, W, 3) or (H, W, 4) uint8 as PNG; the same pixels give the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_u8).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def encode_webp(rgb_hwc_u8: np.ndarray, quality: int = 82, long_side_px: int = 1280) -> bytes:
    """Encode (H, W, 3) uint8 RGB as lossy WebP for a report, scaled down to at most `long_side_px`."""
    image = Image.fromarray(rgb_hwc_u8)
    image.thumbnail((long_side_px, long_side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def encode_jpeg(rgb_hwc_u8: np.ndarray) -> bytes:
    """Encode (H, W, 3) uint8 RGB as JPEG, quality 95, full chroma: near the original, never exact."""
    buffer = io.BytesIO()
    Image.fromarray(rgb_hwc_u8).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def reencode(png: bytes, suffix: str) -> bytes:
    """Bring a PNG into another format.

    Args:
        png: The file's bytes.
        suffix: `.webp` or `.tif(f)`, both lossless, or `.jpg`, quality 95 with full chroma and transparency on white.

    Returns:
        The other file's bytes.
    """
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        match suffix.lower():
            case ".webp":
                image.save(buffer, "WEBP", lossless=True, exact=True)  # exact: also under full transparency
            case ".tif" | ".tiff":
                image.save(buffer, "TIFF", compression="tiff_deflate")
            case _:
                _flatten(image, []).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def quantise_hw01(alpha_hw01: np.ndarray) -> np.ndarray:
    """Round a mask to n/255, so that the saved PNG and the float agree to the bit."""
    return (np.round(np.clip(alpha_hw01, 0, 1) * 255) / 255).astype(np.float32)


def mask_u8(alpha_hw01: np.ndarray) -> np.ndarray:
    """A mask as (H, W) uint8, 255 = inside."""
    return np.round(np.clip(alpha_hw01, 0, 1) * 255).astype(np.uint8)


def to_nchw01(rgb_hwc_u8: np.ndarray) -> "Tensor":
    """Convert (H, W, 3) uint8 RGB to (1, 3, H, W) float32 in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(rgb_hwc_u8)).permute(2, 0, 1)[None].float().div(255).contiguous()


def to_hwc_u8(image_nchw01: "Tensor") -> np.ndarray:
    """Convert (1, 3, H, W) float in [0, 1] to (H, W, 3) uint8 RGB, rounding to nearest and clipping."""
    pixels = image_nchw01.detach()[0].permute(1, 2, 0).clamp(0, 1).mul(255).round()
    return pixels.byte().cpu().numpy()
