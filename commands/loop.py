"""The options of the loop: the way to restyle, and where a run is kept."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from commands.checkpoint import Checkpoint
from commands.on_the_way import OnTheWay
from commands.run import Run
from interp.errors import OutputError, UsageError
from stylize.ways import Way, way_named

LOOP = "Optimisation"
USUAL_SIZE = "the photo's, 512 to 1024, as time allows"


class Optimizer(StrEnum):
    """Which optimiser."""

    LBFGS = "lbfgs"
    ADAM = "adam"


class Precision(StrEnum):
    """Numbers of the convolutions."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Start(StrEnum):
    """Where the optimisation begins."""

    PHOTO = "photo"
    NOISE = "noise"
    INSTANT = "instant"


class Timelapse(StrEnum):
    """Format of a moving picture."""

    WEBP = "webp"
    GIF = "gif"
    MP4 = "mp4"


@dataclass(frozen=True)
class LoopOptions:
    """How to optimise."""

    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="NAME|FILE",
            help="default, draft, instant, a TOML file, or another's recipe: report-pytorch, report-tensorflow, "
            "report-tensorflow-fixed, report-isolated, gatys.",
            rich_help_panel=LOOP,
        ),
    ] = "default"
    instant: Annotated[
        bool,
        typer.Option("--instant", help="A decoder's pass and three steps: --preset instant.", rich_help_panel=LOOP),
    ] = False
    size: Annotated[
        int | None,
        typer.Option(
            "--size", help="Working size: the long side in px.", show_default=USUAL_SIZE, rich_help_panel=LOOP
        ),
    ] = None
    iterations: Annotated[
        int | None, typer.Option("--iterations", help="Steps at the finest scale.", rich_help_panel=LOOP)
    ] = None
    optimizer: Annotated[
        Optimizer | None,
        typer.Option("--optimizer", help="Optimiser.", show_default="lbfgs", rich_help_panel=LOOP),
    ] = None
    init: Annotated[
        Start | None, typer.Option("--init", help="Where to begin.", show_default="photo", rich_help_panel=LOOP)
    ] = None
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="Numbers of the convolutions; auto: bfloat16 where the CPU knows it, two to four times as fast.",
            rich_help_panel=LOOP,
        ),
    ] = Precision.AUTO
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Keep the run in this file every 25 steps, to go on with --resume if it is cut off.",
            rich_help_panel=LOOP,
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with --checkpoint where it is there, to the same picture.", rich_help_panel=LOOP
        ),
    ] = False

    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            min=1,
            metavar="N",
            help="Write the picture every N steps, too, at the size worked at.",
            rich_help_panel=LOOP,
        ),
    ] = None
    timelapse: Annotated[
        Timelapse | None,
        typer.Option("--timelapse", help="Write how the picture came about, moving.", rich_help_panel=LOOP),
    ] = None

    def named(self) -> Way:
        """The preset's way as it stands.

        Raises:
            UsageError: If there is none of that name, or two were asked for.
        """
        if self.instant and self.preset not in ("default", "instant"):
            raise UsageError(f"--instant and --preset {self.preset} name two ways; expected one.")
        named = way_named("instant" if self.instant else self.preset)
        given = [name for name in ("checkpoint", "every", "timelapse") if getattr(self, name)]
        if named.name == "instant" and given:
            options = ", ".join(f"--{name}" for name in given)
            raise UsageError(f"{options}: the instant way is over at once, with nothing on the way. Leave that out.")
        return named

    def kept(self, run: Run) -> Checkpoint | None:
        """Where the run is to be kept on the way, if anywhere.

        Raises:
            UsageError: If it is to be gone on with, but no file is named.
            OutputError: If the file is there and not to be gone on with, or another run writes it.
        """
        if self.checkpoint is None:
            if self.resume:
                raise UsageError("--resume goes on with a checkpoint, but none is named. Add --checkpoint FILE.")
            return None
        there = self.checkpoint.exists()
        if there and not self.resume:
            raise OutputError(f"{str(self.checkpoint)!r} exists. Add --resume to go on with it, or name another.")
        if self.checkpoint.absolute() in [path.absolute() for path in run.plan.paths.values()]:
            raise OutputError(f"{str(self.checkpoint)!r} is a result of this run. Choose another --checkpoint.")
        run.hold(self.checkpoint)
        found = Checkpoint(self.checkpoint, there)
        if there:
            found.check()
        return found

    def on_the_way(self, run: Run) -> OnTheWay:
        """What is kept of pictures on the way, for a run whose outputs are planned."""
        found = OnTheWay(next(iter(run.plan.paths.values())), self.every, self.timelapse is not None)
        if not (self.resume or run.options.overwrite):
            found.check()
        return found

    def way(self, named: "Way", style_scale: float | None, seed: int) -> "Way":
        """The preset's way, changed by what was given."""
        given = {"size_px": self.size, "iterations": self.iterations}
        if not named.sources:
            given |= {"style_scale": style_scale, "seed": seed}
            given |= {"optimizer": self.optimizer and self.optimizer.value, "start": self.init and self.init.value}
            given |= {"precision": self.precision.value}
        return replace(named, **{name: value for name, value in given.items() if value is not None})
