"""`saliency`: which pixels a class score depends on, and whether to believe it."""

import typer

from commands.evidence import SaliencyFindings, look
from commands.options import ImageArgument, RunOptions, command
from commands.run import Run
from interp.errors import WeightsError


@command
def saliency(
    context: typer.Context,
    options: RunOptions,
    image: ImageArgument = None,
) -> None:
    """Show guided backprop for the most probable class, with a verdict on the map.

    Example: python cli.py saliency photo.jpg -o saliency.png
    """
    run = Run(context, options)
    picture = run.photo(image, "coffee")
    run.plan_outputs(picture.stem, {"figure": "png", "map": "png"})

    import numpy as np

    from interp.images import encode_png
    from interp.saliency import magnitude_hw
    from reports import figures
    from reports.evidence import saliency_section
    from reports.store import RecordBuilder

    vgg = run.network()
    findings = look(run, vgg, picture)
    if findings is None:
        raise WeightsError(
            f"Weights {vgg.info.name!r} have no classifier. Use --weights compact, or weights with a head."
        )
    announce(run, findings)
    attribution = findings.attribution
    run.write("figure", figures.saliency_panels(attribution, findings.panels, findings.verdict.sentence))
    strength = magnitude_hw(attribution)
    run.write("map", encode_png(np.round(255 * strength / max(float(strength.max()), 1e-30)).astype(np.uint8)))
    if not options.no_report:
        builder = RecordBuilder("saliency", f"Saliency of {picture.name}", f"{findings.sentence}.")
        builder.sections.append(saliency_section(builder.images, attribution, findings.panels, findings.verdict))
        builder.data = {"prediction": attribution.prediction, "verdict": findings.verdict}
        run.write_report(builder, vgg)
    run.finish()


def announce(run: Run, findings: SaliencyFindings) -> None:
    """Say what the network sees, at which size, and what the map is worth."""
    height, width = findings.attribution.prediction.size_hw_px
    run.say(f"Seen at {width}x{height} px, the network's native size: {findings.sentence}.")
    run.say(findings.verdict.sentence)
