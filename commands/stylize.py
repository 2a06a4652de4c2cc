"""`stylize`: restyle one region of a photo after a painting, and explain every choice."""

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from commands.evidence import SaliencyFindings, find_foreground, look, parse_box, region_alpha
from commands.job import Job, do_job
from commands.options import (
    INTERRUPTED,
    ForegroundOptions,
    ImageArgument,
    Region,
    RegionOption,
    RunOptions,
    StyleOption,
    command,
)
from commands.run import Run, names_of
from interp.layer_names import RELU_NAMES, layer

if TYPE_CHECKING:
    import numpy as np

    from interp.images import Picture
    from interp.layers import LayerChoice
    from interp.vgg import Vgg
    from segment.result import Segmentation
    from stylize.presets import Settings


class LayerChoiceMode(StrEnum):
    """Who chooses the layers."""

    AUTO = "auto"
    FIXED = "fixed"


class Colour(StrEnum):
    """Whose colours."""

    NONE = "none"
    LUMINANCE = "luminance"
    MATCH = "match"


class Optimizer(StrEnum):
    """Which optimiser."""

    LBFGS = "lbfgs"
    ADAM = "adam"


class Start(StrEnum):
    """Where the optimisation begins."""

    PHOTO = "photo"
    NOISE = "noise"


StrengthOption = Annotated[float, typer.Option("--strength", help="Painting against photo; 1 is balanced.")]
StyleScaleOption = Annotated[float | None, typer.Option("--style-scale", help="Size of the strokes; 1 is as painted.")]
ColourOption = Annotated[Colour, typer.Option("--keep-colour", help="Keep the photo's colours.")]
PresetOption = Annotated[str, typer.Option("--preset", help="default or draft.")]
SizeOption = Annotated[
    int | None, typer.Option("--size", help="Working size: the long side in px.", show_default="512")
]
IterationsOption = Annotated[int | None, typer.Option("--iterations", help="Steps at the finest scale.")]
OptimizerOption = Annotated[Optimizer | None, typer.Option("--optimizer", help="Optimiser.", show_default="lbfgs")]
StartOption = Annotated[Start | None, typer.Option("--init", help="Where to begin.", show_default="photo")]
ChoiceOption = Annotated[LayerChoiceMode, typer.Option("--layer-choice", help="Layers by evidence, or the usual ones.")]
StyleLayersOption = Annotated[
    str | None, typer.Option("--style-layers", metavar="NAMES", help="Style layers, comma-separated.")
]
ContentLayerOption = Annotated[str | None, typer.Option("--content-layer", metavar="NAME", help="Content layer.")]


@command
def stylize(
    context: typer.Context,
    options: RunOptions,
    foreground: ForegroundOptions,
    image: ImageArgument = None,
    style: StyleOption = None,
    region: RegionOption = Region.BACKGROUND,
    strength: StrengthOption = 1.0,
    style_scale: StyleScaleOption = None,
    keep_colour: ColourOption = Colour.NONE,
    preset: PresetOption = "default",
    size: SizeOption = None,
    iterations: IterationsOption = None,
    optimizer: OptimizerOption = None,
    init: StartOption = None,
    layer_choice: ChoiceOption = LayerChoiceMode.AUTO,
    style_layers: StyleLayersOption = None,
    content_layer: ContentLayerOption = None,
) -> None:
    """Restyle the foreground or the background of a photo after a painting.

    Example: python cli.py stylize photo.jpg --style painting.jpg --region background -o restyled.png
    """
    run = Run(context, options)
    layers = _check_layers(style_layers, content_layer)
    if foreground.box:
        parse_box(foreground.box)
    photo, painting = run.photo(image, "astronaut"), run.painting(style)
    run.plan_outputs(photo.stem, {"image": "png", "mask": "png", "alpha": "png"}, region.value)

    from stylize.presets import preset as preset_named

    named = {"size_px": size, "style_scale": style_scale, "iterations": iterations, "seed": options.seed}
    named |= {"optimizer": optimizer and optimizer.value, "start": init and init.value}
    settings = replace(preset_named(preset), **{name: value for name, value in named.items() if value is not None})

    findings, segmentation, vgg = _see(run, photo, region, foreground)
    alpha = region_alpha(region, photo, segmentation)
    choice = _choose(run, vgg, photo, painting, alpha, settings, layer_choice, layers)
    from stylize.scene import StyledRegion

    styled = StyledRegion(alpha, painting.image_nchw01.to(run.device()), choice, strength, keep_colour.value)
    job = do_job(run, vgg, photo, styled, settings)
    _write_pictures(run, job, segmentation, region)
    if not options.no_report:
        from commands.story import tell_stylize

        run.write_report(tell_stylize(run, vgg, job, painting, findings, segmentation, region.value), vgg)
    run.finish()
    if job.interrupted:
        raise typer.Exit(INTERRUPTED)


