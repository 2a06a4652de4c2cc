"""What a map explains: a class, a channel, a whole layer; each as one number per picture."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from interp.errors import UsageError, WeightsError
from interp.network.classify import Classifier, class_index, class_name

PROBE_PX = 64  # side of the picture that tells a layer's channels


@dataclass(frozen=True)
class Target:
    """One number that a network makes of a picture.

    Attributes:
        name: The class's name, `LAYER:CHANNEL` or the layer's name.
        index: Of the logit or the channel; -1 for a whole layer.
        layer: Empty for a class.
    """

    name: str
    index: int
    layer: str = ""

    @property
    def is_class(self) -> bool:
        """Whether it is the score of a class."""
        return not self.layer


class Scored(nn.Module):
    """A classifier narrowed to its target: (N, 3, H, W) RGB in [0, 1] to (N, 1).

    A class gives its unnormalised score (Simonyan et al. 2013, section 3), a channel the mean over its cells, a
    layer the mean over all its channels and cells.
    """

    def __init__(self, classifier: Classifier, target: Target) -> None:
        super().__init__()
        self.classifier, self.target = classifier, target

    def forward(self, image_nchw01: Tensor) -> Tensor:
        """Return the target's value for each picture."""
        target = self.target
        if target.is_class:
            return self.classifier(image_nchw01)[:, target.index, None]
        values = self.classifier.layer_values(image_nchw01, target.layer)
        chosen = values if target.index < 0 else values[:, target.index, None]
        return chosen.mean(dim=(1, 2, 3))[:, None]


def class_target(classifier: Classifier, index: int) -> Target:
    """The score of one class.

    Raises:
        WeightsError: If the weights have no classifier.
        UsageError: If there is no such class.
    """
    classes = class_count(classifier)
    if not classes:
        raise no_classifier(classifier)
    if not 0 <= index < classes:
        raise UsageError(f"No class {index}; weights {classifier.info.name!r} know classes 0 to {classes - 1}.")
    return Target(class_name(classifier, index), index)


def parse_target(classifier: Classifier, text: str) -> Target:
    """Read a target as a user writes it.

    Args:
        classifier: The network.
        text: A class by name or number, `LAYER:CHANNEL`, or a layer's name.

    Returns:
        The target.

    Raises:
        WeightsError: If a class is asked for and the weights have no classifier.
        UsageError: If there is no such class, layer or channel.

    Example:
        >>> from interp.network.weights import load_vgg
        >>> vgg = load_vgg("compact")
        >>> parse_target(vgg, "relu4_1:7"), parse_target(vgg, "goldfish").index
        (Target(name='relu4_1:7', index=7, layer='relu4_1'), 0)
    """
    text = text.strip()
    name, colon, channel = text.rpartition(":")
    if colon and (classifier.has_layer(name) or channel.isdecimal()):
        return _channel_target(classifier, name, channel)
    if classifier.has_layer(text) and not text.isdecimal():
        _channels(classifier, text)
        return Target(text, -1, text)
    if not class_count(classifier):
        raise no_classifier(classifier)
    return class_target(classifier, int(text) if text.isdecimal() else class_index(classifier, text))


def _channel_target(classifier: Classifier, layer: str, channel: str) -> Target:
    classifier.layer_module(layer)
    channels = _channels(classifier, layer)
    if not channel.isdecimal() or int(channel) >= channels:
        raise UsageError(f"Layer {layer} has no channel {channel!r}; expected 0 to {channels - 1}.")
    return Target(f"{layer}:{int(channel)}", int(channel), layer)


def _channels(classifier: Classifier, layer: str) -> int:
    side_px = classifier.info.native_size_px if classifier.only_squares else PROBE_PX
    with torch.no_grad():
        return classifier.layer_values(_blank(classifier, side_px), layer).shape[1]


def class_count(classifier: Classifier) -> int:
    """Number of classes; 0 without a head."""
    if classifier.head is None:
        return 0
    return len(classifier.info.class_names) or _logits(classifier)


def _logits(classifier: Classifier) -> int:
    with torch.no_grad():
        return classifier(_blank(classifier, classifier.info.native_size_px)).shape[1]


def _blank(classifier: Classifier, side_px: int) -> Tensor:
    return torch.zeros(1, 3, side_px, side_px).to(classifier.normalise.mean)


def no_classifier(classifier: Classifier) -> WeightsError:
    """Build the error for weights that cannot name anything."""
    return WeightsError(
        f"{classifier.info.no_classifier} Use --weights compact, or weights with a head, or give a layer or "
        "LAYER:CHANNEL as the target."
    )
