"""A sweep: its Pareto front, what matters, and the preset that was chosen."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure as MatplotlibFigure

from reports.blocks import Block, Code, Figure, Paragraph, Table
from reports.canvas import ACCENT, COLOURS, DPI, PALE, WARM, WIDTH_IN, chart, closed, legend_above, styled
from reports.record import Section
from reports.store import ImageStore
from reports.wording import number

if TYPE_CHECKING:
    from stylize.sweep import Attempt


def sweep_sections(
    store: ImageStore,
    attempts: "Sequence[Attempt]",
    best: "Attempt",
    importances: Mapping[str, Mapping[str, float]],
    objectives: Sequence[str],
    preset_text: str,
) -> list[Section]:
    """A sweep: its Pareto front, what matters, and the preset that was chosen.

    Args:
        store: Where pictures go.
        attempts: Finished trials.
        best: The chosen one.
        importances: Objective -> value -> share; empty where there were too few trials.
        objectives: Their names.
        preset_text: The chosen values as TOML.

    Returns:
        Sections `front`, `importance` and `preset`.
    """
    front = sorted((attempt for attempt in attempts if attempt.on_front), key=lambda attempt: attempt.objectives)
    picture = store.chart(
        pareto_front.svg(attempts, best),
        f"{len(attempts)} trials, {len(front)} on the Pareto front; chosen: trial {best.number}.",
    )
    caption = (
        "Each dot is a trial; less is better on every axis, and none of the three figures is part of the loss. Patch "
        "distance: to the painting's, 1 is the photo untouched. Edges lost: 1 is no likeness. Change under jitter: of "
        "what was changed at all, when every value of the photo moves by up to 1/255."
    )
    header = ("Trial", *objectives, *best.values)
    rows = tuple(
        (
            f"{attempt.number}{' (chosen)' if attempt is best else ''}",
            *(number(value) for value in attempt.objectives),
            *(number(value) if isinstance(value, float) else str(value) for value in attempt.values.values()),
        )
        for attempt in front
    )
    table = Table("The Pareto front: trials that no other beats on all three", header, rows)
    rule = (
        "Three objectives pull apart; no trial beats one of the front on all of them. Each is 0 at best and about 1 "
        "where it has failed; chosen is the trial of the front nearest to 0 on all three."
    )
    sections = [Section("front", "The Pareto front", rule, (Figure(picture, caption), table))]
    if importances:
        alt = "; ".join(
            f"{name}: most by {max(shares, key=shares.__getitem__)}" for name, shares in importances.items()
        )
        bars = Figure(
            store.chart(importance_bars.svg(importances), f"Importance. {alt}."),
            "fANOVA (Hutter et al. 2014): the share of an objective's variance that each value explains by itself, in "
            "a random forest fitted to the trials. The learning rate counts for Adam alone; L-BFGS takes none.",
        )
        what: tuple[Block, ...] = (bars,)
    else:
        what = (Paragraph("Fewer than ten trials tell nothing about importance."),)
    sections.append(Section("importance", "What matters", "Which of the searched values decides each objective.", what))
    use = "Saved beside this page; `stylize --preset FILE` reads it."
    return [*sections, Section("preset", "The chosen preset", use, (Code(preset_text),))]


@closed
def importance_bars(importances: Mapping[str, Mapping[str, float]]) -> MatplotlibFigure:
    """Draw how much each parameter of a sweep matters to each objective.

    Args:
        importances: Objective -> parameter -> share, the shares of an objective adding up to 1.

    Returns:
        The figure; called from outside, a PNG.
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
    return figure


@closed
def pareto_front(attempts: "Sequence[Attempt]", best: "Attempt") -> MatplotlibFigure:
    """Draw a sweep's trials: style against what is lost of the photo, and against instability.

    Args:
        attempts: All finished trials.
        best: The one that was chosen.

    Returns:
        The figure; called from outside, a PNG.
    """
    figure = MatplotlibFigure((WIDTH_IN, 3.9), dpi=DPI, facecolor="white", layout="constrained")
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
    legend_above(figure, axes[0])
    return figure
