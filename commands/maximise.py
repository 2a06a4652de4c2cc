"""`maximise`: what a channel, a layer or a class wants to see."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.attributing import ArchOption
from commands.options import ImageArgument, RunOptions, command
from commands.progress import progress
from commands.run import Run
from interp.errors import UsageError
from reports.wording import score_of

if TYPE_CHECKING:
    from interp.attribution.maximise import Maximised, Response
    from interp.attribution.targets import Target
    from interp.network.classify import Classifier
    from interp.pictures.images import Picture


@command
def maximise(
    context: typer.Context,
    options: RunOptions,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="LAYER:CHANNEL, a whole layer, or a class by name or number."),
    ] = "relu4_3:50",
    image: ImageArgument = None,
    size: Annotated[int, typer.Option("--size", min=32, max=1024, help="Side of the picture to make, in px.")] = 128,
    iterations: Annotated[int, typer.Option("--iterations", min=1, max=10000, help="Steps.")] = 256,
    arch: ArchOption = None,
) -> None:
    """Make the picture that a channel answers to most; beside it, where it answers in a photo.

    Example: python cli.py maximise relu4_1:12 photo.jpg
    """
    run = Run(context, options)
    if not target.strip():
        raise UsageError("No target was given; expected LAYER:CHANNEL such as relu4_1:12, a layer, or a class.")
    picture = run.photo(image, "chelsea")
    run.plan_outputs(target.strip().replace(":", "-").replace(" ", "_"), {"image": "png"})

    from interp.attribution.targets import parse_target
    from interp.pictures.images import encode_png, to_hwc_u8

    classifier = run.classifier(arch)
    chosen = parse_target(classifier, target)
    found = _optimise(run, classifier, chosen, size, iterations)
    run.write("image", encode_png(to_hwc_u8(found.image_nchw01)))
    response = _response(run, classifier, chosen, picture)
    run.say(f"{_headline(found, response, picture)}.")
    if not options.no_report:
        _report(run, classifier, found, response, picture)
    run.finish()


def _optimise(run: Run, classifier: "Classifier", target: "Target", size: int, steps: int) -> "Maximised":
    from interp.attribution.maximise import Maximised, maximise

    with progress(run.options.progress, run.options.quiet) as display:
        for event in maximise(classifier, target, size_px=size, steps=steps, seed=run.options.seed):
            if isinstance(event, Maximised):
                return event
            display.show(event, f"step {event.step} of {event.total}")
    raise AssertionError("maximise ended without a picture")


def _response(run: Run, classifier: "Classifier", target: "Target", picture: "Picture") -> "Response":
    from interp.attribution.maximise import response

    return response(classifier, target, picture.image_nchw01.to(run.device()))


def _headline(found: "Maximised", response: "Response", picture: "Picture") -> str:
    raised = score_of(found.raised)
    name = raised[0].upper() + raised[1:]
    return f"{name} is {found.final:.3g} on the picture made for it, {response.value:.3g} on {picture.name}"


def _report(run: Run, classifier: "Classifier", found: "Maximised", response: "Response", picture: "Picture") -> None:
    from reports.conclusions.seeing import maximise_conclusion
    from reports.maximise import maximise_section
    from reports.record import Gallery, Row
    from reports.store import RecordBuilder

    headline = f"{_headline(found, response, picture)}."
    builder = RecordBuilder("maximise", f"What {found.target.name} wants to see", headline)
    builder.conclusion = maximise_conclusion(found, response, picture.name)
    section = maximise_section(builder.images, found, response, picture.name)
    made, photo = next(block for block in section.blocks if isinstance(block, Gallery)).figures[:2]
    builder.lead.append(Row((photo, made)))
    builder.sections.append(section)
    builder.data = {"target": found.target, "final": found.final, "photo": response.value, "steps": len(found.values)}
    run.write_report(builder, classifier)
