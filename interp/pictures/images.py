"""Where files become pictures and back; `decoding` and `mask_files` hold what that takes.

Everything inside the project is float32 RGB NCHW in [0, 1], sRGB (`*_nchw01`), or a mask float32 HW in [0, 1]
(`*_hw01`, 1 = inside). uint8 HWC exists only here and at the edges of the segmentation. Decoding and encoding use
Pillow and NumPy; torch is imported only by the converters that return tensors: inputs are checked before it loads.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import (
    Image,
    WebPImagePlugin,  # noqa: F401 -- at its first WebP, Pillow else loads all its formats
)

from interp.pictures.decoding import MAX_PIXELS as MAX_PIXELS
from interp.pictures.decoding import MIN_SIDE_PX as MIN_SIDE_PX
from interp.pictures.decoding import flatten
from interp.pictures.deep import PNG_DEPTH, decode_deep, encode_deep
from interp.pictures.files import display_name as display_name
from interp.pictures.files import read_bytes as read_bytes
from interp.pictures.mask_files import load_mask as load_mask
from interp.pictures.original import Original
from interp.pictures.sources import Source as Source
from interp.pictures.sources import decode_source

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Picture:
    """A decoded picture: oriented, sRGB, on white.

    Attributes:
        rgb_hwc_u8: Pixels, (H, W, 3) uint8, RGB, sRGB.
        name: File name without folder, for titles and default output names.
        sha256: Of the file's bytes; of the pixels where there was no file.
        notes: What was done beyond plain decoding, one sentence each ("partly transparent: looked at on white").
        own: Its own values where 8 opaque bits cannot hold them.
    """

    rgb_hwc_u8: np.ndarray = field(repr=False)
    name: str
    sha256: str
    notes: tuple[str, ...] = ()
    own: Original | None = field(repr=False, default=None)

    @property
    def original(self) -> Original:
        """Its own values: what is written wherever nothing was painted."""
        return self.own or Original(self.rgb_hwc_u8)

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


def load_picture(source: Source, name: str = "picture") -> Picture:
    """Decode a picture: first frame, EXIF orientation applied, sRGB, on white, 8 bit.

    Transparency and 16 bits are kept beside that, as `Picture.original`.

    Args:
        source: Path of a PNG, JPEG, WebP, TIFF, GIF, BMP, PPM, AVIF or JPEG 2000 file, or `-` for standard input; a
            Pillow picture; or an array, (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8, uint16 or float in
            [0, 1].
        name: What to call it where it has no name of its own.

    Returns:
        The picture with notes on every conversion.

    Raises:
        InputError: If the file cannot be read or decoded, the array is no picture, or it is smaller than 16 px or over
            100 million pixels.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "clear.png"
        >>> Image.new("RGBA", (32, 16), (255, 0, 0, 0)).save(path)
        >>> picture = load_picture(path)
        >>> picture.size_hw_px, picture.rgb_hwc_u8[0, 0].tolist(), picture.notes
        ((16, 32), [255, 255, 255], ('partly transparent: looked at on white',))
        >>> load_picture(np.ones((16, 32, 3))).rgb_hwc_u8.max()
        np.uint8(255)
    """
    decoded, name, digest = decode_source(source, name)
    rgb, own = decoded.rgb_hwc_u8(), decoded.original()
    return Picture(rgb, name, digest, tuple(decoded.notes), own)


def load_image(source: Source) -> "Tensor":
    """Load a picture as a tensor.

    Args:
        source: A file, Pillow picture or array, as for `load_picture`.

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
    return load_picture(source).image_nchw01


def as_image_nchw01(picture: "Tensor | Source") -> "Tensor":
    """A tensor as it is; anything else as `load_image` reads it."""
    import torch

    return picture if isinstance(picture, torch.Tensor) else load_image(picture)


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode (H, W), (H, W, 3) or (H, W, 4) uint8, or colours of uint16, as PNG; same pixels, same bytes."""
    if pixels.dtype == np.uint16:
        return encode_deep(pixels)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
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
        suffix: `.tif(f)` or `.webp`, both lossless, or `.jpg`, quality 95 with full chroma and transparency on white;
            colours of 16 bits go into a TIFF only.

    Returns:
        The other file's bytes.
    """
    if png[PNG_DEPTH] == 16:
        return encode_deep(decode_deep(png), suffix.lower())
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        match suffix.lower():
            case ".webp":
                image.save(buffer, "WEBP", lossless=True, exact=True)  # exact: also under full transparency
            case ".tif" | ".tiff":
                image.save(buffer, "TIFF", compression="tiff_deflate")
            case _:
                flatten(image, []).convert("RGB").save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def quantise_hw01(alpha_hw01: np.ndarray) -> np.ndarray:
    """Round a mask to n/255, so that the saved PNG and the float agree to the bit."""
    return (np.round(np.clip(alpha_hw01, 0, 1) * 255) / 255).astype(np.float32)


def mask_u8(alpha_hw01: np.ndarray) -> np.ndarray:
    """A mask as (H, W) uint8, 255 = inside."""
    return np.round(np.clip(alpha_hw01, 0, 1) * 255).astype(np.uint8)


def to_nchw01(rgb_hwc: np.ndarray, white: int = 255) -> "Tensor":
    """Convert (H, W, 3) RGB, uint8 or uint16, to (1, 3, H, W) float32 in [0, 1]."""
    import torch

    values = rgb_hwc if rgb_hwc.dtype == np.uint8 else rgb_hwc.astype(np.int32)  # torch does little with uint16
    return torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1)[None].float().div(white).contiguous()


def to_hwc_u8(image_nchw01: "Tensor") -> np.ndarray:
    """Convert (1, 3, H, W) float in [0, 1] to (H, W, 3) uint8 RGB, rounding to nearest and clipping."""
    return to_hwc(image_nchw01).astype(np.uint8)


def to_hwc(image_nchw01: "Tensor", white: int = 255) -> np.ndarray:
    """Convert (1, 3, H, W) float in [0, 1] to (H, W, 3) whole numbers up to `white`, rounding to nearest, clipping."""
    pixels = image_nchw01.detach()[0].permute(1, 2, 0).clamp(0, 1).mul(white).round()
    return pixels.int().cpu().numpy()
