"""What part of a layer a region owns: the mask on the layer's grid, coverage, erosion.

A cell near the edge of a region sees pixels of the other side. So a layer's mask is eroded by the distance that its
cells see beyond their own square, inset_l = (RF_l - s_l) / 2: what is left describes the region alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.network.layer_names import Layer, layer

MIN_EFFECTIVE_CELLS = 32  # fewer independent cells than this make a Gram of noise
CAP_SHARE = 1 / 3  # of a component's largest distance, where full erosion would leave nothing


@dataclass(frozen=True)
class LayerRegion:
    """A region on one layer's grid.

    Attributes:
        mask_hw01: (h, w) float32, the eroded mask.
        effective_cells: (sum m)² / sum m² after erosion.
        fully_eroded: Whether no counted cell sees a pixel outside the region.
    """

    mask_hw01: Tensor
    effective_cells: float
    fully_eroded: bool

    @property
    def usable(self) -> bool:
        """Whether enough cells are left for a Gram matrix."""
        return self.effective_cells >= MIN_EFFECTIVE_CELLS


def pool_mask(alpha_hw01: Tensor, place: Layer) -> Tensor:
    """Average a mask over a layer's cells, dropping what the network's own pools drop.

    Args:
        alpha_hw01: (H, W) float in [0, 1].
        place: The layer.

    Returns:
        (H // stride, W // stride) float in [0, 1].
    """
    return F.avg_pool2d(alpha_hw01[None, None], place.stride_px)[0, 0]


def effective_cells(mask_hw01: Tensor) -> float:
    """How many independent cells a mask amounts to: (sum m)² / sum m², 0 for an empty one."""
    total, squares = float(mask_hw01.sum()), float(mask_hw01.square().sum())
    return total * total / squares if squares > 0 else 0.0


def region_depth_px(alpha_hw01: np.ndarray) -> np.ndarray:
    """Chessboard distance of each pixel to the nearest pixel with alpha 0; infinite where there is none.

    The picture's border is no edge: nothing beyond it can be seen.
    """
    inside = alpha_hw01 > 0
    if inside.all():
        return np.full(inside.shape, np.inf, dtype=np.float32)
    from scipy import ndimage  # here and below, because it takes .15 s to load

    return np.asarray(ndimage.distance_transform_cdt(inside, metric="chessboard"), dtype=np.float32)


def layer_regions(alpha_hw01: np.ndarray, names: Iterable[str]) -> dict[str, LayerRegion]:
    """Bring a region to layers' grids and erode it.

    Args:
        alpha_hw01: (H, W) float32 in [0, 1] at the size the network sees.
        names: Of the layers.

    Returns:
        The region on each layer's grid.
    """
    from scipy import ndimage

    depth_px = region_depth_px(alpha_hw01)
    components = np.zeros(alpha_hw01.shape, dtype=np.int32)
    count = int(ndimage.label(alpha_hw01 > 0, structure=np.ones((3, 3)), output=components))  # pyright: ignore[reportArgumentType]
    return {name: _erode(alpha_hw01, depth_px, components, count, layer(name)) for name in names}


def layer_mask(alpha_hw01: np.ndarray, name: str) -> Tensor:
    """A region on a layer's grid without erosion."""
    return pool_mask(torch.from_numpy(alpha_hw01), layer(name))


def _erode(
    alpha_hw01: np.ndarray, depth_px: np.ndarray, components: np.ndarray, count: int, place: Layer
) -> LayerRegion:
    """Keep cells whose smallest distance exceeds the inset, or a third of the largest where that leaves nothing.

    The rule goes component by component, so that a thin island keeps its share beside a broad one. A cell that touches
    two components also holds a pixel between them, whose distance is 0: it is never kept, whoever owns it.
    """
    from scipy import ndimage

    nearest = -_max_pool(-depth_px, place.stride_px)
    owner = _max_pool(components, place.stride_px).astype(np.int64)
    numbers = np.arange(count + 1)
    inset = np.full(count + 1, float(place.inset_px))
    emptied = np.asarray(ndimage.maximum(nearest > place.inset_px, owner, numbers)) == 0
    cap = np.asarray(ndimage.maximum(depth_px, components, numbers)) * CAP_SHARE
    inset[emptied] = np.minimum(inset, cap)[emptied]
    kept = (nearest > inset[owner]) & (owner > 0)
    mask = pool_mask(torch.from_numpy(alpha_hw01), place) * torch.from_numpy(kept)
    fully = not (kept & emptied[owner]).any()
    return LayerRegion(mask, effective_cells(mask), fully)


def _max_pool(values_hw: np.ndarray, stride_px: int) -> np.ndarray:
    return F.max_pool2d(torch.from_numpy(values_hw.astype(np.float32))[None, None], stride_px)[0, 0].numpy()
