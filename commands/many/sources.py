"""Which pictures are meant by what was named, and names for their results that differ."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from interp.errors import InputError, UsageError
from interp.pictures.files import as_path, read_text

LIST = ".txt"
SUFFIXES = {
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff",
    ".webp",
}  # fmt: skip


def pictures_in(sources: Sequence[str]) -> list[str]:
    """The sources, each folder replaced by the pictures that lie in it, by name, and each list by those it names.

    Raises:
        InputError: If a folder or a list holds no picture, or cannot be read.
    """
    return [picture for source in sources for picture in _in_one(source)]


def _in_one(source: str) -> list[str]:
    if os.path.isdir(source):  # noqa: PTH112 -- Path's raises for a name that is too long
        found, what = _in_folder(Path(source)), "folder"
    elif source.lower().endswith(LIST):
        found, what = _in_list(source), "list"
    else:
        return [source]
    if not found:
        raise InputError(f"{source!r} is a {what} without pictures; expected a picture, a folder or a list of them.")
    return found


def _in_folder(folder: Path) -> list[str]:
    try:
        return sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.is_dir())
    except OSError as error:
        raise InputError(f"Cannot read the folder {str(folder)!r}: {error.strerror}.") from error


def _in_list(path: str) -> list[str]:
    """One name a line, as it would be typed."""
    return [line.strip() for line in read_text(path, "a list of pictures, a name a line").splitlines() if line.strip()]


def check_there(pictures: Sequence[str]) -> None:
    """Refuse names of nothing.

    Raises:
        UsageError: If some pictures are missing.
        InputError: If one is the address of a page.
    """
    missing = [picture for picture in pictures if not os.path.exists(as_path(picture))]  # noqa: PTH110 -- see above
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UsageError(
            f"There is no {', '.join(map(repr, missing[:3]))}{more}; expected pictures, folders or .txt lists of them."
        )


def names_apart(sources: Sequence[str]) -> dict[str, str]:
    """A stem for each source's results: the file's; where two share it, with the ending, then with the folders.

    Example:
        >>> names_apart(["in/a.jpg", "in/b.jpg", "in/b.png"])
        {'in/a.jpg': 'a', 'in/b.jpg': 'b.jpg', 'in/b.png': 'b.png'}
    """
    paths = {source: Path("stdin") if source == "-" else as_path(source) for source in sources}
    stems = {source: path.stem for source, path in paths.items()}
    for depth in range(1, max(len(path.parts) for path in paths.values()) + 1):
        taken = Counter(stem.casefold() for stem in stems.values())  # some file systems know no case
        if max(taken.values()) == 1:
            break
        for source, path in paths.items():
            if taken[stems[source].casefold()] > 1:
                stems[source] = "-".join(part.strip("/\\") for part in path.parts[-depth:])
    return stems
