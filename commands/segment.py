"""`segment`: cut the foreground out of a photo."""

import json
import shlex
from typing import TYPE_CHECKING, Any

import typer

from commands.foreground import ForegroundOptions, find_foreground
from commands.options import ImageArgument, RunOptions, command
from commands.run import Run
from commands.seeing import look
from commands.streams import as_typed

if TYPE_CHECKING:
    from segment.segmentation import Segmentation


@command
def segment(
    context: typer.Context,
    options: RunOptions,
    foreground: ForegroundOptions,
    image: ImageArgument = None,
) -> None:
    """Cut out the foreground: mask, soft alpha, cut-out with transparency, overlay, measures.

    Examples: python cli.py segment photo.jpg --box 120,40,300,420, and to correct what came out:
    python cli.py segment photo.jpg --mask out/photo.segment.png --hints strokes.json
    With -o FILE the cut-out is written there, mask and alpha beside it.
    """
    run = Run(context, options)
    foreground.check()
    picture = run.photo(image, "astronaut")
    first = ("cutout", "mask") if options.output else ("mask", "cutout")  # who names a file wants the cut-out in it
    pictures = dict.fromkeys((*first, "alpha", "overlay"), "png")
    run.plan_outputs(picture.stem, {**pictures, "measures": "json"})

    from interp.pictures.images import encode_png, mask_u8
    from reports.conclusions.regions import segment_conclusion
    from reports.foreground import doubts, how_found
    from reports.region import region_row, region_section
    from reports.store import RecordBuilder
    from segment.edge_colours import cutout
    from segment.overlay import overlay

    shown = foreground.needs_saliency and not options.no_report
    vgg = run.network() if shown else None
    findings = look(run, vgg, picture) if vgg else None
    segmentation = find_foreground(run, picture, foreground, findings)
    run.say("Writing the cut-out.")
    run.write("mask", encode_png(mask_u8(segmentation.mask_hw)))
    run.write("alpha", encode_png(mask_u8(segmentation.alpha_hw01)))
    cut = cutout(picture.original, segmentation.alpha_hw01)
    run.write_photo("cutout", cut, picture)
    run.write("overlay", encode_png(overlay(picture.rgb_hwc_u8, segmentation)))
    measured = measures(segmentation, replay(run.sources[0], foreground, segmentation, options))
    run.write("measures", json.dumps(measured, indent=1).encode())
    if not options.no_report:
        builder = RecordBuilder("segment", f"Foreground of {picture.name}", how_found(segmentation))
        seen = overlay(picture.rgb_hwc_u8, segmentation), picture.original.in_8_bits(cut)
        builder.lead.append(region_row(builder.images, *seen))
        builder.conclusion = segment_conclusion(segmentation, doubts(segmentation))
        builder.sections.append(
            region_section(builder.images, picture.rgb_hwc_u8, segmentation, segmentation.alpha_hw01)
        )
        if findings:
            from reports.saliency import saliency_section

            builder.sections.append(saliency_section(builder.images, findings.saliency, findings.verdict))
        builder.data = {"segmentation": segmentation, "measures": measured}
        run.write_report(builder, vgg)
    run.finish()


def measures(segmentation: "Segmentation", command_line: str) -> dict[str, Any]:
    """The cut in numbers, for programs."""
    from reports.foreground import doubts, how_found

    height, width = segmentation.mask_hw.shape
    return {
        "size_wh_px": [width, height],
        "prompt": segmentation.prompt,
        "reason": how_found(segmentation),
        "box_xywh_px": segmentation.box_xywh_px,
        "area_px": int(segmentation.mask_hw.sum()),
        "area_share": segmentation.area_share,
        "components": segmentation.components,
        "boundary_px": segmentation.boundary_px,
        "soft_px": segmentation.soft_px,
        "confidence": segmentation.confidence,
        "warnings": list(doubts(segmentation)),
        "replay": command_line,
    }


def replay(source: str, foreground: ForegroundOptions, segmentation: "Segmentation", options: RunOptions) -> str:
    """The command line that cuts the same again, with the prompt that `auto` chose by name."""
    words = ["python", "cli.py", "segment", source]
    given = [("--box", foreground.box), ("--mask", foreground.mask), ("--hints", foreground.hints)]
    given += [("--segmenter", foreground.segmenter), ("--segmenter-mean", foreground.segmenter_mean)]
    given += [("--segmenter-std", foreground.segmenter_std), *(("--point", place) for place in foreground.point or ())]
    for name, value in [*given, *(("--not", place) for place in foreground.not_point or ())]:
        words += [name, value] if value else []
    if segmentation.prompt not in ("box", "hints", "mask", "segmenter"):
        words += ["--prompt", segmentation.prompt]
    words += ["--features", foreground.features.value, "--rounds", str(foreground.rounds), "--seed", str(options.seed)]
    words += ["--weights", options.weights]
    return as_typed(
        shlex.join([*words, *([] if foreground.feather is None else ["--feather", f"{foreground.feather:g}"])])
    )
