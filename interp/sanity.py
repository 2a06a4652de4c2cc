"""Is this map to be believed? A verdict by a stated rule, from three short tests.

Insertion and deletion (Petsiuk et al. 2018, "RISE") ask whether the pixels that the map names matter to the
class. A random logit (Sixt et al. 2020, "When Explanations Lie") asks whether the map depends on the class, a
random head (Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3) whether it depends on what the
classifier learnt.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage, stats
from torch import Tensor, nn

from interp.errors import UsageError
from interp.saliency import GUIDED, Attribution, class_name, guided_gradient, magnitude_hw
from interp.sizes import resize_nchw01
from interp.vgg import Vgg

RANDOM = "no better than random"
EDGES = "follows edges, not the class"
CLASS = "follows the class"
NOT_TESTED = "not tested"
METHODS: dict[str, Callable[[nn.Module, Tensor, int], Tensor]] = {GUIDED: guided_gradient}

RANDOM_RANKINGS = 20
SAME_MAP_ABOVE = 0.9  # rank correlation above which two maps count as the same
STEPS = 32  # of each curve
STEPS_LARGE = 8  # where one picture costs more than LARGE_ABOVE: 32 steps would take minutes on two cores
LARGE_ABOVE = 1 << 12  # pixels x width²: 256 for the compact weights, 50,176 for ImageNet's
BLUR_SIGMA_PX, BLUR_RADIUS_PX = 5.0, 5  # RISE's evaluation.py: an 11-px kernel with sigma 5
PIXELS_PER_BATCH = 1 << 18

Score = Callable[[Tensor], Tensor]  # (N, 3, h, w) RGB in [0, 1] -> (N,) probability of the class


@dataclass(frozen=True)
class Verdict:
    """What a saliency map may be used for, with the evidence; numbers are None where nothing was tested.

    Attributes:
        word: `no better than random`, `follows edges, not the class`, `follows the class` or `not tested`.
        sentence: The verdict with its numbers.
        insertion_auc: Area under the class's probability while pixels, the map's best first, return to a
            blurred picture.
        deletion_auc: The same while they are replaced by the mean colour; low is good.
        random_quantile95: 95 % quantile of insertion - deletion over 20 random rankings.
        random_logit_correlation: Spearman correlation with the map for another class, drawn at random.
        random_head_correlation: Spearman correlation with the map after the classifier's head is randomised.
        fractions: Shares of the pixels changed, 0 to 1.
        insertion_curve: Probability of the class at each share.
        deletion_curve: Likewise.
    """

    word: str
    sentence: str
    insertion_auc: float | None = None
    deletion_auc: float | None = None
    random_quantile95: float | None = None
    random_logit_correlation: float | None = None
    random_head_correlation: float | None = None
    fractions: tuple[float, ...] = ()
    insertion_curve: tuple[float, ...] = ()
    deletion_curve: tuple[float, ...] = ()


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


def quick_verdict(
    vgg: Vgg, image_nchw01: Tensor, attribution: Attribution, *, seed: int = 0, steps: int | None = None
) -> Verdict:
    """Judge a map by the stated rule.

    Insertion - deletion AUC not above the 95 % quantile of 20 random rankings: "no better than random". Else,
    a rank correlation above .9 with the map for one random other logit, or with the map after the head is
    randomised: "follows edges, not the class". Else "follows the class".

    What it cannot tell: a random ranking is pixel noise, and a network answers to patches, so a map that is
    merely smooth has an advantage over it (of rankings by blurred noise, sigma 3 px, nearly half pass with
    the compact weights). Failing the first test condemns a map, passing it proves little. The second test
    draws one logit and one head; a cascade down the layers says more (Adebayo et al. 2018).

    Args:
        vgg: The network the map was made with.
        image_nchw01: (1, 3, H, W) the picture it was made from, any size.
        attribution: The map.
        seed: Of the rankings, the other logit and the head.
        steps: Points of each curve beyond the first; None for 32, or 8 where pixels x width² exceed 4096.

    Returns:
        The verdict; "not tested" if the weights have no head or the target is no class.

    Raises:
        UsageError: If the map's method is unknown, so that it cannot be repeated.
    """
    if vgg.head is None or attribution.target_index < 0:
        why = "the weights have no classifier" if vgg.head is None else "its target is not a class"
        return Verdict(NOT_TESTED, f"Not tested: {why}.")
    if attribution.method not in METHODS:
        raise UsageError(f"Cannot repeat a map by {attribution.method!r}; expected one by {', '.join(METHODS)}.")
    image_nchw01 = resize_nchw01(image_nchw01.detach(), attribution.prediction.size_hw_px)
    magnitude = magnitude_hw(attribution)
    steps = steps or (STEPS_LARGE if magnitude.size * vgg.info.width**2 > LARGE_ABOVE else STEPS)
    rng = np.random.default_rng(seed)

    score = class_probability(vgg, attribution.target_index)
    start, gone = blurred(image_nchw01), vgg.normalise.mean.expand_as(image_nchw01)
    own = perturb(score, image_nchw01, start, gone, ranking(magnitude, rng), steps)
    orders = [rng.permutation(magnitude.size) for _ in range(RANDOM_RANKINGS)]
    margins = [perturb(score, image_nchw01, start, gone, order, steps).margin for order in orders]
    quantile = float(np.quantile(margins, 0.95))

    other, logit_correlation = _random_logit(vgg, image_nchw01, attribution, rng)
    reheaded = nn.Sequential(vgg.normalise, vgg.features, randomised(vgg.head, seed))
    head_correlation = _correlation(reheaded, image_nchw01, attribution, attribution.target_index)
    word = _word(own.margin, quantile, logit_correlation, head_correlation)
    return Verdict(
        word=word,
        sentence=_sentence(word, own.margin, quantile, other, logit_correlation, head_correlation),
        insertion_auc=curve_auc(own.fractions, own.insertion),
        deletion_auc=curve_auc(own.fractions, own.deletion),
        random_quantile95=quantile,
        random_logit_correlation=logit_correlation,
        random_head_correlation=head_correlation,
        fractions=tuple(own.fractions.tolist()),
        insertion_curve=tuple(own.insertion.tolist()),
        deletion_curve=tuple(own.deletion.tolist()),
    )


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
    """Score `before` with the `changed` (n, 1, h, w) pixels taken from `after`, a batch at a time."""
    batch = max(1, PIXELS_PER_BATCH // (before.shape[-2] * before.shape[-1]))
    with torch.no_grad():
        parts = [score(torch.where(part, after, before)) for part in changed.split(batch)]
    return torch.cat(parts).cpu().double().numpy()


def class_probability(classifier: nn.Module, target: int) -> Score:
    """Softmax probability of one class as a function of a batch of images."""

    def score(images_nchw01: Tensor) -> Tensor:
        images_nchw01 = images_nchw01.contiguous(memory_format=torch.channels_last)  # half the time on a CPU
        return torch.softmax(classifier(images_nchw01), dim=1)[:, target]

    return score


def blurred(image_nchw01: Tensor) -> Tensor:
    """The image without detail: Gaussian of sigma 5 px cut at 5 px (RISE's evaluation.py), edges mirrored."""
    sigmas, radii = (0, 0, BLUR_SIGMA_PX, BLUR_SIGMA_PX), (0, 0, BLUR_RADIUS_PX, BLUR_RADIUS_PX)
    values = ndimage.gaussian_filter(image_nchw01.cpu().numpy(), sigmas, radius=radii, mode="mirror")
    return torch.from_numpy(values).to(image_nchw01.device)


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """A copy with every parameter tensor drawn anew from N(0, its own mean square)."""
    generator = torch.Generator().manual_seed(seed)
    module = copy.deepcopy(module)
    with torch.no_grad():
        for values in module.parameters():
            noise = torch.randn(values.shape, generator=generator).to(values.device)
            values.copy_(noise * values.square().mean().sqrt())
    return module


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of two maps over all pixels; 0 if one of them is flat and so ranks nothing."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    ranks = [stats.rankdata(values) for values in (first.ravel(), second.ravel())]
    return float(np.corrcoef(ranks)[0, 1])


def _random_logit(
    vgg: Vgg, image_nchw01: Tensor, attribution: Attribution, rng: np.random.Generator
) -> tuple[str, float | None]:
    """Name of another class, and how much its map is like this one; None for a network of one class."""
    with torch.no_grad():
        classes = vgg(image_nchw01).shape[1]
    if classes < 2:
        return "", None
    other = int(rng.choice(np.delete(np.arange(classes), attribution.target_index)))
    return class_name(vgg, other), _correlation(vgg, image_nchw01, attribution, other)


def _correlation(classifier: nn.Module, image_nchw01: Tensor, attribution: Attribution, target: int) -> float:
    """Repeat the attribution with another classifier or target and compare the maps."""
    gradient_nchw = METHODS[attribution.method](classifier, image_nchw01, target)
    return rank_correlation(magnitude_hw(attribution), gradient_nchw[0].abs().amax(dim=0).cpu().numpy())


def _word(margin: float, quantile95: float, logit: float | None, head: float) -> str:
    if margin <= quantile95:
        return RANDOM
    return EDGES if max(logit or 0.0, head) > SAME_MAP_ABOVE else CLASS


def _sentence(word: str, margin: float, quantile95: float, other: str, logit: float | None, head: float) -> str:
    side = "is not above" if word == RANDOM else "is above"
    other_map = "another class untested" if logit is None else f"the map for {other!r} {logit:.3f}"
    return (
        f"{word[0].upper()}{word[1:]}: insertion - deletion {margin:.3f} {side} {quantile95:.3f}, "
        f"the 95 % quantile of random rankings; rank correlation with {other_map}, with the map of a random "
        f"head {head:.3f} (above {SAME_MAP_ABOVE:g} counts as the same map)."
    )
