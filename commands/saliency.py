"""`saliency`: which pixels a class score depends on, and whether to believe it."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.against import CONTRASTED, hold_against
from commands.attributing import (
    AttributionOptions,
    MethodsOption,
    announce,
    attributions,
    in_one_line,
    method_names,
    verdicts,
)
from commands.options import ImageArgument, RunOptions, command
from commands.run import Run
from interp.errors import UsageError

if TYPE_CHECKING:
    from interp.attribution.saliency import SaliencyMap
    from interp.attribution.verdict import SaliencyVerdict


class Convention(StrEnum):
    """How a map is turned into a picture."""

    FLASHTORCH = "flashtorch"
    PERCENTILE99 = "percentile99"
    SYMMETRIC = "symmetric"
    SHARED = "shared"


ConventionOption = Annotated[
    Convention | None,
    typer.Option(
        "--convention", help="How to draw a map.", show_default="flashtorch for one method, percentile99 for several"
    ),
]


@command
def saliency(
    context: typer.Context,
    options: RunOptions,
    asked: AttributionOptions,
    image: ImageArgument = None,
    methods: MethodsOption = "guided-backprop",
    convention: ConventionOption = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="CLASS",
            help="Why the target and not this class: both maps and their difference, by integrated gradients unless "
            "--methods says otherwise.",
        ),
    ] = None,
    no_verdict: Annotated[
        bool, typer.Option("--no-verdict", help="Leave the verdict out of figure and terminal; the report shows it.")
    ] = False,
) -> None:
    """Show which pixels a class depends on, by one method or several, with a verdict on each map.

    Example: python cli.py saliency photo.jpg --methods all --target tabby
    """
    run = Run(context, options)
    names = method_names(methods if against is None or run.is_given("methods") else CONTRASTED)
    picture = run.photo(image, "coffee")
    if against is not None:
        if convention is not None:
            raise UsageError("--convention was given beside --against, which has one scale for all; drop one of them.")
        run.resolved["methods"] = ",".join(names)
        return hold_against(run, picture, asked, names, against, told=not no_verdict)
    several = len(names) > 1
    run.plan_outputs(picture.stem, {"figure": "png", **({"stats": "json"} if several else {"map": "png"})})

    from reports.coarse import coarse_sections
    from reports.conclusions.seeing import most_believable, saliency_conclusion
    from reports.saliency import method_sheet, methods_section, saliency_panels, saliency_row, saliency_section
    from reports.store import RecordBuilder
    from reports.verdict import verdict_sentence

    classifier = run.classifier(asked.arch)
    run.say(f"Making the map{'s' if several else ''}.")
    maps = attributions(run, classifier, picture, names, asked)
    announce(run, maps[0])
    if not (no_verdict and options.no_report):
        run.say(f"Testing the map{'s' if several else ''}: do the pixels named matter to the class?")
    judged = [] if no_verdict and options.no_report else verdicts(run, classifier, picture, maps)
    told = [] if no_verdict else judged
    for entry, verdict in zip(maps, told, strict=False):
        run.say(in_one_line(entry, verdict) if several else verdict_sentence(verdict))
    chosen = (convention or (Convention.PERCENTILE99 if several else Convention.FLASHTORCH)).value
    alone = not several and chosen == "flashtorch"
    figure = saliency_panels(maps[0], *told) if alone else method_sheet(maps, chosen, told)
    run.write("figure", figure)
    stats = _stats(maps, judged, chosen)
    if several:
        run.write("stats", json.dumps(stats, indent=1).encode())
    else:
        run.write("map", _grey(maps[0]))
    if not options.no_report:
        builder = RecordBuilder("saliency", f"Saliency of {picture.name}", _headline(maps, judged))
        builder.conclusion = saliency_conclusion(maps, judged)
        first = most_believable(maps, judged)
        builder.lead.append(saliency_row(builder.images, picture.rgb_hwc_u8, maps[first], judged[first]))
        if alone:
            builder.sections.append(saliency_section(builder.images, maps[0], judged[0], classes=False))
        else:
            builder.sections.append(methods_section(builder.images, maps, chosen, judged))
        builder.sections += coarse_sections(builder.images, picture.rgb_hwc_u8, maps)
        builder.data = stats
        run.write_report(builder, classifier)
    run.finish()


def _grey(entry: "SaliencyMap") -> bytes:
    import numpy as np

    from interp.pictures.images import encode_png

    strength = entry.magnitude_hw
    return encode_png(np.round(255 * strength / max(float(strength.max()), 1e-30)).astype(np.uint8))


def _stats(maps: "list[SaliencyMap]", judged: "list[SaliencyVerdict]", convention: str) -> dict[str, Any]:
    from reports.conventions import views
    from reports.store import plain
    from reports.verdict import verdict_data

    rows = {
        entry.method: {"vmin": view.low, "vmax": view.high, "verdict": verdict_data(verdict) if verdict else None}
        for entry, view, verdict in zip(maps, views(maps, convention), judged or [None] * len(maps), strict=True)
    }
    return plain(
        {"target": maps[0].target.name, "prediction": maps[0].prediction, "convention": convention, "maps": rows}
    )


def _headline(maps: "list[SaliencyMap]", judged: "list[SaliencyVerdict]") -> str:
    from interp.attribution.verdict import VerdictWord
    from reports.verdict import verdict_sentence

    if len(maps) == 1:
        return verdict_sentence(judged[0])
    if judged[0].word is VerdictWord.NOT_TESTED:
        return f"{len(maps)} maps of {maps[0].target.name}; they could not be tested."
    believed = sum(verdict.word is VerdictWord.CLASS for verdict in judged)
    return f"{believed} of {len(maps)} maps follow {maps[0].target.name!r}; the others do not."
