"""Does a map depend on what the network has learnt? Layers lose their weights, and the maps are compared.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3: a map that survives random weights shows the
picture, not the network. Of the three similarities the rank correlation decides. SSIM passes nothing on its own: it
gave guided backprop .88 on a fully random Inception-v3, where the rank correlation was .12.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from interp.attribution.methods import attribute
from interp.attribution.saliency import SaliencyMap
from interp.attribution.targets import Scored, Target
from interp.network.classify import Classifier
from interp.network.layer_names import LAYERS
from interp.network.vgg import Vgg

CLIPPED_PERCENTILE = 99  # of a map, before it is compared by SSIM or HOG (Adebayo's notebooks)
HOG_CELL_SHARE = 16 / 299  # Adebayo's 16-px cells on Inception's 299-px pictures
MAX_STAGES = 24  # of a cascade; deeper networks are randomised several layers at a time

OnStage = Callable[[int, int], None]


@dataclass(frozen=True)
class Similarity:
    """How much a map is like the original one; 1 where it is the same.

    Attributes:
        rank: Spearman's correlation over all pixels.
        ssim: Structural similarity of the maps from 0 to 1, Gaussian weights (Wang et al. 2004).
        hog: Spearman's correlation of their histograms of oriented gradients.
    """

    rank: float
    ssim: float
    hog: float


@dataclass(frozen=True)
class Cascade:
    """A map while more and more layers, from the top down, get random weights.

    Attributes:
        layers: The last layer randomised at each stage, top first.
        similarities: To the original map, mean over the draws.
        heats_khw: The map of the first draw at each stage, (stages, h, w) float32.
        draws: How many times each stage was drawn.
    """

    layers: tuple[str, ...]
    similarities: tuple[Similarity, ...]
    heats_khw: np.ndarray = field(repr=False)
    draws: int


def cascade(
    classifier: Classifier, saliency: SaliencyMap, *, seed: int, draws: int, on_stage: OnStage | None = None
) -> Cascade:
    """Randomise the layers one after the other from the top down, and repeat the map at each stage.

    Every parameter tensor is drawn anew from N(0, its own mean square), each layer from a generator of its own seeded
    by (seed, draw, layer): a layer keeps its draw when the next one follows. The target stays.

    Args:
        classifier: The network the map was made with; it is copied.
        saliency: The map, with the picture it was made from.
        seed: Of the draws.
        draws: How many cascades to average.
        on_stage: Called after each stage with their number so far and in all.

    Returns:
        One stage for each layer with parameters, at most 24; of VGG-19 none above a target that is a layer.
    """
    target = saliency.target
    original = np.abs(saliency.heat_hw)
    names = [name for name, _ in parameter_layers(classifier, target.layer)]
    stops = sorted({round(stop) for stop in np.linspace(1, len(names), min(len(names), MAX_STAGES))})
    measured, heats = [], []
    for draw in range(draws):
        victim, done = copy.deepcopy(classifier), 0
        parts = [modules for _, modules in parameter_layers(victim, target.layer)]
        for stop in stops:
            for place in range(done, stop):
                randomise(parts[place], seed, draw, place)
            done = stop
            heat = heat_again(victim, saliency, target)
            measured.append(similarity(original, heat))
            if on_stage:
                on_stage(len(measured), draws * len(stops))
            if draw == 0:
                heats.append(heat)
    table = np.array([(entry.rank, entry.ssim, entry.hog) for entry in measured]).reshape(draws, len(stops), 3)
    means = tuple(Similarity(*(float(value) for value in row)) for row in table.mean(axis=0))
    return Cascade(tuple(names[stop - 1] for stop in stops), means, np.stack(heats), draws)


def parameter_layers(classifier: Classifier, target_layer: str = "") -> list[tuple[str, list[nn.Module]]]:
    """The layers with parameters, the logits' first, each with the normalisation that follows it.

    Args:
        classifier: The network.
        target_layer: Of VGG-19, the layer above which nothing is listed; empty for none.
    """
    layers: list[tuple[str, list[nn.Module]]] = []
    for path, module in classifier.named_modules():
        own = list(module.parameters(recurse=False))
        if own and layers and all(values.ndim == 1 for values in own):  # a normalisation's gain and shift
            layers[-1][1].append(module)
        elif own:
            layers.append((classifier.label(path), [module]))
    if isinstance(classifier, Vgg) and target_layer:
        last = LAYERS[target_layer].index
        layers = [(name, modules) for name, modules in layers if name in LAYERS and LAYERS[name].index <= last]
    return layers[::-1]


def randomise(modules: list[nn.Module], *seeds: int) -> None:
    """Draw every parameter tensor anew from N(0, its own mean square), in place."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))
    with torch.no_grad():
        for values in (values for module in modules for values in module.parameters()):
            noise = torch.randn(values.shape, generator=generator).to(values.device)
            values.copy_(noise * values.square().mean().sqrt())


def with_random_head(classifier: Classifier, seed: int) -> Classifier:
    """A copy whose head, all that follows the last grid of features, is drawn anew."""
    victim = copy.deepcopy(classifier)
    if victim.head is not None:
        randomise([victim.head], seed)
    return victim


def heat_again(classifier: Classifier, saliency: SaliencyMap, target: Target) -> np.ndarray:
    """Size of the heat of the same method with another network or target, (h, w)."""
    image = torch.from_numpy(saliency.input_chw01)[None].to(classifier.normalise.mean)
    values = attribute(Scored(classifier, target), image, saliency.method, saliency.options)
    return np.abs(replace(saliency, target=target, map_chw=values[0].cpu().numpy()).heat_hw)


def similarity(first_hw: np.ndarray, second_hw: np.ndarray) -> Similarity:
    """Compare two maps of non-negative values by rank correlation, SSIM and HOG.

    Args:
        first_hw: (h, w).
        second_hw: Same shape.

    Returns:
        The three measures; SSIM and HOG as in Adebayo's notebooks: values clipped at the 99th percentile and
        brought to 0 … 1, a Gaussian window of sigma 1.5; HOG of 9 directions, one cell a block.
    """
    from skimage.feature import hog
    from skimage.metrics import structural_similarity

    first, second = _unit(first_hw), _unit(second_hw)
    ssim: Any = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    cell = max(4, round(HOG_CELL_SHARE * min(first.shape)))
    histograms = [hog(values, 9, (cell, cell), (1, 1)) for values in (first, second)]
    return Similarity(
        rank_correlation(first_hw, second_hw), float(ssim), rank_correlation(histograms[0], histograms[1])
    )


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of two maps over all pixels; 0 if one of them is flat and so ranks nothing."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, the mean where values tie; scipy.stats has them too, and takes a second to import."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place.ravel()]


def edges_hw(image_chw01: np.ndarray) -> np.ndarray:
    """What an edge detector makes of the picture: the size of Sobel's gradient of the luminance (Rec. 601).

    A map that is like this one needs no network.
    """
    from scipy import ndimage

    luminance = np.tensordot([0.299, 0.587, 0.114], image_chw01, axes=1)
    return np.hypot(ndimage.sobel(luminance, 0), ndimage.sobel(luminance, 1)).astype(np.float32)


def _unit(values_hw: np.ndarray) -> np.ndarray:
    clipped = np.minimum(values_hw, np.percentile(values_hw, CLIPPED_PERCENTILE)).astype(np.float64)
    span = np.ptp(clipped)
    return (clipped - clipped.min()) / span if span > 0 else np.zeros_like(clipped)
