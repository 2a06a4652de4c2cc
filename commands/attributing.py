"""What `saliency` and `sanity` share: the methods, what to explain and at which size, and what is said of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import TargetOption
from commands.run import Run, names_of
from commands.seeing import best_class
from interp.errors import UsageError, unknown_name
from reports.wording import score_of

if TYPE_CHECKING:
    from interp.attribution.saliency import SaliencyMap
    from interp.attribution.verdict import SaliencyVerdict
    from interp.network.classify import Classifier
    from interp.pictures.images import Picture

# Also in interp.attribution.methods, which needs torch; a test keeps them equal.
METHODS = (
    "gradient", "input-x-gradient", "guided-backprop", "deconvolution", "smoothgrad", "integrated-gradients",
    "grad-cam", "guided-grad-cam", "occlusion",
)  # fmt: skip

MethodsOption = Annotated[
    str, typer.Option("--methods", "--method", metavar="NAMES", help=f"{', '.join(METHODS)}; several, or `all`.")
]
ArchOption = Annotated[
    str | None,
    typer.Option(
        "--arch",
        metavar="NAME",
        help="A torchvision classifier such as resnet18 instead of VGG-19; --weights is then its FILE, random, or auto "
        "for torch's cache.",
    ),
]


@dataclass(frozen=True)
class AttributionOptions:
    """What is explained, on which network, and how long the methods may take."""

    target: TargetOption = None
    arch: ArchOption = None
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            min=32,
            max=2048,
            help="Long side at which the network looks, in px.",
            show_default="its native size",
        ),
    ] = None
    layer: Annotated[
        str | None,
        typer.Option("--layer", metavar="NAME", help="Where Grad-CAM looks.", show_default="the network's last grid"),
    ] = None
    samples: Annotated[
        int,
        typer.Option("--samples", min=1, max=1000, help="Noisy copies of SmoothGrad; steps of integrated gradients."),
    ] = 50
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=1024, help="Pictures at once; less needs less memory.")
    ] = 16


def method_names(text: str) -> list[str]:
    """Read `--methods`.

    Raises:
        UsageError: If a method is unknown, named twice, or none is named.
    """
    names = names_of(text, METHODS)
    for name in names:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS)
    if not names or len(set(names)) < len(names):
        raise UsageError(f"Methods {text!r} name {len(names)} methods; expected at least one, each once.")
    return names


def attributions(
    run: Run, classifier: "Classifier", picture: "Picture", names: list[str], asked: AttributionOptions
) -> "list[SaliencyMap]":
    """Make the maps, all of one target.

    Where every method was asked for, those that cannot be used on the network or the target are left out, with a note.
    """
    from interp.attribution.methods import MethodOptions
    from interp.attribution.saliency import saliency_map
    from interp.attribution.targets import parse_target

    image = picture.image_nchw01.to(run.device())
    target = None if asked.target is None else parse_target(classifier, asked.target)
    options = MethodOptions(asked.samples, asked.batch, asked.layer, run.options.seed)
    size_hw_px = looked_at_hw_px(classifier, picture, asked.size)
    maps = []
    for method in names:
        try:
            maps.append(saliency_map(classifier, image, method, target, size_hw_px=size_hw_px, options=options))
        except UsageError as error:
            if len(names) < len(METHODS) or method == "gradient":  # what the gradient cannot explain, nothing can
                raise
            run.warn(f"Left out: {error}")
    return maps


def verdicts(
    run: Run, classifier: "Classifier", picture: "Picture", maps: "list[SaliencyMap]"
) -> "list[SaliencyVerdict]":
    """Judge the maps; the random rankings, which cost most, are drawn once for all."""
    from interp.attribution.sanity import quick_verdict

    image = picture.image_nchw01.to(run.device())
    margin95 = margin95_of(run, classifier, picture, maps)
    return [
        quick_verdict(classifier, image, entry, seed=run.options.seed, random_quantile95=margin95) for entry in maps
    ]


def margin95_of(run: Run, classifier: "Classifier", picture: "Picture", maps: "list[SaliencyMap]") -> float | None:
    """What a map of this picture and class must beat; None where nothing can be tested."""
    from interp.attribution.sanity import random_margin95

    if classifier.head is None or not maps[0].target.is_class:
        return None
    return random_margin95(classifier, picture.image_nchw01.to(run.device()), maps[0], seed=run.options.seed)


def looked_at_hw_px(classifier: "Classifier", picture: "Picture", size_px: int | None) -> tuple[int, int] | None:
    """The size asked for; None for the native one.

    Raises:
        UsageError: If the network takes nothing but its own square, or the picture would be too thin for it.
    """
    if size_px is None:
        return None
    if classifier.only_squares:
        side = classifier.info.native_size_px
        raise UsageError(f"{classifier.info.name} looks at {side}x{side} px only; leave --size {size_px} out.")
    height, width = (max(1, round(side * size_px / max(picture.size_hw_px))) for side in picture.size_hw_px)
    if min(height, width) < 32:
        raise UsageError(f"--size {size_px} makes {width}x{height} px; expected at least 32 px a side. Give more.")
    return height, width


def announce(run: Run, entry: "SaliencyMap") -> None:
    """Say what the network sees, at which size, and what is explained."""
    height, width = entry.prediction.size_hw_px
    seen = f"Seen at {width}x{height} px"
    if entry.prediction.names:
        seen += f": {best_class(entry.prediction)}"
    run.say(f"{seen}. Explained: {score_of(entry.target)}.")


def in_one_line(entry: "SaliencyMap", verdict: "SaliencyVerdict") -> str:
    """The verdict with its numbers, short."""
    line = f"{entry.title:20}  {verdict.word:27}"
    if verdict.margin is None or verdict.random_quantile95 is None:
        return line.rstrip()
    other = "  – " if verdict.random_logit_correlation is None else f"{verdict.random_logit_correlation:.2f}"
    return (
        f"{line}  insertion - deletion {verdict.margin:.3f}, chance {verdict.random_quantile95:.3f}; rank correlation: "
        f"another class {other}, random head {verdict.random_head_correlation:.2f}"
    )
