"""`compare`: several ways to restyle one photo, judged alike; `--why` asks which difference matters."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.foreground import ForegroundOptions
from commands.options import INTERRUPTED, ImageArgument, Region, RegionOption, RunOptions, StyleOption, command
from commands.pairs import PicturePair, prepare
from commands.run import Run, names_of
from interp.errors import UsageError
from stylize.ways import Way, ways_named

if TYPE_CHECKING:
    from interp.pictures.images import Picture
    from stylize.compare import Outcome
    from stylize.factors import Factorial

WHY, REPORT_S = "which difference matters", 8.0
EVERY_WAY = ("default", "report-pytorch", "report-tensorflow", "report-tensorflow-fixed", "report-isolated", "gatys")

PresetsOption = Annotated[
    str | None,
    typer.Option(
        "--presets",
        metavar="NAMES",
        help="What to compare, comma-separated: named presets and TOML files.",
        show_default="all; report-isolated where there is a region",
    ),
]
AlsoOption = Annotated[
    list[str] | None, typer.Option("--also", metavar="IMAGE", help="Another photo, for the spread; repeatable.")
]
AlsoStyleOption = Annotated[
    list[str] | None,
    typer.Option("--also-style", metavar="IMAGE", help="Its painting, in the order of --also.", show_default="--style"),
]
SizeOption = Annotated[int, typer.Option("--size", min=64, max=2048, help="Long side to work at, in px.")]
IterationsOption = Annotated[
    int | None, typer.Option("--iterations", min=1, help="At most this many steps a way.", show_default="its own")
]
JittersOption = Annotated[int, typer.Option("--jitters", min=0, help="Repeats from a photo moved by up to 1/255.")]
WhyOption = Annotated[bool, typer.Option("--why", help="Which difference between the report's models matters?")]
WhySizeOption = Annotated[int, typer.Option("--why-size", min=64, max=512, help="Side of the square for it, in px.")]
WhyIterationsOption = Annotated[
    int, typer.Option("--why-iterations", min=5, help="Steps of each of its 32 runs; 5000 in the report.")
]


@command
def compare(
    context: typer.Context,
    options: RunOptions,
    foreground: ForegroundOptions,
    image: ImageArgument = None,
    style: StyleOption = None,
    presets: PresetsOption = None,
    also: AlsoOption = None,
    also_style: AlsoStyleOption = None,
    region: RegionOption = Region.ALL,
    size: SizeOption = 192,
    iterations: IterationsOption = None,
    jitters: JittersOption = 1,
    why: WhyOption = False,
    why_size: WhySizeOption = 128,
    why_iterations: WhyIterationsOption = 500,
) -> None:
    """Restyle a photo in several ways, and say which wins on what.

    Example: python cli.py compare photo.jpg --style painting.jpg --presets default,report-pytorch,gatys --why
    """
    run = Run(context, options)
    foreground.check()
    if also and (foreground.box or foreground.mask or foreground.hints):
        raise UsageError("--box, --mask and --hints speak of one photo; with --also, expected --prompt instead.")
    if len(also_style or []) not in (0, len(also or [])):
        raise UsageError(
            f"--also came {len(also or [])} times and --also-style {len(also_style or [])} times; expected a painting "
            "for each photo, or none."
        )
    ways = ways_named(names_of(presets, EVERY_WAY) or _usual_ways(region))
    for way in ways:
        if way.cut_result and region is Region.ALL:
            raise UsageError(
                f"Preset {way.name!r} cuts a region out; expected --region foreground or background with it."
            )
    pictures = [(run.photo(image, "astronaut"), run.painting(style)), *_further_pairs(run, also, also_style or [])]
    run.plan_outputs(pictures[0][0].stem, {"figure": "png"})

    vgg = run.network()
    pairs = [
        prepare(run, vgg, *pair, region, foreground, size, iterations=iterations, jitters=jitters) for pair in pictures
    ]
    run.foresee(_costs(pairs, ways, (why_size, why_iterations) if why else None))
    outcomes, interrupted = _compete(run, pairs, ways)
    factorial, stopped = _explain(run, pairs[0], why_size, why_iterations) if why and not interrupted else (None, False)
    if stopped:
        run.warn("Interrupted: the section on which difference matters is left out.")
    from commands.compare_story import sheet, tell_compare

    run.begin("report", "Drawing the results.")
    run.write("figure", sheet(pairs[0], outcomes[0]))
    if not options.no_report:
        run.write_report(tell_compare(pairs, outcomes, factorial), vgg)
    run.finish()
    if interrupted or stopped:
        raise typer.Exit(INTERRUPTED)


def _costs(pairs: list[PicturePair], ways: list[Way], why: tuple[int, int] | None) -> dict[str, float]:
    """Foreseen seconds of each stage; `why`: side in px and steps of a run."""
    from stylize.compare import foreseen_s
    from stylize.factors import foreseen_s as factorial_s

    costs = {pair.name: foreseen_s(pair.pair, ways) for pair in pairs}
    if why:
        costs[WHY] = factorial_s(pairs[0].pair.vgg, *why)
    return costs | {"report": REPORT_S * len(pairs)}


def _usual_ways(region: Region) -> list[str]:
    """All, but for the one that needs a region where there is none."""
    return [name for name in EVERY_WAY if region is not Region.ALL or name != "report-isolated"]


def _further_pairs(run: Run, photos: list[str] | None, paintings: list[str]) -> "list[tuple[Picture, Picture]]":
    """Load the pairs beyond the first; a photo without a painting of its own takes the first pair's."""
    pairs = []
    for number, source in enumerate(photos or [], start=2):
        photo = run.picture(f"photo {number}", source, Path())
        own = paintings[number - 2] if paintings else None
        painting = run.inputs["painting"] if own is None else run.picture(f"painting {number}", own, Path())
        pairs.append((photo, painting))
    return pairs


