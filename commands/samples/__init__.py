"""Pictures that commands use when none is given: scikit-image's photos and a painting of our own.

astronaut (NASA, public domain), chelsea (Stefan van der Walt, CC0) and coffee (Rachel Michetti, CC0) come inside
scikit-image's wheel; night_swirl.png is painted by tools/paint_night.py.
"""

from importlib.util import find_spec
from pathlib import Path

from interp.errors import InputError

PAINTING = Path(__file__).parent / "night_swirl.png"


def photo(name: str) -> Path:
    """Path of one of scikit-image's photos, found without importing it.

    Args:
        name: `astronaut`, `chelsea` or `coffee`.

    Raises:
        InputError: If scikit-image's data are not installed.
    """
    spec = find_spec("skimage")
    path = Path(spec.origin or "").parent / "data" / f"{name}.png" if spec else None
    if path is None or not path.is_file():
        raise InputError(
            f"The sample photo {name!r} is missing: scikit-image is not installed. Pass a picture of your own."
        )
    return path
