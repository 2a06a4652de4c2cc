"""Rectangles of a picture: a part of it, and the tiles that a large one is worked on by, one after another.

A tile's features are the whole picture's own where every pixel that they see lies in it. So around what counts of a
tile there is as much more as the deepest layer sees beyond it; both lie on the pools' grid, which leaves every layer's
cells where they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor

from interp.network.layer_names import LAYERS, Layer

GRID_PX = 16  # the coarsest stride in use: cutting at its multiples leaves every pool's grid unchanged
HALO_PX = -(-LAYERS["relu5_1"].inset_px // GRID_PX) * GRID_PX  # around a tile, for the usual layers

Place = tuple[EllipsisType, slice, slice]  # index of a part of (…, H, W)


@dataclass(frozen=True)
class Crop:
    """A rectangle of the picture in pixels, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def here(self) -> Place:
        """Index of the part of (…, H, W) under the rectangle."""
        return ..., slice(self.top, self.bottom), slice(self.left, self.right)

    def on(self, stride_px: int) -> "Crop":
        """The rectangle in cells of a grid, as far as they are whole."""
        return Crop(*(each // stride_px for each in (self.top, self.left, self.bottom, self.right)))


@dataclass(frozen=True)
class Tile:
    """A part of a picture that is worked on by itself.

    Attributes:
        core: What counts of it.
        outer: What is seen: the core and what its deepest cells see beyond it, within the picture.
    """

    core: Crop
    outer: Crop

    @property
    def core_in_outer(self) -> Crop:
        """The core within the outer rectangle."""
        core, outer = self.core, self.outer
        return Crop(core.top - outer.top, core.left - outer.left, core.bottom - outer.top, core.right - outer.left)

    def cells(self, place: Layer) -> tuple[Place, Place]:
        """Index of the core's cells on one layer's grid: among the tile's own, and among the whole picture's."""
        return self.core_in_outer.on(place.stride_px).here, self.core.on(place.stride_px).here

    def only_core(self, values_hw: Tensor) -> Tensor:
        """What a picture's (H, W) values are in the tile's outer rectangle, 0 outside the core."""
        found = torch.zeros_like(values_hw[self.outer.here])
        found[self.core_in_outer.here] = values_hw[self.core.here]
        return found


def tiles_of(size_hw_px: tuple[int, int], side_px: int, reach_px: int) -> Iterator[Tile]:
    """Cut a picture into tiles, row by row.

    Args:
        size_hw_px: Height and width.
        side_px: Of the cores, at most; all are about as large. 0 for a single tile, the picture.
        reach_px: How far is seen beyond a core.

    Example:
        >>> [(each.core.left, each.outer.left) for each in tiles_of((64, 200), 112, 5)]
        [(0, 0), (96, 80)]
    """
    height, width = size_hw_px
    halo = -(-reach_px // GRID_PX) * GRID_PX
    for top, bottom in _cut(height, side_px):
        for left, right in _cut(width, side_px):
            outer = Crop(max(0, top - halo), max(0, left - halo), min(height, bottom + halo), min(width, right + halo))
            yield Tile(Crop(top, left, bottom, right), outer)


def worth_tiles(size_hw_px: tuple[int, int], side_px: int) -> bool:
    """Whether a picture is larger than a tile with its surroundings; a smaller one is worked on at once."""
    return side_px > 0 and size_hw_px[0] * size_hw_px[1] > (side_px + 2 * HALO_PX) ** 2


def _cut(length_px: int, side_px: int) -> list[tuple[int, int]]:
    """A length in parts of about one size, cut on the grid."""
    count = -(-length_px // side_px) if side_px else 1
    edges = [round(number * length_px / count / GRID_PX) * GRID_PX for number in range(count)]
    return list(zip(edges, [*edges[1:], length_px], strict=True))
