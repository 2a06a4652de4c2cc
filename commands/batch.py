"""Several photos, or a folder of them, where a command takes one: one after another, and a summary."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from commands.failing import INTERRUPTED
from commands.streams import tell
from interp.errors import InputError

PARTLY_FAILED = 8
SUFFIXES = {
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff",
    ".webp",
}  # fmt: skip


def pictures_in(sources: Sequence[str]) -> list[str]:
    """The sources, each folder replaced by the pictures that lie in it, by name.

    Raises:
        InputError: If a folder holds no picture, or cannot be read.
    """
    found: list[str] = []
    for source in sources:
        if not os.path.isdir(source):  # noqa: PTH112 -- Path's raises for a name that is too long
            found.append(source)
            continue
        try:
            inside = sorted(str(path) for path in Path(source).iterdir() if path.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise InputError(f"Cannot read the folder {source!r}: {error.strerror}.") from error
        if not inside:
            raise InputError(f"{source!r} is a folder without pictures; expected a picture, or a folder of them.")
        found += inside
    return found


def one_by_one(
    sources: Sequence[str], once: Callable[[str], None], quiet: bool, finish: Callable[[], None] = lambda: None
) -> None:
    """Run a command on each photo; one that fails does not stop the others. In the end, unless all did, `finish`.

    Raises:
        typer.Exit: With 8 if some failed, with the first one's code if all did, with 130 if interrupted.
    """
    failed: dict[str, int] = {}
    for number, source in enumerate(sources, start=1):
        if not quiet:
            tell(f"[{number} of {len(sources)}] {source}")
        try:
            once(source)
        except typer.Exit as stop:
            if stop.exit_code == INTERRUPTED:
                raise
            if stop.exit_code:
                failed[source] = stop.exit_code
    if not quiet:
        names = f"; failed: {', '.join(failed)}" if failed else ""
        tell(f"{len(sources) - len(failed)} of {len(sources)} pictures done{names}.")
    if len(failed) < len(sources):
        finish()
    if failed:
        raise typer.Exit(PARTLY_FAILED if len(failed) < len(sources) else next(iter(failed.values())))
