"""How far two sets of features are apart, each seen as a Gaussian: the squared Wasserstein-2 distance, relative.

    W² = |m - m*|² + tr C + tr C* - 2 tr (C*^½ C C*^½)^½        (Dowson & Landau 1982)
    D  = W² / (|m* |² + tr C*)

0 for equal moments and 1 for a silent layer. Unlike a difference of Gram matrices it does not square what it compares:
directions in which a painting varies little still count, and with them its flat areas.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 1e-4  # of the target's mean variance, added to both covariances: the root stays differentiable


@dataclass(frozen=True)
class GaussianTarget:
    """What a distance is measured to. Matrices are float64 on the CPU: small, and some devices have no float64.

    Attributes:
        mean: (C,).
        covariance: (C, C), with the ridge.
        root: (C, C), its square root.
        ridge: What was added to its diagonal.
    """

    mean: Tensor
    covariance: Tensor
    root: Tensor
    ridge: float

    @classmethod
    def of(cls, moments: tuple[Tensor, Tensor]) -> "GaussianTarget":
        """Prepare (C,) mean and (C, C) covariance, as `gram.region_moments` returns them."""
        mean, covariance = (value.detach().cpu().double() for value in moments)
        least = 1e-12 * float(mean.square().sum()) / len(mean)  # a flat painting has no variance at all
        ridge = max(RIDGE * float(covariance.diagonal().mean()), least, 1e-30)
        covariance = covariance + ridge * torch.eye(len(mean), dtype=torch.float64)
        values, vectors = _eigen(covariance)
        return cls(mean, covariance, (vectors * values.clamp(min=0).sqrt()) @ vectors.T, ridge)

    def distance(self, moments: tuple[Tensor, Tensor]) -> Tensor:
        """D of (C,) mean and (C, C) covariance; differentiable, float64 on the CPU."""
        mean, covariance = (value.cpu().double() for value in moments)
        covariance = covariance + self.ridge * torch.eye(len(mean), dtype=torch.float64)
        shared = _RootTrace.apply(self.root @ covariance @ self.root)
        spread = self.covariance.diagonal().sum()
        apart = (mean - self.mean).square().sum() + covariance.diagonal().sum() + spread - 2 * shared
        return apart / (self.mean.square().sum() + spread)


class _RootTrace(torch.autograd.Function):
    """tr K^½ of a symmetric positive matrix; its gradient is ½ K^-½, without differences of eigenvalues."""

    @staticmethod
    def forward(ctx, matrix: Tensor) -> Tensor:
        values, vectors = _eigen(matrix)
        values = values.clamp(min=1e-14 * float(values[-1]) + 1e-300)
        ctx.save_for_backward(values, vectors)
        return values.sqrt().sum()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, vectors = ctx.saved_tensors
        return gradient * (vectors * (0.5 / values.sqrt())) @ vectors.T


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors, by one thread: at each of many short steps others would be woken."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return torch.linalg.eigh(matrix)
    finally:
        torch.set_num_threads(threads)
