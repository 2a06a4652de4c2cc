"""What a network sees in a picture, as far as a loss needs it: at once, or tile by tile to the same numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from interp.network.frozen_pass import FrozenPass
from interp.network.layer_names import layer
from interp.statistics.gram import Moments, merged_moments, moment_sums, region_moments
from stylize.tiles import Place, tiles_of, worth_tiles


@dataclass(frozen=True)
class Survey:
    """What was seen.

    Attributes:
        moments: Mean and covariance of the layers that have a mask.
        energies: Sum of squares of every layer.
        maps: (1, C, h, w) of the layers that are kept.
    """

    moments: dict[str, Moments]
    energies: dict[str, float]
    maps: dict[str, Tensor]


@torch.no_grad()
def survey(
    network: FrozenPass,
    image_nchw01: Tensor,
    masks: Mapping[str, Tensor],
    kept: Sequence[str] = (),
    *,
    tile_px: int = 0,
    about: Mapping[str, Tensor] | None = None,
) -> Survey:
    """Look at a picture.

    Args:
        network: The layers to look at.
        image_nchw01: (1, 3, H, W) RGB in [0, 1].
        masks: (h, w) weights on the grids of the layers whose moments are wanted.
        kept: Layers whose maps are wanted.
        tile_px: Side of the tiles of a picture larger than one; 0 for all at once.
        about: (C,) of a layer, near its mean; 0 where it has none.
    """
    if not worth_tiles((image_nchw01.shape[-2], image_nchw01.shape[-1]), tile_px):
        maps = network(image_nchw01)
        moments = {name: region_moments(maps[name], mask) for name, mask in masks.items()}
        energies = {name: _energy(values) for name, values in maps.items()}
        return Survey(moments, energies, {name: maps[name] for name in kept})
    height, width = image_nchw01.shape[-2:]
    energies, maps, sums, moments = dict.fromkeys(network.names, 0.0), {}, {}, {}
    points = dict(about or {})
    for name, here, values in _by_tiles(network, image_nchw01, tile_px):
        energies[name] += _energy(values)
        if name in kept:
            stride = layer(name).stride_px
            whole = maps.setdefault(name, values.new_empty(1, values.shape[1], height // stride, width // stride))
            whole[here] = values
        if name in masks:
            point = points.setdefault(name, torch.zeros(values.shape[1]).to(image_nchw01))
            parts = [each.cpu().double() for each in moment_sums(values, masks[name][here], point)]
            sums[name] = [old + new for old, new in zip(sums.get(name, (0.0, 0.0)), parts, strict=True)]
    for name, found in sums.items():
        weight, point = float(masks[name].sum()), points[name].cpu().double()
        mean, covariance = merged_moments((found[0], found[1]), weight, point)
        moments[name] = mean.to(image_nchw01), covariance.to(image_nchw01)
    return Survey(moments, energies, maps)


def _by_tiles(network: FrozenPass, image_nchw01: Tensor, tile_px: int) -> Iterator[tuple[str, Place, Tensor]]:
    """Every layer of every tile: its name, where in the layer's grid, and the (1, C, h, w) cells of the core."""
    for tile in tiles_of((image_nchw01.shape[-2], image_nchw01.shape[-1]), tile_px, network.last.inset_px):
        for name, values in network(image_nchw01[tile.outer.here]).items():
            own, here = tile.cells(layer(name))
            yield name, here, values[own]


def _energy(values: Tensor) -> float:
    return float(values.square().sum(dtype=torch.float32))
