"""What one layer's style statistics carry: a texture made from noise to have them, and nothing else of the painting.

Gatys et al. 2015, "Texture synthesis using convolutional neural networks", with the moments of a single layer.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.pictures.colour import match_colour
from interp.statistics.gram import moments_distance, region_moments
from interp.statistics.regions import pool_mask
from stylize.fill import with_border, without_border
from stylize.losses import TotalVariation
from stylize.optimise import lbfgs

GRAINS_PX = (1, 4, 16)  # sizes of the noise that a texture starts from
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
    place = layer(name)
    inside = with_border(torch.ones(painting_nchw01.shape[-2:], device=painting_nchw01.device), "constant")
    shown = with_border(torch.ones(side_px, side_px, device=painting_nchw01.device), "constant")
    with torch.no_grad():
        maps = vgg.activations(with_border(painting_nchw01), [name], "average")[name]
        target = region_moments(maps, pool_mask(inside, place))
    mask = pool_mask(shown, place)
    image = with_border(_noise(painting_nchw01, side_px, seed)).requires_grad_()
    optimizer = lbfgs(image)
    best, best_value = image.detach().clone(), float("inf")
    smooth = TotalVariation(shown, SMOOTHNESS)

    def evaluate() -> float:
        nonlocal best_value
        own = region_moments(vgg.activations(image, [name], "average")[name], mask)
        value = side_px * side_px * (moments_distance(own, target) + smooth.weight * smooth({}, image))
        image.grad = torch.autograd.grad(value, image)[0].contiguous()
        if float(value.detach()) < best_value:
            best_value = float(value.detach())
            best.copy_(image.detach())
        return float(value.detach())

    for _ in range(iterations):
        optimizer.step(evaluate)
    return without_border(best).clamp(0, 1)


def _noise(painting_nchw01: Tensor, side_px: int, seed: int) -> Tensor:
    """Noise of several grains in the painting's colours: what a layer does not speak of keeps them."""
    generator, noise = torch.Generator().manual_seed(seed), torch.zeros(1, 3, side_px, side_px)
    for grain in GRAINS_PX:
        coarse = torch.rand(1, 3, side_px // grain, side_px // grain, generator=generator)
        noise += F.interpolate(coarse, size=(side_px, side_px), mode="bicubic") / len(GRAINS_PX)
    return match_colour(noise.to(painting_nchw01), painting_nchw01)