def _compete(run: Run, pairs: list[PicturePair], ways: list[Way]) -> "tuple[list[list[Outcome]], bool]":
    """Run every way on every pair; on Ctrl-C keep the pairs' outcomes that are finished."""
    from reports.ways import shortened_note
    from stylize.compare import compare as compete

    for way in ways:
        if note := shortened_note(way, pairs[0].pair.as_run(way)):
            run.warn(f"{way.name}: {note}")
    finished: list[list[Outcome]] = []
    for number, pair in enumerate(pairs, start=1):
        outcomes: list[Outcome] = []
        words = f"pair {number} of {len(pairs)}: " if len(pairs) > 1 else ""
        run.begin(pair.name, f"Restyling {pair.name} in {len(ways)} ways.")

        def watch(share: float, name: str, stage: str = pair.name, words: str = words) -> None:
            run.at(stage, share, words + name)

        try:
            for outcome in compete(pair.pair, ways, watch):
                outcomes.append(outcome)
                run.say(f"{words}{outcome.name}: {outcome.steps:,} steps in {outcome.seconds:.1f} s.")
        except KeyboardInterrupt:
            if not finished and not outcomes:
                raise
            run.warn(f"Interrupted: {len(outcomes)} of {len(ways)} ways were finished on {pair.name}.")
            return finished or [outcomes], True  # pairs compare only where all ways ran
        finished.append(outcomes)
    return finished, False


def _explain(run: Run, pair: PicturePair, size_px: int, iterations: int) -> "tuple[Factorial | None, bool]":
    """Run the factorial; None and True if it was interrupted."""
    from stylize.factors import factorial

    shared = pair.pair
    run.begin(WHY, "Asking which difference matters.")
    try:
        found = factorial(
            shared.vgg, shared.photo_nchw01, shared.painting_nchw01, size_px=size_px, iterations=iterations,
            watch=lambda step, total: run.at(WHY, step / total),
        )  # fmt: skip
    except KeyboardInterrupt:
        return None, True
    return found, False
