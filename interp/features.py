"""Feature maps of one layer, and which of its channels are worth a look.

By default the channels come in index order; the ranks say why a channel is shown: it is active, it
varies, or it tells a region from its surroundings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.errors import MaskError, UsageError, unknown_name
from interp.layer_names import layer as layer_named
from interp.vgg import Vgg

STAGES = {"conv": "before ReLU", "relu": "after ReLU", "pool": "after pooling"}
RANKS = ("index", "mean", "variance", "contrast")
RANK_PHRASES = {
    "mean": "highest mean activation",
    "variance": "highest variance",
    "contrast": "strongest contrast between inside and outside of the region",
}
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
    def dead(self) -> int:
        """How many channels are dead on this image."""
        return int(self.dead_c.sum())


@dataclass(frozen=True)
class FeatureMaps:
    """Chosen channels of one layer.

    Attributes:
        layer: Name such as `conv1_1`.
        stage: `before ReLU`, `after ReLU` or `after pooling`: what the values are.
        maps_khw: The chosen channels' values, (K, h, w) float32 on the layer's own grid, not rescaled.
        channels: Their indices in the layer, in the order of `maps_khw`.
        scores: For each, the value it was ranked by; the mean activation where nothing was ranked.
        rule: One sentence: how the channels were chosen and ordered.
        stats: Statistics of all the layer's channels, chosen or not.
    """

    layer: str
    stage: str
    maps_khw: np.ndarray = field(repr=False)
    channels: tuple[int, ...]
    scores: tuple[float, ...]
    rule: str
    stats: ChannelStats


def feature_maps(
    vgg: Vgg,
    image_nchw01: Tensor,
    layer: str,
    *,
    rank: str = "index",
    count: int = 64,
    channels: Sequence[int] | None = None,
    alpha_hw01: np.ndarray | None = None,
) -> FeatureMaps:
    """Capture a layer and choose channels to show.

    Args:
        vgg: The network.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1].
        layer: `convX_Y` (before the ReLU), `reluX_Y` (after it) or `poolX`.
        rank: `index` (the first ones), `mean`, `variance`, or `contrast` (inside against outside of a
            region).
        count: How many channels at most.
        channels: Indices to show instead, in this order; `rank` and `count` then do not matter.
        alpha_hw01: Region for `contrast`, (H, W) in [0, 1], 1 = inside; unused by the other ranks.

    Returns:
        The maps, with the rule that chose them and the statistics of all channels.

    Raises:
        UsageError: If layer, rank, count or a channel is unknown or out of range, or `contrast` lacks a mask
            of the picture's size.
        MaskError: If the region for `contrast` is empty or everything.

    Example:
        >>> maps = feature_maps(Vgg(width=1 / 16), torch.rand(1, 3, 32, 48), "conv1_1")
        >>> maps.stage, maps.maps_khw.shape, maps.channels
        ('before ReLU', (4, 32, 48), (0, 1, 2, 3))
    """
    place = layer_named(layer)
    if rank not in RANKS:
        raise unknown_name("rank", rank, RANKS)
    with torch.no_grad():
        maps_chw = vgg.activations(image_nchw01, [layer])[layer][0]
    stats = channel_stats(maps_chw)
    if channels is None and rank == "contrast":
        score_c = channel_contrast(maps_chw, _mask_of(alpha_hw01, image_nchw01), place.stride_px)
    elif channels is None and rank == "variance":
        score_c = stats.std_c**2
    else:
        score_c = stats.mean_c
    chosen = _choose(score_c, rank, count) if channels is None else _given(channels, layer, len(score_c))
    return FeatureMaps(
        layer=layer,
        stage=STAGES[layer[:4]],
        maps_khw=maps_chw[list(chosen)].float().cpu().numpy(),
        channels=chosen,
        scores=tuple(float(score_c[index]) for index in chosen),
        rule=_rule(layer, chosen, stats, "given" if channels is not None else rank),
        stats=stats,
    )


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


def _mask_of(alpha_hw01: np.ndarray | None, image_nchw01: Tensor) -> np.ndarray:
    if alpha_hw01 is None:
        raise UsageError(
            "Rank 'contrast' compares a region with the rest, but no region was passed; give a mask or box."
        )
    if alpha_hw01.shape != image_nchw01.shape[-2:]:
        raise UsageError(
            f"The region is {alpha_hw01.shape} px, the picture {tuple(image_nchw01.shape[-2:])}; expected "
            "the same size. Resize the mask to the picture."
        )
    return alpha_hw01


def _choose(score_c: np.ndarray, rank: str, count: int) -> tuple[int, ...]:
    if count < 1:
        raise UsageError(f"Cannot show {count} channels; expected at least 1.")
    order = np.arange(len(score_c)) if rank == "index" else np.argsort(-score_c, kind="stable")
    return tuple(int(index) for index in order[:count])


def _given(channels: Sequence[int], layer: str, total: int) -> tuple[int, ...]:
    outside = [index for index in channels if not 0 <= index < total]
    if outside or not channels:
        wrong = f"has no channel {outside[0]}" if outside else "was asked for no channel"
        raise UsageError(f"Layer {layer} {wrong}; expected indices from 0 to {total - 1}.")
    return tuple(int(index) for index in channels)


def _rule(layer: str, chosen: tuple[int, ...], stats: ChannelStats, rank: str) -> str:
    total, shown = len(stats.mean_c), len(chosen)
    dead = f" Dead on this picture (never above {DEAD_AT_MOST:g} after the ReLU): {stats.dead} of {total}."
    if rank == "given":
        return f"{shown} of {layer}'s {total} channels, as asked for.{dead}"
    part = (
        f"All {total}"
        if shown == total
        else f"The first {shown} of {total}"
        if rank == "index"
        else f"{shown} of {total}"
    )
    if rank == "index":
        return f"{part} channels of {layer}, in index order.{dead}"
    if shown == total:
        return f"{part} channels of {layer}, those with the {RANK_PHRASES[rank]} first.{dead}"
    return f"{part} channels of {layer}: those with the {RANK_PHRASES[rank]}, best first.{dead}"
