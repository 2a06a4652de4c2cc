"""`segment`: cut the foreground out of a photo."""

import typer

from commands.evidence import find_foreground, look, parse_box
from commands.options import ForegroundOptions, ImageArgument, RunOptions, command
from commands.run import Run


@command
def segment(
    context: typer.Context,
    options: RunOptions,
    foreground: ForegroundOptions,
    image: ImageArgument = None,
) -> None:
    """Cut out the foreground: mask, soft alpha, cut-out with transparency, overlay.

    Example: python cli.py segment photo.jpg --box 120,40,300,420
    """
    run = Run(context, options)
    if foreground.box:
        parse_box(foreground.box)
    picture = run.photo(image, "astronaut")
    run.plan_outputs(picture.stem, {"mask": "png", "alpha": "png", "cutout": "png", "overlay": "png"})

    import numpy as np

    from interp.images import encode_png, mask_u8
    from reports.sections import region_section
    from reports.store import RecordBuilder
    from segment.result import overlay

    vgg = run.network() if foreground.needs_saliency else None
    findings = look(run, vgg, picture) if vgg else None
    segmentation = find_foreground(run, picture, foreground, findings)
    alpha_u8 = mask_u8(segmentation.alpha_hw01)
    run.write("mask", encode_png(mask_u8(segmentation.mask_hw)))
    run.write("alpha", encode_png(alpha_u8))
    run.write("cutout", encode_png(np.dstack([picture.rgb_hwc_u8, alpha_u8])))
    run.write("overlay", encode_png(overlay(picture.rgb_hwc_u8, segmentation)))
    if not options.no_report:
        builder = RecordBuilder("segment", f"Foreground of {picture.name}", segmentation.reason)
        builder.sections.append(
            region_section(builder.images, picture.rgb_hwc_u8, segmentation, segmentation.alpha_hw01)
        )
        if findings:
            from reports.evidence import saliency_section

            builder.sections.append(
                saliency_section(builder.images, findings.attribution, findings.panels, findings.verdict)
            )
        builder.data = {"segmentation": segmentation}
        run.write_report(builder, vgg)
    run.finish()
