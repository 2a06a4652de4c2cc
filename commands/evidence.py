"""Findings that several commands share: the saliency map with its verdict, and the foreground it may prompt."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.options import Features, ForegroundOptions, Prompt
from commands.run import Run
from interp.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from interp.attribution.conventions import FlashtorchPanels
    from interp.attribution.saliency import Attribution
    from interp.attribution.sanity import Verdict
    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from segment.deepcut import Describe
    from segment.hints import Hints
    from segment.masks import Box
    from segment.result import Segmentation


@dataclass(frozen=True)
class SaliencyFindings:
    """A saliency map, its four views, and whether to believe it."""

    attribution: "Attribution"
    panels: "FlashtorchPanels"
    verdict: "Verdict"

    @property
    def sentence(self) -> str:
        """What the network says, with its doubt."""
        prediction = self.attribution.prediction
        sure = "unsure, " if prediction.unsure else ""
        return f"{prediction.names[0]} ({sure}{percent(prediction.probabilities[0])}); {self.worth}"

    @property
    def worth(self) -> str:
        """The verdict as a clause."""
        word = self.verdict.word
        return f"the saliency map {'is ' if word.startswith('no') else ''}{word}"


def look(run: Run, vgg: "Vgg", picture: "Picture") -> SaliencyFindings | None:
    """Classify, attribute and judge; None for weights without a classifier."""
    from interp.attribution.conventions import flashtorch_panels
    from interp.attribution.saliency import guided_backprop
    from interp.attribution.sanity import quick_verdict

    if vgg.head is None:
        return None
    image = picture.image_nchw01.to(run.device())
    attribution = guided_backprop(vgg, image)
    verdict = quick_verdict(vgg, image, attribution, seed=run.options.seed)
    return SaliencyFindings(attribution, flashtorch_panels(attribution), verdict)


def find_foreground(
    run: Run, picture: "Picture", options: ForegroundOptions, findings: SaliencyFindings | None
) -> "Segmentation":
    """Cut the foreground as the options ask.

    Raises:
        UsageError: If a box and a mask are given together, or box or hints make no sense.
        MaskError: If nothing usable is found.
    """
    from interp.pictures.images import load_mask
    from segment import segment

    given = Given(
        box_xywh_px=parse_box(options.box) if options.box else None,
        mask_hw01=load_mask(options.mask, picture.size_hw_px) if options.mask else None,
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

    asked, trusted = options.prompt is Prompt.SALIENCY, findings.verdict.word == "follows the class"
    if asked and not trusted:
        run.warn(f"The saliency prompt was asked for, but {findings.worth}.")
    return (prompt_saliency_hw(findings.attribution) if trusted or asked else None), findings.worth


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
    from segment.hints import read_hints

    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path!r}: {error.strerror}. Pass a JSON file of hints.") from error
    except ValueError as error:
        raise InputError(f"{path!r} is no JSON ({error}). Pass a JSON file of hints.") from error
    return read_hints(data)


def percent(share: float) -> str:
    """A probability that is never rounded to certainty."""
    return "over 99%" if share > 0.99 else f"{share:.0%}"


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
