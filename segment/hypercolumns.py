"""What VGG-19 says about every place of a picture, for the deep cut; the only file of this package that needs torch."""

import numpy as np
import torch
from torch.nn import functional as F

from interp.network.vgg import Vgg
from interp.pictures.images import to_nchw01
from segment.deepcut import FEATURE_GRID_PX, DeepMap

LAYERS = {"relu2_2": 1.0, "relu3_2": 1.0, "relu4_2": 3.0, "relu5_4": 3.0}  # with the shrinkage of each
STRIDE_PX = 16  # of relu5_4
MARGIN_PX = 32  # mirrored around the picture, so that zero padding marks no border


class Hypercolumns:
    """Describes a picture to the deep cut: from (H, W, 3) uint8 RGB, small, to a map of each layer.

    Args:
        vgg: The network; any weights and width.

    Attributes:
        last: The last picture and its maps, given again when the same is asked for: a contrast prompt and its cut often
            look at one picture.
    """

    def __init__(self, vgg: Vgg) -> None:
        self.vgg = vgg
        self.last: tuple[np.ndarray, tuple[DeepMap, ...]] | None = None

    def __call__(self, rgb_hwc_u8: np.ndarray) -> tuple[DeepMap, ...]:
        """Look at a picture."""
        if self.last is None or not np.array_equal(self.last[0], rgb_hwc_u8):
            self.last = rgb_hwc_u8.copy(), _describe(self.vgg, rgb_hwc_u8)
        return self.last[1]


@torch.no_grad()
def _describe(vgg: Vgg, rgb_hwc_u8: np.ndarray) -> tuple[DeepMap, ...]:
    device = next(vgg.parameters()).device
    height, width = (max(MARGIN_PX + STRIDE_PX, STRIDE_PX * round(side / STRIDE_PX)) for side in rgb_hwc_u8.shape[:2])
    image = F.interpolate(to_nchw01(rgb_hwc_u8).to(device), (height, width), mode="bilinear", antialias=True)
    framed = F.pad(image, (MARGIN_PX,) * 4, mode="reflect")
    scale = min(1.0, FEATURE_GRID_PX / max(height, width))
    grid = max(1, round(height * scale)), max(1, round(width * scale))
    maps = []
    for name, values in vgg.activations(framed, list(LAYERS)).items():
        stride = framed.shape[-1] // values.shape[-1]
        margin = MARGIN_PX // stride
        inner = values[..., margin : margin + height // stride, margin : margin + width // stride]
        if inner.shape[-1] > grid[1]:
            inner = F.interpolate(inner, grid, mode="bilinear", antialias=True)
        maps.append(DeepMap(name, inner[0].float().cpu().numpy(), LAYERS[name]))
    return tuple(maps)
