"""Gram statistics of a layer, over the whole picture or a region of it.

A Gram matrix holds which channels fire together, without where (Gatys et al. 2016, section 2.2). Over a region it is

    G_r = sum_p m_p f_p f_p^T / sum_p m_p

with m the region's mask on the layer's grid: linear in m, so region Grams weighted by area add up to the whole
picture's, also for soft masks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from interp.network.products import product

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
    rows = features_nchw.squeeze(0).permute(1, 2, 0).flatten(0, 1)  # so that their gradient has its channels last, too
    if mask_hw01 is None:
        return rows.T @ rows / len(rows)
    weights = mask_hw01.flatten()
    return (rows * weights[:, None]).T @ rows / weights.sum()


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
    rows, weights = _rows(features_nchw, mask_hw01)
    return _Moments.apply(rows, weights / weights.sum(), None)


def moment_sums(features_nchw: Tensor, mask_hw01: Tensor, about: Tensor) -> Moments:
    """Sums over some cells of a picture, whose moments are merged from several (`merged_moments`).

    Args:
        features_nchw: (1, C, h, w) activations of some of a layer's cells.
        mask_hw01: (h, w) weights m of these cells in [0, 1]. No gradient flows to it.
        about: (C,) a, near the mean, so that no digits cancel. Nor to it.

    Returns:
        (C,) sum of m (f - a) and (C, C) sum of m (f - a) (f - a)^T.
    """
    return _Moments.apply(*_rows(features_nchw, mask_hw01), about)


def merged_moments(sums: Moments, weight: float, about: Tensor) -> Moments:
    """Mean and covariance of all cells.

    Args:
        sums: (C,) and (C, C), what `moment_sums` gave for every part, added up.
        weight: Sum of all weights.
        about: (C,) as given to it.
    """
    shift = sums[0] / weight
    return about + shift, sums[1] / weight - shift.outer(shift)


class KeptMoments:
    """Moments whose gradient is worked out block by block, where it is wanted: `region_moments` for a pass by hand.

    Args:
        features_nchw: (1, C, h, w) activations of one layer, kept until `add_gradient`.
        mask_hw01: (h, w) weights in [0, 1].

    Attributes:
        moments: (C,) mean and (C, C) covariance.
    """

    def __init__(self, features_nchw: Tensor, mask_hw01: Tensor) -> None:
        self.features_nchw = features_nchw
        self.rows, weights = _rows(features_nchw, mask_hw01)
        self.weights = weights / weights.sum()
        *moments, self.point = _sums(self.rows, self.weights, None)
        self.moments: Moments = moments[0], moments[1]

    def add_gradient(self, along: tuple[Tensor | None, Tensor | None], into_nchw: Tensor | None) -> Tensor | None:
        """Add the gradient to the features to what is given, in place.

        Args:
            along: (C,) and (C, C), slopes of a loss along the moments; None where it does not depend on them.
            into_nchw: (1, C, h, w), or None for 0.
        """
        if along == (None, None):
            return into_nchw
        if into_nchw is None:
            into_nchw = torch.zeros_like(self.features_nchw)
        given = [torch.zeros_like(of) if each is None else each for each, of in zip(along, self.moments, strict=True)]
        both, offset = _slopes((given[0], given[1]), self.point)
        into = into_nchw[0].permute(1, 2, 0)
        count = max(1, _block_rows(self.rows) // into.shape[1])  # in whole lines, which a map with gaps has, too
        blocks = (each.split(count * into.shape[1]) for each in (self.rows, self.weights))
        for lines, rows, weights in zip(into.split(count), *blocks, strict=True):
            lines.add_(_gradient(rows, weights, both, offset).view_as(lines))
        return into_nchw


def _rows(features_nchw: Tensor, mask_hw01: Tensor | None) -> tuple[Tensor, Tensor]:
    """(h*w, C) features, of channels-last ones a view, and (h*w,) weights."""
    rows = features_nchw.squeeze(0).permute(1, 2, 0).flatten(0, 1)
    return rows, torch.ones(len(rows)).to(rows.device) if mask_hw01 is None else mask_hw01.flatten()


class _Moments(torch.autograd.Function):
    """Weighted sums about the mean, or about a given point, keeping nothing for the gradient but the features.

    m = w F,  C = (F - m)^T w (F - m);   dF = w ((F - m) (dC + dC^T) + dm)

    The latter holds about the mean since w (F - m) sums to 0, and about a point that is given.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, weights: Tensor, about: Tensor | None) -> Moments:
        first, second, point = _sums(rows, weights, about)
        ctx.save_for_backward(rows, weights, point)
        return first, second

    @staticmethod
    def backward(ctx, *along: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        rows, weights, point = ctx.saved_tensors
        return _gradient(rows, weights, *_slopes((along[0], along[1]), point)), None, None


def _sums(rows: Tensor, weights: Tensor, about: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The sums and the point; block by block on a CPU, so that the widened numbers stay in its cache."""
    wide = torch.promote_types(rows.dtype, weights.dtype)
    weights = weights.to(wide)
    blocks = list(zip(*(each.split(_block_rows(rows)) for each in (rows, weights)), strict=True))
    point = torch.stack([own @ block.to(wide) for block, own in blocks]).sum(0) if about is None else about.to(wide)
    first = point.clone() if about is None else torch.zeros_like(point)
    second = torch.zeros(len(point), len(point)).to(point)
    for block, own in blocks:
        centred = block.to(wide) - point
        weighted = (centred * own[:, None]).T
        second.addmm_(weighted, centred)  # MKL sums more exactly than oneDNN
        if about is not None:
            first.add_(weighted.sum(1))
    return first, second, point


def _slopes(along: Moments, point: Tensor) -> Moments:
    """Of a loss along the moments: dC + dC^T, and what does not depend on the features."""
    both = along[1] + along[1].T
    return both, along[0] - both @ point


def _gradient(rows: Tensor, weights: Tensor, both: Tensor, offset: Tensor) -> Tensor:
    return product(rows, both.to(rows), offset.to(rows)).mul_(weights.to(rows)[:, None])


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
