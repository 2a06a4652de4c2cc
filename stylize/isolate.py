"""The proof of isolation.

Where a region's alpha is 0 the result equals the photo bit for bit: true by construction. The honest question is the
other one: does anything outside reach the inside? So everything outside is replaced by noise, the canvas is built
again, and the loss's gradient inside is compared.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.network.vgg import Vgg
from interp.pictures.images import to_nchw01
from interp.pictures.original import Original
from interp.statistics.regions import region_depth_px
from stylize.canvas import Canvas, own_photo
from stylize.descent import gradient_nchw
from stylize.fill import with_border
from stylize.optimise import StepEvent
from stylize.presets import Settings
from stylize.recipes import Recipe
from stylize.region import StyledRegion

BOUNDARY_PX = 2  # half width of the band along the mask's edge


@dataclass(frozen=True)
class Isolation:
    """How well the style stayed inside, and the outside outside.

    Attributes:
        outside_pixels: Pixels where every region's alpha is 0.
        max_abs_outside: Largest change of any of their channels, 0 … `white`.
        leak: For each region, change of the loss's gradient inside when all pixels outside become noise, over its size;
            0 where there is no outside. Empty for a way that restyles everything: it sees the outside by design.
        boundary_pixels: Pixels within 2 px of the edge.
        boundary_mean_abs: Their mean change, 0 … `white`.
        white: The photo's value of white: 255, or up to 65535.
    """

    outside_pixels: int
    max_abs_outside: int
    leak: tuple[float, ...]
    boundary_pixels: int
    boundary_mean_abs: float
    white: int = 255


def measure(vgg: Vgg, original: Original, result_hwc: np.ndarray, way: Settings | Recipe, last: StepEvent) -> Isolation:
    """Measure isolation on the saved values, at the photo's own depth, and the leak by one extra evaluation a region.

    Args:
        vgg: The network.
        original: The photo.
        result_hwc: What is saved, (H, W, 3) of the photo's type.
        way: As given to `stylize`.
        last: The last event, whose scene has the regions.

    Returns:
        The figures.
    """
    scene, restyled_rchw = last.scene, last.restyled_rchw
    change = np.abs(result_hwc.astype(np.int32) - original.rgb_hwc)
    outside = np.asarray(sum(region.alpha_hw01 for region in scene.regions)) == 0
    boundary = _boundary(outside)
    photo = to_nchw01(original.visible_hwc_u8).to(restyled_rchw)
    own = zip(scene.regions, scene.canvases, restyled_rchw, strict=True) if way.isolates else ()
    return Isolation(
        outside_pixels=int(outside.sum()),
        max_abs_outside=int(change[outside].max()) if outside.any() else 0,
        leak=tuple(leak(vgg, photo, region, canvas, image[None], way) for region, canvas, image in own),
        boundary_pixels=int(boundary.sum()),
        boundary_mean_abs=float(change[boundary].mean()) if boundary.any() else 0.0,
        white=original.white,
    )


def leak(
    vgg: Vgg, photo_nchw01: Tensor, region: StyledRegion, canvas: Canvas, image_nchw01: Tensor, way: Settings | Recipe
) -> float:
    """How much the gradient inside a region changes when everything outside becomes noise.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) at its own size.
        region: As given to `stylize`.
        canvas: The region's at the scale to measure at.
        image_nchw01: (1, 3, h, w) at that scale, where the gradient is taken.
        way: As given to `stylize`.

    Returns:
        Sum over the pixels inside of the gradient's change, over the sum of its size.
    """
    noise = torch.rand(photo_nchw01.shape, generator=torch.Generator().manual_seed(0))
    inside = torch.from_numpy(region.alpha_hw01).to(photo_nchw01.device) > 0
    noisy = torch.where(inside, photo_nchw01, noise.to(photo_nchw01.device))
    size = image_nchw01.shape[-2], image_nchw01.shape[-1]
    again = way.canvas(vgg, own_photo(noisy, region), region, size)
    before, after = (gradient_nchw(each.loss, with_border(image_nchw01)[each.crop.here]) for each in (canvas, again))
    shown = canvas.alpha_hw01 > 0
    length, change = (values.norm(dim=1)[0][shown].sum() for values in (before, after - before))
    return float(change / length.clamp(min=1e-30))


def _boundary(outside_hw: np.ndarray) -> np.ndarray:
    """Pixels within 2 px of the line between outside and the rest."""
    inside_distance = region_depth_px((~outside_hw).astype(np.float32))
    outside_distance = region_depth_px(outside_hw.astype(np.float32))
    return np.where(outside_hw, outside_distance, inside_distance) <= BOUNDARY_PX
