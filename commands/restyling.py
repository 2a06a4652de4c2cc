"""Restyling as a command or a Python call asks for it: one way from photo to result."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from commands.checkpoint import Checkpoint
from commands.foreground import ForegroundOptions, find_foreground, region_alpha
from commands.job import Job, do_job
from commands.on_the_way import OnTheWay
from commands.options import Region
from commands.pairs import cutter
from commands.parts import Part
from commands.reading import LARGEST_READ_PX
from commands.run import names_of
from commands.seeing import SaliencyFindings, look
from commands.series import KeptPart, Series
from commands.sizing import FINDING, LOOKING, foresee_all, sized
from commands.work import Work
from interp.errors import UsageError
from interp.network.layer_names import RELU_NAMES, layer
from stylize.ways import Way, way_named

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from interp.statistics.layers import LayerChoice
    from segment.segmentation import Segmentation
    from stylize.region import StyledRegion

LAYERS = "Layers"
FACE_INSIDE = 0.25  # of the faces' area: less is the rim of a face on the other side
HARDLY_VISIBLE = 0.05  # of the opaque pixels: a region that the eye will hardly find


class LayerChoiceMode(StrEnum):
    """Who chooses the layers."""

    AUTO = "auto"
    FIXED = "fixed"


class Faces(StrEnum):
    """What becomes of faces inside the region."""

    HELD = "held"
    FREE = "free"


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
    faces: Annotated[
        Faces, typer.Option("--faces", help="Hold eyes and mouths to the photo, or not.", rich_help_panel=LAYERS)
    ] = Faces.HELD

    @property
    def style_names(self) -> list[str]:
        """The style layers given, if any."""
        return names_of(self.style_layers, RELU_NAMES)

    def check(self) -> None:
        """Refuse unknown names before anything is loaded."""
        for name in [*self.style_names, *([self.content_layer] if self.content_layer else [])]:
            layer(name)


@dataclass(frozen=True)
class Restyling:
    """A photo restyled: the job, and what led to it."""

    work: Work
    vgg: "Vgg"
    job: Job
    parts: list[Part]
    findings: SaliencyFindings | None
    segmentation: "Segmentation | None"

    @property
    def foreground_hw01(self) -> "np.ndarray":
        """The alpha of the foreground, whichever side was restyled."""
        from interp.pictures.images import quantise_hw01

        if self.segmentation and not self.job.way.cut_result:
            return self.segmentation.alpha_hw01
        alpha = self.job.last.scene.regions[0].alpha_hw01
        return quantise_hw01(1 - alpha) if self.parts[0].region is Region.BACKGROUND else alpha


def check_parts(way: Way, parts: list[Part]) -> None:
    """Refuse more than a way can do."""
    if not way.isolates and len(parts) > 1:
        raise UsageError(f"Preset {way.name!r} makes one picture of everything; expected one painting and region.")
    if way.cut_result and parts[0].region is Region.ALL:
        raise UsageError(f"Preset {way.name!r} cuts a region out; expected --region foreground or background.")


def fixed_by_recipe(way: Way, names: list[str]) -> UsageError:
    """The error where a recipe of other work leaves no room for options."""
    options = ", ".join(f"--{name.replace('_', '-')}" for name in names)
    return UsageError(
        f"{options} cannot be combined with preset {way.name!r}, which fixes every constant; of the loop's "
        "options only --size and --iterations go with it."
    )


def restyle_parts(
    work: Work,
    photo: "Picture",
    parts: list[Part],
    foreground: ForegroundOptions,
    layers: LayerOptions,
    way: Way,
    mask_hw01: "np.ndarray | None" = None,
    *,
    grows: bool = False,
    checkpoint: Checkpoint | None = None,
    pictures: OnTheWay | None = None,
    series: Series | None = None,
) -> Restyling:
    """Find the foreground, choose the layers, restyle.

    Args:
        work: Inputs and words.
        photo: The photo.
        parts: What to restyle after which painting.
        foreground: How to find it.
        layers: Which layers the user named.
        way: How to restyle.
        mask_hw01: The foreground itself, (H, W) in [0, 1], for the prompt `mask`.
        grows: Whether the working size may grow with the photo.
        checkpoint: Where the run is kept on the way, if anywhere.
        pictures: What is kept of the pictures on the way.
        series: What it is to match, if anything.
    """
    from segment.faces import face_map

    work.foresee({"libraries": 1.0})
    vgg, first = work.network(), _first_stages(work, parts, foreground)
    foresee_all(work, way, photo.size_hw_px, len(parts), vgg, first, grows=grows)
    findings = segmentation = None
    for stage in first:
        work.at(stage)
        if stage == LOOKING:
            findings = look(work, vgg, photo)
        else:
            segmentation = find_foreground(work, photo, foreground, findings, mask_hw01)
    alphas = [region_alpha(part.region, photo, segmentation) for part in parts]
    _warn_of_hidden(work, photo, parts, alphas)
    way, foreseen = sized(work, way, alphas, vgg, grows=grows)
    faces_hw01 = face_map(photo.rgb_hwc_u8) if layers.faces is Faces.HELD and way.isolates else None
    kept_parts = [series.parts[part.name] if series else None for part in parts]
    regions = [
        _styled(work, vgg, photo, *each, way, layers, faces_hw01)
        for each in zip(parts, alphas, kept_parts, strict=True)
    ]
    kept = _kept(photo, regions, segmentation) if way.isolates and not foreground.feather else None
    cut = cutter(work, segmentation, photo.size_hw_px, parts[0].region) if way.cut_result and segmentation else None
    job = do_job(
        work, vgg, photo, regions, way, foreseen, kept_hwc_u8=kept, cut=cut, checkpoint=checkpoint, pictures=pictures
    )
    _warn_of_constants(work, vgg, job)
    return Restyling(work, vgg, job, parts, findings, segmentation)


def _warn_of_hidden(work: Work, photo: "Picture", parts: list[Part], alphas_hw01: "list[np.ndarray]") -> None:
    """Say where a region lies behind what is transparent."""
    for part, alpha_hw01 in zip(parts, alphas_hw01, strict=True):
        share = hidden_share(photo, alpha_hw01)
        if share is not None:
            work.warn(
                f"Only {share:.1%} of what is visible of the photo is {part.name}: little will change. "
                "Restyle another --region, or say with --box or --mask what the foreground is."
            )


def hidden_share(photo: "Picture", alpha_hw01: "np.ndarray") -> float | None:
    """A region's share of what is visible of a transparent photo; None where it is enough, or all is visible."""
    visible_px = (~photo.original.hidden_hw).sum()
    share = float(alpha_hw01.sum()) / visible_px
    return share if visible_px < photo.original.hidden_hw.size and share < HARDLY_VISIBLE else None


