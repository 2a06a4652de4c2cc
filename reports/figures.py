"""The maps and charts of what the network sees.

Every function returns PNG bytes at a fixed resolution, on white: equal data give equal bytes. Their looks are
in `reports.canvas`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from interp.errors import UsageError
from reports.canvas import (
    ACCENT,
    COLOURS,
    DPI,
    INK,
    PALE,
    SOFT,
    WARM,
    WIDTH_IN,
    axes_at,
    chart,
    literal,
    page,
    plain_log,
    png,
    styled,
    text_at,
    viridis,
    wrapped,
)

if TYPE_CHECKING:
    from interp.attribution.conventions import FlashtorchPanels
    from interp.attribution.saliency import Attribution
    from interp.statistics.gram import GramStats
    from interp.statistics.layers import LayerChoice

MARGIN_PX = 24
PANEL_W_PX, PANEL_MAX_H_PX, PANEL_TOP_PX = 354, 620, 110  # of the saliency panels


def _colour_bar(axes: Axes, norm: Normalize, ticks: int) -> None:
    bar = axes.figure.colorbar(ScalarMappable(norm, "viridis"), cax=axes, orientation="horizontal")
    bar.set_ticks(np.linspace(float(norm.vmin or 0), float(norm.vmax or 0), ticks).tolist())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    bar.ax.tick_params(labelsize=7, colors=SOFT)
    bar.ax.spines[:].set_visible(False)


def saliency_panels(attribution: "Attribution", panels: "FlashtorchPanels", verdict_text: str) -> bytes:
    """Draw FlashTorch's four panels with the scale of the third, and the verdict beneath them.

    Args:
        attribution: The map, for its method and target.
        panels: Its four views, (h, w[, 3]) in [0, 1].
        verdict_text: Printed under the panels; empty only where the user wants none.

    Returns:
        PNG.
    """
    height, width = panels.max_hw01.shape
    scale = min(PANEL_W_PX / width, PANEL_MAX_H_PX / height)
    shown_w, shown_h = round(width * scale), max(1, round(height * scale))
    page_w = round(WIDTH_IN * DPI)
    text = wrapped(verdict_text, page_w - 2 * MARGIN_PX, 9)
    foot_px = PANEL_TOP_PX + shown_h + 110
    figure = page(page_w, foot_px + 28 * (text.count("\n") + 1) + MARGIN_PX)
    title = f"{attribution.title} for {attribution.target!r}"
    text_at(figure, MARGIN_PX, MARGIN_PX, title, 11, weight="bold")
    low, high = float(panels.max_hw01.min()), float(panels.max_hw01.max())
    norm = Normalize(low, high if high > low else low + 1)
    views = {
        "Input": panels.input_hwc01,
        "Gradients across RGB channels": panels.gradient_hwc01,
        "Max gradients": viridis(norm(panels.max_hw01)),
        "Overlay": panels.overlay_hwc01,
    }
    for column, (title, view) in enumerate(views.items()):
        left = MARGIN_PX + column * (PANEL_W_PX + MARGIN_PX)
        text_at(figure, left, PANEL_TOP_PX - 8, title, 8.5, va="baseline")
        axes = axes_at(figure, left, PANEL_TOP_PX, shown_w, shown_h)
        axes.imshow(view, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        if title == "Max gradients":
            bottom = PANEL_TOP_PX + shown_h
            _colour_bar(axes_at(figure, left, bottom + 16, shown_w, 12), norm, 3)
            text_at(figure, left, bottom + 62, "0.5 = mean, 0.1 = one standard deviation", 6.5, color=SOFT)
    text_at(figure, MARGIN_PX, foot_px, text, 9)
    return png(figure)


def layer_evidence(choice: "LayerChoice") -> bytes:
    """Draw why the layers were chosen: each layer's style separation against chance, and its content scores.

    Args:
        choice: The evidence; without any (layers fixed or given) only the weights are drawn.

    Returns:
        PNG.
    """
    if not choice.style_evidence:
        figure, axis = chart(2.6)
        names, weights = list(choice.style_weights), list(choice.style_weights.values())
        bars = axis.bar(names, weights, color=ACCENT, width=0.6)
        axis.bar_label(bars, [f"{100 * weight:.0f} %" for weight in weights], fontsize=8)
        axis.set_ylabel("style weight", fontsize=9)
        axis.margins(y=0.15)
        return png(figure)
    content = bool(choice.content_evidence)
    figure = Figure((WIDTH_IN, 6.4 if content else 3.6), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(2 if content else 1, 1, squeeze=False)[:, 0]
    _style_panel(styled(axes[0]), choice)
    if content:
        _content_panel(styled(axes[1]), choice)
    return png(figure)


def _style_panel(axis: Axes, choice: "LayerChoice") -> None:
    for place, entry in enumerate(choice.style_evidence):
        used = choice.style_weights.get(entry.layer, 0.0)
        colour, hatch = ACCENT if used else PALE, None if entry.measured else "///"
        axis.bar(place, entry.separation, color=colour, width=0.66, hatch=hatch, edgecolor="white")
        if entry.measured:
            axis.hlines(entry.null95, place - 0.4, place + 0.4, color=WARM, linewidth=1.8)
        if used:
            top = (place, entry.separation)
            axis.annotate(f"{100 * used:.0f} %", top, (0, 3), textcoords="offset points", ha="center", fontsize=8)
    axis.bar(0, 0, color=ACCENT, label="used, with its weight")
    axis.bar(0, 0, color=PALE, label="not used")
    if not all(entry.measured for entry in choice.style_evidence):
        axis.bar(0, 0, color=PALE, hatch="///", edgecolor="white", label="not measured: takes the mean")
    axis.plot([], [], color=WARM, linewidth=1.8, label="95 % of chance results stay below")
    names = [entry.layer for entry in choice.style_evidence]
    axis.set_xticks(range(len(names)), names, fontsize=7.5)
    axis.set_ylabel("separation", fontsize=9)
    title = "Style: how well the layer tells the painting from the photo's region"
    axis.set_title(title, loc="left", fontsize=10)
    axis.margins(x=0.01, y=0.28)
    axis.legend(fontsize=8, frameon=False, loc="upper left", ncols=4)


def _content_panel(axis: Axes, choice: "LayerChoice") -> None:
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


def gram_spectra(stats_by_picture: "Mapping[str, Sequence[GramStats]]") -> bytes:
    """Draw the eigenvalues of each layer's Gram matrix, one panel a layer, one line a picture.

    Args:
        stats_by_picture: Statistics of one or more pictures by name, such as "photo" and "painting".

    Returns:
        PNG.

    Raises:
        UsageError: If there are no statistics.
    """
    layers = list(dict.fromkeys(stats.layer for every in stats_by_picture.values() for stats in every))
    if not layers:
        raise UsageError("There are no Gram statistics to draw; expected at least one layer of one picture.")
    columns = min(4, len(layers))
    rows = math.ceil(len(layers) / columns)
    figure = Figure((WIDTH_IN, 0.6 + 2.2 * rows), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axis in axes[len(layers) :]:
        axis.set_visible(False)
    for axis, layer in zip(axes, layers, strict=False):
        styled(axis).set_title(layer, loc="left", fontsize=9.5)
        for (name, every), colour in zip(stats_by_picture.items(), COLOURS * 9, strict=False):
            for stats in (entry for entry in every if entry.layer == layer):
                shares = np.array(stats.spectrum)
                kept = shares > 1e-6
                ranks = np.arange(1, len(shares) + 1)
                axis.plot(ranks[kept], shares[kept], color=colour, linewidth=1.6, label=name)
                rank = max(1.0, stats.effective_rank)
                axis.axvline(rank, color=colour, linewidth=1, linestyle=(0, (2, 2)))
        axis.set(xscale="log", yscale="log")
        plain_log(axis.xaxis)
        plain_log(axis.yaxis)
    figure.supylabel("share of the energy", fontsize=9)
    figure.supxlabel("direction, strongest first (dashed: effective rank)", fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    literal(*legend.get_texts())
    return png(figure)
