"""`kmeans`: group the pixels of a photo, and paint groups black."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from commands.options import ImageArgument, RunOptions, command
from commands.run import Run
from interp.errors import UsageError


class ClusterFeatures(StrEnum):
    """What is clustered."""

    RGB = "rgb"
    LAB = "lab"
    LAB_XY = "lab+xy"
    VGG = "vgg"


FeaturesOption = Annotated[
    ClusterFeatures, typer.Option("--features", help="What is compared: colours, colours and place, deep features.")
]
KOption = Annotated[
    int | None, typer.Option("--k", min=2, max=24, help="Number of clusters.", show_default="elbow and silhouette")
]
BlackoutOption = Annotated[
    str | None,
    typer.Option(
        "--blackout",
        metavar="NUMBERS",
        help="Clusters to paint black, counted from the largest: 1,3.",
        show_default="the border's",
    ),
]


@command
def kmeans(
    context: typer.Context,
    options: RunOptions,
    image: ImageArgument = None,
    features: FeaturesOption = ClusterFeatures.LAB,
    k: KOption = None,
    blackout: BlackoutOption = None,
) -> None:
    """Group similar pixels, show them in their mean colours, paint groups black; is the background neutral?

    Example: python cli.py kmeans photo.jpg --k 4 --blackout 1,3
    """
    run = Run(context, options)
    asked = parse_numbers(blackout) if blackout else []
    picture = run.photo(image, "astronaut")
    run.plan_outputs(picture.stem, {"map": "png", "blackout": "png", "figure": "png", "stats": "json"})

    from reports.clusters import clusters_figure, clusters_row, clusters_section, neutrality, why_so_many
    from reports.conclusions.regions import clusters_conclusion
    from reports.store import RecordBuilder
    from segment.kmeans import blackout as black
    from segment.kmeans import cluster

    describe = None
    if features is ClusterFeatures.VGG:
        from segment.hypercolumns import Hypercolumns

        describe = Hypercolumns(run.network())
    own = picture.original
    clusters = cluster(
        own.visible_hwc_u8, features=features.value, k=k, describe=describe, hidden_hw=own.hidden_hw, seed=options.seed
    )
    numbers = asked or [clusters.background + 1]
    blackened = black(own.rgb_hwc, clusters, numbers)
    run.say(f"{why_so_many(clusters)} {neutrality(clusters)}")
    for number, (share, colour) in enumerate(zip(clusters.shares, clusters.hex_colours, strict=True), 1):
        run.say(f"  {number}  {colour}  {share:6.1%}")
    run.write_photo("map", clusters.map_hwc_u8, picture)
    run.write_photo("blackout", blackened, picture)
    run.write("figure", clusters_figure(clusters))
    run.write("stats", json.dumps(clusters.facts(), indent=1).encode())
    if not options.no_report:
        builder = RecordBuilder("kmeans", f"Clusters of {picture.name}", neutrality(clusters))
        seen = black(picture.rgb_hwc_u8, clusters, numbers)
        builder.lead.append(clusters_row(builder.images, picture.rgb_hwc_u8, clusters, seen, numbers))
        builder.conclusion = clusters_conclusion(clusters, neutrality(clusters))
        builder.sections.append(clusters_section(builder.images, clusters))
        builder.data = {"clusters": clusters.facts()}
        run.write_report(builder, run.network() if describe else None)
    run.finish()


def parse_numbers(text: str) -> list[int]:
    """Read `1,3`.

    Raises:
        UsageError: If it is no list of whole numbers above 0.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UsageError(f"Clusters {text!r}; expected numbers counted from 1, separated by commas, such as 1,3.")
    return numbers
