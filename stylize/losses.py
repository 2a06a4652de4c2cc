"""The terms of the loss: content, the region's style, total variation. Small modules that add up, each with a name.

    L = N * ( sum_l w_l D_l + kappa C / strength + tau TV ),   sum w = 1

Every term is relative (0 at the target, about 1 far from it), so one strength means the same at every size, area and
weights file. N, the region's pixel count, keeps the gradient of a pixel from shrinking with the picture, because
optimisers carry absolute tolerances. kappa = 1/10 makes strength 1 a balance, by eye: strokes show, the photo reads.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from interp.statistics.gram import moments_distance, region_moments

CONTENT_SHARE = 1 / 10  # kappa


class StyleLoss(nn.Module):
    """Relative distance of the channels' mean and covariance in a region to the painting's.

    Together they are the Gram matrix of Gatys et al. 2016 (eq. 3-5), taken apart; crowsonkb/style-transfer-pytorch
    compares the same two, by a Wasserstein distance.

    Args:
        layer: Name of the layer.
        target: (C,) mean and (C, C) covariance of the painting.
        mask_hw01: (h, w) region on the layer's grid.
        weight: Share of the style loss.
    """

    mean: Tensor
    covariance: Tensor
    mask_hw01: Tensor

    def __init__(self, layer: str, target: tuple[Tensor, Tensor], mask_hw01: Tensor, weight: float) -> None:
        super().__init__()
        self.layer, self.weight, self.name = layer, weight, f"style {layer}"
        self.register_buffer("mean", target[0])
        self.register_buffer("covariance", target[1])
        self.register_buffer("mask_hw01", mask_hw01)

    def forward(self, features: dict[str, Tensor], image_nchw01: Tensor) -> Tensor:
        """Distance at the current image, unweighted."""
        own = region_moments(features[self.layer], self.mask_hw01)
        return moments_distance(own, (self.mean, self.covariance))


class ContentLoss(nn.Module):
    """Relative squared distance of the features under the region (Gatys et al. 2016, eq. 1, made relative).

    Args:
        layer: Name of the layer.
        target_nchw: (1, C, h, w) features of the photo.
        mask_hw01: (h, w) region on the layer's grid.
        weight: kappa / strength.
    """

    target_nchw: Tensor
    mask_hw01: Tensor

    def __init__(self, layer: str, target_nchw: Tensor, mask_hw01: Tensor, weight: float) -> None:
        super().__init__()
        self.layer, self.weight, self.name = layer, weight, f"content {layer}"
        self.register_buffer("target_nchw", target_nchw)
        self.register_buffer("mask_hw01", mask_hw01)
        self.energy = float((target_nchw.square() * mask_hw01).sum())

    def forward(self, features: dict[str, Tensor], image_nchw01: Tensor) -> Tensor:
        """Distance at the current image, unweighted."""
        difference = features[self.layer] - self.target_nchw
        return (difference.square() * self.mask_hw01).sum() / self.energy


class TotalVariation(nn.Module):
    """Mean squared difference of neighbouring pixels inside a region (Mahendran & Vedaldi 2015, section 3, beta = 2).

    Args:
        alpha_hw01: (H, W) region at the image's size.
        weight: tau.
    """

    alpha_hw01: Tensor

    def __init__(self, alpha_hw01: Tensor, weight: float) -> None:
        super().__init__()
        self.weight, self.name = weight, "total variation"
        self.register_buffer("alpha_hw01", alpha_hw01)

    def forward(self, features: dict[str, Tensor], image_nchw01: Tensor) -> Tensor:
        """Variation of the current image, unweighted."""
        across = (image_nchw01[..., :, 1:] - image_nchw01[..., :, :-1]).square() * self.alpha_hw01[:, 1:]
        down = (image_nchw01[..., 1:, :] - image_nchw01[..., :-1, :]).square() * self.alpha_hw01[1:, :]
        return (across.sum() + down.sum()) / self.alpha_hw01.sum()


Term = StyleLoss | ContentLoss | TotalVariation


class RegionLoss(nn.Module):
    """The weighted terms of one region.

    Args:
        terms: The terms.
        pixels: N, the region's pixel count.
    """

    def __init__(self, terms: Sequence[Term], pixels: float) -> None:
        super().__init__()
        self.terms: Sequence[Term] = nn.ModuleList(terms)  # pyright: ignore[reportAttributeAccessIssue] -- iterates as one
        self.pixels = pixels

    def forward(self, features: dict[str, Tensor], image_nchw01: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Add up the terms.

        Args:
            features: Activations of the layers that the terms ask for.
            image_nchw01: The image they were taken from.

        Returns:
            The loss to minimise, and each term's unweighted value by name.
        """
        values = {term.name: term(features, image_nchw01) for term in self.terms}
        total = torch.stack([term.weight * values[term.name] for term in self.terms]).sum()
        return total * self.pixels, {name: float(value.detach()) for name, value in values.items()}
