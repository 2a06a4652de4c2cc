"""Mask pictures: what of a file says inside and outside."""

from collections.abc import Collection

import numpy as np
from PIL import Image

from interp.errors import UsageError
from interp.pictures.decoding import Decoded
from interp.pictures.sources import Source, decode_source

LOSSY_BLACK, LOSSY_WHITE = 48, 207  # JPEG at quality 30 rings by less beside an edge
NEAR = 24  # a limited range (video's 16 to 235, a slider not quite at its end) stays this near to black and white
GREY_SPREAD, COLOURED_SHARE = 48, 0.05  # channels further apart are a colour; of the picture: more are no mask
STRAY_SHARE = 0.001  # of the picture: more nearly black pixels than these are no soft edge


def load_mask(
    source: Source, size_hw_px: tuple[int, int], notes: list[str] | None = None, photos: Collection[str] = ()
) -> np.ndarray:
    """Load a mask picture: white = inside, black = outside, grey = partly; where it is partly transparent, its alpha.

    Args:
        source: Picture file, Pillow picture, or array (H, W), uint8, bool or float in [0, 1].
        size_hw_px: The photo's height and width; a mask of the same shape but another size is resized.
        notes: What was done or is odd is added to it.
        photos: SHA-256 of pictures that are none, as `decode_source` gives it.

    Returns:
        (H, W) float32 in [0, 1], multiples of 1/255.

    Raises:
        InputError: If the file is no picture.
        UsageError: If its aspect ratio is not the photo's, it is transparent everywhere, or it is a photo.
    """
    decoded, name, sha256 = decode_source(source, "mask")
    grey_hw_u8 = _levels(_meant(decoded, name, photo=sha256 in photos), decoded)
    if notes is not None:
        notes += decoded.notes
    grey = Image.fromarray(grey_hw_u8)
    height, width = size_hw_px
    if abs(grey.height * width - grey.width * height) > 0.01 * grey.width * height:
        raise UsageError(
            f"Mask {name!r} is {grey.width}x{grey.height} px, the photo {width}x{height}; "
            "expected the same shape. Export the mask from this photo."
        )
    if (grey.height, grey.width) != size_hw_px:
        grey = grey.resize((width, height), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float32) / np.float32(255)


def _meant(decoded: Decoded, name: str, *, photo: bool) -> np.ndarray:
    """The channel that says inside: alpha if it varies (a cut-out), else the luminance."""
    alpha = decoded.alpha_hw_u8()
    if alpha is not None and alpha.min() < alpha.max():
        decoded.notes.append("its transparency is the mask, its colours are not")
        return alpha
    if alpha is not None and not alpha.any():
        raise UsageError(f"Mask {name!r} is transparent everywhere; expected white inside and black outside.")
    opaque = decoded.image.convert("RGB")
    if photo or (np.ptp(np.asarray(opaque), axis=2) > GREY_SPREAD).mean() > COLOURED_SHARE:
        what = "is the photo itself" if photo else "is a picture in colours"
        raise UsageError(
            f"Mask {name!r} {what}; expected white where the foreground is and black elsewhere. `python cli.py "
            "segment` makes such a mask; without a mask the foreground is looked for."
        )
    return np.asarray(opaque.convert("L"))


def _levels(grey_hw_u8: np.ndarray, decoded: Decoded) -> np.ndarray:
    """Black and white as they were meant, where the file's format or its range moved them."""
    low, high = int(grey_hw_u8.min()), int(grey_hw_u8.max())
    if low == high:
        return grey_hw_u8
    if decoded.lossy:
        decoded.notes.append(f"lossy: up to {LOSSY_BLACK} of 255 counts as outside, from {LOSSY_WHITE} as inside")
        return _stretched(grey_hw_u8, LOSSY_BLACK, LOSSY_WHITE)
    if high == 1:
        decoded.notes.append("its values are 0 and 1: 1 is inside")
        return _stretched(grey_hw_u8, 0, 1)
    if (low > 0 or high < 255) and low <= NEAR and high >= 255 - NEAR:
        decoded.notes.append(f"its values reach from {low} to {high}: taken for black and white")
        return _stretched(grey_hw_u8, low, high)
    stray = _stray(grey_hw_u8)
    if stray:
        decoded.notes.append(f"{stray:,} pixels far from its edge are nearly black: restyled a little, not untouched")
    return grey_hw_u8


def _stretched(grey_hw_u8: np.ndarray, low: int, high: int) -> np.ndarray:
    return np.round(np.clip((grey_hw_u8.astype(np.float32) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _stray(grey_hw_u8: np.ndarray) -> int:
    """Number of nearly black pixels without anything brighter within 16 px, if there are too many for a soft edge."""
    from scipy import ndimage

    nearly = (grey_hw_u8 > 0) & (ndimage.maximum_filter(grey_hw_u8, 33) <= NEAR)
    return int(nearly.sum()) if nearly.mean() > STRAY_SHARE else 0
