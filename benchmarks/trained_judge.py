"""How near a picture is to a painting, layer by layer, in a trained network that did not restyle it."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.statistics.gram import region_moments, relative_distance
from interp.statistics.layers import FIXED_STYLE
from interp.statistics.regions import pool_mask

LAYERS = FIXED_STYLE
BORDER_PX = 48  # replicated around every picture: a network's zero padding there is no part of a style
CROP_SHARE = 0.8  # of the painting's sides: what another part of the same painting scores

Moments = tuple[Tensor, Tensor]


class TrainedJudge:
    """Relative distance of mean and covariance, half each, between bounds: 0 the photo's, 1 a crop of the painting's.

    Args:
        net: The judging network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], at the size to compare with.
        alpha_hw01: (H, W) float32 region.
    """

    def __init__(self, net: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, alpha_hw01: np.ndarray) -> None:
        self.net = net
        self.alpha_hw01 = torch.from_numpy(alpha_hw01)
        height, width = (round(CROP_SHARE * side) for side in painting_nchw01.shape[-2:])
        self.targets = self._moments(painting_nchw01)
        self.photo = self.distances(photo_nchw01)
        crop = self._moments(painting_nchw01[..., :height, :width])
        self.crop = [moments_distance(crop[name], self.targets[name]) for name in LAYERS]

    def distances(self, picture_nchw01: Tensor) -> list[float]:
        """Of a (1, 3, H, W) picture of the photo's size at each layer, unbounded: 0 is the painting."""
        own = self._moments(picture_nchw01, self.alpha_hw01)
        return [moments_distance(own[name], self.targets[name]) for name in LAYERS]

    def scores(self, picture_nchw01: Tensor) -> list[float]:
        """The same between its bounds."""
        found = zip(self.distances(picture_nchw01), self.photo, self.crop, strict=True)
        return [(photo - own) / (photo - crop) for own, photo, crop in found]

    def _moments(self, picture_nchw01: Tensor, alpha_hw01: Tensor | None = None) -> dict[str, Moments]:
        counted = torch.ones(picture_nchw01.shape[-2:]) if alpha_hw01 is None else alpha_hw01
        counted = F.pad(counted, (BORDER_PX,) * 4)
        with torch.no_grad():
            maps = self.net.activations(F.pad(picture_nchw01, (BORDER_PX,) * 4, mode="replicate"), LAYERS)
            return {name: region_moments(maps[name], pool_mask(counted, layer(name))) for name in LAYERS}


def moments_distance(own: Moments, target: Moments) -> float:
    """Squared relative distance of (C,) mean and (C, C) covariance, half each."""
    return sum(float(relative_distance(*pair)) for pair in zip(own, target, strict=True)) / 2
