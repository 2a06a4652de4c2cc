"""What a classifier says about a picture, and at which size it is asked.

A classifier here is VGG-19 or one of torchvision's (`classifiers`): a module from RGB in [0, 1] to logits that knows
its class names and the size it was trained at.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from interp.errors import UsageError, WeightsError
from interp.network.classifiers import TorchvisionClassifier
from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_nchw01

Classifier: TypeAlias = Vgg | TorchvisionClassifier

UNSURE_BELOW = 0.2  # top-1 probability under which a prediction is called unsure
MIN_SIDE_PX = 32  # one cell after VGG-19's fifth pool
MAX_SIDE_PX = 2048  # a strip thinner than 1:64 is squeezed rather than blown up


@dataclass(frozen=True)
class Prediction:
    """What the classifier says.

    Attributes:
        names: The five most probable classes, best first (fewer if the network has fewer, none without a head).
        probabilities: Their softmax probabilities.
        indices: Their logits' indices.
        size_hw_px: Size at which the picture was looked at.
    """

    names: tuple[str, ...]
    probabilities: tuple[float, ...]
    indices: tuple[int, ...]
    size_hw_px: tuple[int, int]

    @property
    def unsure(self) -> bool:
        """Whether the best class has a probability under .2."""
        return bool(self.probabilities) and not self.probabilities[0] >= UNSURE_BELOW


def native_size_hw_px(classifier: Classifier, image_nchw01: Tensor) -> tuple[int, int]:
    """Size at which a picture is classified: the area the network was trained on, in the picture's own shape.

    A head that pools takes any size, so the whole picture is resized until its area is that of the training
    squares; nothing is cropped away and nothing is stretched. The short side is kept at 32 px or more, one
    cell of the last pool; a strip thinner than 1:64 is squeezed to 2048 px. Only a network that takes nothing but
    its own square (a vision transformer) gets the picture stretched to it.

    Args:
        classifier: The network; `info.native_size_px` is the side of its training squares.
        image_nchw01: (1, 3, H, W).

    Returns:
        Height and width in px.
    """
    side_px = classifier.info.native_size_px
    if classifier.only_squares:
        return side_px, side_px
    height, width = image_nchw01.shape[-2:]
    scale = max(side_px / (height * width) ** 0.5, MIN_SIDE_PX / min(height, width))
    return min(MAX_SIDE_PX, round(height * scale)), min(MAX_SIDE_PX, round(width * scale))


def classify(classifier: Classifier, image_nchw01: Tensor, size_hw_px: tuple[int, int] | None = None) -> Prediction:
    """Name what is in a picture.

    Args:
        classifier: A network with a head.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], any size.
        size_hw_px: Size to look at it; None for the native one (see `native_size_hw_px`).

    Returns:
        The five best classes.

    Raises:
        WeightsError: If the weights have no classifier, or its logits are not finite.

    Example:
        >>> from interp.network.weights import load_vgg
        >>> classify(load_vgg("compact"), torch.zeros(1, 3, 100, 200)).size_hw_px
        (45, 91)
    """
    size_hw_px = size_hw_px or native_size_hw_px(classifier, image_nchw01)
    every = probabilities_c(classifier, image_nchw01, size_hw_px)
    best = every.topk(min(5, len(every)))
    indices = tuple(int(index) for index in best.indices)
    names = tuple(class_name(classifier, index) for index in indices)
    return Prediction(names, tuple(float(value) for value in best.values), indices, size_hw_px)


def probabilities_c(classifier: Classifier, image_nchw01: Tensor, size_hw_px: tuple[int, int]) -> Tensor:
    """Softmax probability of every class.

    Args:
        classifier: A network with a head.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], any size.
        size_hw_px: Size to look at it.

    Returns:
        (C,) float.

    Raises:
        WeightsError: If the logits are not finite.
    """
    with torch.no_grad():
        logits = classifier(resize_nchw01(image_nchw01.detach(), size_hw_px))[0]
    if not torch.isfinite(logits).all():
        raise WeightsError(
            f"Weights {classifier.info.name!r} give this picture logits that are not finite. Use other weights."
        )
    return torch.softmax(logits, dim=0)


def class_name(classifier: Classifier, index: int) -> str:
    """Name of a logit, or `class N` where the weights carry no names."""
    names = classifier.info.class_names
    return names[index] if index < len(names) else f"class {index}"


def class_index(classifier: Classifier, name: str) -> int:
    """Find a class by its name or by one of the synonyms in it, whatever the case.

    Args:
        classifier: The network; `info.class_names` may hold synonyms separated by commas.
        name: Such as `tabby`.

    Returns:
        The logit's index.

    Raises:
        UsageError: If no class, or more than one, is called that.
    """
    known = [[part.strip().lower() for part in (entry, *entry.split(","))] for entry in classifier.info.class_names]
    found = [index for index, names in enumerate(known) if name.strip().lower() in names]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name!r} names classes {', '.join(map(str, found))}; expected one. Give its number.")
    raise UsageError(
        f"Weights {classifier.info.name!r} know no class {name!r}.{_hint(name.strip(), classifier.info.class_names)} "
        f"Expected one of their {len(known)} class names, a number, a layer, or LAYER:CHANNEL."
    )


def _hint(name: str, class_names: Iterable[str]) -> str:
    """The names nearest to one that is unknown: those that it is a word of, else by spelling."""
    spelled = {part.strip().lower(): part.strip() for entry in class_names for part in entry.split(",")}
    wanted = name.lower()
    near = [lower for lower in spelled if wanted in lower.split()] or difflib.get_close_matches(wanted, spelled, n=3)
    if near:
        return f" Did you mean {' or '.join(repr(spelled[lower]) for lower in near[:3])}?"
    far = difflib.get_close_matches(wanted, spelled, n=3, cutoff=0)
    return f" Nearest in spelling: {', '.join(repr(spelled[lower]) for lower in far)}." if far else ""
