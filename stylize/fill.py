"""What lies beyond a region, and beyond the picture's border: a smooth continuation of the region alone."""

import torch
from torch import Tensor
from torch.nn import functional as F

BORDER_PX = (
    16  # one cell of the coarsest layer in use: keeps what zero padding does to the picture's border out of sight
)


def with_border(values: Tensor, fill: str = "replicate") -> Tensor:
    """Add a border of 16 px to (…, H, W): `replicate` for (1, 3, H, W) images, `constant` zeros for masks."""
    return F.pad(values, (BORDER_PX,) * 4, mode=fill)


def without_border(values: Tensor) -> Tensor:
    """Take the border of (…, H, W) away again."""
    height, width = values.shape[-2:]
    return values[..., BORDER_PX : height - BORDER_PX, BORDER_PX : width - BORDER_PX]


def continue_outside(image_nchw01: Tensor, alpha_hw01: Tensor) -> Tensor:
    """Replace what lies outside a region by a smooth continuation of the inside.

    Push-pull (Gortler et al. 1996, "The Lumigraph"): colours weighted by alpha are averaged down to one
    pixel, then each level fills the holes of the next finer one.

    Args:
        image_nchw01: (1, 3, H, W) RGB in [0, 1].
        alpha_hw01: (H, W) in [0, 1], 1 = inside; not 0 everywhere.

    Returns:
        (1, 3, H, W) in [0, 1]: the image where alpha is 1; where it is 0 nothing of the image is left.

    Example:
        >>> image = torch.tensor([[0.2, 0.2, 0.9, 0.9]]).repeat(1, 3, 4, 1)
        >>> continue_outside(image, torch.tensor([[1.0, 1.0, 0.0, 0.0]]).repeat(4, 1))[0, 0, 0].tolist()
        [0.2..., 0.2..., 0.2..., 0.2...]
    """
    weight = alpha_hw01[None, None]
    levels = [(image_nchw01 * weight, weight)]  # colour times weight, weight; fine to coarse
    while max(levels[-1][1].shape[-2:]) > 1:
        levels.append(tuple(F.avg_pool2d(part, 2, ceil_mode=True, count_include_pad=False) for part in levels[-1]))  # pyright: ignore[reportArgumentType]
    colour, weight = levels.pop()
    filled = colour / weight
    for colour, weight in reversed(levels):
        wider = F.interpolate(filled, size=weight.shape[-2:], mode="bilinear")
        seen = (4 * weight).clamp(max=1) if weight is not levels[0][1] else weight  # a quarter full is full enough
        own = torch.where(weight > 0, colour / weight.clamp(min=1e-12), wider)
        filled = seen * own + (1 - seen) * wider
    return torch.where(alpha_hw01 == 1, image_nchw01, filled.clamp(0, 1))
