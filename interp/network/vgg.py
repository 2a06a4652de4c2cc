"""VGG-19 by layer name: frozen, cut at the deepest layer asked for.

Architecture: Simonyan & Zisserman 2015, table 1, column E; parameter names and order are torchvision's `vgg19`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from interp.errors import UsageError, WeightsError
from interp.network.layer_names import CHANNELS_PER_BLOCK, CONVS_PER_BLOCK, LAYERS, Layer, deepest, layer
from interp.pictures.images import Source, as_image_nchw01

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # torchvision's model zoo: RGB, for input in [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # Simonyan & Zisserman's release: BGR, for input in 0 … 255


@dataclass(frozen=True)
class WeightsInfo:
    """Which weights a network carries.

    Attributes:
        name: `compact`, `imagenet`, `random` or the file's name.
        sha256: Of the weights file; for `random` of the drawn numbers.
        layout: `torchvision` (RGB, mean and std) or `caffe` (BGR 0-255, mean subtracted).
        width: Channels as a fraction of VGG-19's.
        native_size_px: Side of the squares the classifier was trained on.
        class_names: Names in the order of the logits; empty without a head.
        note: One sentence on how the weights were chosen.
        unread: Keys of tensors that belong to no layer of ours, where no classifier was found.
    """

    name: str
    sha256: str
    layout: str = "torchvision"
    width: float = 1.0
    native_size_px: int = 224
    class_names: tuple[str, ...] = ()
    note: str = ""
    unread: tuple[str, ...] = ()

    @property
    def no_classifier(self) -> str:
        """Why the network cannot name anything, a sentence."""
        if not self.unread:
            return f"Weights {self.name!r} have no classifier."
        named = ", ".join(self.unread[:6]) + (" …" if len(self.unread) > 6 else "")
        return (
            f"Weights {self.name!r} have a classifier that was not understood ({named}); expected torchvision's "
            "classifier.0, .3 and .6, or one linear layer `head` after pooling."
        )


class Normalise(nn.Module):
    """Bring RGB in [0, 1] to the range the weights were trained on."""

    mean: Tensor
    std: Tensor

    def __init__(self, layout: str) -> None:
        super().__init__()
        self.caffe = layout == "caffe"
        mean = [value / 255 for value in reversed(CAFFE_MEAN_BGR)] if self.caffe else IMAGENET_MEAN
        std = [1 / 255] * 3 if self.caffe else IMAGENET_STD
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image_nchw01: Tensor) -> Tensor:
        """Normalise (N, 3, H, W) RGB in [0, 1]; Caffe weights get BGR."""
        normalised = (image_nchw01 - self.mean) / self.std
        return normalised.flip(1) if self.caffe else normalised


class Vgg(nn.Module):
    """VGG-19 with every layer reachable by name.

    Args:
        width: Channels as a fraction of VGG-19's 64 … 512.
        head: Classifier on the last pooled features, or None.
        info: Which weights these are.

    Attributes:
        features: The 37 layers, torchvision's order and names; ReLUs are modules of their own and not in place, as
            Captum's guided methods need them.
        only_squares: False: any shape can be classified.
        cam_layer: The last one before the last pool, where Grad-CAM looks.
    """

    only_squares = False
    cam_layer = "relu5_4"

    def __init__(self, width: float = 1.0, head: nn.Module | None = None, info: WeightsInfo | None = None) -> None:
        super().__init__()
        self.info = info or WeightsInfo("unnamed", "", width=width)
        self.normalise = Normalise(self.info.layout)
        self.features = _features(width)
        self.head = head

    def forward(self, image_nchw01: Tensor) -> Tensor:
        """Classify.

        Args:
            image_nchw01: (N, 3, H, W) float RGB in [0, 1].

        Returns:
            (N, classes) logits.

        Raises:
            WeightsError: If the weights have no classifier.
        """
        if self.head is None:
            raise WeightsError(f"{self.info.no_classifier} Use --weights compact, or weights with a head.")
        return self.head(self.features(self.normalise(image_nchw01)))

    def layer_module(self, name: str) -> nn.Module:
        """Return a layer's module.

        Raises:
            UsageError: If VGG-19 has no such layer.
        """
        return self.features[layer(name).index]

    def has_layer(self, name: str) -> bool:
        """Whether `name` is a layer."""
        return name in LAYERS

    def layer_values(self, image_nchw01: Tensor, name: str) -> Tensor:
        """One layer's values, (N, C, h, w), computed through the modules, so that hooks on them take part."""
        return self.features[: layer(name).index + 1](self.normalise(image_nchw01))

    def label(self, path: str) -> str:
        """Name a module by its path: `features.0` is `conv1_1`."""
        group, _, rest = path.partition(".")
        names = {str(place.index): name for name, place in LAYERS.items()}
        return names[rest] if group == "features" else path.removesuffix(".linear")

    def activations(self, image_nchw01: Tensor, layers: Sequence[str], pooling: str = "max") -> dict[str, Tensor]:
        """Capture the values of named layers in one pass that stops at the deepest.

        Args:
            image_nchw01: (N, 3, H, W) float RGB in [0, 1]; gradients flow back to it.
            layers: Names such as `relu4_2`; `convX_Y` is the value before the ReLU.
            pooling: `max`, as trained; `average`, whose gradient reaches every pixel (Gatys et al. 2016, section 2);
                or `mixed`, the mean of both.

        Returns:
            For each name (N, C, H / stride, W / stride), in the order asked for.

        Raises:
            UsageError: If a name is unknown or the image has no cell at the deepest layer.
        """
        captured = dict(self.stream(image_nchw01, layers, pooling))
        return {name: captured[name] for name in layers}

    def stream(self, image_nchw01: Tensor, layers: Sequence[str], pooling: str = "max") -> Iterator[tuple[str, Tensor]]:
        """Yield the same values one layer at a time, in network order: all layers of a large picture need not fit.

        Args:
            image_nchw01: (N, 3, H, W) float RGB in [0, 1]; gradients flow back to it.
            layers: Names, in any order.
            pooling: As in `activations`.

        Raises:
            UsageError: As `activations`.
        """
        last = deepest(layers)
        check_fits(image_nchw01, last)
        value = self.normalise(image_nchw01)
        for (name, place), module in zip(LAYERS.items(), self.features, strict=True):
            if isinstance(module, nn.ReLU):
                # In place saves memory traffic, but would rewrite a captured convolution.
                value = F.relu(value, inplace=name.replace("relu", "conv") not in layers)
            elif pooling != "max" and isinstance(module, nn.MaxPool2d):
                value = pooled(value, pooling)
            else:
                value = module(value)
            if name in layers:
                yield name, value
            if place is last:
                break


