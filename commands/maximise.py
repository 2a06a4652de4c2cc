"""`maximise`: what a channel, a layer or a class wants to see."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands import samples
from commands.attributing import ArchOption
from commands.many.sources import pictures_in
from commands.options import RunOptions, command
from commands.progress import progress
from commands.run import Run
from interp.errors import UsageError
from reports.wording import score_of

if TYPE_CHECKING:
    from interp.attribution.maximise import Maximised
    from interp.attribution.response import Response
    from interp.attribution.targets import Target
    from interp.network.classify import Classifier
    from interp.pictures.images import Picture

SAMPLES = ("chelsea", "astronaut", "coffee")
MAX_PHOTOS = 48


@command
def maximise(
    context: typer.Context,
    options: RunOptions,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="LAYER:CHANNEL, a whole layer, or a class by name or number."),
    ] = "relu4_3:50",
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="Photos, or folders of them, in which to look for what excites it most.",
            show_default="the bundled samples",
        ),
    ] = None,
    size: Annotated[int, typer.Option("--size", min=32, max=1024, help="Side of the picture to make, in px.")] = 128,
    iterations: Annotated[int, typer.Option("--iterations", min=1, max=10000, help="Steps.")] = 256,
    arch: ArchOption = None,
) -> None:
    """Make the picture that a channel answers to most; beside it, the parts of photos that excite it most.

    Example: python cli.py maximise relu4_1:12 photo.jpg holidays/
    """
    run = Run(context, options)
    if not target.strip():
        raise UsageError("No target was given; expected LAYER:CHANNEL such as relu4_1:12, a layer, or a class.")
    photos = _photos(run, images or [])
    run.plan_outputs(target.strip().replace(":", "-").replace(" ", "_"), {"image": "png"})

    from interp.attribution.targets import parse_target
    from interp.pictures.images import encode_png, to_hwc_u8

    classifier = run.classifier(arch)
    chosen = parse_target(classifier, target)
    found = _optimise(run, classifier, chosen, size, iterations)
    run.write("image", encode_png(to_hwc_u8(found.image_nchw01)))
    responses = _responses(run, classifier, chosen, photos)
    run.say(_headline(found, responses))
    if not options.no_report:
        _report(run, classifier, found, responses)
    run.finish()


def _photos(run: Run, sources: list[str]) -> "dict[str, Picture]":
    """The photos; what lies in a folder and cannot be read is left out, and so is one that comes again."""
    if not sources:
        run.say(f"No photo given: using the bundled samples {', '.join(SAMPLES)}.")
        return run.pictures("photo", [str(samples.photo(name)) for name in SAMPLES], MAX_PHOTOS)
    found = pictures_in(sources)
    pictures = run.pictures("photo", found, MAX_PHOTOS, may_fail=set(found) - set(sources))
    firsts: dict[str, str] = {}
    for name, picture in pictures.items():
        first = firsts.setdefault(picture.sha256, name)
        if first != name:
            run.warn(f"Left out: {name} is the same picture as {first}.")
    return {name: pictures[name] for name in firsts.values()}


def _optimise(run: Run, classifier: "Classifier", target: "Target", size: int, steps: int) -> "Maximised":
    from interp.attribution.maximise import Maximised, maximise

    with progress(run.options.progress, run.options.quiet) as display:
        for event in maximise(classifier, target, size_px=size, steps=steps, seed=run.options.seed):
            if isinstance(event, Maximised):
                return event
            display.show(event, f"step {event.step} of {event.total}")
    raise AssertionError("maximise ended without a picture")


def _responses(
    run: Run, classifier: "Classifier", target: "Target", photos: "dict[str, Picture]"
) -> "dict[str, Response]":
    from interp.attribution.response import response

    return {name: response(classifier, target, photo.image_nchw01.to(run.device())) for name, photo in photos.items()}


def _headline(found: "Maximised", responses: "dict[str, Response]") -> str:
    raised = score_of(found.raised)
    name = raised[0].upper() + raised[1:]
    best = max(responses, key=lambda photo: responses[photo].value)
    return f"{name} is {found.final:.3g} on the picture made for it, {responses[best].value:.3g} on {best}."


def _report(run: Run, classifier: "Classifier", found: "Maximised", responses: "dict[str, Response]") -> None:
    from interp.attribution.response import strongest
    from reports.conclusions.seeing import maximise_conclusion
    from reports.maximise import maximise_row, maximise_sections
    from reports.store import RecordBuilder

    builder = RecordBuilder("maximise", f"What {found.target.name} wants to see", _headline(found, responses))
    cells = strongest(responses)
    builder.conclusion = maximise_conclusion(found, responses, cells)
    builder.lead.append(maximise_row(builder.images, found, responses, cells))
    builder.sections += maximise_sections(builder.images, found, responses, cells)
    builder.data = {
        "target": found.target,
        "final": found.final,
        "photos": {name: response.value for name, response in responses.items()},
        "patches": [{"photo": name, "cell": cell} for name, cell in cells],
        "steps": len(found.values),
    }
    run.write_report(builder, classifier)
