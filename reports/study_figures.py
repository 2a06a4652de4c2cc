"""The pictures of a comparative study: results side by side, curves on the yardstick, factors, a sweep's front.

Every function returns PNG bytes at a fixed resolution, on white: equal data give equal bytes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from reports.canvas import (
    ACCENT,
    COLOURS,
    DPI,
    INK,
    PALE,
    SOFT,
    WARM,
    WIDTH_IN,
    chart,
    closed,
    literal,
    page,
    plain_log,
    png,
    styled,
    text_at,
    wrapped,
)

if TYPE_CHECKING:
    from stylize.compare import Trial
    from stylize.factors import Attribution
    from stylize.sweep import Attempt

MARGIN_PX, GAP_PX, TILE_PX, LABEL_PX, HEAD_PX = 24, 16, 360, 64, 76


@closed
def contact_sheet(title: str, pictures: Sequence[tuple[str, np.ndarray]]) -> bytes:
    """Lay pictures side by side, four a row, each under its name.

    Args:
        title: Above all.
        pictures: (name, (h, w, 3) uint8 RGB) pairs; the first one's proportions are the tiles'.

    Returns:
        PNG.
    """
    columns = min(4, len(pictures))
    height, width = pictures[0][1].shape[:2]
    box = TILE_PX, max(1, round(TILE_PX * height / width))
    tiles = [ImageOps.contain(Image.fromarray(picture), box, Image.Resampling.LANCZOS) for _, picture in pictures]
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) + LABEL_PX for row in rows]
    width, height = 2 * MARGIN_PX + columns * (TILE_PX + GAP_PX) - GAP_PX, HEAD_PX + sum(heights) + MARGIN_PX
    figure, sheet = page(width, height), np.full((height, width, 3), 255, np.uint8)
    text_at(figure, MARGIN_PX, MARGIN_PX, title, 11, weight="bold")
    top = HEAD_PX
    for number, row in enumerate(rows):
        for column, tile in enumerate(row):
            left = MARGIN_PX + column * (TILE_PX + GAP_PX)
            name = pictures[number * columns + column][0]
            text_at(figure, left, top + LABEL_PX - 8, wrapped(name, TILE_PX, 8), 8, va="bottom")
            sheet[top + LABEL_PX : top + LABEL_PX + tile.height, left : left + tile.width] = np.asarray(tile)
        top += heights[number]
    figure.figimage(sheet, 0, 0, zorder=-1)
    return png(figure)


@closed
def yardstick_curves(trials: "Sequence[Trial]", unseen: Sequence[str]) -> bytes:
    """Draw every way's path on the common yardstick: three figures by step, and style against content.

    Args:
        trials: The runs.
        unseen: Layers that none of them had in its loss.

    Returns:
        PNG.
    """
    figure = Figure((WIDTH_IN, 6.6), dpi=DPI, facecolor="white", layout="constrained")
    axes = [styled(axis) for axis in figure.subplots(2, 2).ravel()]
    titles = (
        "Gram distance to the painting, layers nobody optimised",
        "Patch distance to the painting",
        "Distance to the photo at relu4_2",
        "Both at once: down is painting, left is photo",
    )
    for trial, colour in zip(trials, COLOURS * 9, strict=False):
        steps = [max(0.7, reading.step) for reading in trial.readings]  # the start, on a logarithmic axis
        style = [reading.mean_style(unseen) for reading in trial.readings]
        patches = [reading.marks.patches for reading in trial.readings]
        content = [reading.content for reading in trial.readings]
        options = {"color": colour, "linewidth": 1.7, "marker": "o", "markersize": 2.5}
        for axis, values in zip(axes, (style, patches, content), strict=False):
            axis.plot(steps, values, label=trial.name, **options)
        axes[3].plot(content, style, **options)
        axes[3].plot(content[-1], style[-1], "o", color=colour, markersize=7)
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, loc="left", fontsize=9.5)
        axis.set_ylim(0, _shown_top([line.get_ydata() for line in axis.lines]))
    axes[3].set_xlim(0, _shown_top([line.get_xdata() for line in axes[3].lines]))
    for axis in axes[:3]:
        axis.set_xscale("log")
        plain_log(axis.xaxis)
        axis.set_xlabel("evaluations of its own loss", fontsize=8.5)
    axes[3].set_xlabel("distance to the photo at relu4_2", fontsize=8.5)
    axes[3].set_ylabel("distance to the painting", fontsize=8.5)
    _legend_above(figure, axes[0])
    return png(figure)


@closed
def own_losses(trials: "Sequence[Trial]") -> bytes:
    """Draw each way's own loss relative to its first value: units differ, spikes show."""
    figure, axis = chart(3.4)
    for trial, colour in zip(trials, COLOURS * 9, strict=False):
        values = trial.losses / trial.losses[0]
        steps = np.arange(1, len(values) + 1)
        axis.plot(steps, np.where(values > 0, values, np.nan), color=colour, linewidth=1.2, label=trial.name)
    axis.set(xscale="log", yscale="log")
    plain_log(axis.xaxis)
    plain_log(axis.yaxis)
    axis.set_xlabel("evaluations of its own loss", fontsize=9)
    axis.set_ylabel("loss over its first value", fontsize=9)
    _legend_above(figure, axis)
    return png(figure)


