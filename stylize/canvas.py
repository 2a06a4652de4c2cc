"""One scale of the job: the photo at that size, and for each region a canvas of its own with its loss.

A canvas is the rectangle around a region, reaching 16 px beyond the picture's border. What lies outside the region
there is replaced by a smooth continuation of the inside, and the optimiser may paint it too, although nobody will see
it. So the style's statistics count every cell of the region in full, up to the edge; strokes run across it; and no
pixel outside has any influence on the inside. Work follows the region, not the picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from interp.errors import MaskError
from interp.network.frozen_pass import FrozenPass
from interp.network.layer_names import LAYERS, layer
from interp.network.precision import resolve_precision
from interp.network.vgg import Vgg
from interp.pictures.colour import ColourMap
from interp.pictures.sizes import resize_hw01, resize_nchw01
from interp.statistics.gram import Moments
from interp.statistics.regions import MIN_EFFECTIVE_CELLS, effective_cells, pool_mask
from stylize.fill import continue_outside, with_border
from stylize.losses import (
    CONTENT_SHARE,
    HELD_LAYER,
    HELD_SHARE,
    ContentLoss,
    RegionLoss,
    StyleLoss,
    Term,
    TotalVariation,
)
from stylize.presets import Settings
from stylize.region import StyledRegion
from stylize.survey import Survey, survey
from stylize.tiled import region_loss
from stylize.tiles import GRID_PX, Crop, worth_tiles

if TYPE_CHECKING:
    from stylize.historical import RecipeLoss

MARGIN_PX = LAYERS["relu4_2"].reach_px  # what a content cell at the region's edge sees beyond it
VANISHING = 1e-12  # of the photo's own energy: a target below it cannot be matched relatively
BLOCK_DECAY = 0.5  # share of a block's weight that the next deeper one gets: equal ones leave grain in flat areas


@dataclass(frozen=True)
class Pictures:
    """What a region is painted from at one scale.

    Attributes:
        crop: Where it lies in the picture with its border.
        alpha_hw01: (h, w), the region.
        draft_nchw01: (1, 3, h, w) in [0, 1], the photo, in the painting's colours unless the policy says otherwise.
        painting_nchw01: (1, 3, y, x), what the style is learned from, with a border.
        learned_hw01: (y, x), the part of it that counts.
        recolouring: How the draft, or the painting, was recoloured.
    """

    crop: Crop
    alpha_hw01: Tensor
    draft_nchw01: Tensor
    painting_nchw01: Tensor
    learned_hw01: Tensor
    recolouring: ColourMap


@dataclass(frozen=True)
class Canvas:
    """One region at one scale, ready to optimise.

    Attributes:
        crop: Where it lies in the picture with its border.
        alpha_hw01: (h, w), the region on the canvas.
        begin: Makes the picture where the first scale begins.
        painting_nchw01: (1, 3, y, x), what the style is learned from, with a border.
        learned_hw01: (y, x), the part of it that counts.
        loss: What is minimised.
        dropped: Layers left out at this scale, with the reason.
    """

    crop: Crop
    alpha_hw01: Tensor
    begin: Callable[[], Tensor]
    painting_nchw01: Tensor
    learned_hw01: Tensor
    loss: "RegionLoss | RecipeLoss"
    dropped: dict[str, str]

    @cached_property
    def start_nchw01(self) -> Tensor:
        """(1, 3, h, w), where the first scale begins."""
        return self.begin()


@dataclass(frozen=True)
class Scene:
    """One scale.

    Attributes:
        photo_nchw01: (1, 3, H, W), the whole photo at this scale.
        regions: As given to `stylize`.
        alphas_rhw01: (R, H, W), their alphas at this scale.
        canvases: One a region.
    """

    photo_nchw01: Tensor
    regions: tuple[StyledRegion, ...]
    alphas_rhw01: Tensor
    canvases: tuple[Canvas, ...]


def own_photo(photo_nchw01: Tensor, region: StyledRegion) -> Tensor:
    """The photo as a region knows it: itself inside, continued smoothly outside; (1, 3, H, W) at the photo's size."""
    return continue_outside(photo_nchw01, torch.from_numpy(region.alpha_hw01).to(photo_nchw01))


def pictures_at(
    own_photo_nchw01: Tensor, region: StyledRegion, size_hw_px: tuple[int, int], style_scale: float = 1.0
) -> Pictures:
    """Bring a region and its painting to one scale; see `build_canvas`."""
    small = torch.from_numpy(resize_hw01(region.alpha_hw01, size_hw_px)).to(own_photo_nchw01)
    bordered = with_border(small, "constant")
    crop = crop_around(bordered)
    alpha = bordered[crop.here].contiguous()
    photo = with_border(resize_nchw01(own_photo_nchw01, size_hw_px))[crop.here]
    return Pictures(crop, alpha, *region.pictures(photo, alpha, size_hw_px, style_scale))


