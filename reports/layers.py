"""Why these layers: the evidence for every candidate, and the choice."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.ticker import FixedLocator

from interp.statistics.layers import LayerChoice, Origin
from reports.blocks import Block, Figure, Gallery, Paragraph, Table
from reports.canvas import ACCENT, DPI, INK, PALE, WARM, WIDTH_IN, chart, closed, plain_log, styled
from reports.record import Section
from reports.store import ImageStore, plain
from reports.wording import number, percent

# benchmarks/layer_choice.py, 384 px, compact weights.
JUDGED = (
    "on eight pairs kept for judging, layers weighed by the evidence came as near to the painting, and no nearer "
    "(style left .182 against .177 for one network, .089 against .088 for another; patch distance .458 against .461)"
)
USUAL = {
    Origin.ASKED: "as asked",
    Origin.DEFAULT: f"the default, because {JUDGED}",
    Origin.CHANCE: "painting and photo differ by no more than chance at any scale",
    Origin.SMALL: "the region or the painting is too small to measure",
}
LAYER_MODES = {
    "evidence": "Chosen from what the network sees in these two pictures; others can give other layers.",
    "fixed": "The usual layers of Gatys et al. 2016, with equal weights.",
    "given": "Layers given by the user or the preset.",
    "series": "Layers kept from the first picture of the series, so that this one matches it.",
}


def layers_section(store: ImageStore, choice: LayerChoice, textures: Mapping[str, np.ndarray] | None = None) -> Section:
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
            "Style: how many times more detail of its scale the layer sees in the painting than in the photo in the "
            "painting's colours; the lines span what chance gives. Content: a good layer changes when blocks of the "
            "photo move, and not when texture and colour change."
        )
    else:
        caption = "The style layers and their weights."
    blocks: list[Block] = [Paragraph(sentence) for sentence in layer_sentences(choice)]
    blocks.append(Figure(store.chart(layer_evidence.svg(choice), alt), caption))
    if choice.style_evidence:
        blocks.append(_style_table(choice))
    if textures:
        blocks += _texture_blocks(store, choice, textures)
    return Section("layers", "Why these layers", LAYER_MODES[choice.mode], tuple(blocks))


def layer_sentences(choice: LayerChoice) -> list[str]:
    """Why these layers, a sentence for each that is not simply the usual one."""
    usual = f"Style layers {', '.join(choice.style_weights)} with equal weights"
    if choice.style_from in USUAL and choice.content_from is choice.style_from:
        lines = [f"{usual} and content layer {choice.content_layer}: {USUAL[choice.style_from]}."]
    elif choice.style_from in USUAL:
        lines = [f"{usual}: {USUAL[choice.style_from]}.", *_content_sentences(choice)]
    else:
        lines = [*_style_sentences(choice), *_content_sentences(choice)]
    return [*lines, *_rival_sentences(choice)]


def _style_sentences(choice: LayerChoice) -> list[str]:
    shares = ", ".join(f"{name} {weight:.0%}" for name, weight in choice.style_weights.items())
    if choice.style_from is Origin.GIVEN:
        return [f"Style layers {', '.join(choice.style_weights)} were given, with equal weights."]
    if choice.style_from is Origin.SERIES:
        return [f"The first picture of the series sets the style layers: {shares}."]
    if choice.style_from is Origin.PRESET:
        return [f"The preset sets the style layers: {shares}."]
    return [
        f"{entry.layer} carries {choice.style_weights[entry.layer]:.0%} of the style: the painting has "
        f"{number(entry.ratio)} times the photo's detail of its scale, {'' if entry.beyond_chance else 'not '}beyond "
        f"chance ({number(1 / entry.chance)} to {number(entry.chance)})."
        for entry in choice.style_evidence
        if entry.layer in choice.style_weights
    ]


def _content_sentences(choice: LayerChoice) -> list[str]:
    name = choice.content_layer
    if choice.content_from is Origin.GIVEN:
        return [f"Content layer {name} was given."]
    if choice.content_from is Origin.SERIES:
        return [f"The first picture of the series sets the content layer: {name}."]
    if choice.content_from is Origin.PRESET:
        return [f"The preset sets the content layer: {name}."]
    if choice.content_from is Origin.SMALL:
        return [f"{name} holds the content: the region is too small to shuffle, so the usual layer is kept."]
    found = next((entry for entry in choice.content_evidence if entry.layer == name), None)
    if choice.content_from is not Origin.EVIDENCE or found is None:
        return [f"{name} holds the content, as usual."]
    return [
        f"{name} holds the content: layout {found.layout:.2f} x indifference to texture and colour "
        f"{found.indifference:.2f} = {found.score:.2f}, the highest."
    ]


def _rival_sentences(choice: LayerChoice) -> list[str]:
    """What the evidence would take, where the usual layers are taken nevertheless."""
    if choice.rival is None or choice.style_from is not Origin.DEFAULT:
        return []
    if choice.rival.style_from is not Origin.EVIDENCE:
        return [f"The evidence would take the same: {USUAL[choice.rival.style_from]}."]
    rivals = ", ".join(f"{name} {weight:.0%}" for name, weight in choice.rival.style_weights.items())
    return [
        f"The evidence would take {rivals}, and {choice.rival.content_layer} for content: --layer-choice auto does."
    ]


def choice_data(choice: LayerChoice) -> dict[str, Any]:
    """The choice for programs: its numbers and its sentences."""
    return {**plain(choice), "mode": choice.mode, "sentences": layer_sentences(choice)}


def _texture_blocks(store: ImageStore, choice: LayerChoice, textures: Mapping[str, np.ndarray]) -> tuple[Block, ...]:
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


def _style_table(choice: LayerChoice) -> Table:
    rows = tuple(
        (
            entry.layer,
            number(entry.painting),
            number(entry.photo),
            number(entry.ratio),
            f"{number(1 / entry.chance)} to {number(entry.chance)}",
            percent(choice.style_weights[entry.layer]) if entry.layer in choice.style_weights else "–",
        )
        for entry in choice.style_evidence
    )
    caption = (
        "Style: how far the layer's mean and covariance move (0 to 1) when detail of its scale is taken out of the "
        "painting's tiles and of the photo's"
    )
    return Table(caption, ("Layer", "Painting", "Photo", "Ratio", "Chance, 95 %", "Weight"), rows)


@closed
def layer_evidence(choice: LayerChoice) -> MatplotlibFigure:
    """Draw why the layers were chosen: the painting's detail against the photo's at each scale, and the content scores.

    Args:
        choice: The evidence; without any (layers fixed or given) only the weights are drawn.

    Returns:
        The figure; called from outside, a PNG.
    """
    if not choice.style_evidence:
        figure, axis = chart(2.6)
        names, weights = list(choice.style_weights), list(choice.style_weights.values())
        bars = axis.bar(names, weights, color=ACCENT, width=0.6)
        axis.bar_label(bars, [f"{100 * weight:.0f} %" for weight in weights], fontsize=8)
        axis.set_ylabel("style weight", fontsize=9)
        axis.margins(y=0.15)
        return figure
    content = bool(choice.content_evidence)
    figure = MatplotlibFigure((WIDTH_IN, 6.4 if content else 3.6), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(2 if content else 1, 1, squeeze=False)[:, 0]
    _style_panel(styled(axes[0]), choice)
    if content:
        _content_panel(styled(axes[1]), choice)
    return figure


def _style_panel(axis: Axes, choice: LayerChoice) -> None:
    for place, entry in enumerate(choice.style_evidence):
        used = choice.style_weights.get(entry.layer, 0.0)
        axis.bar(place, entry.ratio - 1, bottom=1, color=ACCENT if used else PALE, width=0.66)
        axis.vlines(place, 1 / entry.chance, entry.chance, color=WARM, linewidth=1.8)
        if used:
            top = (place, max(entry.ratio, entry.chance))
            axis.annotate(f"{100 * used:.0f} %", top, (0, 3), textcoords="offset points", ha="center", fontsize=8)
    axis.bar(0, 0, bottom=1, color=ACCENT, label="used, with its weight")
    axis.bar(0, 0, bottom=1, color=PALE, label="not used")
    axis.plot([], [], color=WARM, linewidth=1.8, label="95 % of chance results lie inside")
    axis.axhline(1, color=INK, linewidth=0.8)
    axis.set_yscale("log")
    plain_log(axis.yaxis)
    axis.yaxis.set_major_locator(FixedLocator([2.0**power for power in range(-6, 7)]))
    names = [entry.layer for entry in choice.style_evidence]
    axis.set_xticks(range(len(names)), names, fontsize=8)
    axis.set_ylabel("painting / photo", fontsize=9)
    title = "Style: how much more detail of its scale the layer sees in the painting than in the photo"
    axis.set_title(title, loc="left", fontsize=10)
    axis.margins(x=0.01, y=0.28)
    axis.legend(fontsize=8, frameon=False, loc="upper left", ncols=3)


def _content_panel(axis: Axes, choice: LayerChoice) -> None:
    entries = choice.content_evidence
    places = np.arange(len(entries))
    colours = [ACCENT if entry.layer == choice.content_layer else PALE for entry in entries]
    scores = [entry.score for entry in entries]
    layout = [entry.layout for entry in entries]
    indifference = [entry.indifference for entry in entries]
    axis.bar(places, scores, color=colours, width=0.5, label="score: their product")
    axis.plot(places, layout, "o", color=INK, markersize=5, label="layout: changes when blocks move")
    axis.plot(
        places,
        indifference,
        "s",
        color=WARM,
        fillstyle="none",
        markersize=5,
        label="indifference to texture and colour",
    )
    axis.set_xticks(places, [f"{entry.layer}\n{entry.score:.2f}" for entry in entries], fontsize=8)
    axis.set_ylim(0, 1.35)
    axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axis.set_ylabel("score, 0 to 1", fontsize=9)
    axis.set_title(f"Content: {choice.content_layer} is used", loc="left", fontsize=10)
    axis.legend(fontsize=8, frameon=False, loc="upper left", ncols=3)
