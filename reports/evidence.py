"""The sections on what the network sees: feature maps, saliency, Gram statistics, and why these layers.

Each function takes results and the store to put pictures in, and returns one section.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reports import curves, figures, grids
from reports.record import Block, Figure, Gallery, Level, Paragraph, Section, Table, Verdict
from reports.store import ImageStore
from reports.wording import number, percent

if TYPE_CHECKING:
    import numpy as np

    from interp.attribution.conventions import FlashtorchPanels
    from interp.attribution.saliency import Attribution
    from interp.attribution.sanity import Verdict as SaliencyVerdict
    from interp.network.classify import Prediction
    from interp.network.features import FeatureMaps
    from interp.statistics.gram import GramStats
    from interp.statistics.layers import LayerChoice

LAYER_MODES = {
    "evidence": "Chosen from what the network sees in these two pictures; others can give other layers.",
    "fixed": "The usual layers of Gatys et al. 2016, with equal weights.",
    "given": "Layers given by the user.",
}
MANY_LAYERS, MANY_QUALITY, FEW_QUALITY = 8, 40, 70  # maps are like noise: 37 layers must still fit into 3 MB
VERDICT_LEVELS: dict[str, Level] = {"follows the class": "good", "no better than random": "bad"}


def features_section(
    store: ImageStore,
    maps: Sequence["FeatureMaps"],
    prediction: "Prediction | None" = None,
    *,
    shared_scale: bool = False,
) -> Section:
    """Feature maps, one grid a layer.

    Args:
        store: Where pictures go.
        maps: What `feature_maps` returned, one entry a layer.
        prediction: What the classifier says, if it has been asked.
        shared_scale: One colour scale for all maps of a layer, or one for each map.

    Returns:
        Section `features`.
    """
    blocks: list[Block] = []
    for entry in maps:
        count, height, width = entry.maps_khw.shape
        strongest = entry.channels[int(entry.maps_khw.max(axis=(1, 2)).argmax())]
        alt = f"{count} feature maps of {entry.layer}, {entry.stage}; channel {strongest} responds most."
        norm = grids.scale_of(entry.maps_khw)[0]
        above = "the value it was ranked by (its mean where nothing was ranked)" if shared_scale else "its range"
        scale = f" One scale: {norm.vmin:.3g} (dark) … {norm.vmax:.3g}." if shared_scale else ""
        caption = (
            f"{entry.layer}, {entry.stage}. {entry.rule} Each map has {width}×{height} cells.{scale} Above it: the "
            f"channel's number and, where there is room, {above}."
        )
        many = len(maps) > MANY_LAYERS
        grid = grids.feature_sprite(entry, shared_scale=shared_scale, small=many)
        blocks.append(Figure(store.sprite(grid, alt, MANY_QUALITY if many else FEW_QUALITY), caption))
    rows = tuple(
        (
            entry.layer,
            entry.stage,
            str(len(entry.stats.mean_c)),
            number(float(entry.stats.mean_c.mean())),
            number(float(entry.stats.maximum_c.max())),
            str(int(entry.stats.dead_c.sum())),
        )
        for entry in maps
    )
    header = ("Layer", "Values", "Channels", "Mean activation", "Largest", "Dead channels")
    blocks.append(Table("Over all channels of each layer, shown or not", header, rows))
    if prediction is not None:
        blocks.extend(prediction_blocks(prediction))
    scale = "All maps of a layer share one colour scale" if shared_scale else "Each map has its own colour scale"
    intro = (
        "Every small picture is one channel of the network: bright where the picture holds what that channel "
        f"answers to. {scale}."
    )
    return Section("features", "What VGG-19 sees", intro, tuple(blocks))


def saliency_section(
    store: ImageStore, attribution: "Attribution", panels: "FlashtorchPanels", verdict: "SaliencyVerdict"
) -> Section:
    """A saliency map and whether to believe it.

    Args:
        store: Where pictures go.
        attribution: The map.
        panels: Its four views.
        verdict: By the stated rule; a map is not shown without one.

    Returns:
        Section `saliency`.
    """
    height, width = panels.max_hw01.shape
    image = store.png(
        figures.saliency_panels(attribution, panels, verdict.sentence),
        f"Four views of {attribution.title} for {attribution.target}: input, gradients, their maximum, "
        f"overlay. Verdict: {verdict.word}.",
    )
    caption = (
        f"{attribution.title} for {attribution.target!r} at {width}×{height} px, the size it was classified "
        "at. Bright in the third panel: where the method finds that a change would raise the score most."
    )
    level = VERDICT_LEVELS.get(verdict.word, "doubt")
    sentence = verdict.sentence.removeprefix(f"{verdict.word.capitalize()}: ")
    blocks: list[Block] = [
        Verdict(verdict.word.capitalize(), sentence[:1].upper() + sentence[1:], level),
        Figure(image, caption),
    ]
    if verdict.fractions:
        areas = f"{number(verdict.insertion_auc)} and {number(verdict.deletion_auc)}"
        alt = f"Insertion and deletion curves: areas {areas}."
        caption = (
            "Insertion: the most salient pixels are put into a blurred picture first. Deletion: they are "
            "taken away first. A map that names the right pixels lifts the first curve early and drops the "
            "second."
        )
        blocks.append(Figure(store.png(curves.verdict_curves(verdict), alt), caption))
    blocks.extend(prediction_blocks(attribution.prediction))
    intro = f"Which pixels {attribution.target!r} depends on, and whether that map can be believed."
    return Section("saliency", "Saliency", intro, tuple(blocks))


def prediction_blocks(prediction: "Prediction") -> tuple[Block, ...]:
    """What the classifier says; nothing for weights without one."""
    if not prediction.names:
        return ()
    rows = tuple(
        (name, percent(probability))
        for name, probability in zip(prediction.names, prediction.probabilities, strict=True)
    )
    height, width = prediction.size_hw_px
    table = Table(f"What the classifier says, at {width}×{height} px", ("Class", "Probability"), rows)
    unsure = "The classifier is unsure: its best class has a probability under 20 %."
    return (table, Paragraph(unsure)) if prediction.unsure else (table,)


def gram_section(
    store: ImageStore,
    stats_by_picture: Mapping[str, Sequence["GramStats"]],
    distances: Mapping[str, float] | None = None,
) -> Section:
    """Gram statistics of one or more pictures.

    Args:
        store: Where pictures go.
        stats_by_picture: Statistics by the picture's name, such as "photo" and "painting".
        distances: Relative squared distance between the first two pictures' Gram matrices, by layer.

    Returns:
        Section `gram`.
    """
    names = " and ".join(stats_by_picture)
    rows = tuple(
        (
            stats.layer,
            name,
            number(stats.energy),
            number(stats.effective_rank),
            str(stats.channels),
            percent(stats.spectrum[0]) if stats.spectrum else "–",
        )
        for name, every in stats_by_picture.items()
        for stats in every
    )
    header = ("Layer", "Picture", "Energy", "Effective rank", "Channels", "Share of the first direction")
    image = store.png(figures.gram_spectra(stats_by_picture), f"Eigenvalue spectra of the Gram matrices of {names}.")
    caption = "How the energy spreads over independent directions: a steep line means few, a flat one many."
    blocks: list[Block] = [Figure(image, caption), Table("Gram statistics by layer", header, rows)]
    if distances:
        pairs = tuple((layer, number(value)) for layer, value in distances.items())
        caption = f"Squared distance of the Gram matrices of {names}, over the second's squared norm"
        blocks.append(Table(caption, ("Layer", "Distance"), pairs))
    intro = (
        "A Gram matrix holds which channels fire together, without where: the network's idea of style. "
        "Effective rank: how many independent directions are in use."
    )
    return Section("gram", "Gram statistics", intro, tuple(blocks))


def layers_section(
    store: ImageStore, choice: "LayerChoice", textures: "Mapping[str, np.ndarray] | None" = None
) -> Section:
    """Why these layers: the evidence for every candidate, and the choice.

    Args:
        store: Where pictures go.
        choice: The evidence and the choice.
        textures: (h, w, 3) uint8 RGB by layer: what the layer's statistics alone make of noise.

    Returns:
        Section `layers`.
    """
    used = ", ".join(f"{name} {weight:.0%}" for name, weight in choice.style_weights.items())
    alt = f"Chart of the evidence for the layers. Style: {used}. Content: {choice.content_layer}."
    if choice.style_evidence:
        caption = (
            "Style: separation compares the painting's tiles with the photo's; a layer above its line does "
            "better than chance. Content: a good layer changes when blocks of the photo move, and not when "
            "texture and colour change."
        )
    else:
        caption = "The style layers and their weights."
    blocks: list[Block] = [Paragraph(sentence) for sentence in choice.sentences]
    blocks.append(Figure(store.png(figures.layer_evidence(choice), alt), caption))
    if choice.style_evidence:
        blocks.append(_style_table(choice))
    if textures:
        blocks += _texture_blocks(store, choice, textures)
    intro = LAYER_MODES.get(choice.mode, choice.mode)
    return Section("layers", "Why these layers", intro, tuple(blocks))


def _texture_blocks(
    store: ImageStore, choice: "LayerChoice", textures: "Mapping[str, np.ndarray]"
) -> tuple[Block, ...]:
    explained = (
        "What each layer carries: noise in the painting's colours, changed until this one layer's statistics are the "
        "painting's. Where a layer says nothing, the noise remains."
    )
    figures_shown = []
    for name, image in textures.items():
        weight = choice.style_weights.get(name)
        used = f"{weight:.0%} of the style" if weight else "not used"
        alt = f"Texture from the painting's statistics at {name} alone."
        figures_shown.append(Figure(store.photo(image, alt), f"{name}: {used}"))
    return Paragraph(explained), Gallery(tuple(figures_shown))


def _style_table(choice: "LayerChoice") -> Table:
    rows = tuple(
        (
            entry.layer,
            number(entry.separation if entry.measured else None),
            number(entry.null95),
            number(entry.between),
            number(entry.within),
            number(entry.effective_rank),
            number(entry.stationarity),
            percent(choice.style_weights[entry.layer]) if entry.layer in choice.style_weights else "–",
        )
        for entry in choice.style_evidence
    )
    measures = ("Separation", "Chance, 95 %", "Between", "Within", "Effective rank", "Stationarity")
    caption = "Style: distances between the pictures and within the painting (–: not measured, or not used)"
    return Table(caption, ("Layer", *measures, "Weight"), rows)
