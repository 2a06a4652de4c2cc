"""`batch`: any picture command over many pictures, on several processes or machines, to be gone on with."""

import contextlib
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.failing import with_errors
from commands.many.doing import InTurn
from commands.many.engine import Batch
from commands.many.manifest import Manifest
from commands.many.several import check_several, manner_of
from commands.many.sources import check_there, pictures_in
from commands.many.task import tasks_of
from commands.options import lacks_painting, refuse_idle
from interp.errors import UsageError

if TYPE_CHECKING:
    from commands.many.engine import Runner

PICTURES = ("image", "images")  # what a command calls the pictures it takes
WORKERS, PICTURES_PANEL = "Workers", "Pictures"


def batch(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND IMAGE… [OPTIONS]",
            help="A command that takes a picture; pictures, folders, .txt lists of them; the command's own options.",
        ),
    ],
    styles: Annotated[
        list[str] | None,
        typer.Option(
            "--styles", metavar="IMAGE|FOLDER|LIST", help="Every photo after each of these paintings; repeatable.",
            rich_help_panel=PICTURES_PANEL,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Pass over what the folder's manifest has, unchanged; what changed is made again in its place.",
            rich_help_panel=PICTURES_PANEL,
        ),
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="The same, but try again what failed.", rich_help_panel=PICTURES_PANEL
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, max=1024, help="Processes on this machine.", show_default="this one",
            rich_help_panel=WORKERS,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS",
            help="Of a Dask scheduler, whose workers see the same folders under the same names.",
            rich_help_panel=WORKERS,
        ),
    ] = None,
) -> None:  # fmt: skip
    """Run a command on many pictures. What is done is kept in manifest.jsonl beside the results.

    With --threads, so many a worker.

    Examples: python cli.py batch stylize photos --styles paintings --out-dir set --workers 4
    python cli.py batch kmeans photos --out-dir groups --resume
    """
    root: Any = context.find_root().command
    with_errors(lambda: _check(root, words[0], workers, scheduler), debug=False)
    parsed: typer.Context = root.commands[words[0]].make_context(words[0], list(words[1:]))

    def run() -> None:
        refuse_idle({**parsed.params, "context": parsed})
        photos, paintings = _pictures(parsed, styles or [])
        tasks, manner = tasks_of(parsed, photos, paintings), manner_of(parsed)
        with contextlib.ExitStack() as stack:
            manifest = stack.enter_context(contextlib.closing(Manifest(manner.folder)))
            if not (resume or retry_failed):
                manifest.refuse_again(tasks)
            runner: Runner = InTurn(parsed.command, claims=True)
            if workers or scheduler:
                from commands.many.workers import OnWorkers, threads_for

                threads = parsed.params["threads"] or threads_for(workers or 1)
                runner = stack.enter_context(OnWorkers(workers or 0, scheduler, threads))
                tasks = [replace(task, share=1 / (workers or 1)) for task in tasks]
            Batch(tasks, runner, manner, manifest, resume or retry_failed, retry_failed).work_off()

    with_errors(run, parsed.params["debug"])


def _check(root: Any, command: str, workers: int | None, scheduler: str | None) -> None:
    """Refuse what can be refused before the command's own options are looked at.

    Raises:
        UsageError: If there is no such command for pictures, or no Dask where workers are asked for.
    """
    able = [name for name, each in root.commands.items() if not each.hidden and _takes_pictures(each)]
    if not _takes_pictures(root.commands.get(command)):
        raise UsageError(f"batch runs a command on pictures: {', '.join(able)}; got {command!r}.")
    if workers and scheduler:
        raise UsageError("--workers and --scheduler were both given; expected one: the scheduler has its own workers.")
    if (workers or scheduler) and find_spec("distributed") is None:
        raise UsageError(
            "Workers need Dask distributed, not installed here. Run: pip install 'gramscope[batch]'; or leave "
            "--workers and --scheduler out: one picture after another needs nothing more."
        )


def _takes_pictures(command: Any) -> bool:
    """Whether pictures are all that a command takes beside its options."""
    arguments = [option.name for option in command.params if option.param_type_name == "argument"] if command else []
    return len(arguments) == 1 and arguments[0] in PICTURES


def _pictures(parsed: typer.Context, styles: list[str]) -> tuple[list[str], list[str]]:
    """The photos, and the paintings where each is painted after several.

    Raises:
        UsageError: If there is no photo, one is missing, standard input among them, or paintings where the command
            takes none.
    """
    given = parsed.params
    photos = pictures_in(next(given[name] for name in PICTURES if name in given) or [])
    paintings = pictures_in(styles)
    if not photos:
        raise UsageError("No picture was named; expected pictures, folders or .txt lists of them.")
    if "-" in (*photos, *paintings):
        raise UsageError("Standard input can be read once, and not gone on with; expected files.")
    if paintings and "style" not in given:
        raise UsageError(f"--styles was given, but {parsed.info_name} takes no painting.")
    if paintings and not lacks_painting(given):
        raise UsageError("--styles was given beside another painting; expected one or the other.")
    check_several(parsed, photos, paintings)
    check_there([*photos, *paintings])
    return photos, paintings
