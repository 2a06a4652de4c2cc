"""Which difference between the report's two models matters: Shapley values, drawn and told."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure as MatplotlibFigure

from reports.blocks import Figure, Paragraph, Table
from reports.canvas import ACCENT, INK, SOFT, WARM, closed, panels, styled
from reports.record import Section
from reports.store import ImageStore

if TYPE_CHECKING:
    from stylize.factors import Effect, Explanation, Factor, Factorial


def factors_section(
    store: ImageStore,
    pair: str,
    factorial: "Factorial",
    explanations: "Sequence[Explanation]",
    print_interval: "Factor",
) -> Section:
    """Which difference between the report's models matters.

    Args:
        store: Where pictures go.
        pair: Name of the pair they were made on.
        factorial: The runs.
        explanations: The figures explained; the sentences are about the first.
        print_interval: The factor that has no effect.

    Returns:
        Section `why`.
    """
    fewer, more = factorial.iterations
    alt = "; ".join(f"{effect.factor.name} {effect.value:+.3f}" for effect in explanations[0].effects)
    chart = Figure(
        store.chart(factor_bars.svg(explanations), f"Shapley values: {alt}."),
        "Shapley values: the change a factor makes, averaged over the orders in which the factors can be changed one "
        "by one. They add up to the whole difference.",
    )
    header = ("Factor", *(explanation.figure for explanation in explanations), "The report")
    rows = tuple(
        (effect.factor.name, *(f"{entry.effects[row].value:+.3f}" for entry in explanations), effect.factor.claim)
        for row, effect in enumerate(explanations[0].effects)
    )
    rows += ((print_interval.name, *("0" for _ in explanations), print_interval.claim),)
    totals = tuple(f"{entry.model1 - entry.model2:+.3f}" for entry in explanations)
    rows += (("all together", *totals, "model 1 is the better one"),)
    about = Paragraph(
        f"All {len(factorial.readings) // 2} combinations of five factors were run at "
        f"{factorial.size_px}×{factorial.size_px} px for {more:,} steps; results after {fewer:,} were read off the "
        "same runs, so that iterations (5000 and 2000 in the report; here in the same ratio) are a sixth factor. In "
        f"words: {explanations[0].figure} ({', '.join(factorial.unseen)}), which comes from "
        f"{explanations[0].model2:.3f} for model 2 to {explanations[0].model1:.3f} for model 1."
    )
    shown = Paragraph(
        "Steps shown: no effect, by construction. A picture is copied out of the run; the run does not know of it "
        f"({print_interval.claim})."
    )
    blocks = (
        about,
        chart,
        *(Paragraph(effect_sentence(effect, explanations[0])) for effect in explanations[0].effects),
        shown,
        Table("Every factor on every figure", header, rows),
    )
    intro = f"Model 2 turned into model 1, factor by factor, in every combination, on {pair}."
    return Section("why", "Which difference matters", intro, blocks)


def effect_sentence(effect: "Effect", explanation: "Explanation") -> str:
    """One factor's part in one figure, beside what the report said."""
    total = explanation.model1 - explanation.model2
    share = f", {round(100 * effect.value / total) + 0}% of the whole difference" if abs(total) > 1e-9 else ""
    name = effect.factor.name
    return (
        f"{name[:1].upper()}{name[1:]}: {effect.value:+.3f}{share}; from {effect.least:+.3f} to {effect.most:+.3f} "
        f"depending on the other factors ({effect.factor.claim})."
    )


@closed
def factor_bars(explanations: "Sequence[Explanation]") -> MatplotlibFigure:
    """Draw the factors' Shapley values with their ranges, one panel a figure.

    Args:
        explanations: The figures explained, the same factors in each.

    Returns:
        The figure; called from outside, a PNG.
    """
    names = [effect.factor.name for effect in explanations[0].effects] + ["steps shown"]
    figure, axes = panels(len(explanations), 3, 2.7, 0.4)
    for axis, explanation in zip(axes, explanations, strict=True):
        places = np.arange(len(names))
        values = [effect.value for effect in explanation.effects] + [0.0]
        styled(axis).barh(places, values, color=ACCENT, height=0.55)
        axis.hlines(
            places[:-1],
            [effect.least for effect in explanation.effects],
            [effect.most for effect in explanation.effects],
            color=WARM,
            linewidth=1.3,
        )
        axis.plot(0, places[-1], "x", color=SOFT)
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.set_yticks(places, names, fontsize=8)
        axis.set_title(
            f"{explanation.figure}:\n{explanation.model2:.2f} (model 2) → {explanation.model1:.2f} (model 1)",
            loc="left",
            fontsize=8.5,
        )
    axes[0].invert_yaxis()
    figure.supxlabel("change from model 2 to model 1; thin line: range over the other factors' settings", fontsize=8.5)
    return figure
