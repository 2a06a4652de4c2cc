"""Gramscope's command line: registers the commands, nothing else."""

import os
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from commands.batch import batch
from commands.compare import compare
from commands.doctor import doctor
from commands.featuremaps import featuremaps
from commands.gram import gram
from commands.kmeans import kmeans
from commands.layers import layers
from commands.maximise import maximise
from commands.options import SPELLED
from commands.report import report
from commands.saliency import saliency
from commands.sanity import sanity
from commands.segment import segment
from commands.streams import abandon_stdout, as_typed, tell
from commands.stylize import stylize
from commands.sweep import sweep
from commands.weights import weights
from interp import __version__
from interp.errors import OutputError

# Notebooks export the backend of their own windows to the commands they run; here none is opened, and Matplotlib
# refuses to load with one that is not installed.
os.environ["MPLBACKEND"] = "agg"

app = typer.Typer(
    help="See what VGG-19 sees in a photo, and restyle only one region of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    featuremaps, maximise, saliency, sanity, gram, layers, kmeans, segment, stylize, compare,
    sweep, batch, report, weights, doctor,
)  # fmt: skip
NAMED = {function.__name__: function for function in COMMANDS}


class Command(TyperCommand):
    """A command that refuses an option given twice: the last one would win silently."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, after a first parse that only counts."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            repeatable = option.param_type_name == "argument" or option.multiple or getattr(option, "is_flag", False)
            if not repeatable and given.count(option) > 1:
                ctx.fail(f"{option.opts[0]} was given {given.count(option)} times; expected once.")
        return super().parse_args(ctx, args)


for name, function in NAMED.items():
    passes_on = {"ignore_unknown_options": function is batch}  # to the command that it runs
    app.command(name, cls=Command, help=as_typed(function.__doc__ or ""), context_settings=passes_on)(function)
for spelling, name in SPELLED.items():
    app.command(spelling, cls=Command, hidden=True)(NAMED[name])


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gramscope {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 ok, 1 internal, 2 usage, 3 input, 4 output, 5 weights, 6 memory, 7 mask, 8 some of several "
    "pictures failed, 130 interrupted."
)
def main_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See what VGG-19 sees in a photo, and restyle only one region of it."""


def main() -> None:
    """Entry point of the console script."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 -- closed by the caller: nobody listens
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: what is finished is kept
    try:
        app()
    except OSError as error:  # help or version that cannot be printed; commands have their own message
        abandon_stdout()
        tell(f"Error: Standard output takes nothing ({error.strerror}).")
        sys.exit(OutputError.exit_code)


if __name__ == "__main__":
    main()
