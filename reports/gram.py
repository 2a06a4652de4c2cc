"""Gram statistics of one or several pictures: spectra, distances, and which layers tell the pictures apart."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure

from interp.errors import UsageError
from reports.blocks import Block, Figure, Paragraph, Row, Table
from reports.canvas import (
    ACCENT,
    COLOURS,
    DPI,
    INK,
    ON_MAP,
    PALE,
    SOFT,
    WARM,
    WIDTH_IN,
    closed,
    literal,
    panels,
    plain_log,
    styled,
)
from reports.gram_matrices import matrices_section
from reports.record import Section
from reports.store import ImageStore
from reports.wording import number, percent

if TYPE_CHECKING:
    from interp.statistics.gram import GramStats
    from interp.statistics.gram_compare import GramComparison, LayerComparison

MAX_DISTANCE = 2**0.5
COLUMNS = 5
MAX_MATRICES = 10  # layers whose matrices are drawn: those that tell the pictures apart best


def gram_sections(store: ImageStore, comparison: "GramComparison", names: Sequence[str]) -> list[Section]:
    """Statistics of each picture, and for several how the layers tell them apart.

    Args:
        store: Where pictures go.
        comparison: What was measured.
        names: Of the pictures.

    Returns:
        Sections `matrices` and `gram`, before them `distances` where there are several pictures.
    """
    stats = {name: [entry.stats for entry in style] for name, style in zip(names, comparison.styles, strict=True)}
    section = gram_section(store, stats)
    tables: tuple[Block, ...] = (_stationarity_table(comparison, names), _pairs_table(comparison, names))
    own = Section(section.id, section.title, section.intro, (*section.blocks, *tables))
    matrices = matrices_section(store, comparison, names)
    return [_distances_section(store, comparison, names), matrices, own] if comparison.layers else [matrices, own]


def pictures_row(store: ImageStore, pictures: Mapping[str, np.ndarray]) -> Row:
    """The pictures, (h, w, 3) uint8 RGB by name."""
    return Row(tuple(Figure(store.photo(rgb_hwc_u8, f"{name}."), name) for name, rgb_hwc_u8 in pictures.items()))


def gram_section(store: ImageStore, stats_by_picture: Mapping[str, Sequence["GramStats"]]) -> Section:
    """Gram statistics of one or more pictures.

    Args:
        store: Where pictures go.
        stats_by_picture: Statistics by the picture's name, such as "photo" and "painting".

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
    image = store.chart(gram_spectra.svg(stats_by_picture), f"Eigenvalue spectra of the Gram matrices of {names}.")
    caption = "How the energy spreads over independent directions: a steep line means few, a flat one many."
    blocks = (Figure(image, caption), Table("Gram statistics by layer", header, rows))
    intro = (
        "A Gram matrix holds which channels fire together, without where: the network's idea of style. "
        "Effective rank: how many independent directions are in use."
    )
    return Section("gram", "Gram statistics", intro, blocks)


def _distances_section(store: ImageStore, comparison: "GramComparison", names: Sequence[str]) -> Section:
    couples = len(names) * (len(names) - 1) // 2
    best = comparison.best or "none"
    image = store.chart(
        gram_distances.svg(comparison, names), f"Distances between {', '.join(names)}; best layer: {best}."
    )
    caption = (
        "Above: distance between the pictures' Gram matrices, each of unit norm. Below: separation, the distance "
        "between tiles of two pictures against that between tiles of the same; only above its line it beats chance."
    )
    rows = tuple(
        (
            entry.layer,
            number(entry.separation),
            f"{entry.beyond_chance} of {couples}" if entry.separation == entry.separation else "–",
            f"{names[entry.farthest[0]]}, {names[entry.farthest[1]]}",
            ", ".join(f"{pair.first}·{pair.second} ({percent(pair.share)})" for pair in entry.pairs[:3]) or "–",
        )
        for entry in comparison.layers
    )
    header = (
        "Layer",
        "Separation",
        "Pairs beyond chance",
        "Farthest apart",
        "By these channels (share of the distance²)",
    )
    blocks: list[Block] = [Figure(image, caption), Table("Which layers tell the pictures apart", header, rows)]
    if comparison.cells:
        blocks.append(Paragraph(f"Each tile gave {comparison.cells} random cells, the same number at every layer."))
    intro = "Style as the network measures it: how far apart the pictures' Gram matrices are, layer by layer."
    return Section("distances", "Which layers tell the pictures apart", intro, tuple(blocks))


def _stationarity_table(comparison: "GramComparison", names: Sequence[str]) -> Table:
    layers = [entry.stats.layer for entry in comparison.styles[0]]
    rows = tuple(
        (layer, *(number(style[place].stationarity) for style in comparison.styles))
        for place, layer in enumerate(layers)
    )
    caption = "Stationarity: 1 where every part of the picture has the same style (–: too few cells)"
    return Table(caption, ("Layer", *names), rows)


def _pairs_table(comparison: "GramComparison", names: Sequence[str]) -> Table:
    rows = tuple(
        (entry.stats.layer, name, ", ".join(f"{p.first}·{p.second} ({percent(p.share)})" for p in entry.pairs) or "–")
        for name, style in zip(names, comparison.styles, strict=True)
        for entry in style
    )
    caption = "The pairs of channels that make up most of each Gram matrix, with their share of its squared norm"
    return Table(caption, ("Layer", "Picture", "Pairs of channels"), rows)


