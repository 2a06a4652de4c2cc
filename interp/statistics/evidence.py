"""Evidence for the choice of layers: what each layer of the network says about a painting and a photo's region.

Style. The photo is given the painting's colours, because the transfer starts from there: what still tells them apart
is texture. At each layer the painting is cut into 4x4 tiles and the photo's region into tiles of equal area; the
unit-norm Gram matrices of n sampled cells a tile are compared. W = mean distance between tiles of the painting (does
the layer describe the painting the same everywhere?), B = mean distance between tiles of the painting and of the photo
(does it tell them apart?). separation = max(0, (B - W) / (B + W)); its null is the same number with the tiles' labels
permuted.

Content. layout = 1 - cosine after shuffling 64 px blocks (does the layer hold where things are?); indifference = cosine
after shuffling pixels inside 8 px blocks and matching the painting's colours (does it not care for texture and
colour?). Their product is the score. Cosines are centred per channel.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from interp.network.layer_names import LAYERS, RELU_NAMES
from interp.network.vgg import Vgg
from interp.pictures.colour import match_colour
from interp.statistics.gram import gram_stats, region_gram
from interp.statistics.regions import pool_mask

MAX_SAMPLES, MIN_SAMPLES = 64, 16
PAINTING_TILES_PER_SIDE = 4
PERMUTATIONS = 200
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
    painting_tiles = {name: _tiles(pool_mask(whole, LAYERS[name]), PAINTING_TILES_PER_SIDE) for name in RELU_NAMES}
    per_side = _tiles_per_side(pool_mask(region, LAYERS[RELU_NAMES[-1]]))
    photo_tiles = {name: _tiles(pool_mask(region, LAYERS[name]), per_side) for name in RELU_NAMES}
    smallest = {name: min(len(tile) for tile in painting_tiles[name] + photo_tiles[name]) for name in RELU_NAMES}
    measured = [name for name in RELU_NAMES if smallest[name] >= MIN_SAMPLES]
    samples = min([MAX_SAMPLES, *(smallest[name] for name in measured)])
    entries = {}
    for name in measured:
        painting_grams = _unit_grams(painting[name], painting_tiles[name], samples, generator)
        photo_grams = _unit_grams(photo[name], photo_tiles[name], samples, generator)
        stats = gram_stats(name, region_gram(painting[name]))
        entries[name] = replace(
            _separation(name, painting_grams, photo_grams, generator), effective_rank=stats.effective_rank
        )
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
    return next((side for side in (4, 3) if cells >= MIN_SAMPLES * side * side), 2)


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


def _unit_grams(features_nchw: Tensor, tiles: list[np.ndarray], samples: int, generator: torch.Generator) -> Tensor:
    """Unit-norm Gram of `samples` random cells in each tile, (tiles, C*C)."""
    flat = features_nchw.flatten(2)[0].cpu()
    grams = []
    for tile in tiles:
        chosen = torch.from_numpy(tile)[torch.randperm(len(tile), generator=generator)[:samples]]
        cells = flat[:, chosen]
        gram = (cells @ cells.T).flatten()
        grams.append(gram / gram.norm().clamp(min=1e-20))
    return torch.stack(grams)


def _separation(name: str, painting: Tensor, photo: Tensor, generator: torch.Generator) -> StyleEvidence:
    """Score one layer and draw its null by permuting which tiles are the painting's."""
    grams = torch.cat([painting, photo])
    distances = (2 - 2 * grams @ grams.T).clamp(min=0).sqrt()
    count = len(painting)
    between, within = _between_within(distances, torch.arange(len(grams)), count)
    null = []
    for _ in range(PERMUTATIONS):
        null.append(_score(*_between_within(distances, torch.randperm(len(grams), generator=generator), count)))
    return StyleEvidence(
        name,
        separation=_score(between, within),
        between=between,
        within=within,
        null95=float(np.quantile(null, 0.95)),
        measured=True,
        stationarity=1 - within / 2**0.5,
    )


def _between_within(distances: Tensor, order: Tensor, count: int) -> tuple[float, float]:
    painting, photo = order[:count], order[count:]
    between = float(distances[painting][:, photo].mean())
    among = distances[painting][:, painting]
    return between, float(among.sum() / (count * (count - 1)))  # the diagonal is zero


def _score(between: float, within: float) -> float:
    total = between + within
    return max(0.0, (between - within) / total) if total > 1e-6 else 0.0


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
