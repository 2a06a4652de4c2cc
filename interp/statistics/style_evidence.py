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
from interp.statistics.gram import moments_contrast, region_moments
from interp.statistics.regions import pool_mask

SCALES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # Gatys et al. 2016, section 3
TILES_PER_SIDE, MIN_CELLS = (4, 3, 2), 16  # as many tiles as still hold so many cells each at the coarsest grid
MIN_DETAIL = 0.001  # added to both: a blank picture has none
PERMUTATIONS = 200


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
    entries = []
    for number, name in enumerate(SCALES, start=1):
        of_painting = _details(vgg, painting_nchw01, whole, sides[0], number, name)
        of_photo = _details(vgg, photo, region, sides[1], number, name)
        details, count = torch.tensor(of_painting + of_photo) + MIN_DETAIL, len(of_painting)
        ratio = _ratio(details, count)
        orders = [torch.randperm(len(details), generator=generator) for _ in range(PERMUTATIONS)]
        chance = np.quantile([abs(np.log(_ratio(details[order], count))) for order in orders], 0.95)
        entries.append(
            StyleEvidence(name, float(np.mean(of_painting)), float(np.mean(of_photo)), ratio, float(np.exp(chance)))
        )
    return tuple(entries)


def without_detail(image_nchw01: Tensor, number: int, alpha_hw01: Tensor) -> Tensor:
    """Take all detail of the scales 1 … `number` from an image; of all five, only the region's mean colour stays."""
    height, width = image_nchw01.shape[-2:]
    if number == len(SCALES):
        alpha = alpha_hw01.to(image_nchw01.device)
        return ((image_nchw01 * alpha).sum((2, 3), keepdim=True) / alpha.sum()).expand_as(image_nchw01)
    small = F.interpolate(image_nchw01, (height >> number, width >> number), mode="bicubic", antialias=True)
    return F.interpolate(small, (height, width), mode="bicubic").clamp(0, 1) if number else image_nchw01


def _details(vgg: Vgg, image_nchw01: Tensor, alpha_hw01: Tensor, per_side: int, number: int, name: str) -> list[float]:
    """Detail of a scale in each tile of a region."""
    before, after = (
        vgg.activations(without_detail(image_nchw01, finer, alpha_hw01), [name], "average")[name].flatten(2)[..., None]
        for finer in (number - 1, number)
    )
    tiles = _tiles(pool_mask(alpha_hw01, LAYERS[name]), per_side)
    cells = [torch.from_numpy(tile).to(before.device) for tile in tiles]
    return [
        float(moments_contrast(region_moments(before[:, :, tile]), region_moments(after[:, :, tile]))) for tile in cells
    ]


def _ratio(details: Tensor, count: int) -> float:
    return float(details[:count].mean() / details[count:].mean())


def _tiles_per_side(alpha_hw01: Tensor) -> int:
    """4, 3 or 2; 0 where not even two by two tiles hold enough cells."""
    cells = int((pool_mask(alpha_hw01, LAYERS[SCALES[-1]]) >= 0.5).sum())
    return next((side for side in TILES_PER_SIDE if cells >= MIN_CELLS * side * side), 0)


def _tiles(mask_hw01: Tensor, per_side: int) -> list[np.ndarray]:
    """Split the cells of a region into per_side² compact tiles of equal area: strips of rows, then of columns.

    Returns:
        Flat cell indices of each tile.
    """
    rows, columns = np.nonzero(mask_hw01.numpy() >= 0.5)
    flat = rows * mask_hw01.shape[1] + columns
    strips = np.array_split(np.argsort(rows, kind="stable"), per_side)
    tiles = []
    for strip in strips:
        by_column = strip[np.argsort(columns[strip], kind="stable")]
        tiles += [flat[part] for part in np.array_split(by_column, per_side)]
    return tiles
