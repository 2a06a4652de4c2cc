"""What the decoder is given: the photo's features at several levels, brought to the painting's statistics.

Those of relu4_1 always; the finer ones only as far as the photo is like the painting already. So strokes have to come
from the painting, and a painting that is the photo gives the photo back.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from interp.network.layer_names import layer
from interp.statistics.gram import Moments, region_moments
from interp.statistics.regions import pool_mask
from interp.statistics.transport import transport
from interp.statistics.wasserstein import GaussianTarget
from stylize.feedforward.network import LEVELS

HALF_STRENGTH = 0.15  # at which the features go half the way to the painting's
# How far relu4_1's features may be moved until a level is all but shut, as a share of the painting's energy: of pairs
# of photo and painting half are .32 apart and 95 in 100 more than .2, a photo and itself .004.
SHUT = {"relu4_1": None, "relu3_1": 0.3, "relu2_1": 0.1, "relu1_1": 0.1}


@dataclass(frozen=True)
class Move:
    """How features are brought to a painting's statistics, at one strength.

    Attributes:
        steps: (C, C) matrix and (C,) offset of every level: f -> matrix f + offset.
        style: (1, S), what describes the painting and the way to it.
    """

    steps: tuple[tuple[Tensor, Tensor], ...] = field(repr=False)
    style: Tensor = field(repr=False)

    def of(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Move (1, C, h, w) of every level."""
        moved = []
        for value, (matrix, offset) in zip(features, self.steps, strict=True):
            rows = value[0].permute(1, 2, 0).flatten(0, 1)  # (h*w, C)
            found = torch.addmm(offset.to(value), rows, matrix.to(value).T)
            moved.append(found.view(1, *value.shape[2:], -1).permute(0, 3, 1, 2))
        return moved


@dataclass(frozen=True)
class Compared:
    """The statistics of a region and of a painting; the strength can still be chosen.

    Attributes:
        moments: (C,) mean and (C, C) covariance of every level, over the region.
        targets: The painting's.
    """

    moments: tuple[Moments, ...] = field(repr=False)
    targets: tuple[GaussianTarget, ...] = field(repr=False)

    @classmethod
    def of(cls, own: Mapping[str, Moments], style: Mapping[str, Moments]) -> "Compared":
        """From the moments of every one of `LEVELS`."""
        return cls(tuple(own[name] for name in LEVELS), tuple(GaussianTarget.of(style[name]) for name in LEVELS))

    def at(self, strength: float) -> Move:
        """The way to the painting's statistics, as far as a strength goes."""
        share = strength / (strength + HALF_STRENGTH)
        gone = [share**2 * float(target.distance(own)) for own, target in zip(self.moments, self.targets, strict=True)]
        steps = []
        for name, moments, target in zip(LEVELS, self.moments, self.targets, strict=True):
            limit = SHUT[name]
            let_in = 1.0 if limit is None else math.exp(-((gone[0] / limit) ** 2))
            matrix, offset = transport(moments, target, share)
            steps.append((let_in * matrix, let_in * offset))
        known = [part for target in self.targets for part in (target.mean, target.covariance.diagonal().sqrt())]
        far = 0.2 * torch.log(torch.tensor(gone).clamp(min=1e-5)) + 1
        return Move(tuple(steps), torch.cat([*(part.float() for part in known), far])[None])


@dataclass(frozen=True)
class Seen:
    """A region of a photo, and a painting, as the network sees them; the strength can still be chosen.

    Attributes:
        features: (1, C, h, w) of every level.
        compared: Their statistics, and the painting's.
    """

    features: tuple[Tensor, ...] = field(repr=False)
    compared: Compared = field(repr=False)

    def at(self, strength: float) -> tuple[list[Tensor], Tensor]:
        """The features on their way to the painting's statistics, and what describes the painting and the way."""
        move = self.compared.at(strength)
        return move.of(self.features), move.style.to(self.features[0])


def seen(own: Mapping[str, Tensor], alpha_hw01: Tensor, style: Mapping[str, Tensor], learned_hw01: Tensor) -> Seen:
    """Keep what the network sees in a photo and a painting.

    Args:
        own: Features of the photo in the painting's colours, (1, C, h, w) of each of `LEVELS`.
        alpha_hw01: (H, W), the region.
        style: The painting's.
        learned_hw01: (y, x), the part of the painting to learn from.
    """
    moments = [
        {name: region_moments(maps[name], mask) for name, mask in level_masks(part).items()}
        for maps, part in ((own, alpha_hw01), (style, learned_hw01))
    ]
    return Seen(tuple(own[name] for name in LEVELS), Compared.of(*moments))


def level_masks(part_hw01: Tensor) -> dict[str, Tensor]:
    """(H, W) on every level's grid."""
    return {name: pool_mask(part_hw01, layer(name)) for name in LEVELS}


def batched(many: Sequence[tuple[list[Tensor], Tensor]]) -> tuple[list[Tensor], Tensor]:
    """Several of what `Seen.at` gives, of one size, as one."""
    features = [torch.cat(level) for level in zip(*(each for each, _ in many), strict=True)]
    return features, torch.cat([style for _, style in many])
