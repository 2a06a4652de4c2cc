"""Evidence for the style layers: how much more detail of a scale the painting has than the photo, as a layer sees it.

Detail of scale k = 1 … 5: take from a picture all that is finer than 2^k px, then all that is finer than 2^(k + 1) px;
how far does that move the mean and covariance of reluk_1 (`moments_contrast`, 0 … 1)? These are the bands of a
Laplacian pyramid (Burt & Adelson 1983), weighed by the network. The last step leaves the mean colour alone.

The photo first takes the painting's colours, because the transfer starts from there. Both are measured tile by tile,
and the ratio of their mean details is the score: 1 at every scale where painting and photo are one picture. Chance is
the same with the tiles' labels permuted.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.network.layer_names import LAYERS
from interp.network.vgg import Vgg
from interp.pictures.colour import match_colour
from interp.statistics.gram import Moments, moments_contrast, region_moments
from interp.statistics.regions import pool_mask
from interp.statistics.tiles import MIN_CELLS, against_chance, region_tiles

SCALES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # Gatys et al. 2016, section 3
TILES_PER_SIDE = (4, 3, 2)  # as many as still hold 16 cells each at the coarsest grid
MIN_DETAIL = 0.001  # added to both: a blank picture has none


@dataclass(frozen=True)
class StyleEvidence:
    """What one layer sees of the detail of its scale.

    Attributes:
        layer: Layer name.
        painting: Mean detail of the painting's tiles, 0 … 1.
        photo: Mean detail of the region's tiles, in the painting's colours.
        ratio: How many times more the painting has.
        chance: 95 % of permuted labels give a ratio between 1 / chance and this.
        chosen: Whether the layer is used.
        weight: Its share of the style; 0 where not chosen.
    """

    layer: str
    painting: float
    photo: float
    ratio: float
    chance: float
    chosen: bool = False
    weight: float = 0.0

    @property
    def beyond_chance(self) -> bool:
        """Whether the painting's tiles and the photo's differ, either way."""
        return max(self.ratio, 1 / self.ratio) > self.chance


def style_evidence(
    vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, alpha_hw01: np.ndarray, generator: torch.Generator
) -> tuple[StyleEvidence, ...]:
    """Measure the detail of each scale; the head of this file defines it.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], at the size whose strokes are meant.
        alpha_hw01: (H, W) region of the photo.
        generator: CPU generator for the permutations.

    Returns:
        One entry a scale, in network order; empty where region or painting has no four tiles of 16 cells at relu5_1.
    """
    whole, region = torch.ones(painting_nchw01.shape[-2:]), torch.from_numpy(alpha_hw01)
    sides = _tiles_per_side(whole), _tiles_per_side(region)
    if not all(sides):
        return ()
    photo = match_colour(photo_nchw01, painting_nchw01, region)
    of_painting = _details(vgg, painting_nchw01, whole, sides[0])
    of_photo = _details(vgg, photo, region, sides[1])
    return tuple(_entry(*details, generator) for details in zip(SCALES, of_painting, of_photo, strict=True))


def without_detail(image_nchw01: Tensor, number: int, alpha_hw01: Tensor) -> Tensor:
    """Take all detail of the scales 1 … `number` from an image; of all five, only the region's mean colour stays."""
    height, width = image_nchw01.shape[-2:]
    if number == len(SCALES):
        alpha = alpha_hw01.to(image_nchw01.device)
        return ((image_nchw01 * alpha).sum((2, 3), keepdim=True) / alpha.sum()).expand_as(image_nchw01)
    small = F.interpolate(image_nchw01, (height >> number, width >> number), mode="bicubic", antialias=True)
    return F.interpolate(small, (height, width), mode="bicubic").clamp(0, 1) if number else image_nchw01


def _details(vgg: Vgg, image_nchw01: Tensor, alpha_hw01: Tensor, per_side: int) -> list[list[float]]:
    """Detail of each scale in each tile of a region.

    What is left without one scale's detail is what the next coarser scale begins with: one pass serves both.
    """
    details: list[list[float]] = []
    before: list[Moments] = []
    for number in range(len(SCALES) + 1):
        names = SCALES[max(0, number - 1) : number + 1]
        maps = vgg.activations(without_detail(image_nchw01, number, alpha_hw01), names, "average")
        moments = [_tile_moments(maps[name], pool_mask(alpha_hw01, LAYERS[name]), per_side) for name in names]
        if number:
            details.append([float(moments_contrast(*pair)) for pair in zip(before, moments[0], strict=True)])
        before = moments[-1]
    return details


def _tile_moments(features_nchw: Tensor, mask_hw01: Tensor, per_side: int) -> list[Moments]:
    cells = features_nchw[0].flatten(1).T  # (h*w, C): rows, because they are copied many times as fast as columns
    tiles = [cells[tile.to(cells.device)] for tile in region_tiles(mask_hw01, per_side)]
    return [region_moments(tile.T.contiguous()[None, ..., None]) for tile in tiles]


def _entry(name: str, of_painting: list[float], of_photo: list[float], generator: torch.Generator) -> StyleEvidence:
    """Compare the tiles of painting and photo, and with chance."""
    details, count = torch.tensor(of_painting + of_photo).double() + MIN_DETAIL, len(of_painting)

    def log_ratio(order: Tensor) -> float:
        return float((details[order[:count]].mean() / details[order[count:]].mean()).log())

    ratio = float(np.exp(log_ratio(torch.arange(len(details)))))
    _, chance = against_chance(lambda order: abs(log_ratio(order)), len(details), generator)
    return StyleEvidence(name, float(np.mean(of_painting)), float(np.mean(of_photo)), ratio, float(np.exp(chance)))


def _tiles_per_side(alpha_hw01: Tensor) -> int:
    """4, 3 or 2; 0 where not even two by two tiles hold enough cells."""
    cells = int((pool_mask(alpha_hw01, LAYERS[SCALES[-1]]) >= 0.5).sum())
    return next((side for side in TILES_PER_SIDE if cells >= MIN_CELLS * side * side), 0)
