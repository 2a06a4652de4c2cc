"""Bringing restyled images into the photo."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from interp.pictures.colour import with_luminance_of
from interp.pictures.images import to_hwc, to_nchw01
from stylize.enlarge import enlarge_nchw01
from stylize.fill import continue_outside
from stylize.region import StyledRegion


def compose(
    photo_hwc: np.ndarray,
    regions: Sequence[StyledRegion],
    restyled_rchw: Tensor,
    kept_hwc: np.ndarray | None = None,
    white: int = 255,
) -> np.ndarray:
    """Bring restyled images into the photo, at the photo's size and depth.

    Args:
        photo_hwc: (H, W, 3) RGB, uint8 or uint16.
        regions: As given to `stylize`.
        restyled_rchw: (R, 3, h, w), the images of the last event; enlarged to the photo's size where they are smaller,
            guided by the photo's luminance inside the region (`enlarge`).
        kept_hwc: Likewise, the photo with the kept side's own colours where a region's edge is soft: the
            photo shows them mixed with what is restyled, which would leave a rim. None takes the photo itself.
        white: The value that is white.

    Returns:
        (H, W, 3), the photo's type: the photo's own values where alpha is 0, the restyled image where it is 1.

    Example:
        >>> from interp.statistics.layers import fixed_choice
        >>> left = np.zeros((32, 32), np.float32)
        >>> left[:, :16] = 1
        >>> region = StyledRegion(left, torch.ones(1, 3, 32, 32), fixed_choice())
        >>> compose(np.full((32, 32, 3), 7, np.uint8), [region], torch.ones(1, 3, 32, 32))[0, [0, 31], 0].tolist()
        [255, 7]
    """
    photo = to_nchw01(photo_hwc, white).to(restyled_rchw.device)
    kept = photo if kept_hwc is None else to_nchw01(kept_hwc, white).to(restyled_rchw.device)
    alphas = np.stack([region.alpha_hw01 for region in regions])
    mixed = composite_nchw01(photo, regions, torch.from_numpy(alphas).to(photo.device), restyled_rchw, kept)
    result, untouched = to_hwc(mixed, white).astype(photo_hwc.dtype), alphas.sum(0) == 0
    result[untouched] = photo_hwc[untouched]
    return result


def enlarged_rchw(
    photo_hwc: np.ndarray,
    regions: Sequence[StyledRegion],
    restyled_rchw: Tensor,
    white: int = 255,
    watch: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """The first half of `compose` by itself, because it takes long: bring restyled images to the photo's size.

    Args:
        photo_hwc: (H, W, 3) RGB, uint8 or uint16.
        regions: As given to `stylize`.
        restyled_rchw: (R, 3, h, w), the images of the last event.
        white: The value that is white.
        watch: Called with the share that is done.

    Returns:
        (R, 3, H, W) in [0, 1], for `compose`.
    """
    photo = to_nchw01(photo_hwc, white).to(restyled_rchw.device)
    alphas = [torch.from_numpy(region.alpha_hw01).to(photo.device) for region in regions]
    return _to_size(photo, alphas, restyled_rchw, watch)


def _to_size(
    photo_nchw01: Tensor,
    alphas_rhw01: Iterable[Tensor],
    restyled_rchw: Tensor,
    watch: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """Each region is enlarged by a photo of its own: nothing outside may reach the inside."""
    images, count = [], len(restyled_rchw)
    for number, (image, alpha) in enumerate(zip(restyled_rchw.clamp(0, 1), alphas_rhw01, strict=True)):
        guide = continue_outside(photo_nchw01, alpha)
        watch((number + 0.5) / count)
        images.append(enlarge_nchw01(image[None], guide))
        watch((number + 1) / count)
    return torch.cat(images)


def composite_nchw01(
    photo_nchw01: Tensor,
    regions: Sequence[StyledRegion],
    alphas_rhw01: Tensor,
    restyled_rchw: Tensor,
    kept_nchw01: Tensor | None = None,
) -> Tensor:
    """(1 - sum α) kept + sum α y, in float.

    Args:
        photo_nchw01: (1, 3, H, W).
        regions: Their colour policies are used.
        alphas_rhw01: (R, H, W), the regions at the photo's size.
        restyled_rchw: (R, 3, h, w), enlarged to the photo's size and brought into [0, 1].
        kept_nchw01: (1, 3, H, W), what is shown outside; None for the photo.

    Returns:
        (1, 3, H, W) in [0, 1].
    """
    images = restyled_rchw.clamp(0, 1)
    if images.shape[-2:] != photo_nchw01.shape[-2:]:
        images = _to_size(photo_nchw01, alphas_rhw01, restyled_rchw)
    shown = [
        with_luminance_of(photo_nchw01, image[None]) if region.colour == "luminance" else image[None]
        for region, image in zip(regions, images, strict=True)
    ]
    kept = photo_nchw01 if kept_nchw01 is None else kept_nchw01
    return (alphas_rhw01[:, None] * torch.cat(shown)).sum(0, keepdim=True) + (1 - alphas_rhw01.sum(0)) * kept
