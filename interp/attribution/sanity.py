"""Is this map to be believed? A verdict by a stated rule, from three short tests; and the long form of each.

Insertion and deletion (Petsiuk et al. 2018, "RISE") ask whether the pixels that the map names matter to the
class. A random logit (Sixt et al. 2020, "When Explanations Lie") asks whether the map depends on the class, a
random head (Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3) whether it depends on what the
classifier learnt.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from interp.attribution.fidelity import Perturbation, blurred, class_probability, curve_auc, perturb, ranking
from interp.attribution.methods import METHODS
from interp.attribution.randomisation import (
    Cascade,
    OnStage,
    Similarity,
    cascade,
    edges_hw,
    heat_again,
    rank_correlation,
    similarity,
    with_random_head,
)
from interp.attribution.saliency import SaliencyMap
from interp.attribution.targets import class_count, class_target
from interp.attribution.verdict import SaliencyVerdict, VerdictWord, word_for
from interp.errors import UsageError
from interp.network.classify import Classifier, class_name
from interp.pictures.images import Source, as_image_nchw01
from interp.pictures.sizes import resize_nchw01

RANDOM_RANKINGS = 20
RANDOM_LOGITS = 5  # of the long form
STEPS = 8  # of each curve: of 75 maps of 25 photos none is judged otherwise with 32, in 3.5 times the time


@dataclass(frozen=True)
class SanityCheck:
    """The long form: one map through every test.

    Attributes:
        saliency: The map.
        verdict: By the stated rule.
        cascade: The map while layers lose their weights, from the top down.
        other_classes: Names of up to five other classes, drawn at random.
        logits: How much the map for each of them is like this one.
        edges: How much an edge detector's picture is like this one.
    """

    saliency: SaliencyMap
    verdict: SaliencyVerdict
    cascade: Cascade
    other_classes: tuple[str, ...]
    logits: tuple[Similarity, ...]
    edges: Similarity


def quick_verdict(
    classifier: Classifier,
    image: Tensor | Source,
    saliency: SaliencyMap,
    *,
    seed: int = 0,
    steps: int = STEPS,
    random_quantile95: float | None = None,
) -> SaliencyVerdict:
    """Judge a map by the stated rule.

    The rule is `verdict.word_for`: insertion - deletion AUC against the 95 % quantile of 20 random rankings, then the
    rank correlation with the map for one random other logit and with the map after the head is randomised.
    Contributions are ranked by value, maps compared by the size of the values.

    What it cannot tell: a random ranking is pixel noise, and a network answers to patches, so a map that is
    merely smooth has an advantage over it (of rankings by blurred noise, sigma 3 px, nearly half pass with
    the compact weights). Failing the first test condemns a map, passing it proves little. The second test
    draws one logit and one head; a cascade down the layers says more (`sanity_check`).

    Args:
        classifier: The network the map was made with.
        image: The picture it was made from, as for `saliency_map`.
        saliency: The map.
        seed: Of the rankings, the other logit and the head.
        steps: Points of each curve beyond the first.
        random_quantile95: What `random_margin95` gave for the same picture, class, seed and steps; None to compute it.

    Returns:
        The verdict; `NOT_TESTED` if the weights have no head, the target is no class, or a number is not finite.

    Raises:
        UsageError: If the map's method is unknown, so that it cannot be repeated.

    Example:
        >>> import torch
        >>> from interp.attribution.saliency import saliency_map
        >>> from interp.attribution.targets import parse_target
        >>> from interp.network.weights import load_vgg
        >>> vgg, grey = load_vgg("compact"), torch.full((1, 3, 64, 64), 0.5)
        >>> verdict = quick_verdict(vgg, grey, saliency_map(vgg, grey, "grad-cam"), steps=2)
        >>> verdict.fractions, verdict.margin == verdict.insertion_auc - verdict.deletion_auc
        ((0.0, 0.5, 1.0), True)
        >>> channel = saliency_map(vgg, grey, "gradient", parse_target(vgg, "relu3_1:0"))
        >>> quick_verdict(vgg, grey, channel).word
        <VerdictWord.NOT_TESTED: 'not tested'>
    """
    if classifier.head is None or not saliency.target.is_class:
        return SaliencyVerdict(VerdictWord.NOT_TESTED)
    if saliency.method not in METHODS:
        raise UsageError(f"Cannot repeat a map by {saliency.method!r}; expected one by {', '.join(METHODS)}.")
    if not np.isfinite(saliency.map_chw).all():
        return SaliencyVerdict(VerdictWord.NOT_TESTED, finite=False)
    image_nchw01 = as_image_nchw01(image).to(classifier.normalise.mean.device)
    looked_at = resize_nchw01(image_nchw01.detach(), saliency.prediction.size_hw_px)
    quantile = random_quantile95
    if quantile is None:
        quantile = random_margin95(classifier, looked_at, saliency, seed=seed, steps=steps)
    order = ranking(saliency.heat_hw, np.random.default_rng(seed))
    own = _perturbed(classifier, looked_at, saliency, steps)(order)

    heat = np.abs(saliency.heat_hw)
    others = other_classes(classifier, saliency.target.index, seed, 1)
    name, logit = "", None
    if others:
        name = class_name(classifier, others[0])
        other = heat_again(classifier, saliency, class_target(classifier, others[0]))
        logit = rank_correlation(heat, other)
    reheaded = with_random_head(classifier, seed)
    head = rank_correlation(heat, heat_again(reheaded, saliency, saliency.target))
    word = word_for(own.margin, quantile, logit, head)
    if word is VerdictWord.NOT_TESTED:
        return SaliencyVerdict(word, finite=False)
    return SaliencyVerdict(
        word=word,
        insertion_auc=curve_auc(own.fractions, own.insertion),
        deletion_auc=curve_auc(own.fractions, own.deletion),
        random_quantile95=quantile,
        random_logit_correlation=logit,
        random_head_correlation=head,
        other_class=name,
        fractions=tuple(own.fractions.tolist()),
        insertion_curve=tuple(own.insertion.tolist()),
        deletion_curve=tuple(own.deletion.tolist()),
    )


def random_margin95(
    classifier: Classifier, image_nchw01: Tensor, saliency: SaliencyMap, *, seed: int = 0, steps: int = STEPS
) -> float:
    """95 % quantile of insertion - deletion over 20 random rankings: what a map must beat.

    It depends on the picture and the class alone, so maps of several methods can share it.

    Args:
        classifier: The network.
        image_nchw01: (1, 3, H, W) any size.
        saliency: A map of that picture: its class and its size are used, its values are not.
        seed: Of the rankings.
        steps: As in `quick_verdict`.
    """
    image = resize_nchw01(image_nchw01.detach(), saliency.prediction.size_hw_px)
    rng = np.random.default_rng([seed, 1])
    orders = [rng.permutation(image.shape[-2] * image.shape[-1]) for _ in range(RANDOM_RANKINGS)]
    perturbed = _perturbed(classifier, image, saliency, steps)
    margins = [perturbed(order).margin for order in orders]
    return float(np.quantile(margins, 0.95))


def sanity_check(
    classifier: Classifier,
    image_nchw01: Tensor,
    saliency: SaliencyMap,
    *,
    seed: int = 0,
    draws: int = 3,
    random_quantile95: float | None = None,
    on_stage: OnStage | None = None,
) -> SanityCheck:
    """Put a map through every test at length.

    Args:
        classifier: The network the map was made with.
        image_nchw01: (1, 3, H, W) the picture it was made from, any size.
        saliency: The map.
        seed: Of everything random.
        draws: Cascades to average.
        random_quantile95: As in `quick_verdict`.
        on_stage: Called after each stage of the cascade with their number so far and in all.

    Returns:
        The verdict and what lies behind it.

    Raises:
        UsageError: If there is less than one draw.
    """
    if draws < 1:
        raise UsageError(f"Got {draws} draws; expected at least 1.")
    image = resize_nchw01(image_nchw01.detach(), saliency.prediction.size_hw_px)
    verdict = quick_verdict(classifier, image, saliency, seed=seed, random_quantile95=random_quantile95)
    heat = np.abs(saliency.heat_hw)
    is_class = saliency.target.is_class
    others = other_classes(classifier, saliency.target.index, seed, RANDOM_LOGITS) if is_class else []
    maps = [heat_again(classifier, saliency, class_target(classifier, index)) for index in others]
    return SanityCheck(
        saliency,
        verdict,
        cascade(classifier, saliency, seed=seed, draws=draws, on_stage=on_stage),
        tuple(class_name(classifier, index) for index in others),
        tuple(similarity(heat, other) for other in maps),
        similarity(heat, edges_hw(saliency.input_chw01)),
    )


def other_classes(classifier: Classifier, index: int, seed: int, count: int) -> list[int]:
    """Up to `count` other classes, drawn without repetition; the first ones do not depend on how many are drawn."""
    rng = np.random.default_rng([seed, 2])
    return rng.permutation(np.delete(np.arange(class_count(classifier)), index))[:count].tolist()


def _perturbed(
    classifier: Classifier, image: Tensor, saliency: SaliencyMap, steps: int
) -> Callable[[np.ndarray], Perturbation]:
    """What the class's probability does as pixels come and go, by their order."""
    score = class_probability(classifier, saliency.target.index)
    start, gone = blurred(image), classifier.normalise.mean.to(image).expand_as(image)
    return lambda order: perturb(score, image, start, gone, order, steps)
