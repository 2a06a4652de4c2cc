"""The foreground as a user asks for it: its options, shared by every command that has a region, and the cut."""

from dataclasses import dataclass, fields
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.marks import box_of, hints_of, load_hints, parse_colour, parse_lengths
from commands.options import Region
from commands.seeing import SaliencyFindings, look
from commands.work import Work
from interp.errors import MaskError, UsageError, unknown_name
from segment.prompts import prompt_names

if TYPE_CHECKING:
    import numpy as np

    from interp.pictures.images import Picture
    from segment.deepcut import Describe
    from segment.hints import Hints
    from segment.masks import Box
    from segment.segmentation import Segmentation
    from segment.segmenters import Segmenter


class Features(StrEnum):
    """What tells the foreground from the background."""

    COLOR = "color"
    VGG = "vgg"
    DEEPLAB = "deeplab"


PromptOption = Annotated[
    str, typer.Option("--prompt", metavar="|".join(prompt_names()), help="How to find the foreground.")
]
BoxOption = Annotated[
    str | None,
    typer.Option(
        "--box", metavar="X,Y,W,H", help="Box around the foreground, in px or per cent of the photo: 10%,20%,60%,75%."
    ),
]
PointOption = Annotated[
    list[str] | None,
    typer.Option(
        "--point", metavar="X,Y", help="A place in the foreground, in px or per cent; repeatable, beside any prompt."
    ),
]
NotOption = Annotated[
    list[str] | None, typer.Option("--not", metavar="X,Y", help="A place outside it; repeatable, beside any prompt.")
]
SegmenterOption = Annotated[
    str | None,
    typer.Option(
        "--segmenter",
        metavar="FILE",
        help="Network that marks the foreground: .onnx or .tflite, a picture in, a map out.",
    ),
]
SegmenterMeanOption = Annotated[
    str | None,
    typer.Option(
        "--segmenter-mean",
        metavar="R,G,B",
        help="What it wants subtracted from RGB in [0, 1].",
        show_default="ImageNet's for .onnx, 0 for .tflite",
    ),
]
SegmenterStdOption = Annotated[
    str | None,
    typer.Option(
        "--segmenter-std", metavar="R,G,B", help="What it wants that divided by.", show_default="ImageNet's, or 1"
    ),
]
MaskOption = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="Mask of the foreground: white inside, black outside. With --hints, an earlier result to be corrected.",
    ),
]
HintsOption = Annotated[
    str | None,
    typer.Option(
        "--hints",
        metavar="FILE.json",
        # Rich takes an unescaped bracket for its own markup, and swallows it.
        help=r'Strokes in pixels of the photo: {"foreground": \[\[\[x, y], ...], ...], "background": \[...], '
        r'"box": \[...]}.',
    ),
]
FeaturesOption = Annotated[
    Features, typer.Option("--features", help="What the cut goes by: colours alone, or deep features beside them.")
]
RoundsOption = Annotated[
    int, typer.Option("--rounds", min=1, max=50, help="Alternations of learning both sides and cutting.")
]
FeatherOption = Annotated[
    float | None, typer.Option("--feather", metavar="PX", min=0, help="Soften the region's edge by this many pixels.")
]


@dataclass(frozen=True)
class ForegroundOptions:
    """How the user wants the foreground found."""

    prompt: PromptOption = "auto"
    box: BoxOption = None
    hints: HintsOption = None
    mask: MaskOption = None
    point: PointOption = None
    not_point: NotOption = None
    segmenter: SegmenterOption = None
    segmenter_mean: SegmenterMeanOption = None
    segmenter_std: SegmenterStdOption = None
    features: FeaturesOption = Features.VGG
    rounds: RoundsOption = 5
    feather: FeatherOption = None

    @property
    def given(self) -> list[str]:
        """Names of the fields that say something."""
        return [item.name for item in fields(self) if getattr(self, item.name) != item.default]

    @property
    def needs_saliency(self) -> bool:
        """Whether the network's opinion of the class is part of finding it."""
        if self.prompt == "saliency":
            return True
        return self.prompt == "auto" and not (self.box or self.mask or self.hints or self.point or self.segmenter)

    @property
    def needs_cut(self) -> bool:
        """Whether anything is left to decide."""
        return self.mask is None or bool(self.hints or self.point or self.not_point)

    def check(self) -> None:
        """Refuse what cannot be read, before anything else is."""
        if self.prompt not in prompt_names():
            raise unknown_name("prompt", self.prompt, prompt_names())
        if self.box:
            parse_lengths(self.box, "X,Y,W,H")
        for place in (*(self.point or ()), *(self.not_point or ())):
            parse_lengths(place, "X,Y")
        for text in (self.segmenter_mean, self.segmenter_std):
            if text and not self.segmenter:
                raise UsageError("--segmenter-mean and --segmenter-std go with --segmenter FILE; none was given.")
            parse_colour(text)
        if self.hints:
            load_hints(self.hints)


