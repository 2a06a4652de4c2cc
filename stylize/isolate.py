"""Composite, boundary, and the proof of isolation.

Where a region's alpha is 0 the result equals the photo bit for bit: true by construction, so the honest measure is the
leak. Everything outside is replaced by noise and the style gradient inside is taken again: what changes came from
outside. In layers that are fully eroded nothing can.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.colour import with_luminance_of
from interp.images import to_hwc_u8, to_nchw01
from interp.regions import edge_distance_px
from interp.sizes import resize_nchw01
from interp.vgg import Vgg
from stylize.losses import StyleLoss
from stylize.scene import Scene, StyledRegion

BOUNDARY_PX = 2  # half width of the band along the mask's edge
LEAK_BINS_PX = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Isolation:
    """How well the style stayed inside.

    Attributes:
        outside_pixels: Pixels where every region's alpha is 0.
        max_abs_outside: Largest change of any of their channels, 0 … 255.
        leak_distance_px: Upper ends of the distance bins, from the region's edge inwards.
        leak_ratio: In each bin, the style gradient's change when the outside becomes noise, over its size.
        leak_total: The same over the whole region.
        boundary_pixels: Pixels within 2 px of the edge.
        boundary_mean_abs: Their mean change, 0 … 255.
        fully_eroded: Style layers none of whose counted cells sees a pixel outside; their leak is zero.
        partly_eroded: Style layers that had no such cell in some part of the region; all leak comes through them.
    """

    outside_pixels: int
    max_abs_outside: int
    leak_distance_px: tuple[float, ...]
    leak_ratio: tuple[float, ...]
    leak_total: float
    boundary_pixels: int
    boundary_mean_abs: float
    fully_eroded: tuple[str, ...] = ()
    partly_eroded: tuple[str, ...] = ()


def compose(photo_hwc_u8: np.ndarray, regions: Sequence[StyledRegion], restyled_rchw: Tensor) -> np.ndarray:
    """Bring restyled images into the photo, at the photo's size.

    Args:
        photo_hwc_u8: (H, W, 3) uint8 RGB.
        regions: As given to `stylize`.
        restyled_rchw: (R, 3, h, w), the images of the last event; enlarged to the photo's size.

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
    result = to_hwc_u8(mixed + (1 - covered) * photo)
    untouched = covered.cpu().numpy() == 0
    result[untouched] = photo_hwc_u8[untouched]
    return result


def measure(
    vgg: Vgg, photo_hwc_u8: np.ndarray, result_hwc_u8: np.ndarray, regions: Sequence[StyledRegion], scene: Scene,
    restyled_rchw: Tensor, seed: int = 0,
) -> Isolation:  # fmt: skip
    """Measure isolation on the saved pixels, and the leak by one extra evaluation.

    Args:
        vgg: The network.
        photo_hwc_u8: The photo.
        result_hwc_u8: What is saved, the same size.
        regions: As given to `stylize`.
        scene: The finest scale.
        restyled_rchw: Its images.
        seed: Of the noise.

    Returns:
        The figures.
    """
    change = np.abs(result_hwc_u8.astype(np.int16) - photo_hwc_u8.astype(np.int16))
    covered = sum(region.alpha_hw01 for region in regions)
    outside = np.asarray(covered) == 0
    boundary = _boundary(outside)
    distances, ratios, total = leak(vgg, scene, restyled_rchw, seed)
    parts = [(name, part.fully_eroded) for layers in scene.region_layers for name, part in layers.items()]
    return Isolation(
        fully_eroded=tuple(dict.fromkeys(name for name, fully in parts if fully)),
        partly_eroded=tuple(dict.fromkeys(name for name, fully in parts if not fully)),
        outside_pixels=int(outside.sum()),
        max_abs_outside=int(change[outside].max()) if outside.any() else 0,
        leak_distance_px=distances,
        leak_ratio=ratios,
        leak_total=total,
        boundary_pixels=int(boundary.sum()),
        boundary_mean_abs=float(change[boundary].mean()) if boundary.any() else 0.0,
    )


def leak(
    vgg: Vgg, scene: Scene, restyled_rchw: Tensor, seed: int = 0
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Replace everything outside by noise and compare the first region's style gradient inside.

    Returns:
        Upper ends of the distance bins in pixels, the relative change in each, and over the whole region.
    """
    alpha = scene.crop.of(scene.alphas_rhw01)[0]
    image = scene.composite(scene.crop.of(restyled_rchw))
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(seed)).to(image)
    replaced = torch.where(alpha > 0, image, noise)
    before, after = (_style_gradient(vgg, scene, picture) for picture in (image, replaced))
    size, change = (before.norm(dim=1)[0].cpu().numpy(), (after - before).norm(dim=1)[0].cpu().numpy())
    distance = edge_distance_px(alpha.cpu().numpy())
    inside = distance > 0
    ends, ratios, lower = [], [], 0.0
    for upper in LEAK_BINS_PX:
        ring = (distance > lower) & (distance <= upper)
        if ring.any():
            ends.append(float(upper))
            ratios.append(float(change[ring].sum() / max(size[ring].sum(), 1e-30)))
        lower = upper
    return tuple(ends), tuple(ratios), float(change[inside].sum() / max(size[inside].sum(), 1e-30))


def _style_gradient(vgg: Vgg, scene: Scene, image_nchw01: Tensor) -> Tensor:
    image = image_nchw01.detach().clone().requires_grad_()
    features = vgg.activations(image, scene.layers)
    terms = [term for term in scene.losses[0].terms if isinstance(term, StyleLoss)]
    total = torch.stack([term.weight * term(features, image) for term in terms]).sum()
    return torch.autograd.grad(total, image)[0]


def _boundary(outside_hw: np.ndarray) -> np.ndarray:
    """Pixels within 2 px of the line between outside and the rest."""
    inside_distance = edge_distance_px((~outside_hw).astype(np.float32))
    outside_distance = edge_distance_px(outside_hw.astype(np.float32))
    return np.where(outside_hw, outside_distance, inside_distance) <= BOUNDARY_PX
