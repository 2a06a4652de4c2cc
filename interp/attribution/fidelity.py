"""Insertion and deletion: do the pixels that a map names matter to the class (Petsiuk et al. 2018, "RISE")?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.network.classify import Classifier

BLUR_SIGMA_PX, BLUR_RADIUS_PX = 5.0, 5  # RISE's evaluation.py: an 11-px kernel with sigma 5
PIXELS_PER_BATCH = 70_000  # compact's maps of four times as many fall out of the caches, and take a quarter longer

Score = Callable[[Tensor], Tensor]  # (N, 3, h, w) RGB in [0, 1] -> (N,) probability of the class


@dataclass(frozen=True)
class Perturbation:
    """Insertion and deletion curves of one ranking of the pixels.

    Attributes:
        fractions: Shares of the pixels changed, from 0 to 1, (n,).
        insertion: Score at each share while pixels are inserted, (n,).
        deletion: Score at each share while pixels are deleted, (n,).
    """

    fractions: np.ndarray
    insertion: np.ndarray
    deletion: np.ndarray

    @property
    def margin(self) -> float:
        """Insertion AUC - deletion AUC."""
        return curve_auc(self.fractions, self.insertion) - curve_auc(self.fractions, self.deletion)


def curve_auc(fractions: np.ndarray, scores: np.ndarray) -> float:
    """Area under a curve by the trapezoidal rule.

    With equal steps this is RISE's (sum - first/2 - last/2) / (n - 1).

    Args:
        fractions: (n,) rising from 0 to 1.
        scores: (n,).
    """
    return float(np.trapezoid(scores, fractions))


def ranking(values_hw: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flat pixel indices by falling value; ties in random order, so that a flat map is a random ranking."""
    return np.lexsort((rng.random(values_hw.size), -values_hw.ravel()))


def perturb(score: Score, image: Tensor, start: Tensor, gone: Tensor, order: np.ndarray, steps: int) -> Perturbation:
    """Insert and delete the pixels of an image in a given order.

    Args:
        score: What to follow, batches of images to one number each.
        image: (1, 3, h, w).
        start: Same shape; insertion goes from it to `image`.
        gone: Same shape; deletion goes from `image` to it.
        order: (h * w,) flat pixel indices, the first to change first.
        steps: In how many equal steps.

    Returns:
        Both curves, steps + 1 points each (fewer if there are fewer pixels).
    """
    counts = np.unique(np.round(np.linspace(0, order.size, steps + 1)).astype(np.int64))
    position = np.empty(order.size, dtype=np.int64)
    position[order] = np.arange(order.size)
    changed = torch.from_numpy(position < counts[:, None]).view(-1, 1, *image.shape[-2:]).to(image.device)
    insertion = _scores(score, start, image, changed)
    deletion = _scores(score, image, gone, changed)
    return Perturbation(counts / order.size, insertion, deletion)


def _scores(score: Score, before: Tensor, after: Tensor, changed: Tensor) -> np.ndarray:
    """Score `before` with the `changed` (n, 1, h, w) pixels taken from `after`, in batches of like size."""
    batches = -(-len(changed) // max(1, PIXELS_PER_BATCH // (before.shape[-2] * before.shape[-1])))
    with torch.no_grad():
        parts = [score(torch.where(part, after, before)) for part in changed.chunk(batches)]
    return torch.cat(parts).cpu().double().numpy()


def class_probability(classifier: Classifier, target: int) -> Score:
    """Softmax probability of one class as a function of a batch of images."""

    def score(images_nchw01: Tensor) -> Tensor:
        images_nchw01 = images_nchw01.contiguous(memory_format=torch.channels_last)  # half the time on a CPU
        return torch.softmax(classifier(images_nchw01), dim=1)[:, target]

    return score


def blurred(image_nchw01: Tensor) -> Tensor:
    """The image without detail: Gaussian of sigma 5 px cut at 5 px (RISE's evaluation.py), edges mirrored."""
    from scipy import ndimage  # here, because it takes .15 s to load

    sigmas, radii = (0, 0, BLUR_SIGMA_PX, BLUR_SIGMA_PX), (0, 0, BLUR_RADIUS_PX, BLUR_RADIUS_PX)
    values = ndimage.gaussian_filter(image_nchw01.cpu().numpy(), sigmas, radius=radii, mode="mirror")
    return torch.from_numpy(values).to(image_nchw01.device)
