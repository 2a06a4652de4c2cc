"""`report`: render a record again."""

from pathlib import Path
from typing import Annotated

import typer

from commands.failing import with_errors
from commands.outputs import check_replaceable, write_atomically
from commands.streams import show


def report(
    record: Annotated[Path, typer.Argument(metavar="RECORD.json", help="A report's record.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Page to write.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:  # fmt: skip
    """Render the HTML page of a record; the same record gives the same bytes.

    Example: python cli.py report out/astronaut.stylize-background.report.json -o page.html
    """

    def render() -> None:
        from reports.codec import load_record
        from reports.html import render_html

        page = output or record.with_suffix(".html")
        rendered = render_html(load_record(record)).encode()
        check_replaceable(page, overwrite, inputs=[record])
        write_atomically(page, rendered)
        show(page)

    with_errors(render, debug)
