"""`stylize`: restyle regions of a photo after paintings, and explain every choice."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from commands.contest import ways_named, with_layers_of
from commands.follow import check_options, follow_recipe
from commands.foreground import ForegroundOptions, find_foreground, region_alpha
from commands.job import Job, do_job
from commands.options import INTERRUPTED, ImageArgument, Region, RunOptions, command
from commands.parts import Part, StyleOptions, read_parts
from commands.run import Run, names_of
from commands.seeing import SaliencyFindings, look
from interp.errors import UsageError
from interp.network.layer_names import RELU_NAMES, layer
from stylize.preset_file import PresetFile
from stylize.recipes import Recipe

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from interp.statistics.layers import LayerChoice
    from segment.segmentation import Segmentation
    from stylize.presets import Settings
    from stylize.region import StyledRegion

LOOP, LAYERS = "Optimisation", "Layers"
STRENGTHS = ("strength", "strength_foreground", "strength_background")


class LayerChoiceMode(StrEnum):
    """Who chooses the layers."""

    AUTO = "auto"
    FIXED = "fixed"


class Optimizer(StrEnum):
    """Which optimiser."""

    LBFGS = "lbfgs"
    ADAM = "adam"


class Start(StrEnum):
    """Where the optimisation begins."""

    PHOTO = "photo"
    NOISE = "noise"


@dataclass(frozen=True)
class LoopOptions:
    """How to optimise."""

    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="NAME|FILE",
            help="default, draft, a TOML file, or another's recipe: report-pytorch, report-tensorflow, "
            "report-tensorflow-fixed, report-isolated, gatys.",
            rich_help_panel=LOOP,
        ),
    ] = "default"
    size: Annotated[
        int | None,
        typer.Option("--size", help="Working size: the long side in px.", show_default="512", rich_help_panel=LOOP),
    ] = None
    iterations: Annotated[
        int | None, typer.Option("--iterations", help="Steps at the finest scale.", rich_help_panel=LOOP)
    ] = None
    optimizer: Annotated[
        Optimizer | None,
        typer.Option("--optimizer", help="Optimiser.", show_default="lbfgs", rich_help_panel=LOOP),
    ] = None
    init: Annotated[
        Start | None, typer.Option("--init", help="Where to begin.", show_default="photo", rich_help_panel=LOOP)
    ] = None

    def settings(self, base: "Settings", style_scale: float | None, seed: int) -> "Settings":
        """The preset's, changed by what was given."""
        named = {"size_px": self.size, "style_scale": style_scale, "iterations": self.iterations, "seed": seed}
        named |= {"optimizer": self.optimizer and self.optimizer.value, "start": self.init and self.init.value}
        return replace(base, **{name: value for name, value in named.items() if value is not None})


@dataclass(frozen=True)
class LayerOptions:
    """Which layers carry style and content."""

    layer_choice: Annotated[
        LayerChoiceMode,
        typer.Option("--layer-choice", help="The usual layers, or by evidence (auto).", rich_help_panel=LAYERS),
    ] = LayerChoiceMode.FIXED
    style_layers: Annotated[
        str | None,
        typer.Option("--style-layers", metavar="NAMES", help="Style layers, comma-separated.", rich_help_panel=LAYERS),
    ] = None
    content_layer: Annotated[
        str | None, typer.Option("--content-layer", metavar="NAME", help="Content layer.", rich_help_panel=LAYERS)
    ] = None

    @property
    def style_names(self) -> list[str]:
        """The style layers given, if any."""
        return names_of(self.style_layers, RELU_NAMES)

    def check(self) -> None:
        """Refuse unknown names before anything is loaded."""
        for name in [*self.style_names, *([self.content_layer] if self.content_layer else [])]:
            layer(name)


@command
def stylize(
    context: typer.Context,
    options: RunOptions,
    style: StyleOptions,
    foreground: ForegroundOptions,
    loop: LoopOptions,
    layers: LayerOptions,
    image: ImageArgument = None,
) -> None:
    """Restyle the foreground or the background of a photo after a painting, or each after its own.

    Example: python cli.py stylize photo.jpg --style painting.jpg --region background -o restyled.png
    """
    run = Run(context, options)
    layers.check()
    foreground.check()
    way = ways_named([loop.preset])[loop.preset]
    if isinstance(way, Recipe):
        check_options(run, way)
    photo, parts = run.photo(image, "astronaut"), read_parts(run, style)
    name = parts[0].region.value if len(parts) == 1 else "both"
    run.plan_outputs(photo.stem, {"image": "png", "mask": "png", "alpha": "png"}, name)

    if isinstance(way, Recipe):
        _follow(run, photo, parts, way, foreground, loop)
        return
    settings = loop.settings(way.settings, style.style_scale, options.seed)
    if way.strength is not None and not any(run.is_given(option) for option in STRENGTHS):
        parts = [replace(part, strength=way.strength) for part in parts]
    findings, segmentation, vgg = _see(run, photo, parts, foreground)
    from stylize.region import StyledRegion

    styled = []
    for part in parts:
        alpha = region_alpha(part.region, photo, segmentation)
        choice = _choose(run, vgg, photo, part, alpha, settings, layers, way)
        styled.append(
            StyledRegion(
                alpha, part.painting.image_nchw01.to(run.device()), choice, part.strength, part.colour.value,
                part.painting_alpha_hw01, part.name,
            )
        )  # fmt: skip
    job = do_job(run, vgg, photo, styled, settings, _kept(photo, styled, segmentation, foreground))
    _write_pictures(run, job, segmentation, parts)
    if not options.no_report:
        from commands.story import tell_stylize

        run.write_report(tell_stylize(run, vgg, job, parts, findings, segmentation), vgg)
    run.finish()
    if job.interrupted:
        raise typer.Exit(INTERRUPTED)


