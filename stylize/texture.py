"""What one layer's style statistics carry: a texture made from noise to have them, and nothing else of the painting.

Gatys et al. 2015, "Texture synthesis using convolutional neural networks", with the moments of a single layer.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.network.layer_names import layer
from interp.network.precision import resolve_precision
from interp.network.vgg import Vgg
from interp.pictures.colour import match_colour
from interp.pictures.images import to_hwc_u8
from interp.statistics.gram import Moments, region_moments
from interp.statistics.regions import pool_mask
from interp.statistics.style_evidence import SCALES
from stylize.descent import Descent, descend
from stylize.fill import with_border, without_border
from stylize.losses import RegionLoss, StyleLoss, TotalVariation

GRAINS_PX = (1, 4, 16)  # sizes of the noise that a texture starts from
TEXTURE_PX, TEXTURE_STEPS = 64, 20  # enough to see strokes; a fortieth of a run at 512 px, a sixth of a draft
SMOOTHNESS = 0.3  # weight of total variation: one deep layer alone does not see the finest ripple


def synthesise(
    vgg: Vgg, painting_nchw01: Tensor, name: str, side_px: int = 96, iterations: int = 40, seed: int = 0
) -> Tensor:
    """Make a texture with the mean and covariance of one layer's channels.

    Args:
        vgg: The network.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], at the size whose strokes are meant.
        name: Layer name.
        side_px: Side of the texture.
        iterations: Evaluations.
        seed: Of the noise that it starts from.

    Returns:
        (1, 3, side, side) RGB in [0, 1].

    Example:
        >>> from interp.network.weights import load_vgg
        >>> red = torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
        >>> texture = synthesise(load_vgg("compact"), red, "relu1_1", side_px=32)
        >>> bool(texture[:, 0].mean() > texture[:, 2].mean() + 0.3)
        True
    """
    target = _moments(vgg, painting_nchw01, [name])[name]
    return _from_noise(vgg, painting_nchw01, name, target, side_px, iterations, seed)


def textures(vgg: Vgg, painting_nchw01: Tensor) -> dict[str, np.ndarray]:
    """What each style layer's statistics of a painting carry, as small textures: (h, w, 3) uint8 RGB by layer."""
    return {
        name: to_hwc_u8(_from_noise(vgg, painting_nchw01, name, target, TEXTURE_PX, TEXTURE_STEPS))
        for name, target in _moments(vgg, painting_nchw01, SCALES).items()
    }


def _moments(vgg: Vgg, painting_nchw01: Tensor, names: Sequence[str]) -> dict[str, Moments]:
    """The painting's at each layer, in one pass."""
    inside = with_border(torch.ones(painting_nchw01.shape[-2:], device=painting_nchw01.device), "constant")
    with torch.no_grad():
        maps = vgg.stream(with_border(painting_nchw01), names, "average")
        return {name: region_moments(values, pool_mask(inside, layer(name))) for name, values in maps}


def _from_noise(
    vgg: Vgg, painting_nchw01: Tensor, name: str, target: Moments, side_px: int, iterations: int, seed: int = 0
) -> Tensor:
    """(1, 3, side, side) RGB in [0, 1] with a layer's moments."""
    shown = with_border(torch.ones(side_px, side_px, device=painting_nchw01.device), "constant")
    terms = [StyleLoss(name, target, pool_mask(shown, layer(name)), 1.0), TotalVariation(shown, SMOOTHNESS)]
    precision = resolve_precision("auto", painting_nchw01.device)  # as the painting's, whose kernels are prepared
    loss = RegionLoss(vgg, terms, side_px * side_px, "average", precision)
    *_, last = descend(loss, with_border(_noise(painting_nchw01, side_px, seed)), iterations, Descent(to_zero=True))
    return without_border(last.image_nchw01).clamp(0, 1)


def _noise(painting_nchw01: Tensor, side_px: int, seed: int) -> Tensor:
    """Noise of several grains in the painting's colours: what a layer does not speak of keeps them."""
    generator, noise = torch.Generator().manual_seed(seed), torch.zeros(1, 3, side_px, side_px)
    for grain in GRAINS_PX:
        coarse = torch.rand(1, 3, side_px // grain, side_px // grain, generator=generator)
        noise += F.interpolate(coarse, size=(side_px, side_px), mode="bicubic") / len(GRAINS_PX)
    return match_colour(noise.to(painting_nchw01), painting_nchw01)
