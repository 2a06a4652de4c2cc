"""`sanity`: is a saliency map to be believed? Every test at length."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from commands.attributing import (
    AttributionOptions,
    MethodsOption,
    announce,
    attributions,
    in_one_line,
    margin95_of,
    method_names,
)
from commands.options import ImageArgument, RunOptions, command
from commands.run import Run

if TYPE_CHECKING:
    from interp.attribution.saliency import SaliencyMap
    from interp.attribution.sanity import SanityCheck
    from interp.network.classify import Classifier
    from interp.pictures.images import Picture


MAP_S, CHANCE_S, NETWORK_S = 1.0, 3.0, 0.7  # rough costs of a map, of chance and of a draw of every random network


@command
def sanity(
    context: typer.Context,
    options: RunOptions,
    asked: AttributionOptions,
    image: ImageArgument = None,
    methods: MethodsOption = "guided-backprop,gradient",
    draws: Annotated[
        int, typer.Option("--draws", min=1, max=100, help="Random networks to average at each stage.")
    ] = 3,
) -> None:
    """Test saliency maps: does a map change when the network, from the top down, or the class is made random?

    Example: python cli.py sanity photo.jpg --methods guided-backprop,grad-cam
    """
    run = Run(context, options)
    names = method_names(methods)
    picture = run.photo(image, "coffee")
    run.plan_outputs(picture.stem, {"figure": "png", "stats": "json"})

    from reports.conclusions.seeing import most_believable, sanity_conclusion
    from reports.saliency import saliency_row
    from reports.sanity import sanity_figure, sanity_section
    from reports.store import RecordBuilder, plain

    classifier = run.classifier(asked.arch)
    costs = [MAP_S, NETWORK_S * draws]
    run.foresee({"maps": costs[0] * len(names), "chance": CHANCE_S, "networks": costs[1] * len(names), "report": 3.0})
    run.begin("maps", f"Making {len(names)} map{'s' if len(names) > 1 else ''}.")
    maps = attributions(run, classifier, picture, names, asked)
    announce(run, maps[0])
    checks = _check(run, classifier, picture, maps, draws)
    run.begin("report", "Drawing the results.")
    run.write("figure", sanity_figure(checks))
    stats = {check.saliency.method: plain(_stats(check)) for check in checks}
    run.write("stats", json.dumps({"target": maps[0].target.name, "methods": stats}, indent=1).encode())
    if not options.no_report:
        builder = RecordBuilder("sanity", f"Are the saliency maps of {picture.name} to be believed?", _headline(checks))
        judged = [check.verdict for check in checks]
        first = most_believable(maps, judged)
        builder.conclusion = sanity_conclusion(maps, judged)
        builder.lead.append(saliency_row(builder.images, picture.rgb_hwc_u8, maps[first], judged[first]))
        builder.sections.append(sanity_section(builder.images, checks))
        builder.data = {"target": maps[0].target.name, "methods": stats}
        run.write_report(builder, classifier)
    run.finish()


def _check(
    run: Run, classifier: "Classifier", picture: "Picture", maps: "list[SaliencyMap]", draws: int
) -> "list[SanityCheck]":
    """Put every map through the tests, telling of each stage."""
    from interp.attribution.sanity import sanity_check

    image = picture.image_nchw01.to(run.device())
    run.begin("chance", "Measuring what random maps reach.")
    margin95 = margin95_of(run, classifier, picture, maps)
    checks: list[SanityCheck] = []

    def on_stage(stage: int, stages: int) -> None:
        share = (len(checks) + stage / stages) / len(maps)
        run.at("networks", share, f"{maps[len(checks)].title}, random network {stage} of {stages}")

    run.begin("networks", "Making the network random, from the top down.")
    for entry in maps:
        checks.append(
            sanity_check(
                classifier, image, entry, seed=run.options.seed, draws=draws, random_quantile95=margin95,
                on_stage=on_stage,
            )
        )  # fmt: skip
    for check in checks:
        run.say(in_one_line(check.saliency, check.verdict))
    return checks


def _headline(checks: "list[SanityCheck]") -> str:
    words = "; ".join(f"{check.saliency.title}: {check.verdict.word}" for check in checks)
    return f"{words}."


def _stats(check: "SanityCheck") -> dict[str, object]:
    from reports.verdict import verdict_data

    return {
        "verdict": verdict_data(check.verdict),
        "cascade": dict(zip(check.cascade.layers, check.cascade.similarities, strict=True)),
        "draws": check.cascade.draws,
        "other classes": dict(zip(check.other_classes, check.logits, strict=True)),
        "edges": check.edges,
    }
