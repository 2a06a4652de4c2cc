"""The cheapest outline: a minimum cut on the grid of an image (Boykov & Jolly 2001), by SciPy's maximum flow.

`cv2.grabCut` has a graph cut of its own, but lets nothing but colours vote. Here any evidence may.
"""

from dataclasses import dataclass, field

import numpy as np

UNITS = 100  # capacities are whole numbers for SciPy: hundredths
SURE = 1e4  # log odds that no outline is worth giving up


@dataclass(frozen=True)
class Links:
    """What it costs to part neighbours.

    Attributes:
        first: Index of one cell of each pair, row by row, (n,) int.
        second: Index of the other.
        cost: (n,) >= 0.
    """

    first: np.ndarray = field(repr=False)
    second: np.ndarray = field(repr=False)
    cost: np.ndarray = field(repr=False)


def contrast_links(image_hwc: np.ndarray, smoothness: float) -> Links:
    """Neighbours are dear to part where they look alike.

    smoothness / distance · exp(-|difference|² / (2 mean |difference|²)) between eight neighbours: Rother et al. 2004,
    equation 11, and Blake et al. 2004 for the mean.

    Args:
        image_hwc: (H, W, C), any scale.
        smoothness: Cost at no contrast; GrabCut's gamma.
    """
    height, width = image_hwc.shape[:2]
    cells = np.arange(height * width).reshape(height, width)
    values = image_hwc.astype(np.float32)
    first, second, squares, distance = [], [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        there = slice(down, height), slice(max(0, right), width + min(0, right))
        first.append(cells[here].ravel())
        second.append(cells[there].ravel())
        squares.append(((values[here] - values[there]) ** 2).sum(axis=-1).ravel())
        distance.append(np.full(first[-1].size, np.hypot(down, right)))
    square = np.concatenate(squares)
    cost = smoothness / np.concatenate(distance) * np.exp(-square / (2 * max(float(square.mean()), 1e-9)))
    return Links(np.concatenate(first), np.concatenate(second), cost)


def minimum_cut(log_odds_hw: np.ndarray, links: Links) -> np.ndarray:
    """Label every cell so that evidence given up and neighbours parted cost least together.

    Args:
        log_odds_hw: (H, W), above 0 for inside; at least `SURE` or at most -`SURE` where there is no doubt.
        links: Of the same grid.

    Returns:
        (H, W) bool, True = inside.
    """
    from scipy.sparse import csr_array  # here, because few cuts take this way
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    odds = log_odds_hw.ravel()
    source, sink = odds.size, odds.size + 1
    inside, outside = np.flatnonzero(odds > 0), np.flatnonzero(odds < 0)
    start = np.concatenate([links.first, links.second, np.full(inside.size, source), outside])
    end = np.concatenate([links.second, links.first, inside, np.full(outside.size, sink)])
    capacity = np.concatenate([links.cost, links.cost, odds[inside], -odds[outside]])
    places = start.astype(np.int32), end.astype(np.int32)  # older SciPy takes no wider ones
    graph = csr_array(((capacity * UNITS).astype(np.int32), places), shape=(odds.size + 2, odds.size + 2))
    residual = graph - maximum_flow(graph, source, sink).flow
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = np.zeros(odds.size + 2, dtype=bool)
    reached[breadth_first_order(residual, source, return_predecessors=False)] = True
    return reached[: odds.size].reshape(log_odds_hw.shape)
