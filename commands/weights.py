"""`weights`: which weights are there, and the one command that touches the network."""

import dataclasses
import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.failing import INTERRUPTED, fail, with_errors
from commands.options import Progress
from commands.progress import progress as progress_display
from commands.streams import as_typed, show, tell
from interp.errors import UsageError

if TYPE_CHECKING:
    from interp.network.weights import Available


class Action(StrEnum):
    """What to do."""

    LIST = "list"
    FETCH = "fetch"


class Fetched(StrEnum):
    """What can be fetched."""

    IMAGENET = "imagenet"
    PERSON = "person"


def weights(
    action: Annotated[Action, typer.Argument(help="List what is there, or fetch a network.")] = Action.LIST,
    name: Annotated[
        Fetched,
        typer.Argument(help="imagenet: VGG-19 (575 MB). person: the network that finds people (36 MB, 250 kB kept)."),
    ] = Fetched.IMAGENET,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Take `person` from mediapipe's wheel or its .tflite.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    progress: Annotated[Progress, typer.Option("--progress", help="How to show progress on stderr.")] = Progress.AUTO,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Errors only on stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """List the weights, or download a network into torch's cache; run again to continue a broken download.

    Examples: python cli.py weights fetch, python cli.py weights fetch person
    """
    if action is Action.LIST:
        with_errors(lambda: _list(as_json), debug)
        return

    def say(message: str) -> None:
        if not quiet:
            tell(message)

    def fetch() -> None:
        if source and name is not Fetched.PERSON:
            raise UsageError("--from goes with `fetch person`; a VGG-19 of your own is passed as --weights FILE.")
        try:
            path = _fetch_person(source, say) if name is Fetched.PERSON else _fetch(progress, quiet, say)
        except KeyboardInterrupt as interrupt:
            fail("Interrupted; what has arrived is kept. Run again to continue.", INTERRUPTED, interrupt, debug)
        else:
            outputs = {"outputs": {"weights": path}, "record": None}
            show(json.dumps({"command": "weights", **outputs}) if as_json else path)

    with_errors(fetch, debug)


def _list(as_json: bool) -> None:
    from interp.network.weights import auto_name, available
    from segment.segmenters.selfie import LICENCE, NAME

    entries, auto = [*available(), _things_entry(), _person_entry()], auto_name()
    if as_json:
        rows = [{**dataclasses.asdict(entry), "path": entry.path and str(entry.path)} for entry in entries]
        show(json.dumps({"command": "weights", "auto": auto, "weights": rows}))
        return
    table = [("name", "state", "sha-256", "size", "native size", "where")] + [_row(entry) for entry in entries]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    show(f"\nauto is {auto}. A .pth or .safetensors file: --weights FILE. person: {NAME}, {LICENCE}.")


def _row(entry: "Available") -> tuple[str, ...]:
    fetch = "python cli.py weights fetch" + (" person" if entry.name == "person" else "")
    where = {
        "not fetched": fetch,
        "partly fetched": f"{fetch} continues",
        "damaged": f"{fetch} replaces it",
        "drawn": "--weights random, with --width and --seed",
    }
    return (
        entry.name,
        entry.state,
        entry.sha256[:12] if entry.sha256 else "-",
        f"{entry.size_bytes / 1e6:.1f} MB" if entry.size_bytes is not None else "-",
        f"{entry.native_size_px} px" if entry.native_size_px else "-",
        as_typed(where.get(entry.state, str(entry.path))),
    )


def _fetch(mode: Progress, quiet: bool, say: Callable[[str], None]) -> str:
    """Fetch ImageNet's VGG-19 unless it is there and whole; return its path."""
    from interp.network.fetch import fetch
    from interp.network.known_weights import is_intact
    from interp.network.weights import IMAGENET_SHA256, imagenet_path, imagenet_url

    path, url = imagenet_path(), imagenet_url()
    if is_intact(path, IMAGENET_SHA256):
        say("ImageNet's VGG-19 is already there, and its SHA-256 is right.")
        return str(path)
    if path.exists():
        say(f"{path} is damaged: its SHA-256 is not {IMAGENET_SHA256[:16]}…. It is replaced once a good copy is here.")
    say(f"Fetching {url}")
    with progress_display(mode, quiet) as display:
        for event in fetch(url, path, IMAGENET_SHA256):
            display.show(event, f"{event.step / 1e6:.0f} of {event.total / 1e6:.0f} MB")
    return str(path)


def _things_entry() -> "Available":
    from interp.network.known_weights import file_sha256
    from interp.network.weights import Available
    from segment.segmenters.things.segmenter import FILE

    return Available("things", "bundled", file_sha256(FILE), FILE.stat().st_size, path=FILE)


def _person_entry() -> "Available":
    from commands.foreground import segmenter_folder
    from interp.network.known_weights import is_intact
    from interp.network.weights import Available
    from segment.segmenters.selfie import FILE, SHA256

    path = segmenter_folder() / FILE
    there = path.is_file()
    state = ("fetched" if is_intact(path, SHA256) else "damaged") if there else "not fetched"
    return Available("person", state, SHA256, path.stat().st_size if there else None, path=path)


def _fetch_person(source: Path | None, say: Callable[[str], None]) -> str:
    """Fetch the network for people unless it is there and whole; return its path."""
    from commands.foreground import segmenter_folder
    from interp.network.known_weights import is_intact
    from segment.segmenters.selfie import FILE, LICENCE, NAME, SHA256, fetch

    path = segmenter_folder() / FILE
    say(f"{NAME}, {LICENCE}.")
    if is_intact(path, SHA256):
        say("It is already there, and its SHA-256 is right.")
        return str(path)
    say(f"Taking it from {source or 'the wheel of mediapipe 0.10.14 (36 MB), by pip'}.")
    return str(fetch(path.parent, source))
