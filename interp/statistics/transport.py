"""Bring features to a painting's mean and covariance in one linear step: optimal transport between Gaussians.

    T f = m* + A (f - m),   A = S (S C S)^-½ S,   S = C*^½        (Knott & Smith 1984; Dowson & Landau 1982)

Of all maps that end at the painting's moments it moves the features least: it is what descending the distance of
`wasserstein` to its end would do.
"""

import torch
from torch import Tensor

from interp.statistics.gram import Moments
from interp.statistics.wasserstein import GaussianTarget


def transport(moments: Moments, target: GaussianTarget, share: float = 1.0) -> tuple[Tensor, Tensor]:
    """The map from a region's moments to a painting's, or a part of the way.

    Args:
        moments: (C,) mean and (C, C) covariance of what is to be moved.
        target: Of the painting.
        share: Of the way, in [0, 1]: the moments in between are on the shortest path (McCann 1997).

    Returns:
        (C, C) matrix and (C,) offset in float32: f -> matrix f + offset.
    """
    mean, covariance = (value.detach().cpu().double() for value in moments)
    identity = torch.eye(len(mean), dtype=torch.float64)
    values, vectors = torch.linalg.eigh(target.root @ (covariance + target.ridge * identity) @ target.root)
    inverse_root = (vectors / values.clamp(min=1e-14 * float(values[-1]) + 1e-300).sqrt()) @ vectors.T
    matrix = (1 - share) * identity + share * target.root @ inverse_root @ target.root
    offset = (1 - share) * mean + share * target.mean - matrix @ mean
    return matrix.float(), offset.float()
