"""Feature maps of one layer, and which of its channels are worth a look.

By default the channels come in index order; the ranks say why a channel is shown: it is active, it
varies, it carries the layer's Gram matrix, the score of a class depends on it, or it tells a region from its
surroundings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor

from interp.errors import UsageError, unknown_name
from interp.network.channels import ChannelStats, ClassEvidence, channel_contrast, channel_stats
from interp.network.layer_names import layer as layer_named
from interp.network.vgg import Vgg

RANKS = ("index", "mean", "variance", "energy", "gradient", "contrast")


class Stage(StrEnum):
    """Where in the network values are taken."""

    CONV = "before ReLU"
    RELU = "after ReLU"
    POOL = "after pooling"


@dataclass(frozen=True)
class Selection:
    """Which channels of a layer to show.

    Attributes:
        rank: `index` (the first ones), `mean`, `variance`, `energy` (mean square), `gradient` (of a class's score,
            times the activation), or `contrast` (inside against outside of a region).
        count: How many channels at most.
        channels: Indices to show instead, in this order; `rank` and `count` then do not matter.
        alpha_hw01: Region for `contrast`, (H, W) in [0, 1], 1 = inside; unused by the other ranks.
        evidence: For `gradient`, what `channels.class_evidence` found; unused by the other ranks.
    """

    rank: str = "index"
    count: int = 64
    channels: Sequence[int] | None = None
    alpha_hw01: np.ndarray | None = field(default=None, repr=False)
    evidence: ClassEvidence | None = None


@dataclass(frozen=True)
class FeatureMaps:
    """Chosen channels of one layer.

    Attributes:
        layer: Name such as `conv1_1`.
        maps_khw: The chosen channels' values, (K, h, w) float32 on the layer's own grid, not rescaled.
        channels: Their indices in the layer, in the order of `maps_khw`.
        scores: For each, the value it was ranked by; the mean activation where nothing was ranked.
        selection: How the channels were chosen and ordered.
        stats: Statistics of all the layer's channels, chosen or not.
    """

    layer: str
    maps_khw: np.ndarray = field(repr=False)
    channels: tuple[int, ...]
    scores: tuple[float, ...]
    selection: Selection
    stats: ChannelStats

    @property
    def stage(self) -> Stage:
        """What the values are."""
        return Stage[self.layer[:4].upper()]


def feature_maps(
    vgg: Vgg,
    image_nchw01: Tensor,
    layer: str,
    *,
    rank: str = "index",
    count: int = 64,
    channels: Sequence[int] | None = None,
    alpha_hw01: np.ndarray | None = None,
    evidence: ClassEvidence | None = None,
) -> FeatureMaps:
    """Capture a layer and choose channels to show.

    Args:
        vgg: The network.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1].
        layer: `convX_Y` (before the ReLU), `reluX_Y` (after it) or `poolX`.
        rank: `index` (the first ones), `mean`, `variance`, `energy` (mean square), `gradient` (of a class's score,
            times the activation), or `contrast` (inside against outside of a region).
        count: How many channels at most.
        channels: Indices to show instead, in this order; `rank` and `count` then do not matter.
        alpha_hw01: Region for `contrast`, (H, W) in [0, 1], 1 = inside; unused by the other ranks.
        evidence: For `gradient`, what `class_evidence` found; unused by the other ranks.

    Returns:
        The maps, with the rule that chose them and the statistics of all channels.

    Raises:
        UsageError: If layer, rank, count or a channel is unknown or out of range, `contrast` lacks a mask
            of the picture's size, or `gradient` its evidence.
        MaskError: If the region for `contrast` is empty or everything.

    Example:
        >>> maps = feature_maps(Vgg(width=1 / 16), torch.rand(1, 3, 32, 48), "conv1_1")
        >>> maps.maps_khw.shape, maps.channels
        ((4, 32, 48), (0, 1, 2, 3))
    """
    selection = Selection(rank, count, channels, alpha_hw01, evidence)
    return next(feature_maps_of(vgg, image_nchw01, [layer], selection))


def feature_maps_of(
    vgg: Vgg, image_nchw01: Tensor, layers: Sequence[str], selection: Selection
) -> Iterator[FeatureMaps]:
    """Capture several layers in one pass and yield them in network order; see `feature_maps`."""
    if selection.rank not in RANKS:
        raise unknown_name("rank", selection.rank, RANKS)
    with torch.no_grad():
        for name, values_nchw in vgg.stream(image_nchw01, layers):
            stats = channel_stats(values_nchw[0])
            score_c = _scores(values_nchw[0], name, stats, selection, image_nchw01)
            chosen = _chosen(score_c, name, selection)
            yield FeatureMaps(
                layer=name,
                maps_khw=values_nchw[0, list(chosen)].float().cpu().numpy(),
                channels=chosen,
                scores=tuple(float(score_c[index]) for index in chosen),
                selection=selection,
                stats=stats,
            )


def _scores(
    maps_chw: Tensor, layer: str, stats: ChannelStats, selection: Selection, image_nchw01: Tensor
) -> np.ndarray:
    """The value of every channel by which the rank goes; the mean where nothing is ranked."""
    rank = "index" if selection.channels is not None else selection.rank
    if rank == "contrast":
        mask_hw01 = _mask_of(selection.alpha_hw01, image_nchw01)
        return channel_contrast(maps_chw, mask_hw01, layer_named(layer).stride_px)
    if rank == "gradient":
        evidence = selection.evidence
        if evidence is None or layer not in evidence.scores:
            raise UsageError(
                f"Rank 'gradient' lacks the class evidence of {layer}; pass what `class_evidence` returns."
            )
        return evidence.scores[layer]
    return {"variance": stats.std_c**2, "energy": stats.energy_c}.get(rank, stats.mean_c)


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


def _chosen(score_c: np.ndarray, layer: str, selection: Selection) -> tuple[int, ...]:
    if selection.channels is not None:
        return _given(selection.channels, layer, len(score_c))
    if selection.count < 1:
        raise UsageError(f"Cannot show {selection.count} channels; expected at least 1.")
    in_order = selection.rank == "index"
    order = np.arange(len(score_c)) if in_order else np.argsort(-score_c, kind="stable")
    return tuple(int(index) for index in order[: selection.count])


def _given(channels: Sequence[int], layer: str, total: int) -> tuple[int, ...]:
    outside = [index for index in channels if not 0 <= index < total]
    if outside or not channels:
        wrong = f"has no channel {outside[0]}" if outside else "was asked for no channel"
        raise UsageError(f"Layer {layer} {wrong}; expected indices from 0 to {total - 1}.")
    return tuple(int(index) for index in channels)