@closed
def gram_spectra(stats_by_picture: Mapping[str, Sequence["GramStats"]]) -> MatplotlibFigure:
    """Draw the eigenvalues of each layer's Gram matrix, one panel a layer, one line a picture.

    Args:
        stats_by_picture: Statistics of one or more pictures by name, such as "photo" and "painting".

    Returns:
        The figure; called from outside, a PNG.

    Raises:
        UsageError: If there are no statistics.
    """
    layers = list(dict.fromkeys(stats.layer for every in stats_by_picture.values() for stats in every))
    if not layers:
        raise UsageError("There are no Gram statistics to draw; expected at least one layer of one picture.")
    figure, axes = panels(len(layers), 4, 2.2, 0.6)
    for axis, layer in zip(axes, layers, strict=True):
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
    return figure


@closed
def gram_distances(comparison: "GramComparison", names: Sequence[str]) -> MatplotlibFigure:
    """Draw each layer's matrix of distances, and below how well each layer tells the pictures apart.

    Args:
        comparison: Of at least two pictures.
        names: Theirs.

    Returns:
        The figure; called from outside, a PNG.
    """
    drawn = _drawn_layers(comparison)
    rows, columns = math.ceil(len(drawn) / COLUMNS), min(COLUMNS, len(drawn))
    side_in = WIDTH_IN / max(3, columns)
    figure = MatplotlibFigure(
        (WIDTH_IN, rows * (side_in + 0.35) + 3.6), dpi=DPI, facecolor="white", layout="constrained"
    )
    halves = figure.subfigures(2, 1, squeeze=False, height_ratios=[rows * (side_in + 0.35), 3.4])
    top, bottom = np.asarray(halves)[:, 0]
    axes = top.subplots(rows, max(3, columns), squeeze=False).ravel()
    for axis in axes[len(drawn) :]:
        axis.set_visible(False)
    image = None
    for place, entry in enumerate(drawn):
        image = _matrix(axes[place], entry, [str(index + 1) for index in range(len(names))])
    if image is not None:
        bar = top.colorbar(image, ax=list(axes), shrink=0.7, aspect=25)
        bar.ax.tick_params(labelsize=7, colors=SOFT)
        bar.set_label("distance, 0 = same style", fontsize=8)
    listed = "   ".join(f"{index}  {name}" for index, name in enumerate(names, 1))
    literal(top.suptitle(listed, fontsize=8.5, x=0.01, ha="left", color=INK))
    _separations(styled(bottom.subplots()), comparison)
    return figure


def _drawn_layers(comparison: "GramComparison") -> "list[LayerComparison]":
    if len(comparison.layers) <= MAX_MATRICES:
        return list(comparison.layers)
    ranked = sorted(comparison.layers, key=lambda entry: -np.nan_to_num(entry.separation, nan=-1))[:MAX_MATRICES]
    return [entry for entry in comparison.layers if entry in ranked]


def _matrix(axis: Axes, entry: "LayerComparison", labels: list[str]) -> object:
    values = np.array(entry.distances)
    image = axis.imshow(values, cmap="magma_r", vmin=0, vmax=MAX_DISTANCE)
    axis.set_title(entry.layer, loc="left", fontsize=9)
    axis.set_xticks(range(len(labels)), labels, fontsize=7.5)
    axis.set_yticks(range(len(labels)), labels, fontsize=7.5)
    if len(labels) <= 6:
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > 0.75 else ON_MAP
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    return image


def _separations(axis: Axes, comparison: "GramComparison") -> None:
    """One dot a pair of pictures, its chance level as a dash, the mean as a bar."""
    count = len(comparison.layers[0].distances)
    for place, entry in enumerate(comparison.layers):
        if entry.separation != entry.separation:
            axis.annotate("too few\ncells", (place, 0), (0, 4), textcoords="offset points", ha="center", fontsize=6.5)
            continue
        colour = ACCENT if entry.layer == comparison.best else PALE
        axis.bar(place, entry.separation, color=colour, width=0.66)
        couples = [(a, b) for a in range(count) for b in range(a + 1, count)]
        shift = np.linspace(-0.22, 0.22, len(couples)) if len(couples) > 1 else np.zeros(1)
        axis.plot(place + shift, [entry.separations[a][b] for a, b in couples], ".", color=INK, markersize=5)
        chance = max(entry.chances[a][b] for a, b in couples)
        axis.hlines(chance, place - 0.4, place + 0.4, color=WARM, linewidth=1.6)
    axis.bar(0, 0, color=ACCENT, label=f"best: {comparison.best}" if comparison.best else "best")
    axis.plot([], [], ".", color=INK, label="each pair of pictures")
    axis.plot([], [], color=WARM, label="95 % of chance results stay below")
    axis.set_xticks(range(len(comparison.layers)), [entry.layer for entry in comparison.layers], fontsize=7.5)
    if len(comparison.layers) > 8:
        axis.tick_params(axis="x", rotation=60)
    axis.set_ylabel("separation", fontsize=9)
    axis.set_title("How well each layer tells the pictures apart", loc="left", fontsize=10)
    axis.margins(x=0.01, y=0.25)
    axis.legend(fontsize=8, frameon=False, loc="upper left", ncols=3)
