"""One set of rulers for every way: how far a picture is from a painting and from a photo.

Each way's own loss has its own units, so none of them is a ruler. Read are: relative Gram distances at every ReLU
layer, also where nobody optimised; covariances in other networks, which no loss contains (random filters describe
textures well: Ustyuzhaninov et al. 2017, "What does it take to generate natural textures?"); the distance of patches;
the distance to the photo at the content layer; and the correlation of edge strength with the photo.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from interp.network.layer_names import RELU_NAMES, layer
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.colour import LUMA_RGB
from interp.pictures.sizes import fit_painting_nchw01, resize_nchw01
from interp.statistics.gram import region_gram, region_moments, relative_distance
from interp.statistics.layers import FIXED_CONTENT
from interp.statistics.regions import layer_mask, layer_regions, pool_mask, region_depth_px
from stylize.canvas import Scene
from stylize.fill import without_border
from stylize.patches import patch_distance, patch_quantiles

JUDGE_SEED = 20161  # of the random judge's filters; unlike the default 0 of `--weights random`
JUDGE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # relu5_1 leaves most regions no cell
RANDOM_NETWORK = "random-network"
NO_EDGES = 1e-6  # standard deviation of the edge strength below which it is rounding: a flat picture has no edges
EDGE_SIGMA_PX = 1.5  # of the Gaussian before Sobel: strokes finer than that are no edge of the photo


@dataclass(frozen=True)
class Reading:
    """What the rulers say of one picture; NaN where the region is too small for one.

    Attributes:
        gram: |G - G*|² / |G*|² to the painting at every ReLU layer that holds enough of the region.
        judges: Mean over layers of |C - C*|² / |C*|² to the painting, covariances, by the judging network's name.
        patches: Distance of patches to the painting's, in units of its standard deviation.
        content: |F - F*|² / |F*|² to the photo at the content layer inside the region.
        edges_kept: Correlation of edge strength with the photo's inside the region.
    """

    gram: dict[str, float]
    judges: dict[str, float]
    patches: float
    content: float
    edges_kept: float

    def mean_gram(self, layers: Iterable[str]) -> float:
        """Mean distance over those of `layers` that were measured; NaN if none was."""
        found = [self.gram[name] for name in layers if name in self.gram]
        return float(np.mean(found)) if found else float("nan")


class Rulers:
    """The rulers for one photo, painting and region.

    Args:
        vgg: The network of the Gram and content distances.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1], at the size to read at.
        alpha_hw01: (H, W) float32 region.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], at the size to compare with.
        learned_hw01: (h, w), the part of the painting that counts; None for all of it.
        content_layer: Where to compare with the photo.
        judges: Other networks by name, on the CPU.

    Attributes:
        layers: The ReLU layers that are measured.
        photo: The reading of the photo itself: one end of every ruler.
        painting: That of the painting itself, laid over the photo: the other end.
    """

    def __init__(
        self,
        vgg: Vgg,
        photo_nchw01: Tensor,
        alpha_hw01: np.ndarray,
        painting_nchw01: Tensor,
        learned_hw01: Tensor | None = None,
        *,
        content_layer: str = FIXED_CONTENT,
        judges: Mapping[str, Vgg] | None = None,
    ) -> None:
        self.vgg, self.content_layer, self.alpha_hw01 = vgg, content_layer, alpha_hw01
        painting = painting_nchw01.to(photo_nchw01.device)
        learned = torch.ones(painting.shape[-2:]) if learned_hw01 is None else learned_hw01.cpu()
        self.masks = _masks(alpha_hw01, RELU_NAMES, photo_nchw01.device)
        self.layers = tuple(self.masks)
        self.content_mask = layer_mask(alpha_hw01, content_layer).to(photo_nchw01.device)
        parts = {name: pool_mask(learned, layer(name)).to(painting.device) for name in self.layers}
        self.targets, _ = _seen(vgg, painting, parts)
        grams, self.content = _seen(vgg, photo_nchw01, self.masks, content_layer)
        self.judges = {
            name: NetworkJudge(net, alpha_hw01, painting.cpu(), learned) for name, net in (judges or {}).items()
        }
        self.bands = patch_quantiles(painting.cpu(), learned)
        self.sure_hw = region_depth_px(alpha_hw01) > 4 * EDGE_SIGMA_PX  # SciPy cuts the Gaussian there
        self.edges = edge_strength_hw(photo_nchw01)
        self.photo = self._reading(photo_nchw01, grams, self.content)
        self.painting = self.read(resize_nchw01(painting, (photo_nchw01.shape[-2], photo_nchw01.shape[-1])))

    def read(self, picture_nchw01: Tensor) -> Reading:
        """Read a (1, 3, H, W) RGB picture in [0, 1] of the photo's size."""
        return self._reading(picture_nchw01, *_seen(self.vgg, picture_nchw01, self.masks, self.content_layer))

    def _reading(self, picture_nchw01: Tensor, grams: Mapping[str, Tensor], content: Tensor) -> Reading:
        alpha, local = torch.from_numpy(self.alpha_hw01), picture_nchw01.cpu()
        return Reading(
            {name: float(relative_distance(gram, self.targets[name])) for name, gram in grams.items()},
            {name: judge.distance(local) for name, judge in self.judges.items()},
            patch_distance(patch_quantiles(local, alpha), self.bands),
            float(content_distance(content, self.content, self.content_mask)),
            _correlation(edge_strength_hw(local)[self.sure_hw], self.edges[self.sure_hw]),
        )


