"""`report`: render a record again, several on one page, or the index of a folder."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from commands.failing import with_errors
from commands.many.manifest import failures
from commands.outputs import check_replaceable, write_atomically
from commands.streams import show, tell
from interp.errors import InputError, UsageError

ENDING = ".report.json"


def report(
    records: Annotated[
        list[Path],
        typer.Argument(metavar="RECORD.json…|FOLDER", help="A report's record, several, or a folder of results."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Page to write.",
            show_default="beside the record; together.html; index.html in the folder",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:  # fmt: skip
    """Render the HTML page of a record; of several, one page that compares them; of a folder, an index of its results.

    The same records give the same bytes.

    Example: python cli.py report out/me.stylize-background.report.json out/me.stylize-background-2.report.json
    """

    def render() -> None:
        if any(path.is_dir() for path in records):
            if len(records) > 1:
                raise UsageError(f"{len(records)} names and a folder among them; expected records, or one folder.")
            show(write_index(records[0], output, overwrite=overwrite))
        else:
            _write_page(records, output, overwrite)

    with_errors(render, debug)


def _write_page(paths: Sequence[Path], output: Path | None, overwrite: bool) -> None:
    """The page of one record, or of several together."""
    from reports.codec import load_record
    from reports.html import render_html
    from reports.together import together

    if pages := [path for path in paths if path.suffix == ".html"]:
        raise UsageError(f"{str(pages[0])!r} is a page; expected its record, {str(pages[0].with_suffix('.json'))!r}.")
    record, page = load_record(paths[0]), paths[0].with_suffix(".html")
    if len(paths) > 1:
        record = together(dict(zip(_names(paths), [record, *map(load_record, paths[1:])], strict=True)))
        page = paths[0].parent / "together.html"
    page = output or page
    rendered = render_html(record).encode()
    check_replaceable(page, overwrite, inputs=paths)
    write_atomically(page, rendered)
    show(page)


def write_index(
    folder: Path, output: Path | None = None, *, overwrite: bool = False, failed: Mapping[str, str] | None = None
) -> Path:
    """Write the index of a folder's results, and say where; an earlier index is replaced, another page only if asked.

    Args:
        folder: Where the results lie.
        output: The page; None for `index.html` among them.
        overwrite: Whether to replace another page.
        failed: Why a picture has no result, by name, beside those that the folder's manifest tells of.

    Raises:
        InputError: If there is no result in the folder.
        OutputError: If something else is in the way, or the page cannot be written.
    """
    from reports.codec import load_record
    from reports.index import MARK, entry_of, render_index

    page, entries = output or folder / "index.html", []
    for path in sorted(folder.glob(f"*{ENDING}")):
        name = path.name.removesuffix(ENDING)
        try:
            beside = Path(os.path.relpath(path.with_suffix(".html"), page.parent)).as_posix()
            entries.append(entry_of(name, beside, load_record(path)))
        except InputError as error:
            tell(f"Note: {path.name} is left out: {error}")
    if not entries:
        raise InputError(f"No result with a report is in {str(folder)!r}; expected files that end in {ENDING}.")
    earlier = page.is_file() and MARK in page.read_bytes()[:200].decode("utf-8", "replace")
    check_replaceable(page, overwrite or earlier, inputs=[])
    title = f"Results in {folder.resolve().name or 'this folder'}"
    unmade = {**dict(failures(folder)), **(failed or {})}
    write_atomically(page, render_index(title, entries, list(unmade.items())).encode())
    return page


def _names(paths: Sequence[Path]) -> list[str]:
    """What to call each run: its file's name, with its folder's or the whole path where that is not enough.

    Raises:
        UsageError: If one is given twice.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("A record is named twice; expected each once.")
    names = [path.name.removesuffix(ENDING) for path in paths]
    beside = [f"{path.resolve().parent.name}/{name}" for path, name in zip(paths, names, strict=True)]
    whole = [str(path).removesuffix(ENDING) for path in paths]
    return next((each for each in (names, beside) if len(set(each)) == len(each)), whole)