def find_foreground(
    work: Work,
    picture: "Picture",
    options: ForegroundOptions,
    findings: SaliencyFindings | None = None,
    mask_hw01: "np.ndarray | None" = None,
) -> "Segmentation":
    """Cut the foreground as the options ask.

    Args:
        work: Says what is found.
        picture: The photo.
        options: How to find it.
        findings: What the network sees in it; None to look where a prompt asks for it.
        mask_hw01: (H, W) in [0, 1], in place of the option's file.

    Raises:
        UsageError: If a box and a mask are given together, or box or hints make no sense.
        MaskError: If nothing usable is found.
    """
    work.say("Looking for the foreground.")
    from reports.foreground import doubts, how_found
    from segment import segment

    given = Given(
        box_xywh_px=box_of(options.box, picture.size_hw_px) if options.box else None,
        mask_hw01=work.mask(options.mask, picture.size_hw_px) if options.mask else mask_hw01,
        hints=hints_of(options.hints, options.point or (), options.not_point or (), picture.size_hw_px),
    )
    given.check(picture.size_hw_px, options.prompt)
    segmentation = segment(
        picture.rgb_hwc_u8,
        prompt=options.prompt,
        box_xywh_px=given.box_xywh_px,
        mask_hw01=given.mask_hw01,
        hints=given.hints,
        saliency_hw=partial(_believed, work, picture, options, findings) if options.needs_saliency else None,
        describe=_describe(work, options.features) if options.needs_cut else None,
        person=_person(options),
        things=_things(options),
        segmenter=_segmenter(work, options),
        feather_px=options.feather,
        seed=work.options.seed,
        rounds=options.rounds,
    )
    work.say(f"Foreground: {how_found(segmentation)} It covers {segmentation.area_share:.0%} of the photo.")
    for doubt in doubts(segmentation):
        work.warn(doubt)
    return segmentation


@dataclass(frozen=True)
class Given:
    """What the user marked in the photo."""

    box_xywh_px: "Box | None"
    mask_hw01: "np.ndarray | None"
    hints: "Hints | None"

    def check(self, size_hw_px: tuple[int, int], prompt: str) -> None:
        """Refuse what does not fit the photo, before a network is loaded."""
        from segment.box import clip_box
        from segment.hints import hints_trimap

        if self.box_xywh_px is not None and self.mask_hw01 is not None:
            raise UsageError("Both --box and --mask were given; expected one of them.")
        if self.box_xywh_px is not None:
            clip_box(size_hw_px, self.box_xywh_px)
        elif self.hints and self.hints.foreground and self.mask_hw01 is None and prompt == "auto":
            hints_trimap(size_hw_px, self.hints)


def _believed(
    work: Work, picture: "Picture", options: ForegroundOptions, findings: SaliencyFindings | None
) -> "np.ndarray | None":
    """The saliency map if it may prompt the cut."""
    findings = findings or look(work, work.network(), picture)
    if not findings:
        if options.prompt == "saliency":
            raise UsageError(
                "--prompt saliency needs weights with a classifier; choose another prompt or other weights."
            )
        return None
    from interp.attribution.saliency import prompt_saliency_hw
    from interp.attribution.verdict import VerdictWord

    asked, trusted = options.prompt == "saliency", findings.verdict.word is VerdictWord.CLASS
    if asked and not trusted:
        work.warn(f"The saliency prompt was asked for, but {findings.worth}.")
    return prompt_saliency_hw(findings.saliency) if trusted or asked else None


def _describe(work: Work, features: Features) -> "Describe | None":
    """What a network says about a small picture; None to cut by colours alone."""
    if features is Features.COLOR:
        return None
    if features is Features.VGG:
        from segment.hypercolumns import Hypercolumns

        return Hypercolumns(work.network())
    import torch

    from segment.deeplab import class_maps, find_segmenter, load_segmenter

    segmenter, path = find_segmenter(Path(torch.hub.get_dir()) / "checkpoints")
    work.say(f"Segmentation network: {segmenter.name} ({path.name}).")
    return class_maps(load_segmenter(segmenter, path, work.device()))


def _person(options: ForegroundOptions) -> "Segmenter | None":
    """The network for people, if it is there and may be asked."""
    user_marks = options.box or options.segmenter or options.hints or options.point
    if options.prompt not in ("auto", "person") or not options.needs_cut or (options.prompt == "auto" and user_marks):
        return None
    from segment.segmenters.selfie import FILE, SelfieSegmenter

    folder = segmenter_folder()
    if options.prompt == "auto" and not (folder / FILE).is_file():
        return None
    return SelfieSegmenter(folder)


def _things(options: ForegroundOptions) -> "Segmenter | None":
    """The network for things: asked by `auto`, it says how far to trust other guesses, and helps a box."""
    user_marks = options.segmenter or options.hints or options.point
    box_by_colours = options.box and options.features is Features.COLOR
    if user_marks or box_by_colours or not options.needs_cut:
        return None
    from segment.segmenters.things.segmenter import ThingsSegmenter

    return ThingsSegmenter()


def _segmenter(work: Work, options: ForegroundOptions) -> "Segmenter | None":
    """The user's own network."""
    if not options.segmenter:
        return None
    from segment.segmenters.file import FileSegmenter

    found = FileSegmenter(options.segmenter, parse_colour(options.segmenter_mean), parse_colour(options.segmenter_std))
    height, width = found.input_hw_px
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (found.mean, found.std))
    work.say(f"Segmenter: {found.name}, at {width}x{height} px, RGB less {mean}, divided by {std}.")
    return found


def segmenter_folder() -> Path:
    """Where the network for people is kept: torch hub's cache, beside torchvision's files."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def region_alpha(region: Region, picture: "Picture", segmentation: "Segmentation | None") -> "np.ndarray":
    """The region's alpha: the foreground's, its complement, or everywhere; nowhere what nobody sees.

    Raises:
        MaskError: If the region is transparent all over.
    """
    import numpy as np

    from interp.pictures.images import quantise_hw01

    if segmentation is None:
        alpha = np.ones(picture.size_hw_px, dtype=np.float32)
    else:
        alpha = segmentation.alpha_hw01
        alpha = alpha if region is Region.FOREGROUND else quantise_hw01(1 - alpha)
    visible = np.where(picture.original.hidden_hw, np.float32(0), alpha)
    if alpha.any() and not visible.any():
        raise MaskError(f"The photo is transparent all over its {region.value}: nothing there to restyle.")
    return visible
