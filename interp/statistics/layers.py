"""Evidence -> LayerChoice: which style and content layers, with what weights, and why.

The first layer of each of VGG-19's five scales carries style. A tenth of the weight is shared equally, because a
scale that nothing holds fills with grain; the rest goes by how much more detail of its scale the painting has than the
photo (`interp.statistics.style_evidence`).
The layer with the highest product of layout and indifference carries content (`interp.statistics.content_evidence`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.statistics.content_evidence import ContentEvidence, content_evidence
from interp.statistics.regions import MIN_EFFECTIVE_CELLS, effective_cells, layer_mask
from interp.statistics.style_evidence import SCALES, StyleEvidence, style_evidence

FIXED_STYLE = SCALES
FIXED_CONTENT = "relu4_2"  # Gatys et al. 2016, section 3
EQUAL_SHARE = 0.1  # of the weight, whatever the evidence


class Origin(StrEnum):
    """Where a layer comes from."""

    ASKED = "asked"  # the usual one, because it was asked for
    DEFAULT = "default"  # the usual one, though the evidence would take another
    CHANCE = "chance"  # the usual one, because nothing is better than chance
    SMALL = "small"  # the usual one, because the region is too small to measure it
    EVIDENCE = "evidence"
    PRESET = "preset"
    GIVEN = "given"  # by the user
    SERIES = "series"  # kept from the first picture of a series


@dataclass(frozen=True)
class LayerChoice:
    """The layers to use, and where they come from; `reports.layers` says so in words.

    Attributes:
        style_weights: Weight of each style layer, sum 1, in network order.
        content_layer: Name of the content layer.
        style_from: Where the style layers come from.
        content_from: Where the content layer comes from.
        style_evidence: One entry a candidate, chosen or not.
        content_evidence: The same for content.
        rival: What the evidence would take, where it is not followed; without the evidence.
    """

    style_weights: dict[str, float]
    content_layer: str
    style_from: Origin = Origin.GIVEN
    content_from: Origin = Origin.GIVEN
    style_evidence: tuple[StyleEvidence, ...] = ()
    content_evidence: tuple[ContentEvidence, ...] = ()
    rival: "LayerChoice | None" = None

    @property
    def mode(self) -> str:
        """`series` where kept; `given` where anything was, by a preset or the user; `evidence` or `fixed` otherwise."""
        if Origin.SERIES in (self.style_from, self.content_from):
            return "series"
        if {self.style_from, self.content_from} & {Origin.PRESET, Origin.GIVEN}:
            return "given"
        return "evidence" if self.style_from is Origin.EVIDENCE else "fixed"

    @property
    def mean_depth(self) -> float:
        """Weighted mean of the style layers' blocks, 1 (finest) … 5 (coarsest)."""
        return sum(weight * layer(name).block for name, weight in self.style_weights.items())


def fixed_choice(why: Origin = Origin.ASKED) -> LayerChoice:
    """The layers of Gatys et al. 2016, equal weights.

    Args:
        why: What makes them the choice.

    Example:
        >>> fixed_choice().content_layer, fixed_choice().style_weights["relu1_1"]
        ('relu4_2', 0.2)
    """
    return LayerChoice(dict.fromkeys(FIXED_STYLE, 1 / len(FIXED_STYLE)), FIXED_CONTENT, why, why)


def override_choice(choice: LayerChoice, style: Sequence[str] | None, content: str | None) -> LayerChoice:
    """Replace the style layers (equal weights) or the content layer by the user's.

    Raises:
        UsageError: If a layer is unknown or named twice.
    """
    if style:
        places = sorted((layer(name) for name in style), key=lambda place: place.index)
        if len({place.name for place in places}) < len(places):
            raise UsageError(f"Style layers {', '.join(style)} name a layer twice; expected each once.")
        weights = {place.name: 1 / len(places) for place in places}
        choice = replace(choice, style_weights=weights, style_from=Origin.GIVEN)
    if content:
        choice = replace(choice, content_layer=layer(content).name, content_from=Origin.GIVEN)
    return choice


