"""Evidence -> LayerChoice: which style and content layers, with what weights, and why.

The first layer of each of VGG-19's five scales carries style. A tenth of the weight is shared equally, because a
scale that nothing holds fills with grain; the rest goes by how much more detail of its scale the painting has than the
photo (`interp.statistics.style_evidence`).
The layer with the highest product of layout and indifference carries content (`interp.statistics.content_evidence`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
# benchmarks/layer_choice.py: compact weights, 384 px.
VERDICT = (
    "on eight pairs kept for judging, layers chosen by an earlier kind of evidence were worse for two of three judges "
    "(edges kept .41 against .44, patch distance .450 against .445); this kind is not judged yet"
)


@dataclass(frozen=True)
class LayerChoice:
    """The layers to use, and why.

    Attributes:
        style_weights: Weight of each style layer, sum 1, in network order.
        content_layer: Name of the content layer.
        mode: `evidence`, `fixed` or `given`.
        style_evidence: One entry a candidate, chosen or not.
        content_evidence: The same for content.
        sentences: Why, in words.
    """

    style_weights: dict[str, float]
    content_layer: str
    mode: str
    style_evidence: tuple[StyleEvidence, ...] = ()
    content_evidence: tuple[ContentEvidence, ...] = ()
    sentences: tuple[str, ...] = ()

    @property
    def mean_depth(self) -> float:
        """Weighted mean of the style layers' blocks, 1 (finest) … 5 (coarsest)."""
        return sum(weight * layer(name).block for name, weight in self.style_weights.items())


def fixed_choice(reason: str = "as asked") -> LayerChoice:
    """The layers of Gatys et al. 2016, equal weights."""
    weight = 1 / len(FIXED_STYLE)
    sentence = f"Style layers {', '.join(FIXED_STYLE)} with equal weights and content layer {FIXED_CONTENT}: {reason}."
    return LayerChoice(dict.fromkeys(FIXED_STYLE, weight), FIXED_CONTENT, "fixed", sentences=(sentence,))


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
        sentence = f"Style layers {', '.join(weights)} were given, with equal weights."
        choice = replace(choice, style_weights=weights, mode="given", sentences=(*choice.sentences, sentence))
    if content:
        layer(content)
        sentence = f"Content layer {content} was given."
        choice = replace(choice, content_layer=content, mode="given", sentences=(*choice.sentences, sentence))
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
        The choice with the evidence for every candidate. Where painting and photo differ by no more than chance, the
        fixed layers, saying so.

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
    content_layer = max(content, key=lambda entry: entry.score).layer if content else FIXED_CONTENT
    content = tuple(replace(entry, chosen=entry.layer == content_layer) for entry in content)
    if not any(entry.beyond_chance for entry in usable):
        reason = (
            "painting and photo differ by no more than chance at any scale"
            if style
            else "the region or the painting is too small"
        )
        return replace(fixed_choice(reason), style_evidence=style, content_evidence=content)
    weights = _weights(usable)
    style = tuple(
        replace(entry, chosen=entry.layer in weights, weight=weights.get(entry.layer, 0.0)) for entry in style
    )
    return LayerChoice(weights, content_layer, "evidence", style, content, _sentences(style, content, content_layer))


def usual_layers(evidence: LayerChoice) -> LayerChoice:
    """The usual layers, with the evidence for them beside what the evidence would take.

    They are the default; `VERDICT` says why.

    Args:
        evidence: What `choose_layers` found.

    Returns:
        The fixed choice with every candidate's evidence.
    """
    usual = fixed_choice(f"the default, because {VERDICT}")
    if evidence.mode == "fixed":
        return replace(evidence, sentences=usual.sentences + evidence.sentences)
    rivals = ", ".join(f"{name} {weight:.0%}" for name, weight in evidence.style_weights.items())
    sentence = f"The evidence would take {rivals}, and {evidence.content_layer} for content: --layer-choice auto does."
    return replace(
        usual,
        style_evidence=tuple(
            replace(entry, chosen=entry.layer in FIXED_STYLE, weight=usual.style_weights.get(entry.layer, 0.0))
            for entry in evidence.style_evidence
        ),
        content_evidence=tuple(
            replace(entry, chosen=entry.layer == FIXED_CONTENT) for entry in evidence.content_evidence
        ),
        sentences=(*usual.sentences, sentence),
    )


def _weights(evidence: Sequence[StyleEvidence]) -> dict[str, float]:
    """Each layer's share: one part equally, the other by the ratio of painting to photo."""
    total = sum(entry.ratio for entry in evidence)
    return {entry.layer: EQUAL_SHARE / len(evidence) + (1 - EQUAL_SHARE) * entry.ratio / total for entry in evidence}


def _sentences(
    style: tuple[StyleEvidence, ...], content: tuple[ContentEvidence, ...], content_layer: str
) -> tuple[str, ...]:
    lines = [
        f"{entry.layer} carries {entry.weight:.0%} of the style: the painting has {entry.ratio:.2g} times the photo's "
        f"detail of its scale, {'beyond' if entry.beyond_chance else 'not beyond'} chance "
        f"({1 / entry.chance:.2g} to {entry.chance:.2g})."
        for entry in style
        if entry.chosen
    ]
    chosen = next((entry for entry in content if entry.chosen), None)
    if chosen:
        lines.append(
            f"{content_layer} holds the content: layout {chosen.layout:.2f} x indifference to texture and colour "
            f"{chosen.indifference:.2f} = {chosen.score:.2f}, the highest."
        )
    else:
        lines.append(
            f"{content_layer} holds the content: the region is too small to shuffle, so the usual layer is kept."
        )
    return tuple(lines)
