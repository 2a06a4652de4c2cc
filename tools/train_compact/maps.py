"""Linear maps from one network's channels to another's: fitted by least squares, and how much of it they explain."""

import torch
from torch import Tensor


class Moments:
    """Sums over positions: enough to fit a map, and to judge any map, without keeping the features.

    Args:
        channels: Of the network to map from.
        targets: Channels of the network to map to.
    """

    def __init__(self, channels: int, targets: int) -> None:
        self.gram = torch.zeros(1 + channels, 1 + channels, dtype=torch.float64)  # of rows [1, features]
        self.cross = torch.zeros(1 + channels, targets, dtype=torch.float64)
        self.squares = torch.zeros(targets, dtype=torch.float64)

    def add(self, features_nchw: Tensor, targets_nchw: Tensor) -> None:
        """Count every position of two networks' values on the same grid."""
        features, targets = (
            value.detach().movedim(1, -1).flatten(0, -2).cpu().double() for value in (features_nchw, targets_nchw)
        )
        rows = torch.cat([torch.ones(len(features), 1, dtype=torch.float64), features], 1)
        self.gram += rows.T @ rows
        self.cross += rows.T @ targets
        self.squares += targets.square().sum(0)

    def fit(self, ridge: float) -> Tensor:
        """The map with the least squared error, (1 + channels, targets), its first row the constant.

        Args:
            ridge: Penalty on the squared coefficients, relative to the features' mean square; keeps channels that
                hardly move from being relied on.
        """
        penalty = ridge * self.gram.diagonal()[1:].mean() * torch.eye(len(self.gram), dtype=torch.float64)
        penalty[0, 0] = 0
        return torch.linalg.solve(self.gram + penalty, self.cross)

    def variance(self) -> float:
        """Variance of the targets, mean over the channels."""
        count = self.gram[0, 0]
        return ((self.squares / count - (self.cross[0] / count).square()).mean()).item()

    def explained(self, linear_map: Tensor) -> float:
        """Share of the targets' variance that a map explains: 1 - squared error / squared distance from the mean."""
        error = self.squares.sum() - 2 * (linear_map * self.cross).sum() + (linear_map * (self.gram @ linear_map)).sum()
        return 1 - (error / (self.gram[0, 0] * len(self.squares))).item() / self.variance()