def choose_layers(
    vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, alpha_hw01: np.ndarray | None = None, seed: int = 0
) -> LayerChoice:
    """Choose style and content layers from what the network sees in both pictures.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1] at the finest working size.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1] at the size it will be used.
        alpha_hw01: (H, W) float32 region of the photo; None for all of it.
        seed: Of permutations and shuffles.

    Returns:
        The choice with the evidence for every candidate; the fixed layers where painting and photo differ by no more
        than chance.

    Example:
        >>> from interp.network.weights import load_vgg
        >>> picture = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
        >>> choose_layers(load_vgg("compact"), picture, picture).mode
        'fixed'
    """
    if alpha_hw01 is None:
        alpha_hw01 = np.ones(photo_nchw01.shape[-2:], dtype=np.float32)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        style = style_evidence(vgg, photo_nchw01, painting_nchw01, alpha_hw01, generator)
        content = content_evidence(vgg, photo_nchw01, painting_nchw01, alpha_hw01, generator)
    usable = [entry for entry in style if effective_cells(layer_mask(alpha_hw01, entry.layer)) >= MIN_EFFECTIVE_CELLS]
    if not any(entry.beyond_chance for entry in usable):
        return _marked(fixed_choice(Origin.CHANCE if style else Origin.SMALL), style, content)
    if content:
        content_layer, content_from = max(content, key=lambda entry: entry.score).layer, Origin.EVIDENCE
    else:
        content_layer, content_from = FIXED_CONTENT, Origin.SMALL
    choice = LayerChoice(_weights(usable), content_layer, Origin.EVIDENCE, content_from)
    return _marked(choice, style, content)


def usual_layers(evidence: LayerChoice) -> LayerChoice:
    """The usual layers, with the evidence for them beside what the evidence would take.

    They are the default: on unseen pairs no ruler told them from the evidence's (benchmarks/layer_choice.py).

    Args:
        evidence: What `choose_layers` found.

    Returns:
        The fixed choice with every candidate's evidence.
    """
    rival = replace(evidence, style_evidence=(), content_evidence=())
    usual = replace(fixed_choice(Origin.DEFAULT), rival=rival)
    return _marked(usual, evidence.style_evidence, evidence.content_evidence)


def kept_choice(choice: LayerChoice, style_weights: dict[str, float], content_layer: str) -> LayerChoice:
    """The layers of another picture, kept beside the evidence for this one.

    Args:
        choice: This picture's own, whose evidence is shown.
        style_weights: Weight of each style layer, sum 1.
        content_layer: Name of the content layer.
    """
    kept = replace(
        choice, style_weights=style_weights, content_layer=content_layer, style_from=Origin.SERIES,
        content_from=Origin.SERIES, rival=None,
    )  # fmt: skip
    return _marked(kept, choice.style_evidence, choice.content_evidence)


def _marked(choice: LayerChoice, style: tuple[StyleEvidence, ...], content: tuple[ContentEvidence, ...]) -> LayerChoice:
    """The choice with the evidence, in which the chosen ones are marked."""
    weights = choice.style_weights
    return replace(
        choice,
        style_evidence=tuple(
            replace(entry, chosen=entry.layer in weights, weight=weights.get(entry.layer, 0.0)) for entry in style
        ),
        content_evidence=tuple(replace(entry, chosen=entry.layer == choice.content_layer) for entry in content),
    )


def _weights(evidence: Sequence[StyleEvidence]) -> dict[str, float]:
    """Each layer's share: one part equally, the other by the ratio of painting to photo."""
    total = sum(entry.ratio for entry in evidence)
    return {entry.layer: EQUAL_SHARE / len(evidence) + (1 - EQUAL_SHARE) * entry.ratio / total for entry in evidence}
