"""The foreground as a user asks for it: its options, shared by every command that has a region, and the cut."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import Region
from commands.run import Run
from commands.seeing import SaliencyFindings
from interp.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from interp.pictures.images import Picture
    from segment.deepcut import Describe
    from segment.hints import Hints
    from segment.masks import Box
    from segment.result import Segmentation


class Prompt(StrEnum):
    """How the foreground is found."""

    AUTO = "auto"
    FACE = "face"
    SALIENCY = "saliency"
    CONTRAST = "contrast"


class Features(StrEnum):
    """What tells the foreground from the background."""

    COLOR = "color"
    VGG = "vgg"
    DEEPLAB = "deeplab"


PromptOption = Annotated[Prompt, typer.Option("--prompt", help="How to find the foreground.")]
BoxOption = Annotated[
    str | None, typer.Option("--box", metavar="X,Y,W,H", help="Box around the foreground, in pixels of the photo.")
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
        help='Strokes in pixels of the photo: {"foreground": [[[x, y], ...], ...], "background": [...], "box": [...]}.',
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

    prompt: PromptOption = Prompt.AUTO
    box: BoxOption = None
    hints: HintsOption = None
    mask: MaskOption = None
    features: FeaturesOption = Features.VGG
    rounds: RoundsOption = 5
    feather: FeatherOption = None

    @property
    def needs_saliency(self) -> bool:
        """Whether the network's opinion of the class is part of finding it."""
        if self.prompt is Prompt.SALIENCY:
            return True
        return self.prompt is Prompt.AUTO and not (self.box or self.mask or self.hints)

    @property
    def needs_cut(self) -> bool:
        """Whether anything is left to decide."""
        return self.mask is None or self.hints is not None

    def check(self) -> None:
        """Refuse what cannot be read, before anything else is."""
        if self.box:
            parse_box(self.box)
        if self.hints:
            load_hints(self.hints)


def find_foreground(
    run: Run, picture: "Picture", options: ForegroundOptions, findings: SaliencyFindings | None
) -> "Segmentation":
    """Cut the foreground as the options ask.

    Raises:
        UsageError: If a box and a mask are given together, or box or hints make no sense.
        MaskError: If nothing usable is found.
    """
    from segment import segment

    given = Given(
        box_xywh_px=parse_box(options.box) if options.box else None,
        mask_hw01=run.mask(options.mask, picture.size_hw_px) if options.mask else None,
        hints=load_hints(options.hints) if options.hints else None,
    )
    given.check(picture.size_hw_px, options.prompt)
    believed, note = _believed(run, options, findings)
    segmentation = segment(
        picture.rgb_hwc_u8,
        prompt=options.prompt.value,
        box_xywh_px=given.box_xywh_px,
        mask_hw01=given.mask_hw01,
        hints=given.hints,
        saliency_hw=believed,
        saliency_note=note,
        describe=_describe(run, options.features) if options.needs_cut else None,
        feather_px=options.feather,
        seed=run.options.seed,
        rounds=options.rounds,
    )
    run.say(f"Foreground: {segmentation.reason} It covers {segmentation.area_share:.0%} of the photo.")
    for warning in segmentation.warnings:
        run.warn(warning)
    return segmentation


@dataclass(frozen=True)
class Given:
    """What the user marked in the photo."""

    box_xywh_px: "Box | None"
    mask_hw01: "np.ndarray | None"
    hints: "Hints | None"

    def check(self, size_hw_px: tuple[int, int], prompt: Prompt) -> None:
        """Refuse what does not fit the photo, before a network is loaded."""
        from segment.hints import hints_seed
        from segment.prompts import clip_box

        if self.box_xywh_px is not None and self.mask_hw01 is not None:
            raise UsageError("Both --box and --mask were given; expected one of them.")
        if self.box_xywh_px is not None:
            clip_box(size_hw_px, self.box_xywh_px)
        elif self.hints is not None and self.mask_hw01 is None and prompt is Prompt.AUTO:
            hints_seed(size_hw_px, self.hints)


def _believed(
    run: Run, options: ForegroundOptions, findings: SaliencyFindings | None
) -> "tuple[np.ndarray | None, str]":
    """The saliency map if it may prompt the cut, and else why not."""
    if not findings:
        if options.prompt is Prompt.SALIENCY:
            raise UsageError(
                "--prompt saliency needs weights with a classifier; choose another prompt or other weights."
            )
        return None, "these weights have no classifier" if options.needs_saliency else "no saliency map was asked for"
    from interp.attribution.saliency import prompt_saliency_hw
    from interp.attribution.verdict import VerdictWord

    asked, trusted = options.prompt is Prompt.SALIENCY, findings.verdict.word is VerdictWord.CLASS
    if asked and not trusted:
        run.warn(f"The saliency prompt was asked for, but {findings.worth}.")
    return (prompt_saliency_hw(findings.saliency) if trusted or asked else None), findings.worth


def _describe(run: Run, features: Features) -> "Describe | None":
    """What a network says about a small picture; None to cut by colours alone."""
    if features is Features.COLOR:
        return None
    if features is Features.VGG:
        from segment.hypercolumns import hypercolumns

        return hypercolumns(run.network())
    import torch

    from segment.deeplab import class_maps, find_segmenter, load_segmenter

    segmenter, path = find_segmenter(Path(torch.hub.get_dir()) / "checkpoints")
    run.say(f"Segmentation network: {segmenter.name} ({path.name}).")
    return class_maps(load_segmenter(segmenter, path, run.device()))


def load_hints(path: str) -> "Hints":
    """Read a file of hints.

    Raises:
        InputError: If it cannot be read, or is no JSON.
        UsageError: If it holds no hints.
    """
    from interp.pictures.files import read_text
    from segment.hints import read_hints

    text = read_text(path, "a JSON file of hints")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path!r} is no JSON ({error}). Pass a JSON file of hints.") from error
    return read_hints(data)


def region_alpha(region: Region, picture: "Picture", segmentation: "Segmentation | None") -> "np.ndarray":
    """The region's alpha: the foreground's, its complement, or everywhere."""
    import numpy as np

    from interp.pictures.images import quantise_hw01

    if segmentation is None:
        return np.ones(picture.size_hw_px, dtype=np.float32)
    return segmentation.alpha_hw01 if region is Region.FOREGROUND else quantise_hw01(1 - segmentation.alpha_hw01)


def parse_box(text: str) -> tuple[int, int, int, int]:
    """Read `X,Y,W,H`.

    Raises:
        UsageError: If it is not four whole numbers.
    """
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"Box {text!r} is not X,Y,W,H; expected four whole numbers of pixels, such as 40,30,200,260."
        ) from error
    return x, y, width, height
