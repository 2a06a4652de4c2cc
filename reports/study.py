"""The sections of a comparative study: who wins on what, how each way went, which difference matters.

Each function takes results and the store to put pictures in, and returns one section.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from reports import study_figures
from reports.record import Block, Code, Figure, Gallery, Paragraph, Section, Table, Verdict
from reports.store import ImageStore
from reports.wording import number, percent

if TYPE_CHECKING:
    from stylize.compare import Trial
    from stylize.factors import Attribution, Factor, Factorial
    from stylize.recipes import Recipe
    from stylize.sweep import Attempt
    from stylize.verdicts import Standing


def results_section(
    store: ImageStore,
    pair: str,
    photo_hwc_u8: np.ndarray,
    painting_hwc_u8: np.ndarray,
    trials: "Sequence[Trial]",
    claim: str | None = None,
    place: int = 1,
) -> Section:
    """One pair's results side by side.

    Args:
        store: Where pictures go.
        pair: Its name.
        photo_hwc_u8: The photo at the working size.
        painting_hwc_u8: The painting.
        trials: One a way.
        claim: What the numbers say of the report's claim.
        place: Number of the pair.

    Returns:
        Section `results`, or `results-2` and so on.
    """
    pictures = [
        Figure(store.photo(photo_hwc_u8, f"The photo of {pair}."), "The photo."),
        Figure(store.photo(painting_hwc_u8, f"The painting of {pair}."), "The painting."),
    ]
    pictures += [
        Figure(store.photo(trial.result_hwc_u8, f"Result of {trial.name}."), f"{trial.name}: {trial.title}.")
        for trial in trials
    ]
    blocks: list[Block] = [Verdict("The report's claim", claim, "doubt")] if claim else []
    blocks.append(Gallery(tuple(pictures)))
    rows = tuple((trial.name, " ".join(trial.notes)) for trial in trials if trial.notes)
    if rows:
        blocks.append(Table("To be kept in mind", ("Preset", "Note"), rows))
    intro = "The same photo, painting, weights, size and region for all."
    return Section(_id("results", place), f"Results: {pair}", intro, tuple(blocks))


def standings_section(ranked: "Sequence[Standing]", sentences: Sequence[str], pairs: int) -> Section:
    """Who wins on what.

    Args:
        ranked: One a criterion.
        sentences: The wins in words.
        pairs: How many pairs were compared.

    Returns:
        Section `who-wins`.
    """
    names = list(ranked[0].values) if ranked else []
    rows = tuple(
        (
            f"{standing.criterion} ({'more' if standing.more_is_better else 'less'} is better)",
            *(_spread(standing.values[name]) for name in names),
            " = ".join(standing.winners),
        )
        for standing in ranked
    )
    over = "" if pairs == 1 else f"; mean over {pairs} pairs (least … most)"
    caption = f"Every way on every criterion{over}. Ways within 2 % of the best share the win."
    blocks = (*map(Paragraph, sentences), Table(caption, ("Criterion", *names, "Wins"), rows))
    intro = (
        "Measured alike for all, none of it in the units of anyone's own loss. A way that does little keeps much of "
        "the photo: read the distances to both pictures together."
    )
    return Section("who-wins", "Who wins on what", intro, blocks)


def curves_section(
    store: ImageStore, pair: str, trials: "Sequence[Trial]", unseen: Sequence[str], place: int = 1
) -> Section:
    """Each way's path on the common yardstick.

    Args:
        store: Where pictures go.
        pair: Its name.
        trials: One a way.
        unseen: Layers that none of them had in its loss.
        place: Number of the pair.

    Returns:
        Section `yardstick`, or `yardstick-2` and so on.
    """
    alt = "; ".join(f"{trial.name} ends at {trial.last.mean_style(unseen):.2f}" for trial in trials)
    caption = (
        "Relative Gram distances |G − G*|² / |G*|², averaged over the layers that nobody had in the loss "
        f"({', '.join(unseen) or 'none'}); sliced Wasserstein distance of patches in units of the painting's standard "
        "deviation; relative feature distance to the photo. The large dot is the end; what overshoots far is cut off."
    )
    curves = Figure(store.png(study_figures.yardstick_curves(trials, unseen), f"Curves: {alt}."), caption)
    names = [trial.name for trial in trials]
    start = trials[0].readings[0]
    rows = tuple(
        (
            layer,
            number(value),
            *(number(trial.last.style[layer]) + ("*" if layer in trial.optimised else "") for trial in trials),
        )
        for layer, value in start.style.items()
    )
    table = Table(
        "Gram distance to the painting at every layer (*: in that way's loss)", ("Layer", "Photo", *names), rows
    )
    intro = "Each model's own loss has its own units, so all are read on rulers that belong to none of them."
    return Section(_id("yardstick", place), f"On the common yardstick: {pair}", intro, (curves, table))


def snapshots_section(store: ImageStore, pair: str, trials: "Sequence[Trial]", place: int = 1) -> Section:
    """Pictures on the way, at each preset's own interval; section `snapshots`, or `snapshots-2` and so on."""
    blocks: list[Block] = []
    for trial in trials:
        if not trial.snapshots:
            continue
        blocks.append(Paragraph(f"{trial.name}, every {trial.every} of {trial.steps:,} steps:"))
        blocks.append(
            Gallery(
                tuple(
                    Figure(store.photo(picture, f"{trial.name} after {step} steps."), f"step {step:,}")
                    for step, picture in trial.snapshots
                )
            )
        )
    intro = "How often a picture is shown differs from preset to preset. It changes what one sees, not what comes out."
    return Section(_id("snapshots", place), f"Snapshots: {pair}", intro, tuple(blocks))


