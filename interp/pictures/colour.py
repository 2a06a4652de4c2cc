"""Colour of one picture carried to another: mean and covariance matched by a linear map."""

from dataclasses import dataclass

import torch
from torch import Tensor

LUMA_RGB = (0.299, 0.587, 0.114)  # ITU-R BT.601
MAX_GAIN = 3.0  # a flat picture's noise is not stretched to a painting's contrast


@dataclass(frozen=True, eq=False)
class ColourMap:
    """A linear map of colours.

    Attributes:
        matrix: (3, 3) float64.
        centre: (3,) float64, RGB in [0, 1], the colour that it was made around.
        target: (3,) float64, what becomes of that.
    """

    matrix: Tensor
    centre: Tensor
    target: Tensor

    @property
    def told(self) -> str:
        """Its numbers."""
        return repr([each.tolist() for each in (self.matrix, self.centre, self.target)])

    def of(self, image_nchw01: Tensor) -> Tensor:
        """An image, (1, 3, H, W) in [0, 1], with its colours moved, clipped."""
        flat = image_nchw01[0].flatten(1).cpu().double()
        moved = self.matrix @ (flat - self.centre[:, None]) + self.target[:, None]
        return moved.view(1, *image_nchw01.shape[1:]).to(image_nchw01.dtype).clamp(0, 1).to(image_nchw01.device)


def colour_moments(image_nchw01: Tensor, alpha_hw01: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean (3,) and covariance (3, 3) of the colours under a mask (None: everywhere), in float64 on the CPU."""
    colours = image_nchw01[0].flatten(1).cpu().double()  # (3, H*W); not every device has float64
    weights = torch.ones(colours.shape[1]).double() if alpha_hw01 is None else alpha_hw01.flatten().cpu().double()
    weights = weights / weights.sum()
    mean = colours @ weights
    centred = colours - mean[:, None]
    return mean, (centred * weights) @ centred.T


def match_colour(
    image_nchw01: Tensor,
    target_nchw01: Tensor,
    alpha_hw01: Tensor | None = None,
    target_alpha_hw01: Tensor | None = None,
) -> Tensor:
    """Give an image the colour mean and covariance of another; see `colour_map`."""
    return colour_map(image_nchw01, target_nchw01, alpha_hw01, target_alpha_hw01).of(image_nchw01)


def colour_map(
    image_nchw01: Tensor,
    target_nchw01: Tensor,
    alpha_hw01: Tensor | None = None,
    target_alpha_hw01: Tensor | None = None,
) -> ColourMap:
    """The optimal-transport linear map that gives an image the colour mean and covariance of another.

    Args:
        image_nchw01: (1, 3, H, W) in [0, 1].
        target_nchw01: (1, 3, h, w), whose colours are wanted.
        alpha_hw01: Pixels of the image that count for its statistics.
        target_alpha_hw01: Pixels of the target that count.

    Returns:
        The map. Between Gaussians it is A = S^-1/2 (S^1/2 T S^1/2)^1/2 S^-1/2 (Pitie &
        Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping", eq. 6), its gain at most 3.
    """
    mean, covariance = colour_moments(image_nchw01, alpha_hw01)
    target_mean, target_covariance = colour_moments(target_nchw01, target_alpha_hw01)
    root = _symmetric_power(covariance, 0.5)
    inverse_root = _symmetric_power(covariance, -0.5)
    transport = inverse_root @ _symmetric_power(root @ target_covariance @ root, 0.5) @ inverse_root
    gains, axes = torch.linalg.eigh(transport)
    transport = axes @ torch.diag(gains.clamp(max=MAX_GAIN)) @ axes.T
    return ColourMap(transport, mean, target_mean)


def with_luminance_of(colour_nchw01: Tensor, light_nchw01: Tensor) -> Tensor:
    """Keep the colour of one image and take the luminance of another (BT.601 luma), clipped to [0, 1]."""
    weights = torch.tensor(LUMA_RGB, device=colour_nchw01.device).view(1, 3, 1, 1)
    shift = ((light_nchw01 - colour_nchw01) * weights).sum(1, keepdim=True)
    return (colour_nchw01 + shift).clamp(0, 1)


def _symmetric_power(matrix: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=1e-6) ** power) @ vectors.T  # a floor of (0.001)² variance
