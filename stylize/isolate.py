"""Composite, boundary, and the proof of isolation.

Where a region's alpha is 0 the result equals the photo bit for bit: true by construction. The honest question is the
other one: does anything outside reach the inside? So everything outside is replaced by noise, the canvas is built
again, and the loss's gradient inside is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.network.vgg import Vgg
from interp.pictures.colour import with_luminance_of
from interp.pictures.images import to_hwc_u8, to_nchw01
from interp.pictures.sizes import resize_nchw01
from interp.statistics.regions import edge_distance_px
from stylize.canvas import Canvas, Scene, build_canvas, own_photo
from stylize.fill import with_border
from stylize.presets import Settings
from stylize.region import StyledRegion

BOUNDARY_PX = 2  # half width of the band along the mask's edge


@dataclass(frozen=True)
class Isolation:
    """How well the style stayed inside, and the outside outside.

    Attributes:
        outside_pixels: Pixels where every region's alpha is 0.
        max_abs_outside: Largest change of any of their channels, 0 … 255.
        leak: For each region, change of the loss's gradient inside when all pixels outside become noise, over its size;
            0 where there is no outside.
        boundary_pixels: Pixels within 2 px of the edge.
        boundary_mean_abs: Their mean change, 0 … 255.
    """

    outside_pixels: int
    max_abs_outside: int
    leak: tuple[float, ...]
    boundary_pixels: int
    boundary_mean_abs: float


def compose(
    photo_hwc_u8: np.ndarray,
    regions: Sequence[StyledRegion],
    restyled_rchw: Tensor,
    kept_hwc_u8: np.ndarray | None = None,
) -> np.ndarray:
    """Bring restyled images into the photo, at the photo's size.

    Args:
        photo_hwc_u8: (H, W, 3) uint8 RGB.
        regions: As given to `stylize`.
        restyled_rchw: (R, 3, h, w), the images of the last event; enlarged to the photo's size.
        kept_hwc_u8: (H, W, 3) uint8 RGB, the photo with the kept side's own colours where a region's edge is soft: the
            photo shows them mixed with what is restyled, which would leave a rim. None takes the photo itself.

    Returns:
        (H, W, 3) uint8: the photo's own bytes where alpha is 0, the restyled image where it is 1.
    """
    photo = to_nchw01(photo_hwc_u8).to(restyled_rchw.device)
    size = photo_hwc_u8.shape[:2]
    mixed, covered = torch.zeros_like(photo), torch.zeros(size, device=photo.device)
    for region, restyled in zip(regions, restyled_rchw, strict=True):
        alpha = torch.from_numpy(region.alpha_hw01).to(photo.device)
        image = resize_nchw01(restyled[None].clamp(0, 1), (size[0], size[1]))
        if region.colour == "luminance":
            image = with_luminance_of(photo, image)
        mixed += alpha * image
        covered += alpha
    kept = photo if kept_hwc_u8 is None else to_nchw01(kept_hwc_u8).to(restyled_rchw.device)
    result = to_hwc_u8(mixed + (1 - covered) * kept)
    untouched = covered.cpu().numpy() == 0
    result[untouched] = photo_hwc_u8[untouched]
    return result


def measure(
    vgg: Vgg, photo_hwc_u8: np.ndarray, result_hwc_u8: np.ndarray, regions: Sequence[StyledRegion], scene: Scene,
    restyled_rchw: Tensor, settings: Settings,
) -> Isolation:  # fmt: skip
    """Measure isolation on the saved pixels, and the leak by one extra evaluation a region.

    Args:
        vgg: The network.
        photo_hwc_u8: The photo.
        result_hwc_u8: What is saved, the same size.
        regions: As given to `stylize`.
        scene: The finest scale.
        restyled_rchw: Its images.
        settings: As given to `stylize`.

    Returns:
        The figures.
    """
    change = np.abs(result_hwc_u8.astype(np.int16) - photo_hwc_u8.astype(np.int16))
    outside = np.asarray(sum(region.alpha_hw01 for region in regions)) == 0
    boundary = _boundary(outside)
    photo = to_nchw01(photo_hwc_u8).to(restyled_rchw)
    return Isolation(
        outside_pixels=int(outside.sum()),
        max_abs_outside=int(change[outside].max()) if outside.any() else 0,
        leak=tuple(
            leak(vgg, photo, region, canvas, image[None], settings)
            for region, canvas, image in zip(regions, scene.canvases, restyled_rchw, strict=True)
        ),
        boundary_pixels=int(boundary.sum()),
        boundary_mean_abs=float(change[boundary].mean()) if boundary.any() else 0.0,
    )


def leak(
    vgg: Vgg, photo_nchw01: Tensor, region: StyledRegion, canvas: Canvas, image_nchw01: Tensor, settings: Settings
) -> float:
    """How much the gradient inside a region changes when everything outside becomes noise.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) at its own size.
        region: As given to `stylize`.
        canvas: The region's at the scale to measure at.
        image_nchw01: (1, 3, h, w) at that scale, where the gradient is taken.
        settings: As given to `stylize`.

    Returns:
        Sum over the pixels inside of the gradient's change, over the sum of its size.
    """
    noise = torch.rand(photo_nchw01.shape, generator=torch.Generator().manual_seed(settings.seed))
    inside = torch.from_numpy(region.alpha_hw01).to(photo_nchw01.device) > 0
    noisy = torch.where(inside, photo_nchw01, noise.to(photo_nchw01.device))
    size = image_nchw01.shape[-2], image_nchw01.shape[-1]
    again = build_canvas(vgg, own_photo(noisy, region), region, size, settings)
    before, after = (
        _gradient(vgg, each, with_border(image_nchw01)[each.crop.here], settings) for each in (canvas, again)
    )
    shown = canvas.alpha_hw01 > 0
    length, change = (values.norm(dim=1)[0][shown].sum() for values in (before, after - before))
    return float(change / length.clamp(min=1e-30))


def _gradient(vgg: Vgg, canvas: Canvas, image_nchw01: Tensor, settings: Settings) -> Tensor:
    image = image_nchw01.detach().clone().requires_grad_()
    value, _ = canvas.loss(vgg.activations(image, canvas.layers, settings.pooling), image)
    return torch.autograd.grad(value, image)[0]


def _boundary(outside_hw: np.ndarray) -> np.ndarray:
    """Pixels within 2 px of the line between outside and the rest."""
    inside_distance = edge_distance_px((~outside_hw).astype(np.float32))
    outside_distance = edge_distance_px(outside_hw.astype(np.float32))
    return np.where(outside_hw, outside_distance, inside_distance) <= BOUNDARY_PX
