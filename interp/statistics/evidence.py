"""Evidence for the choice of layers: what each layer of the network says about a painting and a photo's region.

Style. The photo is given the painting's colours, because the transfer starts from there: what still tells them apart
is texture. At each layer the separation of the painting's tiles from those of the photo's region is measured (`tiles`),
with W between tiles of the painting alone: does the layer describe the painting the same everywhere?

Content. layout = 1 - cosine after shuffling 64 px blocks (does the layer hold where things are?); indifference = cosine
after shuffling pixels inside 8 px blocks and matching the painting's colours (does it not care for texture and
colour?). Their product is the score. Cosines are centred per channel.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.network.layer_names import LAYERS, RELU_NAMES
from interp.network.vgg import Vgg
from interp.pictures.colour import match_colour
from interp.statistics.gram import gram_stats, region_gram
from interp.statistics.regions import pool_mask
from interp.statistics.tiles import (
    MAX_CELLS,
    MIN_CELLS,
    against_chance,
    mean_within,
    region_tiles,
    separation,
    tile_distances,
    tile_grams,
)

LAYOUT_BLOCK_PX, TEXTURE_BLOCK_PX = 64, 8
# A cell that sees less than three texture blocks cannot tell layout from texture: it copies pixels. One wider than a
# texture block cannot place what the blocks leave in place: an eye, a window.
CONTENT_NAMES = tuple(
    name
    for name in RELU_NAMES
    if LAYERS[name].receptive_field_px >= 3 * TEXTURE_BLOCK_PX and LAYERS[name].stride_px <= TEXTURE_BLOCK_PX
)


@dataclass(frozen=True)
class StyleEvidence:
    """How well one layer's Gram tells the painting from the photo's region.

    Attributes:
        layer: Layer name.
        separation: Score in [0, 1]; the mean of the others where the layer was not measured.
        between: B, mean distance between painting tiles and photo tiles (unit-norm Grams: 0 … √2).
        within: W, mean distance between painting tiles.
        null95: 95 % quantile of the separation with permuted labels.
        measured: Whether every tile had at least 16 cells.
        effective_rank: Participation ratio of the painting's Gram spectrum.
        stationarity: 1 - W / √2: 1 where every tile of the painting has the same Gram.
        chosen: Whether the layer is used.
        weight: Its weight, before gradients are equalised; 0 where not chosen.
    """

    layer: str
    separation: float
    between: float = float("nan")
    within: float = float("nan")
    null95: float = float("nan")
    measured: bool = False
    effective_rank: float = float("nan")
    stationarity: float = float("nan")
    chosen: bool = False
    weight: float = 0.0


@dataclass(frozen=True)
class ContentEvidence:
    """How well one layer holds the photo's layout and ignores its texture; all in [0, 1]."""

    layer: str
    layout: float
    indifference: float
    score: float
    chosen: bool = False


def style_evidence(
    vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, alpha_hw01: np.ndarray, generator: torch.Generator
) -> tuple[StyleEvidence, ...]:
    """Measure the separation of every ReLU layer; the head of this file defines it.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        painting_nchw01: (1, 3, h, w) RGB in [0, 1].
        alpha_hw01: (H, W) region of the photo.
        generator: CPU generator for cells and permutations.

    Returns:
        One entry a layer, in network order.
    """
    whole, region = torch.ones(painting_nchw01.shape[-2:]), torch.from_numpy(alpha_hw01)
    painting = vgg.activations(painting_nchw01, RELU_NAMES)
    photo = vgg.activations(match_colour(photo_nchw01, painting_nchw01, region), RELU_NAMES)
    painting_tiles = {name: region_tiles(pool_mask(whole, LAYERS[name])) for name in RELU_NAMES}
    per_side = _tiles_per_side(pool_mask(region, LAYERS[RELU_NAMES[-1]]))
    photo_tiles = {name: region_tiles(pool_mask(region, LAYERS[name]), per_side) for name in RELU_NAMES}
    smallest = {name: min(len(tile) for tile in painting_tiles[name] + photo_tiles[name]) for name in RELU_NAMES}
    measured = [name for name in RELU_NAMES if smallest[name] >= MIN_CELLS]
    cells = min([MAX_CELLS, *(smallest[name] for name in measured)])
    entries = {}
    for name in measured:
        painting_grams = tile_grams(painting[name], painting_tiles[name], cells, generator)
        photo_grams = tile_grams(photo[name], photo_tiles[name], cells, generator)
        stats = gram_stats(name, region_gram(painting[name]))
        entries[name] = _style_evidence(name, painting_grams, photo_grams, stats.effective_rank, generator)
    mean = float(np.mean([entry.separation for entry in entries.values()])) if entries else 0.0
    return tuple(entries.get(name, StyleEvidence(name, mean)) for name in RELU_NAMES)