def build_canvas(
    vgg: Vgg, own_photo_nchw01: Tensor, region: StyledRegion, size_hw_px: tuple[int, int], settings: Settings
) -> Canvas:
    """Bring a region to one scale and build its loss.

    Args:
        vgg: The network.
        own_photo_nchw01: (1, 3, H, W) at the photo's size, as `own_photo` returns it.
        region: What to restyle, at the photo's size.
        size_hw_px: Height and width of this scale.
        settings: Style scale, pooling, precision, tiles, total variation and seed are used.

    Returns:
        The canvas.

    Raises:
        MaskError: If the region keeps no style layer at this scale.
    """
    pictures = pictures_at(own_photo_nchw01, region, size_hw_px, settings.style_scale)
    alpha, learned = pictures.alpha_hw01, pictures.learned_hw01
    weights, content = region.choice.style_weights, region.choice.content_layer
    precision = resolve_precision(settings.precision, alpha.device)
    kept = [content] if region.held_hw01 is None else [content, HELD_LAYER]
    network = FrozenPass(vgg, [*weights, *kept], settings.pooling, precision)
    parts, masks = ({name: pool_mask(each, layer(name)) for name in weights} for each in (learned, alpha))
    style = survey(network, pictures.painting_nchw01, parts, tile_px=settings.tile_px)
    own = survey(network, pictures.draft_nchw01, {}, kept, tile_px=settings.tile_px)
    reasons = {name: _unusable(style.moments[name], own.energies[name], masks[name], parts[name]) for name in weights}
    dropped = {name: reason for name, reason in reasons.items() if reason}
    decayed = {name: weights[name] * BLOCK_DECAY ** (layer(name).block - 1) for name in weights if name not in dropped}
    if not decayed:
        told = "; ".join(f"{name}: {reason}" for name, reason in dropped.items())
        raise MaskError(
            f"The {region.name} is too small to carry a style ({told}). Use a larger --size or another region."
        )
    terms: list[Term] = [
        StyleLoss(name, style.moments[name], masks[name], weight / sum(decayed.values()))
        for name, weight in decayed.items()
    ]
    held = ContentLoss(content, own.maps[content], pool_mask(alpha, layer(content)), CONTENT_SHARE / region.strength)
    if held.energy > VANISHING * own.energies[content]:
        terms.append(held)
    else:
        dropped[content] = "the photo's region leaves the content layer silent"
    if region.held_hw01 is not None:
        where = with_border(torch.from_numpy(resize_hw01(region.held_hw01, size_hw_px)).to(alpha), "constant")
        terms += _held(own, where[pictures.crop.here] * alpha, alpha, region.strength)
    if settings.total_variation > 0:
        terms.append(TotalVariation(alpha, settings.total_variation))
    tile_px = settings.tile_px if worth_tiles((alpha.shape[0], alpha.shape[1]), settings.tile_px) else 0
    loss = region_loss(vgg, terms, float(alpha.sum()), settings.pooling, precision, tile_px)
    begin = partial(_start, pictures, region.strength, settings)
    return Canvas(pictures.crop, alpha, begin, pictures.painting_nchw01, learned, loss, dropped)


def _held(own: Survey, held_hw01: Tensor, alpha_hw01: Tensor, strength: float) -> list[Term]:
    """What holds a part of the region; its pull on a pixel is the same for a small part and a large one."""
    share = float(held_hw01.sum() / alpha_hw01.sum())
    mask = pool_mask(held_hw01, layer(HELD_LAYER))
    term = ContentLoss(HELD_LAYER, own.maps[HELD_LAYER], mask, HELD_SHARE * share / strength, "held")
    return [term] if term.energy > VANISHING * own.energies[HELD_LAYER] else []


def _start(pictures: Pictures, strength: float, settings: Settings) -> Tensor:
    draft = pictures.draft_nchw01
    if settings.start == "photo":
        return draft
    if settings.start == "instant":
        from stylize.feedforward.painting import instant_painter

        return instant_painter(draft.device, settings.precision).restyle(pictures, strength, settings.tile_px)
    generator = torch.Generator().manual_seed(settings.seed)
    return torch.rand(draft.shape, generator=generator).to(draft)


def crop_around(alpha_hw01: Tensor) -> Crop:
    """Bounding box of a region plus the margin, on the coarsest pool's grid, within the picture."""
    height, width = alpha_hw01.shape
    rows, columns = np.nonzero(alpha_hw01.cpu().numpy())
    if not len(rows):
        raise MaskError(f"The region vanishes at {width}x{height} px. Use a larger --size or another region.")
    return Crop(
        max(0, (int(rows.min()) - MARGIN_PX) // GRID_PX * GRID_PX),
        max(0, (int(columns.min()) - MARGIN_PX) // GRID_PX * GRID_PX),
        min(height, -(-(int(rows.max()) + 1 + MARGIN_PX) // GRID_PX) * GRID_PX),
        min(width, -(-(int(columns.max()) + 1 + MARGIN_PX) // GRID_PX) * GRID_PX),
    )


def _unusable(style: Moments, own_energy: float, mask_hw01: Tensor, learned_hw01: Tensor) -> str | None:
    """Why a layer cannot carry style here, if it cannot."""
    for whose, mask in (("region", mask_hw01), ("painting", learned_hw01)):
        cells = effective_cells(mask)
        if cells < MIN_EFFECTIVE_CELLS:
            return f"the {whose} has {cells:.0f} cells there, {MIN_EFFECTIVE_CELLS} needed"
    mean, covariance = style
    if float(learned_hw01.sum() * (mean.square().sum() + covariance.trace())) <= VANISHING * own_energy:
        return "the painting leaves the layer silent"
    return None
