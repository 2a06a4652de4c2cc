"""What a user marks in the photo, read from the command line and from files: a box, points, strokes; three numbers."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from interp.errors import InputError, UsageError

if TYPE_CHECKING:
    from segment.hints import Hints


def box_of(text: str, size_hw_px: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box in pixels from `X,Y,W,H`, each in px or per cent of the photo.

    Raises:
        UsageError: If it is not four numbers, or a number of pixels is not whole.
    """
    x, y, w, h = _in_px(parse_lengths(text, "X,Y,W,H"), size_hw_px)
    left, top = round(x), round(y)
    return left, top, round(x + w) - left, round(y + h) - top


def place_of(text: str, size_hw_px: tuple[int, int]) -> tuple[float, float]:
    """A place in pixels from `X,Y`; see `box_of`."""
    x, y = _in_px(parse_lengths(text, "X,Y"), size_hw_px)
    return x, y


def parse_lengths(text: str, names: str) -> list[tuple[float, bool]]:
    """Read lengths separated by commas: each a number, and whether it is per cent.

    Args:
        text: `40,30,200,260` or `10%,20%,60%,75%`.
        names: `X,Y,W,H` or `X,Y`.

    Raises:
        UsageError: If there are too few or too many, or one is no number; pixels are whole.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        lengths = [(float(part[:-1]), True) if part.endswith("%") else (float(int(part)), False) for part in parts]
        if len(lengths) != len(names.split(",")) or not all(abs(value) < 1e6 for value, _ in lengths):
            raise ValueError
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not {names}; expected whole numbers of pixels, such as 40,30,200,260, or per cent of the "
            "photo, such as 10%,20%,60%,75%."
        ) from error
    return lengths


def _in_px(lengths: list[tuple[float, bool]], size_hw_px: tuple[int, int]) -> list[float]:
    sides = size_hw_px[1], size_hw_px[0], size_hw_px[1], size_hw_px[0]
    return [value * side / 100 if share else value for (value, share), side in zip(lengths, sides, strict=False)]


def parse_colour(text: str | None) -> tuple[float, ...] | None:
    """Read `R,G,B`, or one number for all three.

    Raises:
        UsageError: If it is neither.
    """
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
        if len(values) not in (1, 3) or not all(abs(value) < 1e6 for value in values):
            raise ValueError
    except ValueError as error:
        raise UsageError(f"{text!r} is not R,G,B; expected three numbers, such as 0.485,0.456,0.406.") from error
    return values * (3 // len(values))


def hints_of(
    file: str | None, inside: Sequence[str], outside: Sequence[str], size_hw_px: tuple[int, int]
) -> "Hints | None":
    """The strokes of the file and the points, together."""
    from segment.hints import Hints, Stroke

    strokes = load_hints(file) if file else Hints()
    dots = [tuple(Stroke((place_of(text, size_hw_px),)) for text in texts) for texts in (inside, outside)]
    both = Hints((*strokes.foreground, *dots[0]), (*strokes.background, *dots[1]), strokes.box_xywh_px)
    return None if both == Hints() else both


def load_hints(path: str) -> "Hints":
    """Read a file of hints.

    Raises:
        InputError: If it cannot be read, or is no JSON.
        UsageError: If it holds no hints.
    """
    from interp.pictures.files import read_text
    from segment.hints import read_hints

    text = read_text(path, "a JSON file of hints")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path!r} is no JSON ({error}). Pass a JSON file of hints.") from error
    return read_hints(data)
