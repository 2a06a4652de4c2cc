"""`report`: render a record again."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options import with_errors
from commands.outputs import write_atomically
from interp.errors import InputError, OutputError


def report(
    record: Annotated[Path, typer.Argument(metavar="RECORD.json", help="Record that a command wrote beside its report.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Page to write [default: beside the record].")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:  # fmt: skip
    """Render the HTML page of a record; the same record gives the same bytes.

    Example: python cli.py report out/astronaut.stylize-background.report.json -o page.html
    """

    def render() -> None:
        from reports.codec import from_json
        from reports.html import render_html

        try:
            text = record.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"Cannot read {str(record)!r} ({error}); expected a record that a command wrote.") from error
        page = output or record.with_suffix(".html")
        if page.exists() and not overwrite:
            raise OutputError(f"{str(page)!r} exists. Add --overwrite, or choose another --output.")
        write_atomically(page, render_html(from_json(text)).encode())
        typer.echo(page)

    with_errors(render, debug)
