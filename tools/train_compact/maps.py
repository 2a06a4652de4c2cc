"""Linear maps from one network's channels to another's: fitted by least squares, and how much of it they explain."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from interp.network.layer_names import layer
from interp.network.vgg import Vgg


class Moments(nn.Module):
    """Sums over positions: enough to fit a map, and to judge any map, without keeping the features.

    A module only so that its sums move and are saved with it.

    Args:
        channels: Of the network to map from.
        targets: Channels of the network to map to.
    """

    gram: Tensor
    cross: Tensor
    squares: Tensor

    def __init__(self, channels: int, targets: int) -> None:
        super().__init__()
        self.register_buffer("gram", torch.zeros(1 + channels, 1 + channels, dtype=torch.float64))  # of rows [1, x]
        self.register_buffer("cross", torch.zeros(1 + channels, targets, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(targets, dtype=torch.float64))

    @torch.no_grad()
    def add(self, features_nchw: Tensor, targets_nchw: Tensor, memory: float = 1.0) -> None:
        """Count every position of two networks' values on the same grid; what was counted before fades by `memory`."""
        features, targets = _rows(features_nchw), _rows(targets_nchw)
        rows = torch.cat([torch.ones_like(features[:, :1]), features], 1)
        self.gram.mul_(memory).add_(rows.T @ rows)
        self.cross.mul_(memory).add_(rows.T @ targets)
        self.squares.mul_(memory).add_(targets.square().sum(0))

    def fit(self, ridge: float) -> Tensor:
        """The map with the least squared error, (1 + channels, targets), its first row the constant.

        Args:
            ridge: Penalty on the squared coefficients, relative to the features' mean square; keeps channels that
                hardly move from being relied on.
        """
        penalty = ridge * self.gram.diagonal()[1:].mean() * torch.eye(len(self.gram)).to(self.gram)
        penalty[0, 0] = 0
        return torch.linalg.solve(self.gram + penalty, self.cross)

    def variance(self) -> Tensor:
        """Variance of the targets, mean over the channels."""
        count = self.gram[0, 0]
        return (self.squares / count - (self.cross[0] / count).square()).mean()

    def explained(self, linear_map: Tensor) -> float:
        """Share of the targets' variance that a map explains: 1 - squared error / squared distance from the mean."""
        error = self.squares.sum() - 2 * (linear_map * self.cross).sum() + (linear_map * (self.gram @ linear_map)).sum()
        return 1 - (error / (self.gram[0, 0] * len(self.squares)) / self.variance()).item()


class RunningMap(nn.Module):
    """The map that was best for the latest pictures, while the features change.

    Args:
        moments: To start from.
        ridge: As in `Moments.fit`.
        memory: Of the moments, a factor for each batch.
    """

    variance: Tensor
    linear_map: Tensor

    def __init__(self, moments: Moments, ridge: float, memory: float) -> None:
        super().__init__()
        self.moments, self.ridge, self.memory = moments, ridge, memory
        self.register_buffer("variance", moments.variance().float())
        self.register_buffer("linear_map", moments.fit(ridge).float())

    def solve(self) -> None:
        """Fit the map anew."""
        self.linear_map.copy_(self.moments.fit(self.ridge))

    def unexplained(self, features_nchw: Tensor, targets_nchw: Tensor) -> Tensor:
        """Mean squared error over the targets' variance on the first pictures; the moments take the values in."""
        self.moments.add(features_nchw, targets_nchw, self.memory)
        return unexplained(self.linear_map, features_nchw, targets_nchw) / self.variance


def unexplained(linear_map: Tensor, features_nchw: Tensor, targets_nchw: Tensor) -> Tensor:
    """Mean squared error of a map."""
    return F.mse_loss(_rows(features_nchw) @ linear_map[1:] + linear_map[0], _rows(targets_nchw))


def _rows(value_nchw: Tensor) -> Tensor:
    """Positions as rows, float32 at least."""
    rows = value_nchw.movedim(1, -1).flatten(0, -2)
    return rows.float() if rows.dtype == torch.bfloat16 else rows


def moments_of(
    nets: Sequence[Vgg], teacher: Vgg, images: Iterable[Tensor], layers: Sequence[str], cell_px: int
) -> dict[str, list[Moments]]:
    """Moments of each layer and net over pictures.

    Args:
        nets: To map from.
        teacher: To map to.
        images: (N, 3, H, W) pictures in [0, 1], on the networks' device.
        layers: Names.
        cell_px: Where cells are finer, only those this far apart count.
    """
    found: dict[str, list[Moments]] = {}
    with torch.no_grad():
        for image_nchw01 in images:
            targets = teacher.activations(image_nchw01, layers)
            features = [net.activations(image_nchw01, layers) for net in nets]
            for name in layers:
                pairs = [(cells(own[name], name, cell_px), cells(targets[name], name, cell_px)) for own in features]
                if name not in found:
                    sizes = [(own.shape[1], target.shape[1]) for own, target in pairs]
                    found[name] = [Moments(*size).to(image_nchw01.device) for size in sizes]
                for moments, (own, target) in zip(found[name], pairs, strict=True):
                    moments.add(own, target)
    return found


def cells(value_nchw: Tensor, name: str, cell_px: int, offset_px: tuple[int, int] = (0, 0)) -> Tensor:
    """The cells of a layer that lie `cell_px` apart; all of them where the layer is as coarse.

    Args:
        value_nchw: The layer's values.
        name: The layer.
        cell_px: In pixels of the input.
        offset_px: Row and column of the first, below `cell_px`.
    """
    stride_px = layer(name).stride_px
    if stride_px >= cell_px:
        return value_nchw
    every, (top, left) = cell_px // stride_px, (place // stride_px for place in offset_px)
    return value_nchw[..., top::every, left::every]
