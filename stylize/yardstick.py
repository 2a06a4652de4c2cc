"""Judges that no optimisation used: how near a result is to the painting, and how much of the photo is left.

Three figures, none of which the loss contains: covariances in a differently drawn random network (random filters
describe textures well: Ustyuzhaninov et al. 2017, "What does it take to generate natural textures?"), the sliced
Wasserstein distance of patches (Rabin et al. 2012; over a Laplacian pyramid as in Karras et al. 2018, section 5), and
the correlation of edge strength with the photo.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.colour import LUMA_RGB
from interp.pictures.sizes import fit_painting_nchw01
from interp.statistics.gram import region_gram, relative_distance
from interp.statistics.regions import edge_distance_px, layer_regions

JUDGE_SEED = 20161  # of the judge's filters; unlike the default 0 of `--weights random`
JUDGE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # relu5_1 leaves most regions no cell
PATCH_PX, PYRAMID_LEVELS, DIRECTIONS = 7, 3, 128  # Karras et al. 2018, section 5: 7x7 patches
MAX_PATCHES, QUANTILES = 8192, 256
EDGE_SIGMA_PX = 1.5  # of the Gaussian before Sobel: strokes finer than that are no edge of the photo


@dataclass(frozen=True)
class Marks:
    """What the judges say of one result.

    Attributes:
        style_gram: Mean over layers of |C - C*|² / |C*|², covariances of a random network; 0 is the painting's.
        patches: Sliced 1-Wasserstein distance of patches in units of the painting's standard deviation; 0 is the same.
        edges_kept: Correlation of edge strength with the photo's inside the region; 1 is the photo's.
    """

    style_gram: float
    patches: float
    edges_kept: float


class Yardstick:
    """Judges of one photo, painting and region.

    Args:
        photo_nchw01: (1, 3, H, W) RGB in [0, 1], at the size to judge at.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], any size; brought to the photo's area.
        alpha_hw01: (H, W) float32 region; None for the whole picture.
        style_scale: As given to `stylize`.
        seed: Of the random network, the patches and the directions.
    """

    def __init__(
        self,
        photo_nchw01: Tensor,
        painting_nchw01: Tensor,
        alpha_hw01: np.ndarray | None = None,
        style_scale: float = 1.0,
        seed: int = JUDGE_SEED,
    ) -> None:
        size = photo_nchw01.shape[-2], photo_nchw01.shape[-1]
        painting = fit_painting_nchw01(painting_nchw01.cpu(), size, style_scale)  # judges work on the CPU
        self.alpha_hw01 = np.ones(size, np.float32) if alpha_hw01 is None else alpha_hw01
        self.seed = seed
        self.vgg: Vgg = load_vgg("random", seed=seed)
        regions = layer_regions(self.alpha_hw01, list(JUDGE_LAYERS))
        self.masks = {name: part.mask_hw01 for name, part in regions.items() if part.usable}
        self.covariances = self._covariances(painting, dict.fromkeys(self.masks))
        self.bands = self._patches(painting, np.ones(painting.shape[-2:], np.float32))
        self.sure_hw = edge_distance_px(self.alpha_hw01) > 4 * EDGE_SIGMA_PX  # SciPy cuts the Gaussian there
        self.edges = edge_strength_hw(photo_nchw01)

    def mark(self, result_nchw01: Tensor) -> Marks:
        """Judge a result.

        Args:
            result_nchw01: (1, 3, H, W) RGB in [0, 1], the photo's size.

        Returns:
            The three figures; NaN where the region is too small for one.
        """
        result_nchw01 = result_nchw01.cpu()
        covariances = self._covariances(result_nchw01, self.masks)
        distances = [float(relative_distance(covariances[name], self.covariances[name])) for name in self.masks]
        bands = self._patches(result_nchw01, self.alpha_hw01)
        patches = [
            float((own - target).abs().mean() / target.std())
            for own, target in zip(bands, self.bands, strict=True)
            if own is not None and target is not None
        ]
        ours, theirs = edge_strength_hw(result_nchw01)[self.sure_hw], self.edges[self.sure_hw]
        flat = ours.size < 2 or ours.std() == 0 or theirs.std() == 0
        return Marks(
            style_gram=float(np.mean(distances)) if distances else float("nan"),
            patches=float(np.mean(patches)) if patches else float("nan"),
            edges_kept=float("nan") if flat else float(np.corrcoef(ours, theirs)[0, 1]),
        )

    def _covariances(self, image_nchw01: Tensor, masks: dict[str, Tensor] | dict[str, None]) -> dict[str, Tensor]:
        """Centred: a random network's Grams are nearly rank one, all mean and no texture."""
        with torch.no_grad():
            maps = self.vgg.activations(image_nchw01, list(masks)) if masks else {}
            return {name: _covariance(maps[name], mask) for name, mask in masks.items()}

    def _patches(self, image_nchw01: Tensor, alpha_hw01: np.ndarray) -> list[Tensor | None]:
        """Quantiles (directions, 256) of the projected patches inside a region, for each band of the pyramid."""
        generator = torch.Generator().manual_seed(self.seed)
        alpha = torch.from_numpy(alpha_hw01)[None, None]
        bands: list[Tensor | None] = []
        for band in laplacian_pyramid(image_nchw01, PYRAMID_LEVELS):
            directions = torch.randn(DIRECTIONS, 3 * PATCH_PX**2, generator=generator)
            directions /= directions.norm(dim=1, keepdim=True)
            covered = F.adaptive_avg_pool2d(alpha, (band.shape[-2], band.shape[-1]))
            inside = -F.max_pool2d(-covered, PATCH_PX, 1)  # smallest alpha under each patch
            where = torch.nonzero(inside.flatten() > 0.999)[:, 0]
            if len(where) < QUANTILES:
                bands.append(None)
                continue
            chosen = where[torch.randperm(len(where), generator=generator)[:MAX_PATCHES]]
            patches = F.unfold(band, PATCH_PX)[0][:, chosen]  # (147, patches)
            quantiles = torch.linspace(0, 1, QUANTILES + 2)[1:-1]
            bands.append(torch.quantile(directions @ patches, quantiles, dim=1).T)
        return bands


def laplacian_pyramid(image_nchw01: Tensor, levels: int) -> list[Tensor]:
    """Split an image into band-pass images, fine to coarse, and the blurred rest (Burt & Adelson 1983).

    Args:
        image_nchw01: (1, 3, H, W).
        levels: Number of images in all.

    Returns:
        Images of halving size; each enlarged and added to the next finer one, they give the image back.
    """
    bands = []
    for _ in range(levels - 1):
        coarse = F.avg_pool2d(image_nchw01, 2, ceil_mode=True)
        bands.append(image_nchw01 - F.interpolate(coarse, size=image_nchw01.shape[-2:], mode="bilinear"))
        image_nchw01 = coarse
    return [*bands, image_nchw01]


def edge_strength_hw(image_nchw01: Tensor) -> np.ndarray:
    """Gradient magnitude of the blurred luma, (H, W) float32."""
    luma = np.tensordot(np.array(LUMA_RGB, np.float32), image_nchw01[0].cpu().numpy(), 1)
    return ndimage.gaussian_gradient_magnitude(luma, EDGE_SIGMA_PX).astype(np.float32)


def _covariance(maps_nchw: Tensor, mask_hw01: Tensor | None) -> Tensor:
    weights = torch.ones(maps_nchw.shape[-2:]) if mask_hw01 is None else mask_hw01
    mean = (maps_nchw * weights).sum((2, 3), keepdim=True) / weights.sum()
    return region_gram(maps_nchw - mean, mask_hw01)
