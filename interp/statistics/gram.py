"""Gram statistics of a layer, over the whole picture or a region of it.

A Gram matrix holds which channels fire together, without where (Gatys et al. 2016, section 2.2). Over a region it is

    G_r = sum_p m_p f_p f_p^T / sum_p m_p

with m the region's mask on the layer's grid: linear in m, so region Grams weighted by area add up to the whole
picture's, also for soft masks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_VALUES = 2**18  # 1 MB in float32: half of a core's second-level cache, or less

Moments = tuple[Tensor, Tensor]  # (C,) mean, (C, C) covariance


@dataclass(frozen=True)
class GramStats:
    """What a layer's Gram matrix says about a picture.

    Attributes:
        layer: Layer name.
        energy: Mean squared activation, trace(G) / C.
        spectrum: Eigenvalues in descending order, as shares of their sum.
        effective_rank: Participation ratio of the spectrum, 1 … C.
        channels: C.
    """

    layer: str
    energy: float
    spectrum: tuple[float, ...]
    effective_rank: float
    channels: int


def region_gram(features_nchw: Tensor, mask_hw01: Tensor | None = None) -> Tensor:
    """Gram matrix of the cells under a mask.

    Args:
        features_nchw: (1, C, h, w) activations of one layer.
        mask_hw01: (h, w) weights in [0, 1]; None for the whole picture.

    Returns:
        (C, C), symmetric, positive semi-definite.

    Example:
        >>> features = torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]])
        >>> region_gram(features, torch.tensor([[0.0, 1.0]])).tolist()
        [[4.0, 2.0], [2.0, 1.0]]
    """
    flat = features_nchw.flatten(2)[0]  # (C, h*w)
    if mask_hw01 is None:
        return flat @ flat.T / flat.shape[1]
    weights = mask_hw01.flatten()
    return (flat * weights) @ flat.T / weights.sum()


def relative_distance(gram: Tensor, target: Tensor) -> Tensor:
    """Squared Frobenius distance over the target's squared norm: D = |G - G*|² / |G*|²; 1 for G = 0."""
    return (gram - target).square().sum() / target.square().sum()


def region_moments(features_nchw: Tensor, mask_hw01: Tensor | None = None) -> Moments:
    """Mean and covariance of the channels under a mask: the Gram matrix taken apart, G = covariance + mean meanᵀ.

    Args:
        features_nchw: (1, C, h, w) activations of one layer; in bfloat16 they are summed in float32.
        mask_hw01: (h, w) weights in [0, 1]; None for the whole picture. No gradient flows to it.

    Returns:
        (C,) mean and (C, C) covariance.
    """
    rows = features_nchw.squeeze(0).permute(1, 2, 0).flatten(0, 1)  # (h*w, C); of channels-last features a view
    weights = torch.ones(len(rows)).to(rows.device) if mask_hw01 is None else mask_hw01.flatten()
    return _Moments.apply(rows, weights / weights.sum())


class _Moments(torch.autograd.Function):
    """Mean and covariance, keeping nothing for the gradient but the features, which their layer keeps anyway.

    m = w F,  C = (F - m)^T w (F - m);   dF = w ((F - m) (dC + dC^T) + dm),   since w (F - m) sums to 0

    Block by block on a CPU, so that the widened numbers stay in its cache.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, weights: Tensor) -> Moments:
        wide = torch.promote_types(rows.dtype, weights.dtype)
        weights = weights.to(wide)
        blocks = list(zip(*(each.split(_block_rows(rows)) for each in (rows, weights)), strict=True))
        mean = torch.stack([own @ block.to(wide) for block, own in blocks]).sum(0)
        covariance = torch.zeros(len(mean), len(mean)).to(mean)
        for block, own in blocks:
            centred = block.to(wide) - mean
            covariance.addmm_((centred * own[:, None]).T, centred)
        ctx.save_for_backward(rows, weights, mean)
        return mean, covariance

    @staticmethod
    def backward(ctx, mean_gradient: Tensor, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        rows, weights, mean = ctx.saved_tensors
        both = gradient + gradient.T
        offset = mean_gradient - both @ mean
        return torch.addmm(offset.to(rows), rows, both.to(rows)).mul_(weights.to(rows)[:, None]), None


def _block_rows(rows: Tensor) -> int:
    return max(1, BLOCK_VALUES // rows.shape[1]) if rows.device.type == "cpu" else len(rows)


def moments_contrast(first: Moments, second: Moments) -> Tensor:
    """Symmetric, bounded distance of mean and covariance, half each: |a - b|² / (|a|² + |b|²).

    0 for equal moments, 1 where nothing is shared: a mean after a ReLU has no negative entry and no two covariances a
    negative product. A pattern that repeats with the layer's stride has no covariance there; a distance relative to it
    alone would know no bounds.
    """
    halves = [
        (a - b).square().sum() / (a.square().sum() + b.square().sum()).clamp(min=1e-20)
        for a, b in zip(first, second, strict=True)
    ]
    return (halves[0] + halves[1]) / 2


def effective_rank(eigenvalues: Tensor) -> float:
    """Participation ratio (sum λ)² / sum λ²: how many channels' worth of independent directions are in use."""
    total_of_squares = eigenvalues.square().sum()
    return float(eigenvalues.sum().square() / total_of_squares) if total_of_squares > 0 else 0.0


def gram_stats(layer: str, gram: Tensor) -> GramStats:
    """Summarise a Gram matrix.

    Args:
        layer: Its layer's name.
        gram: (C, C), symmetric.

    Returns:
        Energy, spectrum and effective rank.
    """
    eigenvalues = torch.linalg.eigvalsh(gram.cpu().double()).clamp(min=0).flip(0)
    total = eigenvalues.sum()
    shares = eigenvalues / total if total > 0 else eigenvalues
    channels = gram.shape[0]
    return GramStats(layer, float(total) / channels, tuple(shares.tolist()), effective_rank(eigenvalues), channels)