def stability_section(store: ImageStore, pair: str, trials: "Sequence[Trial]", place: int = 1) -> Section:
    """How calmly each way arrived; section `stability`, or `stability-2` and so on."""
    rows = tuple(
        (
            trial.name,
            str(trial.stability.spikes),
            number(trial.stability.gradient_spread),
            "yes" if trial.stability.diverged else "no",
            number(trial.stability.jitter_rms),
            "–" if trial.stability.jitter_share is None else percent(trial.stability.jitter_share),
            number(trial.stability.jitter_style),
            number(trial.first_style_gradient),
        )
        for trial in trials
    )
    header = (
        "Preset", "Spikes", "Gradient spread", "Diverged", "Change under jitter, of 255", "… of its own change",
        "… of the style distance",
        "First style gradient",
    )  # fmt: skip
    caption = (
        "Spikes: steps whose loss is over 1.1 times the step before. Gradient spread: its norm's 95 % quantile over "
        "its 5 % quantile, second half. Jitter: every value of the photo moved by up to 1/255, the whole run repeated. "
        "First style gradient: its norm at the photo, per unit of the [0, 1] range, which tells how hard the same "
        "constants pull with these weights."
    )
    losses = store.png(study_figures.own_losses(trials), "Each way's own loss over its first value.")
    figure = Figure(losses, "Each way's own loss, over its first value; heights do not compare, spikes do.")
    intro = "A result that another grain of noise would change is luck."
    return Section(_id("stability", place), f"Stability: {pair}", intro, (Table(caption, header, rows), figure))


def factors_section(
    store: ImageStore,
    pair: str,
    factorial: "Factorial",
    attributions: "Sequence[Attribution]",
    sentences: Sequence[str],
    print_interval: "Factor",
) -> Section:
    """Which difference between the report's models matters.

    Args:
        store: Where pictures go.
        pair: Name of the pair they were made on.
        factorial: The runs.
        attributions: The figures explained; the first is the one that the sentences are about.
        sentences: One a factor.
        print_interval: The factor that has no effect.

    Returns:
        Section `why`.
    """
    fewer, more = factorial.iterations
    alt = "; ".join(f"{effect.factor.name} {effect.value:+.3f}" for effect in attributions[0].effects)
    chart = Figure(
        store.png(study_figures.factor_bars(attributions), f"Shapley values: {alt}."),
        "Shapley values: the change a factor makes, averaged over the orders in which the factors can be changed one "
        "by one. They add up to the whole difference.",
    )
    header = ("Factor", *(attribution.figure for attribution in attributions), "The report")
    rows = tuple(
        (effect.factor.name, *(f"{entry.effects[row].value:+.3f}" for entry in attributions), effect.factor.claim)
        for row, effect in enumerate(attributions[0].effects)
    )
    rows += ((print_interval.name, *("0" for _ in attributions), print_interval.claim),)
    totals = tuple(f"{entry.model1 - entry.model2:+.3f}" for entry in attributions)
    rows += (("all together", *totals, "model 1 is the better one"),)
    about = Paragraph(
        f"All {len(factorial.readings) // 2} combinations of five factors were run at "
        f"{factorial.size_px}×{factorial.size_px} px for {more:,} steps; results after {fewer:,} were read off the "
        "same runs, so that iterations (5000 and 2000 in the report; here in the same ratio) are a sixth factor. In "
        f"words: {attributions[0].figure} ({', '.join(factorial.unseen)}), which comes from "
        f"{attributions[0].model2:.3f} for model 2 to {attributions[0].model1:.3f} for model 1."
    )
    shown = Paragraph(
        "Steps shown: no effect, by construction. A picture is copied out of the run; the run does not know of it "
        f"({print_interval.claim})."
    )
    blocks = (about, chart, *map(Paragraph, sentences), shown, Table("Every factor on every figure", header, rows))
    intro = f"Model 2 turned into model 1, factor by factor, in every combination, on {pair}."
    return Section("why", "Which difference matters", intro, blocks)


def constants_section(recipes: "Sequence[Recipe]") -> Section:
    """Every constant of every recipe, with its source; section `constants`."""
    blocks: list[Block] = []
    for recipe in recipes:
        rows = tuple(
            (item.name.replace("_", " "), _constant(getattr(recipe, item.name)), recipe.sources[item.name])
            for item in fields(recipe)
            if item.name in recipe.sources
        )
        blocks.append(Table(f"{recipe.name}: {recipe.title}", ("Constant", "Value", "Source"), rows))
    intro = "What each preset is made of, and where each number is from."
    return Section("constants", "Constants and their sources", intro, tuple(blocks))


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
    picture = store.png(
        study_figures.pareto_front(attempts, best),
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
            store.png(study_figures.importance_bars(importances), f"Importance. {alt}."),
            "fANOVA (Hutter et al. 2014): the share of an objective's variance that each value explains by itself, in "
            "a random forest fitted to the trials. The learning rate counts for Adam alone; L-BFGS takes none.",
        )
        what: tuple[Block, ...] = (bars,)
    else:
        what = (Paragraph("Fewer than ten trials tell nothing about importance."),)
    sections.append(Section("importance", "What matters", "Which of the searched values decides each objective.", what))
    use = "Saved beside this page; `stylize --preset FILE` reads it."
    return [*sections, Section("preset", "The chosen preset", use, (Code(preset_text),))]


def _constant(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {weight:g}" for name, weight in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _spread(values: Sequence[float]) -> str:
    mean = number(float(np.mean(values)))
    return mean if len(values) == 1 else f"{mean} ({number(min(values))} … {number(max(values))})"


def _id(name: str, place: int) -> str:
    return name if place == 1 else f"{name}-{place}"
