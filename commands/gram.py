"""`gram`: Gram statistics of a picture, layer by layer, or which layers tell several pictures apart."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import LayersOption, RunOptions, command
from commands.run import Run, names_of
from interp.errors import UsageError
from interp.network.layer_names import LAYERS, layer

if TYPE_CHECKING:
    from interp.pictures.images import Picture
    from interp.statistics.gram_compare import GramComparison

MAX_PICTURES = 12


@command
def gram(
    context: typer.Context,
    options: RunOptions,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE", help="One picture, or several to compare.", show_default="the bundled painting"
        ),
    ] = None,
    layers: LayersOption = "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1",
    size: Annotated[
        int, typer.Option("--size", min=64, max=4096, help="Long side at which the network looks, in px.")
    ] = 512,
) -> None:
    """Show what the layers' Gram matrices say about a picture, or which layers tell several pictures apart.

    Example: python cli.py gram monet.jpg vangogh.jpg photo.jpg
    """
    run = Run(context, options)
    names = sorted({layer(name).name for name in names_of(layers, list(LAYERS))}, key=list(LAYERS).index)
    if not names:
        raise UsageError("No layer was named; expected names such as relu1_1,relu3_1, or `all`.")
    pictures = _pictures(run, images or [])
    run.plan_outputs(next(iter(pictures.values())).stem, {"figure": "png", "stats": "json"})

    from interp.pictures.sizes import painting_size_hw_px, resize_nchw01, working_size_hw_px
    from interp.statistics.gram_compare import compare_grams
    from reports.conclusions.seeing import is_flat
    from reports.conclusions.style import gram_conclusion
    from reports.gram import gram_distances, gram_sections, gram_spectra, pictures_row
    from reports.store import RecordBuilder, plain

    vgg = run.network()
    working = [working_size_hw_px(picture.size_hw_px, size) for picture in pictures.values()]
    smallest = min(working, key=lambda size_hw: size_hw[0] * size_hw[1])
    sizes = working if len(working) == 1 else [painting_size_hw_px(size_hw, smallest) for size_hw in working]
    small = [
        resize_nchw01(picture.image_nchw01, size_hw).to(run.device())
        for picture, size_hw in zip(pictures.values(), sizes, strict=True)
    ]
    comparison = compare_grams(vgg, small, names, run.options.seed)
    for sentence in sentences(comparison, list(pictures)):
        run.say(sentence)
    spectra = {name: [entry.stats for entry in style] for name, style in zip(pictures, comparison.styles, strict=True)}
    several = len(pictures) > 1
    run.write("figure", gram_distances(comparison, list(pictures)) if several else gram_spectra(spectra))
    stats = plain({"pictures": dict(zip(pictures, comparison.styles, strict=True)), "layers": comparison.layers})
    run.write("stats", json.dumps(stats, indent=1).encode())
    if not options.no_report:
        shown = ", ".join(pictures)
        seen = " and ".join(dict.fromkeys(f"{width}x{height}" for height, width in sizes))
        headline = sentences(comparison, list(pictures))[0] if several else ""
        builder = RecordBuilder("gram", f"Gram statistics of {shown}", headline)
        builder.headline = headline or f"{len(names)} layers of {vgg.info.name} at {seen} px."
        flat = [name for name, image in zip(pictures, small, strict=True) if is_flat(image[0].cpu().numpy())]
        builder.lead.append(pictures_row(builder.images, {name: entry.rgb_hwc_u8 for name, entry in pictures.items()}))
        builder.conclusion = gram_conclusion(comparison, list(pictures), flat)
        builder.sections += gram_sections(builder.images, comparison, list(pictures))
        builder.data = {"sizes_hw_px": sizes, **stats}
        run.write_report(builder, vgg)
    run.finish()


def sentences(comparison: "GramComparison", names: list[str]) -> list[str]:
    """What the comparison says, in words; nothing for one picture."""
    if not comparison.layers:
        return []
    couples = len(names) * (len(names) - 1) // 2
    best = next((entry for entry in comparison.layers if entry.layer == comparison.best), None)
    if best is None:
        return ["No layer has enough cells to be measured at this size; use a larger --size."]
    a, b = best.farthest
    return [
        f"{best.layer} tells the pictures apart best: separation {best.separation:.2f}; {best.beyond_chance} of "
        f"{couples} pair{'s' if couples > 1 else ''} beyond chance. Farthest apart: {names[a]} and {names[b]}."
    ]


def _pictures(run: Run, sources: list[str]) -> "dict[str, Picture]":
    """The pictures by name; where there are fewer than two, a painting."""
    if len(sources) < 2:
        picture = run.painting(sources[0] if sources else None)
        return {picture.name: picture}
    return run.pictures("picture", [source if source == "-" else str(Path(source)) for source in sources], MAX_PICTURES)
