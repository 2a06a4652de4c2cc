"""Did it work? The painting's distance before and after, also at layers that nobody optimised."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.network.layer_names import RELU_NAMES, layer
from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_hw01, resize_nchw01
from interp.statistics.gram import region_gram, relative_distance
from interp.statistics.regions import layer_mask, layer_regions, pool_mask
from stylize.region import StyledRegion


@dataclass(frozen=True)
class Outcome:
    """Distances of a region to the painting and to the photo.

    Attributes:
        layers: Every ReLU layer that holds enough of the region.
        optimised: Whether the layer was part of the loss.
        before: Relative Gram distance |G - G*|² / |G*|² of the photo's region to the painting.
        after: The same of the result.
        content_layer: The layer that held the content.
        content_distance: Relative squared feature distance of the result to the photo there.
    """

    layers: tuple[str, ...]
    optimised: tuple[bool, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    content_layer: str
    content_distance: float

    def mean(self, optimised: bool) -> tuple[float, float]:
        """Mean distance before and after over the layers that were, or were not, optimised; NaN if none."""
        picked = [number for number, used in enumerate(self.optimised) if used == optimised]
        if not picked:
            return float("nan"), float("nan")
        return float(np.mean([self.before[i] for i in picked])), float(np.mean([self.after[i] for i in picked]))


def content_distance(maps_nchw: Tensor, photo_nchw: Tensor, mask_hw01: Tensor) -> Tensor:
    """Relative squared distance |F - F*|² / |F*|² of a layer's values to the photo's under a mask; 0 is the photo."""
    return ((maps_nchw - photo_nchw).square() * mask_hw01).sum() / (photo_nchw.square() * mask_hw01).sum()


def judge(
    vgg: Vgg,
    photo_nchw01: Tensor,
    result_nchw01: Tensor,
    region: StyledRegion,
    size_hw_px: tuple[int, int],
    style_scale: float = 1.0,
) -> Outcome:
    """Compare photo and result with the painting over one region.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        result_nchw01: The same size, as saved.
        region: What was restyled.
        size_hw_px: Working size at which to compare.
        style_scale: As given to `stylize`.

    Returns:
        The distances.
    """
    alpha = resize_hw01(region.alpha_hw01, size_hw_px)
    parts = {name: part for name, part in layer_regions(alpha, list(RELU_NAMES)).items() if part.usable}
    photo = resize_nchw01(photo_nchw01, size_hw_px)
    content = region.choice.content_layer
    with torch.no_grad():
        _, painting, part = region.pictures(photo, torch.from_numpy(alpha).to(photo.device), size_hw_px, style_scale)
        targets = vgg.activations(painting, RELU_NAMES)
        learned = {name: pool_mask(part, layer(name)) for name in parts}
        before = vgg.activations(photo, RELU_NAMES)
        after = vgg.activations(resize_nchw01(result_nchw01, size_hw_px), RELU_NAMES)
        distances = {
            name: [
                float(
                    relative_distance(
                        region_gram(maps[name], part.mask_hw01.to(maps[name])),
                        region_gram(targets[name], learned[name]),
                    )
                )
                for maps in (before, after)
            ]
            for name, part in parts.items()
        }
        mask = layer_mask(alpha, content).to(before[content])
        moved = content_distance(after[content], before[content], mask)
    return Outcome(
        layers=tuple(distances),
        optimised=tuple(name in region.choice.style_weights for name in distances),
        before=tuple(pair[0] for pair in distances.values()),
        after=tuple(pair[1] for pair in distances.values()),
        content_layer=content,
        content_distance=float(moved),
    )
