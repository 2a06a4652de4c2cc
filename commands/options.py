"""Options that several commands share, each defined once: same name, same meaning everywhere."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from commands.failing import INTERRUPTED as INTERRUPTED
from commands.failing import with_errors
from commands.many.sources import pictures_in
from commands.streams import tell
from interp.errors import UsageError

SPELLED = {"stylise": "stylize", "maximize": "maximise"}  # also understood, and called by their usual names
MAX_SEED = 2**31  # OpenCV's generator is the narrowest of the three that a seed goes to
RUN, OUT, LOOK = "Run", "Output", "Network"
FOREGROUND = (  # what finds it
    "mask", "box", "hints", "point", "not_point", "segmenter", "segmenter_mean", "segmenter_std", "prompt", "features",
    "rounds", "feather",
)  # fmt: skip


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


ImageArgument = Annotated[  # a command's body gets one of them at a time
    str | None,
    typer.Argument(
        metavar="IMAGE",
        help="Photo, several, a folder of them, or - for standard input.",
        show_default="a bundled sample",
    ),
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
        typer.Option(
            "--threads", min=1, max=1024, help="Threads.", show_default="the libraries' choice", rich_help_panel=RUN
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, max=MAX_SEED - 1, help="Seed of everything random.", rich_help_panel=RUN),
    ] = 0
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write the main picture: .png, .webp and .tif are exact, .jpg is not; or a folder.",
            rich_help_panel=OUT,
        ),
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

    Where the function takes one `image`, the command takes several and runs it for each. Errors end in one message on
    stderr and the exit code of the exception tree; Ctrl-C in 130.
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
            parameters.append(_several(parameter).replace(kind=inspect.Parameter.KEYWORD_ONLY))
    for group in sorted(groups.values(), key=lambda group: group is RunOptions):  # shared ones last in --help
        parameters += _parameters(group)
    names = {parameter.name for parameter in parameters}

    @functools.wraps(function)
    def run(**kwargs: Any) -> None:
        def once(**changed: str | None) -> None:
            given = kwargs | changed
            filled = {
                name: group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
                for name, group in groups.items()
            }
            function(**given, **filled)

        def checked() -> None:
            refuse_idle(kwargs)
            _each_picture(kwargs, guarded) if "image" in names else guarded()

        def guarded(**changed: str | None) -> None:
            with_errors(lambda: once(**changed), kwargs["debug"], has_size="size" in names)

        with_errors(checked, kwargs["debug"])

    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _each_picture(given: dict[str, Any], once: Callable[..., None]) -> None:
    """Run a command's body for its pictures: none, one, a photo with its painting, or several photos."""
    if given["context"].obj:  # one of several, of which it was told
        return once(image=given["image"][0])
    sources = pictures_in(given["image"] or [])
    if len(sources) < 2:
        return once(image=sources[0] if sources else None)
    if len(sources) == 2 and lacks_painting(given):
        if not given["quiet"]:
            tell(f"Taking {sources[1]} for the painting, as with --style.")
        return once(image=sources[0], style=sources[1])
    if sources.count("-") > 1:
        raise UsageError("Standard input can be read once; expected at most one `-`.")
    from commands.many.several import one_after_another

    return one_after_another(given["context"], sources)


def refuse_idle(given: dict[str, Any]) -> None:
    """Refuse options that would do nothing: whoever gives a mask expects it to be looked at.

    Raises:
        UsageError: If a foreground is described where none is looked for, or a width where the weights have their own.
    """
    idle = [name for name in FOREGROUND if name in given and _is_given(given["context"], name)]
    paintings = given.get("style_foreground") or given.get("style_background")
    if idle and given.get("region") == Region.ALL and not paintings:
        raise idle_with_all(idle[0])
    if idle and "rank" in given and (given["rank"] != "contrast" or given["channels"] is not None):
        option = _option(idle[0])
        raise UsageError(f"{option} does nothing without --rank contrast; add it, or drop {option}.")
    if given["weights"] != "random" and _is_given(given["context"], "width"):
        raise UsageError(f"--width does nothing with --weights {given['weights']}; expected --weights random.")


def idle_with_all(name: str) -> UsageError:
    """The error where a foreground is described and none is looked for."""
    return UsageError(
        f"{_option(name)} does nothing with --region all; expected --region foreground or background, found by --box, "
        "--mask, --hints or --prompt."
    )


def _option(name: str) -> str:
    return f"--{name.removesuffix('_point').replace('_', '-')}"


def _is_given(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name != "DEFAULT"


def _several(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.annotation != ImageArgument:
        return parameter
    return parameter.replace(annotation=Annotated[list[str] | None, *get_args(ImageArgument)[1:]])


def lacks_painting(given: dict[str, Any]) -> bool:
    """Whether a painting is expected and no option names one: then the second of two pictures is it."""
    return "style" in given and not any(given.get(f"style{side}") for side in ("", "_foreground", "_background"))


def _parameters(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(group)
    ]
