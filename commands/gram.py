"""`gram`: Gram statistics of a picture, layer by layer."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from commands.options import LayersOption, RunOptions, command
from commands.run import Run, names_of
from interp.layer_names import LAYERS, layer


@command
def gram(
    context: typer.Context,
    options: RunOptions,
    image: Annotated[
        str | None, typer.Argument(metavar="IMAGE", help="Picture.", show_default="the bundled painting")
    ] = None,
    layers: LayersOption = "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1",
    size: Annotated[
        int, typer.Option("--size", min=64, max=4096, help="Long side at which the network looks, in px.")
    ] = 512,
) -> None:
    """Show energy, spectrum and effective rank of the layers' Gram matrices.

    Example: python cli.py gram painting.jpg --layers relu1_1,relu3_1
    """
    run = Run(context, options)
    names = [layer(name).name for name in names_of(layers, list(LAYERS))]
    picture = run.painting(image)
    run.plan_outputs(picture.stem, {"figure": "png", "stats": "json"})

    import torch

    from interp.gram import gram_stats, region_gram
    from interp.sizes import resize_nchw01, working_size_hw_px
    from reports import figures
    from reports.evidence import gram_section
    from reports.store import RecordBuilder

    vgg = run.network()
    looked_at = working_size_hw_px(picture.size_hw_px, size)
    with torch.no_grad():
        maps = vgg.activations(resize_nchw01(picture.image_nchw01, looked_at).to(run.device()), names)
        stats = {picture.name: [gram_stats(name, region_gram(values)) for name, values in maps.items()]}
    run.write("figure", figures.gram_spectra(stats))
    run.write("stats", json.dumps([asdict(entry) for entry in stats[picture.name]], indent=1).encode())
    if not options.no_report:
        builder = RecordBuilder("gram", f"Gram statistics of {picture.name}")
        builder.headline = f"{len(names)} layers of {vgg.info.name} at {looked_at[1]}x{looked_at[0]} px."
        builder.sections.append(gram_section(builder.images, stats))
        builder.data = {"stats": stats}
        run.write_report(builder, vgg)
    run.finish()