def rulers_for(
    vgg: Vgg, photo_nchw01: Tensor, alpha_hw01: np.ndarray, painting_nchw01: Tensor, judges: Mapping[str, Vgg]
) -> Rulers:
    """Rulers alike for every way: the painting is brought to the photo's area, unstretched, whatever a recipe does."""
    size = photo_nchw01.shape[-2], photo_nchw01.shape[-1]
    return Rulers(vgg, photo_nchw01, alpha_hw01, fit_painting_nchw01(painting_nchw01, size), judges=judges)


def rulers_of(vgg: Vgg, scene: Scene, number: int) -> Rulers:
    """Rulers of one region of a scene: photo and painting as they were prepared for it."""
    canvas = scene.canvases[number]
    return Rulers(
        vgg,
        scene.photo_nchw01,
        scene.alphas_rhw01[number].cpu().numpy(),
        without_border(canvas.painting_nchw01),
        without_border(canvas.learned_hw01),
        content_layer=scene.regions[number].choice.content_layer,
    )


def random_judge() -> dict[str, Vgg]:
    """A differently drawn random network, as a judge."""
    return {RANDOM_NETWORK: load_vgg("random", seed=JUDGE_SEED)}


class NetworkJudge:
    """The distance of covariances in a network that nobody optimised with.

    Centred: a random network's Grams are nearly rank one, all mean and no texture.

    Args:
        net: Its activations are compared.
        alpha_hw01: (H, W) float32 region.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1].
        learned_hw01: (h, w), the part of the painting that counts.
    """

    def __init__(self, net: Vgg, alpha_hw01: np.ndarray, painting_nchw01: Tensor, learned_hw01: Tensor) -> None:
        self.net, self.masks = net, _masks(alpha_hw01, JUDGE_LAYERS, painting_nchw01.device)
        learned = {name: pool_mask(learned_hw01, layer(name)) for name in self.masks}
        self.targets = self._covariances(painting_nchw01, learned)

    def distance(self, picture_nchw01: Tensor) -> float:
        """Mean over the layers; NaN where the region is too small."""
        own = self._covariances(picture_nchw01, self.masks)
        distances = [float(relative_distance(own[name], target)) for name, target in self.targets.items()]
        return float(np.mean(distances)) if distances else float("nan")

    def _covariances(self, image_nchw01: Tensor, masks: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            maps = self.net.activations(image_nchw01, list(masks)) if masks else {}
            return {name: region_moments(maps[name], mask)[1] for name, mask in masks.items()}


def _seen(
    vgg: Vgg, picture_nchw01: Tensor, masks: Mapping[str, Tensor], content_layer: str = ""
) -> tuple[dict[str, Tensor], Tensor]:
    """Each layer's Gram matrix under its mask, and the values at the content layer; no two other layers are held."""
    grams, content = dict[str, Tensor](), torch.empty(0)
    names = {*masks, content_layer} - {""}
    with torch.no_grad():
        for name, values in vgg.stream(picture_nchw01, [*names]) if names else ():
            if name in masks:
                grams[name] = region_gram(values, masks[name])
            if name == content_layer:
                content = values
    return grams, content


def content_distance(maps_nchw: Tensor, photo_nchw: Tensor, mask_hw01: Tensor) -> Tensor:
    """Relative squared distance |F - F*|² / |F*|² of a layer's values to the photo's under a mask; 0 is the photo."""
    return ((maps_nchw - photo_nchw).square() * mask_hw01).sum() / (photo_nchw.square() * mask_hw01).sum()


def edge_strength_hw(image_nchw01: Tensor) -> np.ndarray:
    """Gradient magnitude of the blurred luma, (H, W) float32."""
    luma = np.tensordot(np.array(LUMA_RGB, np.float32), image_nchw01[0].cpu().numpy(), 1)
    return ndimage.gaussian_gradient_magnitude(luma, EDGE_SIGMA_PX).astype(np.float32)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    flat = first.size < 2 or min(first.std(), second.std()) < NO_EDGES
    return float("nan") if flat else float(np.corrcoef(first, second)[0, 1])


def _masks(alpha_hw01: np.ndarray, layers: Iterable[str], device: torch.device) -> dict[str, Tensor]:
    """The eroded region on the grid of each layer that holds enough of it."""
    parts = layer_regions(alpha_hw01, list(layers))
    return {name: part.mask_hw01.to(device) for name, part in parts.items() if part.usable}
