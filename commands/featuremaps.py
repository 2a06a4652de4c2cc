"""`featuremaps`: the maps of VGG-19's layers in a grid."""

import json
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.foreground import ForegroundOptions, find_foreground
from commands.options import ImageArgument, LayersOption, RunOptions, TargetOption, command
from commands.run import Run, names_of
from interp.errors import UsageError
from interp.network.layer_names import LAYERS, layer

if TYPE_CHECKING:
    from interp.network.features import FeatureMaps, Selection
    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from reports.store import RecordBuilder


class Scale(StrEnum):
    """Colour scale of a grid."""

    OWN = "own"
    SHARED = "shared"


class Rank(StrEnum):
    """Order of the channels."""

    INDEX = "index"
    MEAN = "mean"
    VARIANCE = "variance"
    ENERGY = "energy"
    GRADIENT = "gradient"
    CONTRAST = "contrast"


RANK_HELP = (
    "Which channels come first: by number, mean activation, variance, energy (the Gram matrix's diagonal), gradient of "
    "a class's score times activation, or contrast between the foreground and the rest."
)


@command
def featuremaps(
    context: typer.Context,
    options: RunOptions,
    foreground: ForegroundOptions,
    image: ImageArgument = None,
    layers: LayersOption = "conv1_1",
    rank: Annotated[Rank, typer.Option("--rank", help=RANK_HELP)] = Rank.INDEX,
    channels: Annotated[
        str | None,
        typer.Option("--channels", metavar="LIST", help="Channels to show instead, such as 3,17,40-47."),
    ] = None,
    scale: Annotated[Scale, typer.Option("--scale", help="One colour scale a map, or one for all.")] = Scale.OWN,
    count: Annotated[int, typer.Option("--count", min=1, max=512, help="Channels a layer at most.")] = 64,
    target: TargetOption = None,
    size: Annotated[
        int, typer.Option("--size", min=32, max=4096, help="Long side at which the network looks, in px.")
    ] = 512,
) -> None:
    """Show what the layers of VGG-19 answer to a photo.

    Example: python cli.py featuremaps photo.jpg --layers conv1_1,relu4_2 --rank mean
    """
    run = Run(context, options)
    names = sorted({layer(name).name for name in names_of(layers, list(LAYERS))}, key=list(LAYERS).index)
    if not names:
        raise UsageError("No layer was named; expected names such as conv1_1,relu4_2, or `all`.")
    shown = parse_channels(channels) if channels is not None else None
    foreground.check()
    picture = run.photo(image, "chelsea")
    from interp.pictures.sizes import working_size_hw_px

    looked_at = working_size_hw_px(picture.size_hw_px, size)
    names = _with_a_map(run, names, looked_at, whole=layers is not None and layers.strip() == "all")
    grids = {"grid" if len(names) == 1 else f"grid:{name}": "png" for name in names}
    run.plan_outputs(picture.stem, {**grids, "stats": "json"})

    from interp.network.features import Selection, feature_maps_of
    from interp.pictures.sizes import resize_hw01, resize_nchw01
    from reports.features import feature_grid

    vgg = run.network()
    photo = resize_nchw01(picture.image_nchw01, looked_at).to(run.device())
    more: dict[str, Any] = {}
    segmentation = None
    if rank is Rank.CONTRAST and shown is None:
        segmentation = find_foreground(run, picture, foreground)
        more["alpha_hw01"] = resize_hw01(segmentation.alpha_hw01, looked_at)
    if rank is Rank.GRADIENT and shown is None:
        more["evidence"] = _class_evidence(run, vgg, picture, names, target)
    selection = Selection(rank.value, count, shown, **more)
    maps = []
    for output, entry in zip(grids, feature_maps_of(vgg, photo, names, selection), strict=True):
        run.write(output, feature_grid(entry, shared_scale=scale is Scale.SHARED))
        maps.append(entry)
    stats = {entry.layer: _stats(entry, selection) for entry in maps}
    run.write("stats", json.dumps(stats, indent=1).encode())
    if not options.no_report:
        builder = _told(vgg, picture, maps, looked_at, scale)
        builder.data = {"layers": stats}
        if segmentation:
            from reports.region import region_section

            alpha = segmentation.alpha_hw01
            builder.sections.append(region_section(builder.images, picture.rgb_hwc_u8, segmentation, alpha))
        run.write_report(builder, vgg)
    run.finish()


