"""How far apart are the tiles of two pictures, at one layer? The separation, and what chance makes of it.

A picture, or a region of it, is cut into tiles, and from each the same number of random cells is drawn, at every layer:
deep layers have few cells, and Gram matrices of few cells differ by chance alone. Distances are between Gram matrices
of unit norm, so that contrast does not count: 0 is the same style, √2 no common direction. With B the mean distance
between tiles of different pictures and W that between tiles of the same one,

    separation = max(0, (B - W) / (B + W))

and its chance level is the 95 % quantile of the same number with the tiles' labels permuted.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

MAX_CELLS, MIN_CELLS = 64, 16  # of a tile: more change little, fewer are noise
TILES_PER_SIDE = 4
PERMUTATIONS = 200


def grid_tiles(height: int, width: int) -> list[Tensor]:
    """Cut a layer's grid into 4x4 rectangles; flat indices of each one's cells, row by row."""
    strips = torch.arange(height * width).view(height, width).tensor_split(TILES_PER_SIDE)
    return [tile.flatten() for strip in strips for tile in strip.tensor_split(TILES_PER_SIDE, dim=1)]


def region_tiles(mask_hw01: Tensor, per_side: int = TILES_PER_SIDE) -> list[Tensor]:
    """Split the cells of a region into per_side² compact tiles of equal area: strips of rows, then of columns.

    Args:
        mask_hw01: (h, w) on the layer's grid; cells of at least one half belong to the region.
        per_side: How many strips.

    Returns:
        Flat cell indices of each tile.
    """
    rows, columns = np.nonzero(mask_hw01.numpy() >= 0.5)
    flat = torch.from_numpy(rows * mask_hw01.shape[1] + columns)
    tiles = []
    for strip in np.array_split(np.argsort(rows, kind="stable"), per_side):
        by_column = strip[np.argsort(columns[strip], kind="stable")]
        tiles += [flat[part] for part in np.array_split(by_column, per_side)]
    return tiles


def tile_grams(features_nchw: Tensor, tiles: list[Tensor], cells: int, generator: torch.Generator) -> Tensor:
    """Unit-norm Gram matrix of random cells in each tile.

    Args:
        features_nchw: (1, C, h, w) activations of one layer.
        tiles: Flat cell indices.
        cells: How many of each to draw.
        generator: CPU generator.

    Returns:
        (tiles, C * C) float64 on the CPU.
    """
    flat = features_nchw[0].flatten(1).cpu().double()
    grams = []
    for tile in tiles:
        chosen = flat[:, tile[torch.randperm(len(tile), generator=generator)[:cells]]]
        grams.append(unit(chosen @ chosen.T).flatten())
    return torch.stack(grams)


def unit(gram: Tensor) -> Tensor:
    """A Gram matrix of Frobenius norm 1; zero stays zero."""
    return gram / gram.norm().clamp(min=1e-20)


def tile_distances(grams: Tensor) -> Tensor:
    """Distances between unit-norm matrices (n, C * C): (n, n), 0 on the diagonal."""
    return (2 - 2 * grams @ grams.T).clamp(min=0).sqrt().fill_diagonal_(0)


def mean_within(distances: Tensor) -> float:
    """Mean distance between different tiles of one picture: (n, n) to one number."""
    return float(distances.sum() / (len(distances) * (len(distances) - 1)))


def separation(between: float, within: float) -> float:
    """(B - W) / (B + W), at least 0; 0 where all tiles are the same."""
    total = between + within
    return max(0.0, (between - within) / total) if total > 1e-6 else 0.0


def against_chance(score: Callable[[Tensor], float], count: int, generator: torch.Generator) -> tuple[float, float]:
    """A score of the tiles in order, and the 95 % quantile of the same with their labels permuted.

    Args:
        score: Maps an order of the tiles, indices (count,), to its separation.
        count: How many tiles there are.
        generator: CPU generator.
    """
    permuted = [score(torch.randperm(count, generator=generator)) for _ in range(PERMUTATIONS)]
    return score(torch.arange(count)), float(np.quantile(permuted, 0.95))
