"""Which part of the photo gets which painting, how strongly and in whose colours."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import Region, RegionOption, StyleOption
from commands.run import Run
from commands.series import Series, load_series
from interp.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from interp.pictures.images import Picture

STYLE = "Style"


class Colour(StrEnum):
    """Whose colours."""

    NONE = "none"
    LUMINANCE = "luminance"
    MATCH = "match"


@dataclass(frozen=True)
class StyleOptions:
    """Which part gets which painting."""

    region: RegionOption = Region.BACKGROUND
    style: StyleOption = None
    style_foreground: Annotated[
        str | None,
        typer.Option("--style-foreground", metavar="IMAGE", help="Painting for the foreground.", rich_help_panel=STYLE),
    ] = None
    style_background: Annotated[
        str | None,
        typer.Option(
            "--style-background",
            metavar="IMAGE",
            help="Painting for the background; with --style-foreground both are restyled.",
            rich_help_panel=STYLE,
        ),
    ] = None
    style_mask: Annotated[
        str | None,
        typer.Option(
            "--style-mask",
            metavar="FILE",
            help="Learn from the white part of the painting only.",
            rich_help_panel=STYLE,
        ),
    ] = None
    style_scale: Annotated[
        float | None,
        typer.Option("--style-scale", help="Size of the strokes; 1 is as painted.", rich_help_panel=STYLE),
    ] = None
    strength: Annotated[
        float,
        typer.Option(
            "--strength", "--style-weight", help="Painting against photo; 1 is balanced.", rich_help_panel=STYLE
        ),
    ] = 1.0
    strength_foreground: Annotated[
        float | None,
        typer.Option(
            "--strength-foreground",
            help="The foreground's own.",
            show_default="--strength",
            rich_help_panel=STYLE,
        ),
    ] = None
    strength_background: Annotated[
        float | None,
        typer.Option(
            "--strength-background",
            help="The background's own.",
            show_default="--strength",
            rich_help_panel=STYLE,
        ),
    ] = None
    keep_colour: Annotated[
        Colour,
        typer.Option("--keep-colour", "--keep-color", help="Keep the photo's colours.", rich_help_panel=STYLE),
    ] = Colour.NONE
    keep_colour_foreground: Annotated[
        Colour | None,
        typer.Option(
            "--keep-colour-foreground",
            "--keep-color-foreground",
            help="The foreground's own.",
            show_default="--keep-colour",
            rich_help_panel=STYLE,
        ),
    ] = None
    keep_colour_background: Annotated[
        Colour | None,
        typer.Option(
            "--keep-colour-background",
            "--keep-color-background",
            help="The background's own.",
            show_default="--keep-colour",
            rich_help_panel=STYLE,
        ),
    ] = None

    series: Annotated[
        bool,
        typer.Option(
            "--series",
            help="Let several photos match: layers, recolouring and size of the first are kept for the others.",
            rich_help_panel=STYLE,
        ),
    ] = False
    series_from: Annotated[
        Path | None,
        typer.Option(
            "--series-from",
            metavar="FILE",
            help="Match an earlier series, by the .series.json of its first.",
            rich_help_panel=STYLE,
        ),
    ] = None

    def kept(self, parts: "list[Part]") -> Series | None:
        """The series to match, if any.

        Raises:
            UsageError: If one is to be begun too, or was made with other parts.
            InputError: If it cannot be read.
        """
        if self.series_from is None:
            return None
        if self.series:
            raise UsageError("--series begins a series, --series-from goes on with one; expected one of them.")
        found = load_series(self.series_from)
        found.check(parts)
        return found


@dataclass(frozen=True)
class Part:
    """One part of the photo to restyle."""

    region: Region
    painting: "Picture"
    painting_alpha_hw01: "np.ndarray | None"
    strength: float
    colour: Colour

    @property
    def name(self) -> str:
        """What it is called."""
        return "picture" if self.region is Region.ALL else self.region.value


def read_parts(run: Run, style: StyleOptions) -> list[Part]:
    """Load the paintings and say which part gets which.

    Raises:
        UsageError: If the options contradict each other, or a strength is no positive number.
    """
    named = {Region.FOREGROUND: style.style_foreground, Region.BACKGROUND: style.style_background}
    sources = {region: source for region, source in named.items() if source is not None}
    if sources and style.style is not None:
        raise UsageError(
            "--style was given beside --style-foreground or --style-background; expected one or the other."
        )
    if sources and run.is_given("region") and set(sources) != {style.region}:
        raise UsageError(
            f"--region {style.region.value} was given beside --style-{' and --style-'.join(sources)}, which name the "
            "regions themselves. Drop --region."
        )
    if len(sources) == 2 and style.style_mask:
        raise UsageError("--style-mask was given with two paintings; expected one painting.")
    parts = []
    for region in sources or [style.region]:
        role = f"painting, {region.value}" if len(sources) == 2 else "painting"
        painting = run.painting(sources.get(region, style.style), role)
        mask = run.mask(style.style_mask, painting.size_hw_px) if style.style_mask else None
        parts.append(Part(region, painting, mask, _strength(style, region), _colour(style, region)))
    return parts


def _strength(style: StyleOptions, region: Region) -> float:
    own = {Region.FOREGROUND: style.strength_foreground, Region.BACKGROUND: style.strength_background}.get(region)
    strength = style.strength if own is None else own
    if not 0 < strength < float("inf"):
        raise UsageError(f"Strength {strength}; expected a number above 0.")
    return strength


def _colour(style: StyleOptions, region: Region) -> Colour:
    own = {Region.FOREGROUND: style.keep_colour_foreground, Region.BACKGROUND: style.keep_colour_background}.get(region)
    return own or style.keep_colour