@closed
def factor_bars(attributions: "Sequence[Attribution]") -> bytes:
    """Draw the factors' Shapley values with their ranges, one panel a figure.

    Args:
        attributions: The figures explained, the same factors in each.

    Returns:
        PNG.
    """
    names = [effect.factor.name for effect in attributions[0].effects] + ["steps shown"]
    columns = min(3, len(attributions))
    rows = math.ceil(len(attributions) / columns)
    figure = Figure((WIDTH_IN, 0.4 + 2.7 * rows), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axis in axes[len(attributions) :]:
        axis.set_visible(False)
    for axis, attribution in zip(axes, attributions, strict=False):
        places = np.arange(len(names))
        values = [effect.value for effect in attribution.effects] + [0.0]
        styled(axis).barh(places, values, color=ACCENT, height=0.55)
        axis.hlines(
            places[:-1],
            [effect.least for effect in attribution.effects],
            [effect.most for effect in attribution.effects],
            color=WARM,
            linewidth=1.3,
        )
        axis.plot(0, places[-1], "x", color=SOFT)
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.set_yticks(places, names, fontsize=8)
        axis.set_title(
            f"{attribution.figure}:\n{attribution.model2:.2f} (model 2) → {attribution.model1:.2f} (model 1)",
            loc="left",
            fontsize=8.5,
        )
    axes[0].invert_yaxis()
    figure.supxlabel("change from model 2 to model 1; thin line: range over the other factors' settings", fontsize=8.5)
    return png(figure)


@closed
def importance_bars(importances: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draw how much each parameter of a sweep matters to each objective.

    Args:
        importances: Objective -> parameter -> share, the shares of an objective adding up to 1.

    Returns:
        PNG.
    """
    names = sorted(
        {name for shares in importances.values() for name in shares},
        key=lambda name: max(shares.get(name, 0.0) for shares in importances.values()),
    )
    figure, axis = chart(0.9 + 0.42 * len(names))
    height = 0.8 / len(importances)
    for place, (objective, shares) in enumerate(importances.items()):
        offsets = np.arange(len(names)) + 0.4 - height * (place + 0.5)
        values = [shares.get(name, 0.0) for name in names]
        axis.barh(offsets, values, height=height, color=COLOURS[place % len(COLOURS)], label=objective)
    axis.set_yticks(range(len(names)), names, fontsize=8.5)
    axis.set_xlabel("share of the objective's variation", fontsize=9)
    axis.legend(fontsize=8.5, frameon=False, loc="lower right")
    return png(figure)


@closed
def pareto_front(attempts: "Sequence[Attempt]", best: "Attempt") -> bytes:
    """Draw a sweep's trials: style against what is lost of the photo, and against instability.

    Args:
        attempts: All finished trials.
        best: The one that was chosen.

    Returns:
        PNG.
    """
    figure = Figure((WIDTH_IN, 3.9), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, of, label in zip(
        axes, (1, 2), ("edges lost", "change under a jittered photo, of its own change"), strict=True
    ):
        styled(axis)
        for front, colour, words in ((False, PALE, "beaten on all three"), (True, ACCENT, "on the Pareto front")):
            points = [attempt.objectives for attempt in attempts if attempt.on_front == front]
            axis.scatter([p[of] for p in points], [p[0] for p in points], color=colour, s=26, label=words)
        axis.scatter(best.objectives[of], best.objectives[0], s=120, facecolors="none", edgecolors=WARM, linewidths=2)
        axis.set_xlabel(label, fontsize=9)
    axes[0].scatter([], [], s=120, facecolors="none", edgecolors=WARM, linewidths=2, label="chosen")
    axes[0].set_ylabel("patch distance to the painting, of the photo's", fontsize=9)
    _legend_above(figure, axes[0])
    return png(figure)


def _shown_top(values: Sequence[Any]) -> float:
    """Upper end of an axis that one overshooting step does not flatten."""
    finite = np.concatenate([np.asarray(line, dtype=float) for line in values])
    finite = finite[np.isfinite(finite)]
    ends = [float(line[-1]) for line in values if np.isfinite(line[-1])]
    return 1.1 * max(float(np.quantile(finite, 0.95)), *ends, 1e-9) if len(finite) else 1.0


def _legend_above(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False, fontsize=8.5)
    literal(*legend.get_texts())