def _with_a_map(run: Run, names: list[str], size_hw_px: tuple[int, int], whole: bool) -> list[str]:
    """The layers that have more than one cell at this size: one cell is no map.

    Raises:
        UsageError: If one was named that has not.
    """
    fit = [name for name in names if max(size_hw_px) >= 2 * layer(name).stride_px <= 2 * min(size_hw_px)]
    if len(fit) < len(names):
        left = next(name for name in names if name not in fit)
        height, width = size_hw_px
        few = f"{width}x{height} px give {left} a single cell or none"
        if not (whole and fit):
            raise UsageError(f"{few}, which is no map. Name an earlier layer, or use a larger photo or --size.")
        run.warn(f"{few}: {len(names) - len(fit)} layers were left out.")
    return fit


def parse_channels(text: str) -> list[int]:
    """Read `3,17,40-47`.

    Raises:
        UsageError: If it is not a list of numbers and ranges.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"Channels {text!r} are not a list of numbers; expected something like 3,17,40-47.")
        numbers += range(int(first), int(last if dash else first) + 1)
    if not numbers or len(set(numbers)) < len(numbers) or len(numbers) > 512:
        raise UsageError(f"Channels {text!r} name {len(numbers)} channels; expected 1 to 512, each once.")
    return numbers


def _class_evidence(run: Run, vgg: "Vgg", picture: "Picture", names: list[str], target: str | None) -> Any:
    from interp.attribution.class_evidence import class_evidence
    from interp.attribution.targets import parse_target
    from reports.features import explained

    chosen = None if target is None else parse_target(vgg, target)
    if chosen is not None and not chosen.is_class:
        raise UsageError(f"Rank gradient needs a class; {target!r} is a layer.")
    evidence = class_evidence(vgg, picture.image_nchw01.to(run.device()), names, chosen and chosen.index)
    run.say(f"Ranked by the score of {explained(evidence)}.")
    return evidence


def _stats(entry: "FeatureMaps", selection: "Selection") -> dict[str, Any]:
    from reports.features import rule_of

    statistics = {
        "stage": entry.stage,
        "rule": rule_of(entry),
        "shown": list(entry.channels),
        "scores": list(entry.scores),
        "mean": entry.stats.mean_c.tolist(),
        "std": entry.stats.std_c.tolist(),
        "maximum": entry.stats.maximum_c.tolist(),
        "energy": entry.stats.energy_c.tolist(),
        "dead": entry.stats.dead_c.tolist(),
    }
    if selection.evidence:
        statistics["gradient x activation"] = selection.evidence.scores[entry.layer].tolist()
    return statistics


def _told(
    vgg: "Vgg", picture: "Picture", maps: "list[FeatureMaps]", looked_at: tuple[int, int], scale: Scale
) -> "RecordBuilder":
    from reports.blocks import Figure, Row
    from reports.conclusions.seeing import features_conclusion, is_flat
    from reports.features import features_section
    from reports.store import RecordBuilder

    several = "s" if len(maps) > 1 else ""
    seen = f"{len(maps)} layer{several} of {vgg.info.name} at {looked_at[1]}x{looked_at[0]} px."
    builder = RecordBuilder("featuremaps", f"Feature maps of {picture.name}", seen)
    section = features_section(builder.images, maps, shared_scale=scale is Scale.SHARED)
    photo = Figure(builder.images.photo(picture.rgb_hwc_u8, "The photo."), "The photo")
    grid = next(block for block in section.blocks if isinstance(block, Figure))
    builder.lead.append(Row((photo, replace(grid, caption=f"{maps[0].layer}: what each of its channels sees in it"))))
    builder.conclusion = features_conclusion(maps, scale is Scale.SHARED, flat=is_flat(picture.image_nchw01[0].numpy()))
    builder.sections.append(section)
    return builder
