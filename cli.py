"""Gramscope's command line: registers the commands, nothing else."""

from typing import Annotated

import typer

from commands.compare import compare
from commands.doctor import doctor
from commands.featuremaps import featuremaps
from commands.gram import gram
from commands.kmeans import kmeans
from commands.layers import layers
from commands.maximise import maximise
from commands.report import report
from commands.saliency import saliency
from commands.sanity import sanity
from commands.segment import segment
from commands.stylize import stylize
from commands.sweep import sweep
from commands.weights import weights
from interp import __version__

app = typer.Typer(
    help="See what VGG-19 sees in a photo, and restyle only one region of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    featuremaps, maximise, saliency, sanity, gram, layers, kmeans, segment, stylize, compare,
    sweep, report, weights, doctor,
)  # fmt: skip
for function in COMMANDS:
    app.command(function.__name__)(function)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gramscope {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 ok, 1 internal, 2 usage, 3 input, 4 output, 5 weights, 6 memory, 7 mask, 130 interrupted."
)
def main_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See what VGG-19 sees in a photo, and restyle only one region of it."""


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