def _check_layers(style: str | None, content: str | None) -> tuple[list[str], str | None]:
    names = names_of(style, RELU_NAMES)
    for name in [*names, *([content] if content else [])]:
        layer(name)
    return names, content


def _see(
    run: Run, photo: "Picture", region: Region, foreground: ForegroundOptions
) -> "tuple[SaliencyFindings | None, Segmentation | None, Vgg]":
    """Look at the photo and find the foreground; what needs no network fails before one is loaded."""
    segmentation = None
    if region is not Region.ALL and not foreground.needs_saliency:
        segmentation = find_foreground(run, photo, foreground, None)
    vgg = run.network()
    prompted = region is not Region.ALL and foreground.needs_saliency
    findings = None if run.options.no_report and not prompted else look(run, vgg, photo)
    if findings:
        run.say(f"The network sees: {findings.sentence}.")
    if region is not Region.ALL and segmentation is None:
        segmentation = find_foreground(run, photo, foreground, findings)
    return findings, segmentation, vgg


def _choose(
    run: Run, vgg: "Vgg", photo: "Picture", painting: "Picture", alpha: "np.ndarray", settings: "Settings",
    mode: LayerChoiceMode, given: tuple[list[str], str | None],
) -> "LayerChoice":  # fmt: skip
    from interp.layers import choose_layers, fixed_choice, override_choice
    from interp.sizes import fit_painting_nchw01, resize_hw01, resize_nchw01, working_size_hw_px

    size = working_size_hw_px(photo.size_hw_px, settings.size_px)
    if mode is LayerChoiceMode.FIXED or (given[0] and given[1]):
        choice = fixed_choice()
    else:
        photo_small = resize_nchw01(photo.image_nchw01, size).to(run.device())
        painting_small = fit_painting_nchw01(painting.image_nchw01, size, settings.style_scale).to(run.device())
        choice = choose_layers(vgg, photo_small, painting_small, resize_hw01(alpha, size), run.options.seed)
    choice = override_choice(choice, *given)
    for sentence in choice.sentences:
        run.say(sentence)
    if size != photo.size_hw_px:
        height, width = photo.size_hw_px
        run.say(
            f"Working at {size[1]}x{size[0]} px; the restyled region is enlarged to the photo's {width}x{height} px."
        )
    return choice


def _write_pictures(run: Run, job: Job, segmentation: "Segmentation | None", region: Region) -> None:
    from interp.images import encode_jpeg, encode_png, mask_u8

    exact = run.plan.paths["image"].suffix.lower() == ".png"
    run.write("image", (encode_png if exact else encode_jpeg)(job.result_hwc_u8))
    if not exact:
        run.warn("JPEG is lossy: pixels outside the region are close to the photo's, not identical. Use .png for that.")
    alpha = job.styled.alpha_hw01
    binary = alpha >= 0.5 if segmentation is None else segmentation.mask_hw ^ (region is Region.BACKGROUND)
    run.write("mask", encode_png(mask_u8(binary)))
    run.write("alpha", encode_png(mask_u8(alpha)))