def _follow(
    run: Run, photo: "Picture", parts: list[Part], recipe: Recipe, foreground: ForegroundOptions, loop: LoopOptions
) -> None:
    """Restyle by a recipe of other work, which knows no region: what it makes of everything is pasted into one."""
    if len(parts) > 1:
        raise UsageError(f"Preset {recipe.name!r} makes one picture of everything; expected one painting and region.")
    region = parts[0].region
    if recipe.cut_result and region is Region.ALL:
        raise UsageError(f"Preset {recipe.name!r} cuts a region out; expected --region foreground or background.")
    _, segmentation, vgg = _see(run, photo, parts, foreground)
    alpha = region_alpha(region, photo, segmentation)
    follow_recipe(
        run, vgg, (photo, parts[0].painting), recipe, alpha, segmentation, region,
        size_px=loop.size, iterations=loop.iterations,
    )  # fmt: skip


def _see(
    run: Run, photo: "Picture", parts: list[Part], foreground: ForegroundOptions
) -> "tuple[SaliencyFindings | None, Segmentation | None, Vgg]":
    """Look at the photo and find the foreground; what needs no network fails before one is loaded."""
    segmentation, whole = None, parts[0].region is Region.ALL
    if not whole and not foreground.needs_saliency:
        segmentation = find_foreground(run, photo, foreground, None)
    vgg = run.network()
    prompted = not whole and foreground.needs_saliency
    findings = None if run.options.no_report and not prompted else look(run, vgg, photo)
    if findings:
        run.say(f"The network sees: {findings.sentence}.")
    if not whole and segmentation is None:
        segmentation = find_foreground(run, photo, foreground, findings)
    return findings, segmentation, vgg


def _choose(
    run: Run, vgg: "Vgg", photo: "Picture", part: Part, alpha: "np.ndarray", settings: "Settings", given: LayerOptions,
    preset: PresetFile,
) -> "LayerChoice":  # fmt: skip
    from interp.pictures.sizes import fit_painting_nchw01, resize_hw01, resize_nchw01, working_size_hw_px
    from interp.statistics.layers import choose_layers, fixed_choice, override_choice, usual_layers

    size = working_size_hw_px(photo.size_hw_px, settings.size_px)
    named = (given.style_names or preset.style_layers) and (given.content_layer or preset.content_layer)
    fixed = given.layer_choice is LayerChoiceMode.FIXED
    if named or (fixed and run.options.no_report):
        choice = fixed_choice()
    else:
        photo_small = resize_nchw01(photo.image_nchw01, size).to(run.device())
        painting_small = fit_painting_nchw01(part.painting.image_nchw01, size, settings.style_scale).to(run.device())
        choice = choose_layers(vgg, photo_small, painting_small, resize_hw01(alpha, size), run.options.seed)
        choice = usual_layers(choice) if fixed else choice
    choice = override_choice(with_layers_of(preset, choice), given.style_names, given.content_layer)
    for sentence in choice.sentences:
        run.say(sentence)
    if size != photo.size_hw_px:
        (height, width), own = size, photo.size_hw_px
        run.say(f"Working at {width}x{height} px; the restyled {part.name} is enlarged to {own[1]}x{own[0]} px.")
    return choice


def _kept(
    photo: "Picture", styled: "list[StyledRegion]", segmentation: "Segmentation | None", foreground: ForegroundOptions
) -> "np.ndarray | None":
    """The photo with the kept side's own colours at a soft edge; not where a feather made the edge soft."""
    from segment.edge_colours import foreground_colours

    if segmentation is None or len(styled) > 1 or foreground.feather:
        return None
    return foreground_colours(photo.rgb_hwc_u8, 1 - styled[0].alpha_hw01)


def _write_pictures(run: Run, job: Job, segmentation: "Segmentation | None", parts: list[Part]) -> None:
    """The result, and the mask and alpha of the one region that was restyled, or of the foreground if both were."""
    from interp.pictures.images import encode_jpeg, encode_png, mask_u8

    exact = run.plan.paths["image"].suffix.lower() == ".png"
    run.write("image", (encode_png if exact else encode_jpeg)(job.result_hwc_u8))
    if not exact:
        run.warn("JPEG is lossy: pixels outside the region are close to the photo's, not identical. Use .png for that.")
    alpha = job.styled[0].alpha_hw01
    inverted = parts[0].region is Region.BACKGROUND
    run.write("mask", encode_png(mask_u8(alpha >= 0.5 if segmentation is None else segmentation.mask_hw ^ inverted)))
    run.write("alpha", encode_png(mask_u8(alpha)))
