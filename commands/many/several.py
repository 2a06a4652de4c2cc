"""What a command line with several pictures asks for, and the plain way to do it: one after another, here."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from commands.many.doing import InTurn
from commands.many.engine import Batch, Manner
from commands.many.task import tasks_of
from commands.options import lacks_painting
from commands.outputs import is_folder
from interp.errors import UsageError

if TYPE_CHECKING:
    from typer import Context

ONE_FILE = ("output", "checkpoint")  # options that name a file of one picture


def one_after_another(context: "Context", photos: Sequence[str]) -> None:
    """Run a command on each photo, in this process.

    Raises:
        typer.Exit: See `Batch.work_off`.
        UsageError: See `check_several`.
    """
    check_several(context, photos, ())
    Batch(tasks_of(context, photos), InTurn(context.command), manner_of(context)).work_off()


def check_several(context: "Context", photos: Sequence[str], paintings: Sequence[str]) -> None:
    """Refuse what several pictures cannot have.

    Raises:
        UsageError: If a painting is missing, or an option names one file for all.
    """
    given = context.params
    if lacks_painting(given) and not paintings:
        raise UsageError(f"{len(photos)} photos and no painting; expected --style PAINTING beside them.")
    for name in ONE_FILE:
        value = given.get(name)
        if value is not None and not (name == "output" and is_folder(str(value))):
            raise UsageError(
                f"--{name} {str(value)!r} names one file for {len(photos)} photos; expected "
                + ("--out-dir." if name == "output" else "one photo with it.")
            )


def manner_of(context: "Context") -> Manner:
    """How the options ask to be told."""
    given = context.params
    return Manner(
        folder=Path(given["output"] or given["out_dir"]),
        quiet=given["quiet"],
        as_json=given["json"],
        mode=given["progress"],
        indexed=not given["no_report"],
        opened=given["open_report"],
    )