def activations(vgg: Vgg, image: Tensor | Source, layers: Sequence[str]) -> dict[str, Tensor]:
    """Capture the values of named layers; see `Vgg.activations`.

    Args:
        vgg: The network.
        image: (1, 3, H, W) float RGB in [0, 1]; or a file, Pillow picture or array, at its own size.
        layers: Names, in any order.

    Example:
        >>> vgg = Vgg(width=1 / 16)
        >>> maps = activations(vgg, torch.rand(1, 3, 32, 48), ["conv1_1", "relu4_1"])
        >>> {name: tuple(value.shape) for name, value in maps.items()}
        {'conv1_1': (1, 4, 32, 48), 'relu4_1': (1, 32, 4, 6)}
    """
    return vgg.activations(as_image_nchw01(image).to(vgg.normalise.mean), layers)


def check_fits(image_nchw01: Tensor, last: Layer) -> None:
    """Refuse an image that has no cell at a layer."""
    height, width = image_nchw01.shape[-2:]
    if min(height, width) < last.stride_px:
        raise UsageError(
            f"A {width}x{height} px image has no cell at {last.name}; expected at least {last.stride_px} px a side."
        )


def pooled(value_nchw: Tensor, pooling: str) -> Tensor:
    """Halve a layer by `max`, `average` or `mixed`, the mean of both."""
    if pooling == "mixed":
        return (F.avg_pool2d(value_nchw, 2) + F.max_pool2d(value_nchw, 2)) / 2
    return F.max_pool2d(value_nchw, 2) if pooling == "max" else F.avg_pool2d(value_nchw, 2)


def channels_at(width: float) -> tuple[int, ...]:
    """Channels of the five blocks at a given width."""
    return tuple(max(1, round(channels * width)) for channels in CHANNELS_PER_BLOCK)


def _features(width: float) -> nn.Sequential:
    modules: list[nn.Module] = []
    channels_in = 3
    for channels, convs in zip(channels_at(width), CONVS_PER_BLOCK, strict=True):
        for _ in range(convs):
            modules += [nn.Conv2d(channels_in, channels, 3, padding=1), nn.ReLU()]
            channels_in = channels
        modules.append(nn.MaxPool2d(2))
    return nn.Sequential(*modules)


def pooled_linear_head(channels: int, classes: int) -> nn.Module:
    """Global average pool and one linear layer: the head of the compact weights."""
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head.add_module("linear", nn.Linear(channels, classes))
    return head


def fully_connected_head(channels: int, hidden: int, classes: int) -> nn.Module:
    """VGG-19's own head, fc6 to fc8, on features pooled to 7x7."""
    classifier = nn.Sequential(
        nn.Linear(channels * 49, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(),
        nn.Linear(hidden, classes),
    )  # fmt: skip
    head = nn.Sequential(nn.AdaptiveAvgPool2d(7), nn.Flatten())
    head.add_module("classifier", classifier)
    return head