def _first_stages(work: Work, parts: list[Part], foreground: ForegroundOptions) -> list[str]:
    """What comes before the layers: the foreground, unless all is restyled, and for the report what the network sees.

    The latter comes first where the foreground may follow from it; without a report, it is looked for if it does.
    """
    finding = [FINDING] * (parts[0].region is not Region.ALL)
    looking = [LOOKING] * (not work.options.no_report)
    return looking + finding if foreground.needs_saliency else finding + looking


def _styled(
    work: Work, vgg: "Vgg", photo: "Picture", part: Part, alpha: "np.ndarray", kept: KeptPart | None, way: Way,
    given: LayerOptions, faces_hw01: "np.ndarray | None",
) -> "StyledRegion":  # fmt: skip
    """A part with its region, and the layers to restyle it by."""
    from interp.pictures.sizes import working_size_hw_px
    from stylize.region import StyledRegion

    size = working_size_hw_px(way.scales(photo.size_hw_px)[-1][0], LARGEST_READ_PX)
    choice = _choose(work, vgg, photo, part, alpha, kept, size, way, given)
    named = ", ".join(choice.style_weights)
    work.say(f"Layers for the {part.name}: style from {named}, content from {choice.content_layer} ({choice.mode}).")
    painting = part.painting.image_nchw01.to(work.device())
    held = _held(work, faces_hw01, alpha, part)
    return StyledRegion(
        alpha, painting, choice, part.strength, part.colour.value, part.painting_alpha_hw01, part.name, held,
        kept.recolouring if kept else None,
    )  # fmt: skip


def _held(
    work: Work, faces_hw01: "np.ndarray | None", alpha_hw01: "np.ndarray", part: Part
) -> "np.ndarray | None":  # fmt: skip
    """The photo's faces if they lie in a region, (H, W) in [0, 1]; else None."""
    if faces_hw01 is None or (faces_hw01 * alpha_hw01).sum() < FACE_INSIDE * faces_hw01.sum():
        return None
    work.say(
        f"A face lies in the {part.name}: its eyes and mouth are held to the photo (--faces free paints them too)."
    )
    return faces_hw01


def _choose(
    work: Work, vgg: "Vgg", photo: "Picture", part: Part, alpha: "np.ndarray", kept: KeptPart | None,
    size_hw_px: tuple[int, int], way: Way, given: LayerOptions,
) -> "LayerChoice":  # fmt: skip
    """The layers: the user's, else the way's, else the series', else the usual ones or the evidence's."""
    from interp.pictures.images import to_nchw01
    from interp.pictures.sizes import fit_painting_nchw01, resize_hw01, resize_nchw01
    from interp.statistics.layers import choose_layers, fixed_choice, override_choice, usual_layers

    named = (given.style_names or way.style_layers) and (given.content_layer or way.content_layer)
    fixed = given.layer_choice is LayerChoiceMode.FIXED
    if named or ((fixed or kept) and work.options.no_report):
        choice = fixed_choice()
    else:
        work.say("Measuring how well each layer tells the painting from the photo.")
        small = resize_nchw01(to_nchw01(photo.original.visible_hwc_u8), size_hw_px).to(work.device())
        painting = fit_painting_nchw01(part.painting.image_nchw01, size_hw_px, way.style_scale).to(work.device())
        choice = choose_layers(vgg, small, painting, resize_hw01(alpha, size_hw_px), work.options.seed)
        choice = usual_layers(choice) if fixed else choice
    choice = kept.choose(choice) if kept else choice
    return override_choice(way.choose(choice), given.style_names, given.content_layer)


def _kept(photo: "Picture", regions: "list[StyledRegion]", segmentation: "Segmentation | None") -> "np.ndarray | None":
    """The photo with the kept side's own colours at a soft edge."""
    from segment.edge_colours import foreground_colours

    if segmentation is None or len(regions) > 1:
        return None
    return foreground_colours(photo.original.visible_hwc_u8, 1 - regions[0].alpha_hw01)


def _warn_of_constants(work: Work, vgg: "Vgg", job: Job) -> None:
    """What a reader must know of a run by constants of other work."""
    from reports.ways import way_notes
    from stylize.descent import gradient_nchw

    if job.way.sources:
        canvas = job.last.scene.canvases[0]
        first = float(gradient_nchw(canvas.loss, canvas.start_nchw01).norm())
        for note in way_notes(way_named(job.way.name), job.way, vgg.info.name, first):
            work.warn(note)
