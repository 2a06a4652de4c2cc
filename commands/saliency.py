"""`saliency`: which pixels a class score depends on, and whether to believe it."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

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

if TYPE_CHECKING:
    from interp.attribution.saliency import Attribution
    from interp.attribution.sanity import Verdict
    from interp.network.classify import Classifier
    from interp.pictures.images import Picture


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
    no_verdict: Annotated[
        bool, typer.Option("--no-verdict", help="Leave the verdict out of figure and terminal; the report shows it.")
    ] = False,
) -> None:
    """Show which pixels a class depends on, by one method or several, with a verdict on each map.

    Example: python cli.py saliency photo.jpg --methods all --target tabby
    """
    run = Run(context, options)
    names = method_names(methods)
    picture = run.photo(image, "coffee")
    several = len(names) > 1
    run.plan_outputs(picture.stem, {"figure": "png", **({"stats": "json"} if several else {"map": "png"})})

    classifier = run.classifier(asked.arch)
    maps = attributions(run, classifier, picture, names, asked)
    announce(run, maps[0])
    if not (no_verdict and options.no_report):
        run.say(f"Testing the map{'s' if several else ''}: do the pixels named matter to the class?")
    judged = [] if no_verdict and options.no_report else verdicts(run, classifier, picture, maps)
    if not no_verdict:
        for entry, verdict in zip(maps, judged, strict=True):
            run.say(in_one_line(entry, verdict) if several else verdict.sentence)
    chosen = (convention or (Convention.PERCENTILE99 if several else Convention.FLASHTORCH)).value
    run.write("figure", _figure(maps, [] if no_verdict else judged, chosen))
    if several:
        run.write("stats", json.dumps(_stats(maps, judged, chosen), indent=1).encode())
    else:
        run.write("map", _grey(maps[0]))
    if not options.no_report:
        _report(run, classifier, picture, maps, judged, chosen)
    run.finish()


def _figure(maps: "list[Attribution]", judged: "list[Verdict]", convention: str) -> bytes:
    from interp.attribution.conventions import flashtorch_panels, views
    from reports.saliency import method_sheet, saliency_panels

    if len(maps) == 1 and convention == "flashtorch":
        sentence = judged[0].sentence if judged else ""
        return saliency_panels(maps[0], flashtorch_panels(maps[0]), sentence)
    return method_sheet(maps, views(maps, convention), judged)


def _grey(entry: "Attribution") -> bytes:
    import numpy as np

    from interp.attribution.saliency import magnitude_hw
    from interp.pictures.images import encode_png

    strength = magnitude_hw(entry)
    return encode_png(np.round(255 * strength / max(float(strength.max()), 1e-30)).astype(np.uint8))


def _stats(maps: "list[Attribution]", judged: "list[Verdict]", convention: str) -> dict[str, object]:
    from interp.attribution.conventions import views
    from reports.store import plain

    rows = {}
    for place, (entry, view) in enumerate(zip(maps, views(maps, convention), strict=True)):
        rows[entry.method] = {"vmin": view.low, "vmax": view.high, "verdict": judged[place] if judged else None}
    return plain({"target": maps[0].target, "prediction": maps[0].prediction, "convention": convention, "maps": rows})


def _report(
    run: Run, classifier: "Classifier", picture: "Picture", maps: "list[Attribution]", judged: "list[Verdict]",
    convention: str,
) -> None:  # fmt: skip
    from interp.attribution.conventions import flashtorch_panels, views
    from reports.saliency import methods_section, saliency_section
    from reports.store import RecordBuilder

    several = len(maps) > 1
    if several:
        believed = sum(verdict.word == "follows the class" for verdict in judged)
        headline = f"{believed} of {len(maps)} maps follow {maps[0].target!r}; the others do not."
        if judged[0].word == "not tested":
            headline = f"{len(maps)} maps of {maps[0].target}; they could not be tested."
    else:
        headline = judged[0].sentence
    builder = RecordBuilder("saliency", f"Saliency of {picture.name}", headline)
    if several or convention != "flashtorch":
        builder.sections.append(methods_section(builder.images, maps, views(maps, convention), judged))
    else:
        panels = flashtorch_panels(maps[0])
        builder.sections.append(saliency_section(builder.images, maps[0], panels, judged[0]))
    builder.data = _stats(maps, judged, convention)
    run.write_report(builder, classifier)
