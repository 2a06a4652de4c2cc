"""`layers`: the evidence for the choice of layers, without restyling."""

from typing import Annotated

import typer

from commands.options import ImageArgument, RunOptions, StyleOption, command
from commands.run import Run


@command
def layers(
    context: typer.Context,
    options: RunOptions,
    image: ImageArgument = None,
    style: StyleOption = None,
    size: Annotated[int, typer.Option("--size", min=64, max=4096, help="Working size: the long side in px.")] = 512,
) -> None:
    """Show which layers tell a painting from a photo, and which would be used.

    Example: python cli.py layers photo.jpg --style painting.jpg
    """
    run = Run(context, options)
    photo, painting = run.photo(image, "astronaut"), run.painting(style)
    run.plan_outputs(photo.stem, {"figure": "png"})

    from interp.pictures.sizes import fit_painting_nchw01, resize_nchw01, working_size_hw_px
    from interp.statistics.layers import choose_layers
    from reports.blocks import Figure, Row
    from reports.conclusions.style import layers_conclusion
    from reports.layers import choice_data, layer_evidence, layer_sentences, layers_section
    from reports.store import RecordBuilder
    from stylize.texture import textures

    vgg = run.network()
    looked_at = working_size_hw_px(photo.size_hw_px, size)
    photo_small = resize_nchw01(photo.image_nchw01, looked_at).to(run.device())
    painting_small = fit_painting_nchw01(painting.image_nchw01, looked_at).to(run.device())
    run.foresee({"evidence": 3.0, "figure": 0.5} | ({} if options.no_report else {"textures": 3.0, "report": 1.0}))
    run.begin("evidence", "Measuring how well each layer tells the painting from the photo.")
    choice = choose_layers(vgg, photo_small, painting_small, seed=options.seed)
    for sentence in layer_sentences(choice):
        run.say(sentence)
    run.begin("figure", "Drawing the evidence.")
    run.write("figure", layer_evidence(choice))
    if not options.no_report:
        run.begin("textures", "Making a texture from each layer's statistics.")
        builder = RecordBuilder("layers", f"Layers for {photo.name} after {painting.name}")
        builder.headline = f"Style from {', '.join(choice.style_weights)}; content from {choice.content_layer}."
        shown = (("The photo", photo), ("The painting", painting))
        builder.lead.append(
            Row(
                tuple(
                    Figure(builder.images.photo(picture.rgb_hwc_u8, f"{role}."), f"{role}: {picture.name}")
                    for role, picture in shown
                )
            )
        )
        builder.conclusion = layers_conclusion(choice)
        carried = textures(vgg, painting_small)
        run.at("report")
        builder.sections.append(layers_section(builder.images, choice, carried))
        builder.data = {"choice": choice_data(choice)}
        run.write_report(builder, vgg)
    run.finish()
