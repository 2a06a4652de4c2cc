"""What `saliency` and `sanity` share: which network, which methods, what to explain, at which size."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from commands.run import Run, names_of
from interp.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from interp.classify import Classifier
    from interp.images import Picture
    from interp.saliency import Attribution
    from interp.sanity import Verdict

# Also in interp.attribution, which needs torch; a test keeps them equal.
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
LookAtOption = Annotated[
    int | None,
    typer.Option(
        "--size", min=32, max=2048, help="Long side at which the network looks, in px.", show_default="its native size"
    ),
]
CamLayerOption = Annotated[
    str | None,
    typer.Option(
        "--layer", "--layers", metavar="NAME", help="Where Grad-CAM looks.", show_default="the network's last grid"
    ),
]
SamplesOption = Annotated[
    int, typer.Option("--samples", min=1, max=1000, help="Noisy copies of SmoothGrad; steps of integrated gradients.")
]
BatchOption = Annotated[int, typer.Option("--batch", min=1, max=1024, help="Pictures at once; less needs less memory.")]


@dataclass(frozen=True)
class Request:
    """How the user wants a picture explained, checked as far as it can be without the network."""

    methods: tuple[str, ...]
    target: str | None
    size_px: int | None
    samples: int
    batch: int
    cam_layer: str | None


def request(methods: str, target: str | None, size: int | None, samples: int, batch: int, layer: str | None) -> Request:
    """Check the options.

    Raises:
        UsageError: If a method is unknown, named twice, or none is named.
    """
    names = names_of(methods, METHODS)
    for name in names:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS)
    if not names or len(set(names)) < len(names):
        raise UsageError(f"Methods {methods!r} name {len(names)} methods; expected at least one, each once.")
    return Request(tuple(names), target, size, samples, batch, layer)


def attributions(run: Run, classifier: "Classifier", picture: "Picture", asked: Request) -> "list[Attribution]":
    """Make the maps, all of one target; say what the network sees and what is explained."""
    from interp.attribution import MethodOptions
    from interp.saliency import saliency_map
    from interp.targets import parse_target

    image = picture.image_nchw01.to(run.device())
    target = None if asked.target is None else parse_target(classifier, asked.target)
    options = MethodOptions(asked.samples, asked.batch, asked.cam_layer, run.options.seed)
    size_hw_px = looked_at_hw_px(classifier, picture, asked.size_px)
    return [
        saliency_map(classifier, image, method, target, size_hw_px=size_hw_px, options=options)
        for method in asked.methods
    ]


def verdicts(run: Run, classifier: "Classifier", picture: "Picture", maps: "list[Attribution]") -> "list[Verdict]":
    """Judge the maps; the random rankings, which cost most, are drawn once for all."""
    from interp.sanity import quick_verdict

    image = picture.image_nchw01.to(run.device())
    margin95 = margin95_of(run, classifier, picture, maps)
    return [
        quick_verdict(classifier, image, entry, seed=run.options.seed, random_quantile95=margin95) for entry in maps
    ]


def margin95_of(run: Run, classifier: "Classifier", picture: "Picture", maps: "list[Attribution]") -> float | None:
    """What a map of this picture and class must beat; None where nothing can be tested."""
    from interp.sanity import random_margin95

    if classifier.head is None or maps[0].target_index < 0:
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
