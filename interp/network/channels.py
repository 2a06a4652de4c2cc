"""Which channels of a layer are worth a look: their statistics, and what a class or a region makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.attribution.targets import Scored, class_target
from interp.errors import MaskError, UsageError
from interp.network.classify import classify, native_size_hw_px
from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_nchw01

DEAD_AT_MOST = 1e-6  # features are scaled to means around 1, float32 noise is around 1e-7


@dataclass(frozen=True)
class ChannelStats:
    """Statistics of every channel of a layer over the whole image.

    Attributes:
        mean_c: Mean activation, (C,) float32.
        std_c: Population standard deviation, (C,) float32.
        maximum_c: Largest activation, (C,) float32.
        dead_c: (C,) bool, True where the channel is nowhere above 1e-6 after the ReLU.
    """

    mean_c: np.ndarray = field(repr=False)
    std_c: np.ndarray = field(repr=False)
    maximum_c: np.ndarray = field(repr=False)
    dead_c: np.ndarray = field(repr=False)

    @property
    def energy_c(self) -> np.ndarray:
        """Mean square of each channel: the diagonal of the layer's Gram matrix, (C,) float32."""
        return self.mean_c**2 + self.std_c**2

    @property
    def dead(self) -> int:
        """How many channels are dead on this image."""
        return int(self.dead_c.sum())


@dataclass(frozen=True)
class ClassEvidence:
    """How much of a class's score each channel makes up, at the size at which the picture was classified.

    Attributes:
        class_name: The class.
        size_hw_px: Size at which the picture was classified.
        scores: For each layer (C,) float32: sum over the cells of activation times d(score)/d(activation).
    """

    class_name: str
    size_hw_px: tuple[int, int]
    scores: dict[str, np.ndarray] = field(repr=False)


def channel_stats(maps_chw: Tensor) -> ChannelStats:
    """Summarise each channel over all its cells.

    Args:
        maps_chw: (C, h, w) values of one layer, before or after the ReLU.

    Returns:
        Mean, population standard deviation, maximum, and which channels are dead. The ReLU keeps a channel's
        maximum where it is positive, and so does a maximum pool: one rule serves all stages.
    """
    cells_cp = maps_chw.detach().float().flatten(1)
    statistics = cells_cp.mean(dim=1), cells_cp.std(dim=1, correction=0), cells_cp.amax(dim=1)
    mean_c, std_c, maximum_c = (statistic.cpu().numpy() for statistic in statistics)
    return ChannelStats(mean_c, std_c, maximum_c, maximum_c <= DEAD_AT_MOST)


def channel_contrast(maps_chw: Tensor, alpha_hw01: np.ndarray | Tensor, stride_px: int) -> np.ndarray:
    """Tell how well each channel separates a region from its surroundings.

    |mean inside - mean outside| / pooled std: the two-sample effect size d of Cohen 1988, weighted, so that
    channels of different scale compare. The mask is average-pooled to the layer's grid, as the network pools;
    a cell counts m inside and 1 - m outside; the pooled variance is the weighted mean of the squared
    distances to the own side's mean.

    Args:
        maps_chw: (C, h, w) values of one layer.
        alpha_hw01: The region, (H, W) in [0, 1], 1 = inside, with h = H // stride, w = W // stride.
        stride_px: The layer's stride.

    Returns:
        (C,) float32, at least 0; 0 for a constant channel, and finite for one that is constant on either
        side, because the pooled std counts as at least 1e-6 of the channel's root mean square.

    Raises:
        UsageError: If the mask does not fit the layer's grid.
        MaskError: If all cells are inside, or all outside.
    """
    alpha = torch.as_tensor(alpha_hw01, dtype=torch.float32, device=maps_chw.device)
    inside_hw = F.avg_pool2d(alpha[None, None], stride_px)[0, 0]
    if inside_hw.shape != maps_chw.shape[1:]:
        raise UsageError(
            f"The region of {tuple(alpha.shape)} px makes {tuple(inside_hw.shape)} cells; expected "
            f"{tuple(maps_chw.shape[1:])}. Resize the mask to the picture."
        )
    inside_p = inside_hw.flatten()
    outside_p = 1 - inside_p
    if inside_p.sum() <= 0 or outside_p.sum() <= 0:
        raise MaskError(
            "The region is empty or the whole picture; contrast needs an inside and an outside. "
            "Use another mask or rank."
        )
    cells_cp = maps_chw.detach().float().flatten(1)
    floor = 1e-6 * cells_cp.square().mean(dim=1).sqrt() + torch.finfo(torch.float32).tiny
    cells_cp = cells_cp - cells_cp.mean(dim=1, keepdim=True)
    mean_in = (cells_cp @ inside_p) / inside_p.sum()
    mean_out = (cells_cp @ outside_p) / outside_p.sum()
    squares = (cells_cp - mean_in[:, None]) ** 2 @ inside_p + (cells_cp - mean_out[:, None]) ** 2 @ outside_p
    pooled_std = (squares / len(inside_p)).sqrt()
    return ((mean_in - mean_out).abs() / pooled_std.maximum(floor)).cpu().numpy()


def class_evidence(vgg: Vgg, image_nchw01: Tensor, layers: Sequence[str], index: int | None = None) -> ClassEvidence:
    """Find how much of a class's score each channel makes up.

    Activation times gradient, summed over a channel's cells: by how much the score would fall, to first order, if the
    channel were silenced (Shrikumar et al. 2016's gradient × input, at a layer). Taken at the network's native size,
    where its opinion means something.

    Args:
        vgg: A network with a head.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], any size.
        layers: Names.
        index: Of the class; None for the most probable one.

    Returns:
        Signed scores of every channel.

    Raises:
        WeightsError: If the weights have no classifier.
        UsageError: If there is no such class.
    """
    size_hw_px = native_size_hw_px(vgg, image_nchw01)
    index = classify(vgg, image_nchw01).indices[0] if index is None else index
    scored = Scored(vgg, class_target(vgg, index))
    captured: dict[str, Tensor] = {}
    handles = [
        vgg.part(name).register_forward_hook(lambda _, __, output, name=name: captured.update({name: output}))
        for name in layers
    ]
    try:
        score = scored(resize_nchw01(image_nchw01.detach(), size_hw_px).requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    gradients = torch.autograd.grad(score.sum(), [captured[name] for name in layers])
    scores = {
        name: (captured[name].detach() * gradient).sum(dim=(0, 2, 3)).cpu().numpy()
        for name, gradient in zip(layers, gradients, strict=True)
    }
    return ClassEvidence(scored.target.name, size_hw_px, scores)
