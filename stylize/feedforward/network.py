"""The decoder of the instant way: from features brought to a painting's statistics back to an image, in one pass.

It mirrors compact's VGG-19 down to relu4_1. On every grid the channels are scaled and shifted by what the painting's
statistics say (Perez et al. 2018, "FiLM"). They are not normalised over the picture: what enters has the painting's
statistics already, and normalising a decoder's own channels makes it paint droplets (Karras et al. 2020, StyleGAN2,
section 2).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from interp.network.vgg import channels_at

LEVELS = ("relu4_1", "relu3_1", "relu2_1", "relu1_1")  # coarse to fine
SUMMARY = 128  # values that sum a painting up


class Level(nn.Module):
    """One grid: two convolutions, each scaled and shifted by the painting.

    Args:
        entering: Channels that come from the coarser grid.
        own: Channels of the photo's features here.
        leaving: Channels that go on.
    """

    def __init__(self, entering: int, own: int, leaving: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(entering, own, 3, padding=1)
        self.beside = nn.Conv2d(own, own, 3, padding=1)
        self.second = nn.Conv2d(own, leaving, 3, padding=1)
        self.scales = nn.Linear(SUMMARY, 2 * (own + leaving))
        self.parts = [own, own, leaving, leaving]

    def forward(self, value: Tensor | None, features: Tensor, summary: Tensor) -> Tensor:
        """(N, entering, h, w) or nothing, (N, own, h, w), (N, SUMMARY) -> (N, leaving, h, w)."""
        gain1, shift1, gain2, shift2 = self.scales(summary)[..., None, None].split(self.parts, 1)
        entered = self.beside(features)
        if value is not None:
            entered = entered + self.first(value)
        value = F.relu(torch.addcmul(shift1, entered, 1 + gain1))
        return F.relu(torch.addcmul(shift2, self.second(value), 1 + gain2))


class Decoder(nn.Module):
    """From transported features to an image.

    Args:
        width: Of the VGG-19, as a fraction.
    """

    def __init__(self, width: float = 0.25) -> None:
        super().__init__()
        own = channels_at(width)[3::-1]  # coarse to fine
        leaving = (*own[1:], own[-1])
        self.summary = nn.Sequential(nn.Linear(2 * sum(own) + len(own), SUMMARY), nn.ReLU())
        self.levels = nn.ModuleList(map(Level, (1, *leaving), own, leaving))
        self.paint = nn.Conv2d(own[-1], 3, 3, padding=1)

    def forward(self, features: Sequence[Tensor], style: Tensor) -> Tensor:
        """Decode.

        Args:
            features: (N, C, h, w) of every level, coarse to fine, as `looking.Seen.at` gives them.
            style: (N, S), as `looking.style_n` describes a painting.

        Returns:
            (N, 3, H, W), RGB about [0, 1], not clamped.
        """
        summary, value = self.summary(style), None
        for level, own in zip(self.levels, features, strict=True):
            if value is not None:
                value = enlarged(value, own)
            value = level(value, own, summary)
        assert value is not None
        return self.paint(value) + 0.5


def enlarged(value: Tensor, finer: Tensor) -> Tensor:
    """(N, C, h, w) on the next finer grid: every cell twice, the last again where the pool before dropped one."""
    twice = F.interpolate(value, scale_factor=2)
    rows, columns = (own - had for own, had in zip(finer.shape[-2:], twice.shape[-2:], strict=True))
    return F.pad(twice, (0, columns, 0, rows), mode="replicate") if rows or columns else twice
