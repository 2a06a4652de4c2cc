"""The common yardstick: one set of rulers for every recipe, since each recipe's own loss has its own units.

Relative Gram distances at every ReLU layer (also where nobody optimised), the distance to the photo at the content
layer, and the neutral judges of `stylize.yardstick`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.network.layer_names import RELU_NAMES
from interp.network.vgg import Vgg
from interp.pictures.sizes import fit_painting_nchw01
from interp.statistics.gram import region_gram, relative_distance
from interp.statistics.layers import FIXED_CONTENT
from interp.statistics.regions import layer_mask, layer_regions
from stylize.outcome import content_distance
from stylize.yardstick import Marks, Yardstick


@dataclass(frozen=True)
class Reading:
    """What the yardstick says of one picture.

    Attributes:
        step: After how many evaluations; 0 is the start.
        seconds: Of work until then, judging left out.
        style: |G - G*|² / |G*|² at every ReLU layer that holds enough of the region.
        content: |F - F*|² / |F*|² at relu4_2 inside the region; 0 is the photo.
        marks: The neutral judges' figures.
    """

    step: int
    seconds: float
    style: dict[str, float]
    content: float
    marks: Marks

    def mean_style(self, layers: Iterable[str]) -> float:
        """Mean distance over those of `layers` that were measured; NaN if none was."""
        found = [self.style[name] for name in layers if name in self.style]
        return float(np.mean(found)) if found else float("nan")


class Judge:
    """The yardstick for one photo, painting and region.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1], at the size to judge at.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1]; brought to the photo's area, unstretched, whatever a recipe does.
        alpha_hw01: (H, W) float32 region.

    Attributes:
        layers: The ReLU layers that are measured.
    """

    def __init__(self, vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, alpha_hw01: np.ndarray) -> None:
        self.vgg, self.photo_nchw01 = vgg, photo_nchw01
        parts = layer_regions(alpha_hw01, list(RELU_NAMES))
        self.masks = {name: part.mask_hw01.to(photo_nchw01) for name, part in parts.items() if part.usable}
        self.layers = tuple(self.masks)
        self.content_mask = layer_mask(alpha_hw01, FIXED_CONTENT).to(photo_nchw01)
        painting = fit_painting_nchw01(
            painting_nchw01.to(photo_nchw01), (photo_nchw01.shape[-2], photo_nchw01.shape[-1])
        )
        with torch.no_grad():
            maps = vgg.activations(painting, RELU_NAMES)
            self.targets = {name: region_gram(maps[name]) for name in self.layers}
            self.content = vgg.activations(photo_nchw01, [FIXED_CONTENT])[FIXED_CONTENT]
        self.yardstick = Yardstick(photo_nchw01, painting_nchw01, alpha_hw01)

    def read(self, image_nchw01: Tensor, step: int, seconds: float) -> Reading:
        """Judge a picture of the photo's size."""
        with torch.no_grad():
            maps = self.vgg.activations(image_nchw01, RELU_NAMES)
            style = {
                name: float(relative_distance(region_gram(maps[name], mask), self.targets[name]))
                for name, mask in self.masks.items()
            }
            content = float(content_distance(maps[FIXED_CONTENT], self.content, self.content_mask))
        return Reading(step, seconds, style, content, self.yardstick.mark(image_nchw01))
