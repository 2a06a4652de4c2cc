"""One scale of the job: photo and regions at that size, cut to what matters, with each region's loss.

Work follows the region: the picture is cut to the regions' bounding box plus the pixels that the losses' cells see
beyond it, aligned so that the network's pools fall on the same grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from interp.colour import match_colour
from interp.errors import MaskError, UsageError, unknown_name
from interp.gram import region_gram
from interp.layer_names import layer
from interp.layers import LayerChoice
from interp.regions import MIN_EFFECTIVE_CELLS, LayerRegion, content_mask, layer_regions
from interp.sizes import fit_painting_nchw01, resize_hw01, resize_nchw01
from interp.vgg import Vgg
from stylize.losses import CONTENT_SHARE, ContentLoss, RegionLoss, StyleLoss, Term, TotalVariation
from stylize.presets import COLOURS, Settings

GRID_PX = 16  # the coarsest stride in use: cutting at its multiples leaves every pool's grid unchanged
VANISHING = 1e-12  # of the photo's own energy: a target below it cannot be matched relatively
EQUALISE_FLOOR = 0.01  # of the largest gradient norm: a nearly flat layer is not blown up without bound
EQUALISE_NOISE = 0.1  # at the photo itself the gradient is that of a corner case


@dataclass(frozen=True)
class StyledRegion:
    """What to restyle, and how.

    Attributes:
        alpha_hw01: (H, W) float32, the region at the photo's size, multiples of 1/255.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], any size.
        choice: Style and content layers.
        strength: Weight of style against content; 1 is balanced, larger is more painting.
        colour: `none` takes the painting's colours; `match` recolours the painting to the photo's region first;
            `luminance` keeps the photo's colours and takes the painting's light and dark.
    """

    alpha_hw01: np.ndarray = field(repr=False)
    painting_nchw01: Tensor = field(repr=False)
    choice: LayerChoice
    strength: float = 1.0
    colour: str = "none"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.strength) and self.strength > 0):
            raise UsageError(f"Strength {self.strength}; expected a number above 0.")
        if self.colour not in COLOURS:
            raise unknown_name("colour policy", self.colour, COLOURS)
        if not (self.alpha_hw01 > 0).any():
            raise MaskError("The region is empty: no pixel to restyle. Give another prompt, box or mask.")

    def target_nchw01(self, photo_nchw01: Tensor, alpha_hw01: np.ndarray, style_scale: float) -> Tensor:
        """The painting as it is to be learned from beside a photo: sized, and recoloured where colours are matched.

        Args:
            photo_nchw01: (1, 3, H, W) at the working size.
            alpha_hw01: (H, W), the region at that size.
            style_scale: Size of the strokes.

        Returns:
            (1, 3, h, w) in [0, 1], on the photo's device.
        """
        size = photo_nchw01.shape[-2], photo_nchw01.shape[-1]
        painting = fit_painting_nchw01(self.painting_nchw01.to(photo_nchw01.device), size, style_scale)
        if self.colour != "match":
            return painting
        return match_colour(painting, photo_nchw01, target_alpha_hw01=torch.from_numpy(alpha_hw01))


@dataclass(frozen=True)
class Crop:
    """A rectangle of the picture in pixels, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, values: Tensor) -> Tensor:
        """The part of (…, H, W) under the rectangle."""
        return values[..., self.top : self.bottom, self.left : self.right]

    def of_layer(self, values: Tensor, name: str) -> Tensor:
        """The part of (…, h, w) on a layer's grid under the rectangle."""
        stride = layer(name).stride_px
        return values[..., self.top // stride : self.bottom // stride, self.left // stride : self.right // stride]


@dataclass(frozen=True)
class Scene:
    """One scale, ready to optimise.

    Attributes:
        photo_nchw01: (1, 3, H, W), the whole photo at this scale.
        alphas_rhw01: (R, H, W), the regions at this scale.
        crop: The part that is optimised.
        losses: One a region, on the crop.
        layers: Layers that the losses need.
        region_layers: For each region its style layers on the crop's grid.
        dropped: Layers left out at this scale, with the reason, for each region.
    """

    photo_nchw01: Tensor
    alphas_rhw01: Tensor
    crop: Crop
    losses: tuple[RegionLoss, ...]
    layers: tuple[str, ...]
    region_layers: tuple[dict[str, LayerRegion], ...]
    dropped: tuple[dict[str, str], ...]

    def composite(self, restyled_rchw: Tensor) -> Tensor:
        """(1 - sum α) photo + sum α y on the crop; what the network looks at.

        Args:
            restyled_rchw: (R, 3, h, w), one image a region, at the crop's size.

        Returns:
            (1, 3, h, w).
        """
        alphas = self.crop.of(self.alphas_rhw01)[:, None]
        return self.crop.of(self.photo_nchw01) * (1 - alphas.sum(0)) + (alphas * restyled_rchw).sum(0, keepdim=True)


def build_scene(
    vgg: Vgg, photo_nchw01: Tensor, regions: Sequence[StyledRegion], size_hw_px: tuple[int, int], settings: Settings
) -> Scene:
    """Bring everything to one scale and build the losses.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) at the photo's own size.
        regions: At the photo's own size; their alphas may not sum above 1.
        size_hw_px: Height and width of this scale.
        settings: Style scale, total variation and seed are used.

    Returns:
        The scene.

    Raises:
        MaskError: If a region keeps no style layer at this scale.
    """
    photo = resize_nchw01(photo_nchw01, size_hw_px)
    alphas = [resize_hw01(region.alpha_hw01, size_hw_px) for region in regions]
    eroded = [
        layer_regions(alpha, list(region.choice.style_weights)) for alpha, region in zip(alphas, regions, strict=True)
    ]
    crop = _crop(alphas, regions, eroded)
    losses, kept, dropped = [], [], []
    for region, alpha, parts in zip(regions, alphas, eroded, strict=True):
        terms, left_out = _terms(vgg, photo, crop, alpha, region, parts, settings)
        losses.append(RegionLoss(terms, float(alpha.sum())).to(photo.device))
        kept.append({name: part for name, part in parts.items() if name not in left_out})
        dropped.append(left_out)
    layers = sorted({term.layer for loss in losses for term in loss.terms if not isinstance(term, TotalVariation)})
    stacked = torch.from_numpy(np.stack(alphas)).to(photo.device)
    scene = Scene(photo, stacked, crop, tuple(losses), tuple(layers), tuple(kept), tuple(dropped))
    equalise(vgg, scene, settings.seed)
    return scene


def equalise(vgg: Vgg, scene: Scene, seed: int) -> None:
    """Divide each style weight by its layer's gradient norm, so that a weight says how hard a layer pulls.

    w_l becomes proportional to w_l / max(g_l, 0.01 max g), sum 1, with g_l = |dD_l / dx| at photo + 0.1 N(0, 1).
    """
    noise = torch.randn(scene.photo_nchw01.shape, generator=torch.Generator().manual_seed(seed))
    start = (scene.photo_nchw01 + EQUALISE_NOISE * noise.to(scene.photo_nchw01)).contiguous()
    image = scene.crop.of(start).clone().requires_grad_()
    features = vgg.activations(image, scene.layers)
    alphas = scene.crop.of(scene.alphas_rhw01)
    for loss, alpha in zip(scene.losses, alphas, strict=True):
        terms = [term for term in loss.terms if isinstance(term, StyleLoss)]
        norms = []
        for term in terms:
            (gradient,) = torch.autograd.grad(term(features, image), image, retain_graph=True)
            norms.append(float((gradient * alpha).norm()))
        floor = max(EQUALISE_FLOOR * max(norms), 1e-30)
        weights = [term.weight / max(norm, floor) for term, norm in zip(terms, norms, strict=True)]
        for term, weight in zip(terms, weights, strict=True):
            term.weight = weight / sum(weights)


def _crop(
    alphas: Sequence[np.ndarray], regions: Sequence[StyledRegion], eroded: Sequence[dict[str, LayerRegion]]
) -> Crop:
    """Bounding box of all regions plus what their losses' cells see beyond it, on the coarsest pool's grid."""
    height, width = alphas[0].shape
    rows, columns = np.nonzero(np.max(alphas, axis=0) > 0)
    if not len(rows):
        raise MaskError(f"The region vanishes at {width}x{height} px. Use a larger --size or another region.")
    margin = max(layer(region.choice.content_layer).reach_px for region in regions)
    for parts in eroded:
        for name, part in parts.items():  # fully eroded cells see nothing but the region
            margin = max(margin, layer(name).stride_px if part.fully_eroded else layer(name).reach_px)
    return Crop(
        max(0, (int(rows.min()) - margin) // GRID_PX * GRID_PX),
        max(0, (int(columns.min()) - margin) // GRID_PX * GRID_PX),
        min(height, -(-(int(rows.max()) + 1 + margin) // GRID_PX) * GRID_PX),
        min(width, -(-(int(columns.max()) + 1 + margin) // GRID_PX) * GRID_PX),
    )


def _terms(
    vgg: Vgg,
    photo_nchw01: Tensor,
    crop: Crop,
    alpha_hw01: np.ndarray,
    region: StyledRegion,
    parts: dict[str, LayerRegion],
    settings: Settings,
) -> tuple[list[Term], dict[str, str]]:
    """Build a region's terms on the crop; leave out layers that hold too little of it, and say why."""
    painting = region.target_nchw01(photo_nchw01, alpha_hw01, settings.style_scale)
    names, content = list(parts), region.choice.content_layer
    with torch.no_grad():
        style = vgg.activations(painting, names)
        photo = vgg.activations(crop.of(photo_nchw01), [*names, content] if content not in names else names)
    terms: list[Term] = []
    dropped: dict[str, str] = {}
    for name, part in parts.items():
        target, own = region_gram(style[name]), region_gram(photo[name])
        if not part.usable:
            dropped[name] = (
                f"{part.effective_cells:.0f} cells of the region are free of its surroundings; "
                f"{MIN_EFFECTIVE_CELLS} needed"
            )
        elif float(target.norm()) ** 2 <= VANISHING * float(own.norm()) ** 2:
            dropped[name] = "the painting leaves the layer silent"
        else:
            terms.append(
                StyleLoss(name, target, crop.of_layer(part.mask_hw01, name), region.choice.style_weights[name])
            )
    if not terms:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in dropped.items())
        raise MaskError(f"The region is too small or thin to carry a style ({reasons}). Use a larger --size or region.")
    mask = crop.of_layer(content_mask(alpha_hw01, content), content).to(photo_nchw01.device)
    term = ContentLoss(content, photo[content], mask, CONTENT_SHARE / region.strength)
    if term.energy > VANISHING * float(photo[content].square().sum()):
        terms.append(term)
    else:
        dropped[content] = "the photo's region leaves the content layer silent"
    if settings.total_variation > 0:
        terms.append(TotalVariation(crop.of(torch.from_numpy(alpha_hw01)), settings.total_variation))
    return terms, dropped