def content_evidence(
    vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, alpha_hw01: np.ndarray, generator: torch.Generator
) -> tuple[ContentEvidence, ...]:
    """Measure layout and indifference of the ReLU layers of blocks 3 and 4.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        painting_nchw01: (1, 3, h, w), whose colours are matched.
        alpha_hw01: (H, W) region of the photo.
        generator: CPU generator for the shuffles.

    Returns:
        One entry a layer; empty where the region holds fewer than two 64 px blocks.
    """
    blocks = _region_blocks(alpha_hw01)
    if len(blocks) < 2:
        return ()
    covered = torch.zeros(photo_nchw01.shape[-2:])
    for top, left in blocks:
        covered[top : top + LAYOUT_BLOCK_PX, left : left + LAYOUT_BLOCK_PX] = 1
    original = vgg.activations(photo_nchw01, CONTENT_NAMES)
    moved = vgg.activations(_shuffle_blocks(photo_nchw01, blocks, generator), CONTENT_NAMES)
    plain = match_colour(_shuffle_inside_blocks(photo_nchw01, generator), painting_nchw01, torch.from_numpy(alpha_hw01))
    retextured = vgg.activations(plain, CONTENT_NAMES)
    entries = []
    for name in CONTENT_NAMES:
        mask = pool_mask(covered, LAYERS[name])
        layout = 1 - _centred_cosine(original[name], moved[name], mask)
        indifference = _centred_cosine(original[name], retextured[name], mask)
        layout, indifference = min(max(layout, 0.0), 1.0), min(max(indifference, 0.0), 1.0)
        entries.append(ContentEvidence(name, layout, indifference, layout * indifference))
    return tuple(entries)


def _tiles_per_side(mask_hw01: Tensor) -> int:
    """As many tiles as still hold 16 cells each at the coarsest grid, 2x2 to 4x4."""
    cells = int((mask_hw01 >= 0.5).sum())
    return next((side for side in (4, 3) if cells >= MIN_CELLS * side * side), 2)


def _style_evidence(
    name: str, painting: Tensor, photo: Tensor, effective_rank: float, generator: torch.Generator
) -> StyleEvidence:
    """Score one layer against chance."""
    distances, count = tile_distances(torch.cat([painting, photo])), len(painting)

    def between_within(order: Tensor) -> tuple[float, float]:
        ours, theirs = order[:count], order[count:]
        return float(distances[ours][:, theirs].mean()), mean_within(distances[ours][:, ours])

    score, chance = against_chance(lambda order: separation(*between_within(order)), len(distances), generator)
    between, within = between_within(torch.arange(len(distances)))
    return StyleEvidence(name, score, between, within, chance, True, effective_rank, 1 - within / 2**0.5)


def _region_blocks(alpha_hw01: np.ndarray) -> list[tuple[int, int]]:
    """Top-left corners of the 64 px blocks that lie mostly in the region."""
    height, width = alpha_hw01.shape
    size = LAYOUT_BLOCK_PX
    corners = [(top, left) for top in range(0, height - size + 1, size) for left in range(0, width - size + 1, size)]
    return [(top, left) for top, left in corners if alpha_hw01[top : top + size, left : left + size].mean() >= 0.5]


def _shuffle_blocks(image_nchw01: Tensor, blocks: list[tuple[int, int]], generator: torch.Generator) -> Tensor:
    """Move every block to another block's place: a random cycle, so none stays."""
    size = LAYOUT_BLOCK_PX
    cycle = torch.randperm(len(blocks), generator=generator).tolist()
    shuffled = image_nchw01.clone()
    for here, there in zip(cycle, cycle[1:] + cycle[:1], strict=True):
        (top, left), (to_top, to_left) = blocks[here], blocks[there]
        shuffled[..., to_top : to_top + size, to_left : to_left + size] = image_nchw01[
            ..., top : top + size, left : left + size
        ]
    return shuffled


def _shuffle_inside_blocks(image_nchw01: Tensor, generator: torch.Generator) -> Tensor:
    """Shuffle the pixels inside each 8 px block; a remainder at the border stays."""
    size = TEXTURE_BLOCK_PX
    height, width = (side // size * size for side in image_nchw01.shape[-2:])
    body = image_nchw01[0, :, :height, :width].reshape(3, height // size, size, width // size, size)
    cells = body.permute(1, 3, 0, 2, 4).reshape(-1, 3, size * size)
    order = torch.rand(len(cells), size * size, generator=generator).argsort(1).to(cells.device)
    cells = cells.gather(2, order[:, None].expand(-1, 3, -1))
    body = cells.view(height // size, width // size, 3, size, size).permute(2, 0, 3, 1, 4).reshape(3, height, width)
    shuffled = image_nchw01.clone()
    shuffled[0, :, :height, :width] = body
    return shuffled


def _centred_cosine(first: Tensor, second: Tensor, mask_hw01: Tensor) -> float:
    """Cosine of two layers' values under a mask, each channel's mean removed."""
    weights = mask_hw01.flatten().to(first.device)
    a, b = (values.flatten(2)[0] for values in (first, second))
    a, b = ((values - ((values * weights).sum(1) / weights.sum())[:, None]) * weights.sqrt() for values in (a, b))
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-20))
