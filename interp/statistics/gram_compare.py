"""Pictures compared by their Gram matrices: which layers tell them apart, and by which channels.

Whether a layer tells two pictures apart depends on how much each varies within itself: `tiles` defines the separation;
here W is averaged over the two pictures.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.statistics.gram import GramStats, gram_stats, region_gram
from interp.statistics.tiles import (
    MAX_CELLS,
    MIN_CELLS,
    against_chance,
    grid_tiles,
    mean_within,
    separation,
    tile_distances,
    tile_grams,
    unit,
)

TOP_PAIRS = 5
NAN = float("nan")


@dataclass(frozen=True)
class ChannelPair:
    """Two channels of a layer, or one with itself, in a symmetric matrix.

    Attributes:
        first: Index.
        second: Index, at least `first`.
        value: The matrix's entry.
        share: Of the matrix's squared norm, both mirror entries counted, 0 … 1.
    """

    first: int
    second: int
    value: float
    share: float


@dataclass(frozen=True)
class LayerStyle:
    """One picture at one layer.

    Attributes:
        stats: Energy, spectrum, effective rank of its Gram matrix.
        stationarity: 1 - W / √2: 1 where every tile has the same Gram; NaN where a tile has too few cells.
        pairs: The pairs of channels that make up most of the matrix.
        gram_cc: The Gram matrix itself, (C, C) float64.
    """

    stats: GramStats
    stationarity: float
    pairs: tuple[ChannelPair, ...]
    gram_cc: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class LayerComparison:
    """Several pictures at one layer; matrices are (pictures, pictures), symmetric, 0 on the diagonal.

    Attributes:
        layer: Layer name.
        distances: Between unit-norm Gram matrices, 0 … √2.
        separations: Of each pair, in [0, 1]; NaN where a tile has too few cells.
        chances: 95 % quantile of each separation with permuted labels.
        pairs: The pairs of channels in which the two most distant pictures differ most; the value is the
            difference of their unit-norm matrices.
        farthest: Indices of these two pictures.
    """

    layer: str
    distances: tuple[tuple[float, ...], ...]
    separations: tuple[tuple[float, ...], ...]
    chances: tuple[tuple[float, ...], ...]
    pairs: tuple[ChannelPair, ...]
    farthest: tuple[int, int]

    @property
    def separation(self) -> float:
        """Mean over the pairs of pictures; NaN where nothing was measured."""
        return float(np.mean([self.separations[a][b] for a, b in _couples(len(self.separations))]))

    @property
    def beyond_chance(self) -> int:
        """How many pairs of pictures are told apart beyond chance."""
        couples = _couples(len(self.separations))
        return sum(self.separations[a][b] > self.chances[a][b] for a, b in couples)


@dataclass(frozen=True)
class GramComparison:
    """What the layers make of one or more pictures.

    Attributes:
        styles: For each picture, in the order given, one entry a layer.
        layers: One entry a layer; empty for a single picture.
        cells: Cells drawn from each tile; 0 where no layer could be measured.
    """

    styles: tuple[tuple[LayerStyle, ...], ...]
    layers: tuple[LayerComparison, ...]
    cells: int

    @property
    def best(self) -> str:
        """The layer that tells the pictures apart best; empty where none was measured."""
        measured = [entry for entry in self.layers if entry.separation == entry.separation]
        return max(measured, key=lambda entry: entry.separation).layer if measured else ""


def compare_grams(vgg: Vgg, images_nchw01: Sequence[Tensor], layers: Sequence[str], seed: int = 0) -> GramComparison:
    """Compare pictures by their Gram matrices.

    Args:
        vgg: The network.
        images_nchw01: One or more (1, 3, H, W) float RGB in [0, 1]; bring them to the same area for a fair comparison.
        layers: Names.
        seed: Of the sampled cells and the permutations.

    Returns:
        Statistics of each picture and layer, and for several pictures their distances and separations.

    Raises:
        UsageError: If there is no picture, a layer is unknown, or a picture has no cell at a layer.

    Example:
        >>> from interp.network.weights import load_vgg
        >>> pictures = [torch.rand(1, 3, 96, 96), torch.zeros(1, 3, 96, 96)]
        >>> compare_grams(load_vgg("compact"), pictures, ["relu1_1"]).layers[0].beyond_chance
        1
    """
    if not images_nchw01:
        raise UsageError("There is no picture to compare; expected at least one.")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        maps = [vgg.activations(image, layers) for image in images_nchw01]
    tiles = [{name: grid_tiles(*entry[name].shape[-2:]) for name in layers} for entry in maps]
    sizes = {name: min(len(tile) for entry in tiles for tile in entry[name]) for name in layers}
    measured = [name for name in layers if sizes[name] >= MIN_CELLS]
    cells = min([MAX_CELLS, *(sizes[name] for name in measured)]) if measured else 0
    styles: list[list[LayerStyle]] = [[] for _ in maps]
    compared = []
    for name in layers:
        grams = [region_gram(entry[name]).cpu().double() for entry in maps]
        parts = [
            tile_grams(entry[name], own[name], cells, generator) if name in measured else None
            for entry, own in zip(maps, tiles, strict=True)
        ]
        for style, gram, part in zip(styles, grams, parts, strict=True):
            within = NAN if part is None else mean_within(tile_distances(part))
            style.append(LayerStyle(gram_stats(name, gram), 1 - within / 2**0.5, top_pairs(gram), gram.numpy()))
        if len(maps) > 1:
            compared.append(_compared(name, grams, parts, generator))
    return GramComparison(tuple(tuple(style) for style in styles), tuple(compared), cells)


def top_pairs(matrix: Tensor, count: int = TOP_PAIRS) -> tuple[ChannelPair, ...]:
    """The entries that make up most of a symmetric matrix's squared norm.

    Args:
        matrix: (C, C), symmetric.
        count: How many pairs at most.

    Returns:
        Pairs i <= j by falling share; none of a zero matrix.
    """
    square = matrix.cpu().double().square()
    total = float(square.sum())
    if total == 0:
        return ()
    both = torch.triu(square) + torch.triu(square, diagonal=1)
    best = both.flatten().topk(min(count, both.numel()))
    columns = matrix.shape[1]
    places = [divmod(int(place), columns) for place in best.indices]
    return tuple(
        ChannelPair(row, column, float(matrix[row, column]), float(value) / total)
        for (row, column), value in zip(places, best.values, strict=True)
        if value > 0
    )


def _compared(
    name: str, grams: list[Tensor], tiles: list[Tensor | None], generator: torch.Generator
) -> LayerComparison:
    count = len(grams)
    distances, separations, chances = np.zeros((count, count)), np.zeros((count, count)), np.zeros((count, count))
    units = [unit(gram) for gram in grams]
    for a, b in _couples(count):
        distances[a, b] = distances[b, a] = float((units[a] - units[b]).norm())
        score, chance = _separation(tiles[a], tiles[b], generator)
        separations[a, b] = separations[b, a] = score
        chances[a, b] = chances[b, a] = chance
    far = max(_couples(count), key=lambda couple: distances[couple])
    pairs = top_pairs(units[far[0]] - units[far[1]])
    return LayerComparison(name, _rows(distances), _rows(separations), _rows(chances), pairs, far)


def _separation(first: Tensor | None, second: Tensor | None, generator: torch.Generator) -> tuple[float, float]:
    """Separation of two pictures' tiles, and its chance level."""
    if first is None or second is None:
        return NAN, NAN
    distances, half = tile_distances(torch.cat([first, second])), len(first)

    def score(order: Tensor) -> float:
        one, other = order[:half], order[half:]
        within = (mean_within(distances[one][:, one]) + mean_within(distances[other][:, other])) / 2
        return separation(float(distances[one][:, other].mean()), within)

    return against_chance(score, len(distances), generator)


def _couples(count: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(count), 2))


def _rows(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in matrix)
