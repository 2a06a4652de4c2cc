"""Options that several commands share, each defined once: same name, same meaning everywhere."""

import dataclasses
import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from interp.errors import GramscopeError, OutOfMemoryError

RUN, OUT, LOOK = "Run", "Output", "Network"
INTERRUPTED = 130


class Progress(StrEnum):
    """How to show progress."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Region(StrEnum):
    """Which part of the photo."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    ALL = "all"


ImageArgument = Annotated[
    str | None, typer.Argument(metavar="IMAGE", help="Photo, or - for standard input.", show_default="a bundled sample")
]
StyleOption = Annotated[
    str | None,
    typer.Option("--style", metavar="IMAGE", help="Painting to take the style from.", show_default="the bundled one"),
]
LayersOption = Annotated[
    str | None, typer.Option("--layers", "--layer", metavar="NAMES", help="Layer names, separated by commas, or `all`.")
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="TARGET",
        help="What to explain: a class by name or number, LAYER:CHANNEL, or a whole layer.",
        show_default="the most probable class",
    ),
]
RegionOption = Annotated[Region, typer.Option("--region", help="Which part of the photo.")]


@dataclass(frozen=True)
class RunOptions:
    """Options that every command takes."""

    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="NAME|FILE",
            help="auto, compact, imagenet, random, or a .pth or .safetensors file.",
            rich_help_panel=LOOK,
        ),
    ] = "auto"
    weights_format: Annotated[
        str | None,
        typer.Option(
            "--weights-format",
            metavar="torchvision|caffe",
            help="Layout of a weights FILE that is not a known one.",
            rich_help_panel=LOOK,
        ),
    ] = None
    width: Annotated[
        float,
        typer.Option(
            "--width", help="Channels of `--weights random`, as a fraction of VGG-19's.", rich_help_panel=LOOK
        ),
    ] = 1.0
    device: Annotated[Device, typer.Option("--device", help="Where to compute.", rich_help_panel=RUN)] = Device.AUTO
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Threads.", show_default="torch's choice", rich_help_panel=RUN),
    ] = None
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.", rich_help_panel=RUN)] = 0
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write the main picture.", rich_help_panel=OUT),
    ] = None
    out_dir: Annotated[
        Path,
        typer.Option(
            "--out-dir", metavar="FOLDER", help="Folder for automatically named results.", rich_help_panel=OUT
        ),
    ] = Path("out")
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --output.", rich_help_panel=OUT)
    ] = False
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no HTML report.", rich_help_panel=OUT)] = False
    open_report: Annotated[bool, typer.Option("--open", help="Open the report in a browser.", rich_help_panel=OUT)] = (
        False
    )
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of paths.", rich_help_panel=OUT)
    ] = False
    progress: Annotated[
        Progress, typer.Option("--progress", help="How to show progress on stderr.", rich_help_panel=OUT)
    ] = Progress.AUTO
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Errors only on stderr.", rich_help_panel=OUT)] = False
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Time stamps on stderr.", rich_help_panel=OUT)] = (
        False
    )
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=OUT)] = False


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Turn a function into a command: a parameter whose type is a dataclass stands for one option a field.

    Errors end in one message on stderr and the exit code of the exception tree; Ctrl-C in 130.
    """
    own = inspect.signature(function, eval_str=True).parameters
    groups: dict[str, Any] = {
        name: each.annotation
        for name, each in own.items()
        if isinstance(each.annotation, type) and dataclasses.is_dataclass(each.annotation)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.items():
        if name not in groups:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    for group in sorted(groups.values(), key=lambda group: group is RunOptions):  # shared ones last in --help
        parameters += _parameters(group)

    @functools.wraps(function)
    def run(**kwargs: Any) -> None:
        filled = {
            name: group(**{field.name: kwargs.pop(field.name) for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        debug = any(getattr(group, "debug", False) for group in filled.values())
        with_errors(functools.partial(function, **kwargs, **filled), debug)

    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameters(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(group)
    ]


def with_errors(action: Callable[[], None], debug: bool) -> None:
    """Run a command's body; end in a documented exit code whatever happens."""
    try:
        action()
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt as interrupt:
        fail("Interrupted; nothing was written.", INTERRUPTED, interrupt, debug)
    except GramscopeError as error:
        fail(str(error), error.exit_code, error, debug)
    except MemoryError as error:
        fail("Out of memory. Use a smaller --size.", OutOfMemoryError.exit_code, error, debug)
    except RuntimeError as error:
        if "memory" in str(error).lower():  # torch raises its own kinds for each device
            fail("Out of memory. Use a smaller --size.", OutOfMemoryError.exit_code, error, debug)
        fail(_internal(error), GramscopeError.exit_code, error, debug)
    except Exception as error:
        fail(_internal(error), GramscopeError.exit_code, error, debug)


def fail(message: str, code: int, error: BaseException, debug: bool) -> None:
    """Print one message and exit."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    typer.echo(f"Error: {message}" if code != INTERRUPTED else message, err=True)
    raise typer.Exit(code) from error


def _internal(error: BaseException) -> str:
    return f"Internal error ({type(error).__name__}: {error}). Run again with --debug and report the traceback."
