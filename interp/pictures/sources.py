"""What a picture can come from: a file, or what a notebook holds."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from interp.errors import InputError
from interp.pictures.decoding import Decoded, decode, decode_array, decode_opened
from interp.pictures.files import display_name, read_bytes

Source = str | Path | Image.Image | np.ndarray  # a path (`-` for standard input), a Pillow picture, an array
EXPECTED = "expected (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8, uint16 or float in [0, 1]"


def decode_source(source: Source, name: str = "picture") -> tuple[Decoded, str, str]:
    """Decode a picture, wherever it comes from.

    Args:
        source: Path, Pillow picture or array; of an array, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, uint8,
            uint16, bool or float in [0, 1].
        name: What to call it where it has no name of its own.

    Returns:
        The decoded picture, its name, the SHA-256 of the file's bytes or else of the pixels.

    Raises:
        InputError: If it is no picture.
    """
    if isinstance(source, str | Path):
        data, name = read_bytes(source), display_name(source)
        return decode(data, name), name, hashlib.sha256(data).hexdigest()
    if isinstance(source, np.ndarray):
        values = _checked(source)
        decoded = decode_array(values, name)
        return decoded, name, hashlib.sha256(values.tobytes()).hexdigest()
    if isinstance(source, Image.Image):
        name = Path(getattr(source, "filename", "") or name).name
        decoded = decode_opened(source, name)
        return decoded, name, hashlib.sha256(decoded.image.tobytes()).hexdigest()
    raise InputError(f"A {type(source).__name__} is no picture; expected a path, a Pillow picture or an array.")


def _checked(array: np.ndarray) -> np.ndarray:
    """An array's values as uint8 or uint16.

    Raises:
        InputError: If its shape, its type or a value is no picture's.
    """
    given = f"An array of shape {array.shape} and type {array.dtype}"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (3, 4):
        raise InputError(f"{given} has its channels first; {EXPECTED}: array.transpose(1, 2, 0).")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or not array.size:
        raise InputError(f"{given} is no picture; {EXPECTED}.")
    if array.dtype in (np.uint8, np.uint16):
        return np.ascontiguousarray(array)
    if array.dtype == bool:
        return array * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{given} is no picture; {EXPECTED}: array.astype('uint8') if its values are 0 … 255.")
    if not (array.min() >= 0 and array.max() <= 1):  # also where one is not a number
        raise InputError(f"{given} has values from {array.min():g} to {array.max():g}; {EXPECTED}.")
    return np.round(array.astype(np.float64) * 255).astype(np.uint8)
