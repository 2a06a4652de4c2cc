"""`featuremaps`: the maps of VGG-19's layers in a grid."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from commands.options import ImageArgument, LayersOption, RunOptions, command
from commands.run import Run, names_of
from interp.layer_names import LAYERS, layer


class Scale(StrEnum):
    """Colour scale of a grid."""

    MAP = "map"
    SHARED = "shared"


class Rank(StrEnum):
    """Order of the channels."""

    INDEX = "index"
    MEAN = "mean"
    VARIANCE = "variance"


@command
def featuremaps(
    context: typer.Context,
    options: RunOptions,
    image: ImageArgument = None,
    layers: LayersOption = "conv1_1",
    rank: Annotated[Rank, typer.Option("--rank", help="Which channels come first.")] = Rank.INDEX,
    scale: Annotated[Scale, typer.Option("--scale", help="One colour scale a map, or one for all.")] = Scale.MAP,
    count: Annotated[int, typer.Option("--count", min=1, max=512, help="Channels a layer at most.")] = 64,
    size: Annotated[
        int, typer.Option("--size", min=32, max=4096, help="Long side at which the network looks, in px.")
    ] = 512,
) -> None:
    """Show what the layers of VGG-19 answer to a photo.

    Example: python cli.py featuremaps photo.jpg --layers conv1_1,relu4_2 --rank mean
    """
    run = Run(context, options)
    names = [layer(name).name for name in names_of(layers, list(LAYERS))]
    picture = run.photo(image, "chelsea")
    grids = {"grid" if len(names) == 1 else f"grid:{name}": "png" for name in names}
    run.plan_outputs(picture.stem, {**grids, "stats": "json"})

    from interp.features import feature_maps
    from interp.sizes import resize_nchw01, working_size_hw_px
    from reports import figures
    from reports.evidence import features_section
    from reports.store import RecordBuilder

    vgg = run.network()
    looked_at = working_size_hw_px(picture.size_hw_px, size)
    photo = resize_nchw01(picture.image_nchw01, looked_at).to(run.device())
    maps = [feature_maps(vgg, photo, name, rank=rank.value, count=count) for name in names]
    for output, entry in zip(grids, maps, strict=True):
        run.write(output, figures.feature_grid(entry, shared_scale=scale is Scale.SHARED))
    stats = {
        entry.layer: {
            "stage": entry.stage,
            "mean": entry.stats.mean_c.tolist(),
            "std": entry.stats.std_c.tolist(),
            "maximum": entry.stats.maximum_c.tolist(),
            "dead": entry.stats.dead_c.tolist(),
        }
        for entry in maps
    }
    run.write("stats", json.dumps(stats, indent=1).encode())
    if not options.no_report:
        builder = RecordBuilder("featuremaps", f"Feature maps of {picture.name}")
        builder.headline = (
            f"{len(names)} layer{'s' if len(names) > 1 else ''} of {vgg.info.name} at {looked_at[1]}x{looked_at[0]} px."
        )
        builder.sections.append(features_section(builder.images, maps, shared_scale=scale is Scale.SHARED))
        builder.data = {"layers": stats}
        run.write_report(builder, vgg)
    run.finish()
