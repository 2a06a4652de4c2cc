"""Pictures of 16 bits a channel: Pillow has no mode for their colours, OpenCV has."""

import numpy as np
from PIL import Image

from interp.errors import OutputError

BITS_PER_SAMPLE = 0x0102  # TIFF 6.0, section 8
PNG_DEPTH = 24  # where a PNG's header says its bits a channel
DEEP_SUFFIXES = (".png", ".tif", ".tiff")  # formats that keep 16 bits
ADOBE_DEFLATE = 8


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether a PNG or TIFF that Pillow opened has colours of 16 bits, of which Pillow keeps the upper 8."""
    if image.mode not in ("RGB", "RGBA", "LA"):
        return False
    if image.format == "PNG":
        return data[PNG_DEPTH] == 16
    return image.format == "TIFF" and set(getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, ())) == {16}


def read_deep(data: bytes, eight: Image.Image, orientation: int) -> np.ndarray | None:
    """Read the 16 bits of which Pillow read the upper 8.

    Args:
        data: The file's bytes.
        eight: What Pillow made of it, upright.
        orientation: EXIF's, which Pillow has applied and OpenCV may have.

    Returns:
        (H, W, 3) RGB or (H, W, 4) RGBA uint16, upright; None unless its upper 8 bits are Pillow's, to the bit.
    """
    import cv2

    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    found: np.ndarray | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if found is None or found.dtype != np.uint16 or found.ndim != 3 or found.shape[2] not in (3, 4):
        return None
    order = [2, 1, 0, 3][: found.shape[2]]
    upper = np.asarray(eight.convert("RGBA" if len(order) == 4 else "RGB"))
    for values in (found, turned(found, orientation)):
        if values.shape == upper.shape and np.array_equal(values[..., order] // 256, upper):
            return np.ascontiguousarray(values[..., order])
    return None


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """Rows and columns brought upright as EXIF 2.3, section 4.6.4, means it."""
    match orientation:
        case 2:
            return values[:, ::-1]
        case 3:
            return values[::-1, ::-1]
        case 4:
            return values[::-1]
        case 5:
            return values.swapaxes(0, 1)
        case 6:
            return np.rot90(values, -1)
        case 7:
            return values[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return np.rot90(values)
    return values


def encode_deep(pixels_hwc_u16: np.ndarray, suffix: str = ".png") -> bytes:
    """Encode (H, W, 3) RGB or (H, W, 4) RGBA uint16 as PNG or TIFF.

    Raises:
        OutputError: If the format cannot hold it.
    """
    import cv2

    swapped = np.ascontiguousarray(pixels_hwc_u16[..., [2, 1, 0, 3][: pixels_hwc_u16.shape[2]]])
    options = [] if suffix == ".png" else [cv2.IMWRITE_TIFF_COMPRESSION, ADOBE_DEFLATE]
    done, data = cv2.imencode(".png" if suffix == ".png" else ".tiff", swapped, options)
    if not done:
        raise OutputError(f"A picture of {swapped.shape[1]}x{swapped.shape[0]} px cannot be encoded as {suffix}.")
    return data.tobytes()


def decode_deep(png: bytes) -> np.ndarray:
    """Decode what `encode_deep` wrote as PNG."""
    import cv2

    found = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found[..., [2, 1, 0, 3][: found.shape[2]]]
