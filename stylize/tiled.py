"""A region's loss tile by tile: the same value and gradient in the memory of one tile.

The terms that are sums over cells add up by themselves. Style compares moments of the whole region: a first look at
every tile adds those up; a second one, with the slope of the distance along them, gives each tile's share of the
gradient. It costs one look more, and what the tiles share at their edges.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.statistics.gram import moment_sums
from stylize.losses import RegionLoss, StyleLoss, Term
from stylize.survey import survey
from stylize.tiles import Tile, tiles_of

Slopes = dict[str, tuple[Tensor, Tensor, Tensor]]  # by layer: (C,) mean; slopes of the loss along mean and covariance


def region_loss(
    vgg: Vgg, terms: Sequence[Term], pixels: float, pooling: str, precision: str, tile_px: int
) -> RegionLoss:
    """The loss of a region, at once or in tiles."""
    if tile_px:
        return TiledLoss(vgg, terms, pixels, pooling, precision, tile_px)
    return RegionLoss(vgg, terms, pixels, pooling, precision)


class TiledLoss(RegionLoss):
    """`RegionLoss`, worked out tile by tile.

    Args:
        vgg: The network.
        terms: The terms.
        pixels: N, the region's pixel count.
        pooling: As in `FrozenPass`.
        precision: Likewise.
        tile_px: Side of the tiles, at most.
    """

    def __init__(
        self, vgg: Vgg, terms: Sequence[Term], pixels: float, pooling: str, precision: str, tile_px: int
    ) -> None:
        super().__init__(vgg, terms, pixels, pooling, precision)
        self.tile_px = tile_px
        self.styles = [term for term in terms if isinstance(term, StyleLoss)]
        self.local = [term for term in terms if not isinstance(term, StyleLoss)]

    def __call__(self, image_nchw01: Tensor) -> tuple[Tensor, dict[str, float]]:
        """As `RegionLoss`; the gradient is worked out at once, and handed on when it is asked for."""
        image = image_nchw01.detach()
        figures, slopes = self._style(image)
        gradient = torch.zeros_like(image)
        for tile in tiles_of((image.shape[-2], image.shape[-1]), self.tile_px, self.network.last.inset_px):
            part = image[tile.outer.here].clone().requires_grad_()
            with torch.enable_grad():
                pull = self._tile(part, tile, slopes, figures)
            gradient[tile.outer.here] += torch.autograd.grad(pull, part)[0]
        figures = {term.name: figures[term.name] for term in self.terms}
        total = sum(term.weight * figures[term.name] for term in self.terms)
        value = _Known.apply(image_nchw01, torch.tensor(total * self.pixels).to(image), gradient.mul_(self.pixels))
        return value, figures | {"total": total}

    def _style(self, image_nchw01: Tensor) -> tuple[dict[str, float], Slopes]:
        """Distance of every layer's moments, and its slopes along them."""
        masks = {term.layer: term.mask_hw01 for term in self.styles}
        near = {term.layer: term.target.mean.to(image_nchw01) for term in self.styles}
        found = survey(self.network, image_nchw01, masks, tile_px=self.tile_px, about=near).moments
        figures, slopes = {}, {}
        for term in self.styles:
            moments = [part.requires_grad_() for part in found[term.layer]]
            with torch.enable_grad():
                distance = term.target.distance((moments[0], moments[1]))
                along = torch.autograd.grad(term.weight * distance, moments)
            figures[term.name] = float(distance.detach())
            slopes[term.layer] = moments[0].detach(), *along
        return figures, slopes

    def _tile(self, part_nchw01: Tensor, tile: Tile, slopes: Slopes, figures: dict[str, float]) -> Tensor:
        """What pulls at a tile: its gradient is the tile's share of the loss's; local figures are added up."""
        features = self.network(part_nchw01)
        pulls = []
        for term in self.styles:
            own, here = tile.cells(layer(term.layer))
            mean, along_mean, along_covariance = slopes[term.layer]
            first, second = moment_sums(features[term.layer][own], term.mask_hw01[here], mean)
            pulls.append((first.dot(along_mean) + (second * along_covariance).sum()) / term.mask_hw01.sum())
        for term in self.local:
            share = term(features, part_nchw01, tile)
            figures[term.name] = figures.get(term.name, 0.0) + float(share.detach())
            pulls.append(term.weight * share)
        return torch.stack(pulls).sum()


class _Known(torch.autograd.Function):
    """A value whose gradient is known."""

    @staticmethod
    def forward(ctx, image: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.saved_tensors[0] * upstream, None, None
