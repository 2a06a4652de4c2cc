"""The terms of the loss: content, the region's style, total variation. Small modules that add up, each with a name.

    L = N * ( sum_l w_l D_l + kappa C / strength + tau TV ),   sum w = 1

Every term is relative (0 at the target, about 1 far from it), so one strength means the same at every size, area and
weights file. N, the region's pixel count, keeps the gradient of a pixel from shrinking with the picture, because
optimisers carry absolute tolerances. kappa = 1/20 makes strength 1 a balance, by eye: strokes show, the photo reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from interp.network.frozen_pass import FrozenPass
from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.statistics.gram import Moments
from interp.statistics.wasserstein import GaussianTarget
from stylize.tiles import Tile

CONTENT_SHARE = 0.05  # kappa
CHANNELS_AT_A_TIME = 32
HELD_LAYER, HELD_SHARE = "relu3_1", 0.02  # fine enough for an eye of 10 px; by eye: it stays one, and is painted


class StyleLoss:
    """Relative Wasserstein distance of a region's features to the painting's, each seen as a Gaussian.

    Mean and covariance together are the Gram matrix of Gatys et al. 2016 (eq. 3-5), taken apart;
    crowsonkb/style-transfer-pytorch compares them by the same distance.

    Args:
        layer: Name of the layer.
        target: (C,) mean and (C, C) covariance of the painting.
        mask_hw01: (h, w) region on the layer's grid.
        weight: Share of the style loss.
    """

    def __init__(self, layer: str, target: tuple[Tensor, Tensor], mask_hw01: Tensor, weight: float) -> None:
        self.layer, self.weight, self.name = layer, weight, f"style {layer}"
        self.target, self.mask_hw01 = GaussianTarget.of(target), mask_hw01

    def __call__(self, moments: dict[str, Moments], image_nchw01: Tensor) -> Tensor:
        """Distance at the current image, of the layers' moments in the region, unweighted."""
        return self.target.distance(moments[self.layer]).to(image_nchw01)


class ContentLoss:
    """Relative squared distance of the features under the region (Gatys et al. 2016, eq. 1, made relative).

    Args:
        layer: Name of the layer.
        target_nchw: (1, C, h, w) features of the photo.
        mask_hw01: (h, w) region on the layer's grid.
        weight: kappa / strength.
        of: What is held, where it is less than the whole region.
    """

    def __init__(self, layer: str, target_nchw: Tensor, mask_hw01: Tensor, weight: float, of: str = "") -> None:
        self.layer, self.weight, self.name = layer, weight, f"content {layer}{of and ', ' + of}"
        self.target_nchw, self.mask_hw01 = target_nchw, mask_hw01
        parts = target_nchw.split(CHANNELS_AT_A_TIME, 1)  # of a large picture the squares of all would take gigabytes
        self.energy = float(sum((part.to(mask_hw01).square() * mask_hw01).sum() for part in parts))

    def __call__(self, features: dict[str, Tensor], image_nchw01: Tensor, tile: Tile | None = None) -> Tensor:
        """Distance at the current image, or a tile's share of it, unweighted."""
        own, here = tile.cells(layer(self.layer)) if tile else (..., ...)
        difference = features[self.layer][own].to(image_nchw01) - self.target_nchw[here]
        return (difference.square() * self.mask_hw01[here]).sum() / self.energy


@dataclass
class TotalVariation:
    """Mean squared difference of neighbouring pixels inside a region (Mahendran & Vedaldi 2015, section 3, beta = 2).

    Attributes:
        alpha_hw01: (H, W) region at the image's size.
        weight: tau.
    """

    alpha_hw01: Tensor = field(repr=False)
    weight: float
    name: str = "total variation"

    def __call__(self, features: dict[str, Tensor], image_nchw01: Tensor, tile: Tile | None = None) -> Tensor:
        """Variation of the current image, or a tile's share of it, unweighted."""
        alpha = tile.only_core(self.alpha_hw01) if tile else self.alpha_hw01
        across = (image_nchw01[..., :, 1:] - image_nchw01[..., :, :-1]).square() * alpha[:, 1:]
        down = (image_nchw01[..., 1:, :] - image_nchw01[..., :-1, :]).square() * alpha[1:, :]
        return (across.sum() + down.sum()) / self.alpha_hw01.sum()


Term = StyleLoss | ContentLoss | TotalVariation


class RegionLoss:
    """The weighted terms of one region.

    Args:
        vgg: The network.
        terms: The terms.
        pixels: N, the region's pixel count.
        pooling: As in `FrozenPass`.
        precision: Likewise.

    Attributes:
        masks: The region on the grids of the style terms' layers, by layer.
        style_layers: These layers.
        maps: Layers of the content terms.
        layers: All of them.
        weights: Of each term, by name.
    """

    def __init__(
        self, vgg: Vgg, terms: Sequence[Term], pixels: float, pooling: str, precision: str = "float32"
    ) -> None:
        self.terms, self.pixels, self.precision = terms, pixels, precision
        self.masks = {term.layer: term.mask_hw01 for term in terms if isinstance(term, StyleLoss)}
        self.style_layers = tuple(self.masks)
        self.maps = tuple(dict.fromkeys(term.layer for term in terms if isinstance(term, ContentLoss)))
        self.layers = tuple(dict.fromkeys([*self.style_layers, *self.maps]))
        self.network = FrozenPass(vgg, self.layers, pooling, precision)
        self.weights = {term.name: term.weight for term in terms}

    def __call__(self, image_nchw01: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Add up the terms.

        Args:
            image_nchw01: (1, 3, H, W).

        Returns:
            The loss to minimise; each term's unweighted value by name, and `total`, their weighted sum.
        """
        moments, maps = self.network.look(image_nchw01, self.masks, self.maps)
        values = {
            term.name: term(moments, image_nchw01) if isinstance(term, StyleLoss) else term(maps, image_nchw01)
            for term in self.terms
        }
        total = torch.stack([term.weight * values[term.name] for term in self.terms]).sum()
        figures = {name: float(value.detach()) for name, value in values.items()}
        return total * self.pixels, figures | {"total": float(total.detach())}
