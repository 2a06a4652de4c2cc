"""Which pixels a class score depends on, and FlashTorch's four views of it.

Method: guided backpropagation (Springenberg et al. 2015, "Striving for Simplicity"), through Captum. Scores
are unnormalised class scores, not probabilities (Simonyan et al. 2013, section 3).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from interp.errors import UsageError
from interp.sizes import resize_nchw01
from interp.vgg import Vgg

GUIDED = "guided backprop"
UNSURE_BELOW = 0.2  # top-1 probability under which a prediction is called unsure
MIN_SIDE_PX = 32  # one cell after VGG-19's fifth pool
MAX_SIDE_PX = 2048  # a strip thinner than 1:64 is squeezed rather than blown up
PROMPT_SIGMA = 0.025  # of the side: joins a map's speckle into parts, keeps the parts apart


@dataclass(frozen=True)
class Prediction:
    """What the classifier says.

    Attributes:
        names: The five most probable classes, best first (fewer if the network has fewer).
        probabilities: Their softmax probabilities.
        indices: Their logits' indices.
        size_hw_px: Size at which the picture was classified.
    """

    names: tuple[str, ...]
    probabilities: tuple[float, ...]
    indices: tuple[int, ...]
    size_hw_px: tuple[int, int]

    @property
    def unsure(self) -> bool:
        """Whether the best class has a probability under .2."""
        return self.probabilities[0] < UNSURE_BELOW


@dataclass(frozen=True)
class Attribution:
    """How a class score changes with each pixel, by one method.

    Attributes:
        method: Name of the method, such as `guided backprop`.
        target: Name of the class.
        target_index: Index of its logit; -1 for a target that is no class.
        gradient_chw: (3, h, w) float32, d(logit) / d(pixel in [0, 1]) as the method defines it, RGB.
        input_chw01: (3, h, w) float32 RGB in [0, 1]: the picture at the size it was classified at.
        prediction: What the classifier says about that picture, and its size.
    """

    method: str
    target: str
    target_index: int
    gradient_chw: np.ndarray = field(repr=False)
    input_chw01: np.ndarray = field(repr=False)
    prediction: Prediction


@dataclass(frozen=True)
class FlashtorchPanels:
    """FlashTorch's four views of an attribution (github.com/MisaOgura/flashtorch, `Backprop.visualize`).

    Attributes:
        input_hwc01: The picture.
        gradient_hwc01: "Gradients across RGB channels", standardised.
        max_hw01: "Max gradients": the signed maximum over the channels, standardised; drawn in viridis over
            its range.
        overlay_hwc01: `max_hw01` in viridis at alpha 0.5 over the picture.
    """

    input_hwc01: np.ndarray = field(repr=False)
    gradient_hwc01: np.ndarray = field(repr=False)
    max_hw01: np.ndarray = field(repr=False)
    overlay_hwc01: np.ndarray = field(repr=False)


def native_size_hw_px(vgg: Vgg, image_nchw01: Tensor) -> tuple[int, int]:
    """Size at which a picture is classified: the area the network was trained on, in the picture's own shape.

    The pooled head takes any size, so the whole picture is resized until its area is that of the training
    squares; nothing is cropped away and nothing is stretched. The short side is kept at 32 px or more, one
    cell of the last pool; a strip thinner than 1:64 is squeezed to 2048 px.

    Args:
        vgg: The network; `vgg.info.native_size_px` is the side of its training squares.
        image_nchw01: (1, 3, H, W).

    Returns:
        Height and width in px.
    """
    height, width = image_nchw01.shape[-2:]
    scale = max(vgg.info.native_size_px / (height * width) ** 0.5, MIN_SIDE_PX / min(height, width))
    return min(MAX_SIDE_PX, round(height * scale)), min(MAX_SIDE_PX, round(width * scale))


def classify(vgg: Vgg, image_nchw01: Tensor) -> Prediction:
    """Name what is in a picture, at the network's native size (see `native_size_hw_px`).

    Args:
        vgg: A network with a head.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], any size.

    Returns:
        The five best classes.

    Raises:
        WeightsError: If the weights have no classifier.

    Example:
        >>> from interp.weights import load_vgg
        >>> classify(load_vgg("compact"), torch.zeros(1, 3, 100, 200)).size_hw_px
        (45, 91)
    """
    return _prediction(vgg, *_logits(vgg, image_nchw01))


def _logits(vgg: Vgg, image_nchw01: Tensor) -> tuple[Tensor, Tensor]:
    """The picture at native size, and its (classes,) logits."""
    native_nchw01 = resize_nchw01(image_nchw01.detach(), native_size_hw_px(vgg, image_nchw01))
    with torch.no_grad():
        return native_nchw01, vgg(native_nchw01)[0]


def _prediction(vgg: Vgg, native_nchw01: Tensor, logits: Tensor) -> Prediction:
    best = torch.softmax(logits, dim=0).topk(min(5, len(logits)))
    indices = tuple(int(index) for index in best.indices)
    height, width = native_nchw01.shape[-2:]
    return Prediction(
        names=tuple(class_name(vgg, index) for index in indices),
        probabilities=tuple(float(value) for value in best.values),
        indices=indices,
        size_hw_px=(height, width),
    )


def class_name(vgg: Vgg, index: int) -> str:
    """Name of a logit, or `class N` where the weights carry no names."""
    names = vgg.info.class_names
    return names[index] if index < len(names) else f"class {index}"


def guided_backprop(vgg: Vgg, image_nchw01: Tensor, target: int | None = None) -> Attribution:
    """Attribute a class score to the pixels by guided backprop, at the network's native size.

    Args:
        vgg: A network with a head.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], any size; resized as `native_size_hw_px` says.
        target: Index of the class; None for the most probable one.

    Returns:
        The gradient of the unnormalised score, with the prediction.

    Raises:
        WeightsError: If the weights have no classifier.
        UsageError: If there is no such class.
    """
    native_nchw01, logits = _logits(vgg, image_nchw01)
    index = int(logits.argmax()) if target is None else target
    if not 0 <= index < len(logits):
        raise UsageError(f"No class {index}; weights {vgg.info.name!r} know classes 0 to {len(logits) - 1}.")
    gradient_nchw = guided_gradient(vgg, native_nchw01, index)
    return Attribution(
        method=GUIDED,
        target=class_name(vgg, index),
        target_index=index,
        gradient_chw=gradient_nchw[0].cpu().numpy(),
        input_chw01=native_nchw01[0].cpu().numpy(),
        prediction=_prediction(vgg, native_nchw01, logits),
    )


def guided_gradient(classifier: nn.Module, image_nchw: Tensor, target: int) -> Tensor:
    """Gradient of one logit where every ReLU also blocks what flows back negative.

    Springenberg et al. 2015, figure 1, through `captum.attr.GuidedBackprop`.

    Args:
        classifier: (N, C, H, W) to (N, classes); its ReLUs must be modules, functional ones pass unguided.
        image_nchw: Its input.
        target: Index of the logit.

    Returns:
        Same shape as the input. The classifier is left as it was, also after an error.
    """
    from captum.attr import GuidedBackprop  # here, because it imports pyplot

    with hooks_restored(classifier), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        inputs = image_nchw.detach().clone().requires_grad_()
        return GuidedBackprop(classifier).attribute(inputs, target=target).detach()


@contextmanager
def hooks_restored(module: nn.Module) -> Iterator[None]:
    """Remove on the way out, error or not, every hook put on the module or its parts inside the block."""
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    tables = [getattr(part, kind) for part in module.modules() for kind in kinds]
    before = [set(table) for table in tables]
    try:
        yield
    finally:
        for table, keep in zip(tables, before, strict=True):
            for added in set(table) - keep:
                del table[added]


def magnitude_hw(attribution: Attribution) -> np.ndarray:
    """One value a pixel: the maximum over the channels of |gradient| (Simonyan et al. 2013, section 3.1).

    Returns:
        (h, w) float32, at least 0.
    """
    return np.abs(attribution.gradient_chw).max(axis=0)


def prompt_saliency_hw(attribution: Attribution) -> np.ndarray:
    """The map as a prompt for segmentation: magnitudes blurred, so that speckle joins into parts.

    Simonyan et al. (2013, section 3.2) threshold the map itself, averaged over ten crops and flips; guided
    backprop is one sharp map, and the blur takes the averaging's place.

    Returns:
        (h, w) float32, at least 0, at the attribution's size; only its quantiles mean something.
    """
    values_hw = magnitude_hw(attribution)
    sigma_px = PROMPT_SIGMA * (values_hw.shape[0] * values_hw.shape[1]) ** 0.5
    return ndimage.gaussian_filter(values_hw, sigma_px, mode="nearest")


def flashtorch_panels(attribution: Attribution) -> FlashtorchPanels:
    """Turn an attribution into FlashTorch's views: the rule of the views is FlashTorch's, the gradient not.

    FlashTorch multiplies by each ReLU's output where guided backprop multiplies by 0 or 1. It also
    differentiates by the normalised input, which weighs the three channels up to 2 % differently from pixels
    in [0, 1].

    Returns:
        Input, gradients across RGB, signed maximum and overlay, float32 in [0, 1].
    """
    from matplotlib import colormaps  # viridis' table only; nothing is drawn here

    gradient_chw = attribution.gradient_chw
    input_hwc01 = np.clip(attribution.input_chw01.transpose(1, 2, 0), 0, 1)
    max_hw01 = _standardise01(gradient_chw.max(axis=0))
    span = float(np.ptp(max_hw01))
    viridis_hwc01 = colormaps["viridis"]((max_hw01 - max_hw01.min()) / (span or 1.0))[..., :3]
    overlay_hwc01 = (0.5 * input_hwc01 + 0.5 * viridis_hwc01).astype(np.float32)
    return FlashtorchPanels(input_hwc01, _standardise01(gradient_chw).transpose(1, 2, 0), max_hw01, overlay_hwc01)


def _standardise01(values: np.ndarray) -> np.ndarray:
    """(v - mean) / std * 0.1 + 0.5, clipped; std with n - 1, or 1e-7: FlashTorch's `standardize_and_clip`."""
    std = float(values.std(ddof=1, dtype=np.float64)) or 1e-7
    standardised = (values - values.mean(dtype=np.float64)) / std
    return np.clip(standardised * 0.1 + 0.5, 0, 1).astype(np.float32)
