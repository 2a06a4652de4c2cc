"""The report of a comparative study: from trials to a record."""

from typing import TYPE_CHECKING

from commands.contest import Pair
from commands.run import Run

if TYPE_CHECKING:
    from reports.store import RecordBuilder
    from stylize.compare import Trial
    from stylize.factors import Factorial


def sheet(pair: Pair, trials: "list[Trial]") -> bytes:
    """Photo, painting and results side by side."""
    from interp.pictures.images import to_hwc_u8
    from reports.study_figures import contact_sheet

    pictures = [("photo", to_hwc_u8(pair.contest.photo_nchw01)), ("painting", pair.painting.rgb_hwc_u8)]
    pictures += [(f"{trial.name}, {trial.steps:,} steps", trial.result_hwc_u8) for trial in trials]
    return contact_sheet(pair.name, pictures)


def tell_compare(
    run: Run, pairs: list[Pair], trials: "list[list[Trial]]", factorial: "Factorial | None"
) -> "RecordBuilder":
    """Put a study into a record, in reading order."""
    from interp.pictures.images import to_hwc_u8
    from reports import study
    from reports.store import RecordBuilder
    from stylize.factors import PRINT_INTERVAL
    from stylize.recipes import RECIPES
    from stylize.verdicts import claim_sentence, effect_sentence, standings, unseen_layers, winning_sentences

    done = list(zip(pairs, trials, strict=False))
    unseen = unseen_layers([trial for entry in trials for trial in entry])
    ranked = standings({pair.name: entry for pair, entry in done})
    claims = [claim_sentence(entry, unseen) for entry in trials]
    headline = claims[0] or f"{len(trials[0])} ways on {len(done)} pair{'s' if len(done) > 1 else ''} of pictures."
    builder = RecordBuilder("compare", f"Comparison: {', '.join(pair.name for pair, _ in done)}", headline)
    store, add = builder.images, builder.sections.append
    for place, ((pair, entry), claim) in enumerate(zip(done, claims, strict=True), start=1):
        photo = to_hwc_u8(pair.contest.photo_nchw01)
        add(study.results_section(store, pair.name, photo, pair.painting.rgb_hwc_u8, entry, claim, place))
    add(study.standings_section(ranked, winning_sentences(ranked), len(done)))
    attributions = factorial.attributions() if factorial else None
    if factorial and attributions:
        sentences = [effect_sentence(effect, attributions[0]) for effect in attributions[0].effects]
        add(study.factors_section(store, pairs[0].name, factorial, attributions, sentences, PRINT_INTERVAL))
    for place, (pair, entry) in enumerate(done, start=1):
        add(study.curves_section(store, pair.name, entry, unseen, place))
        add(study.stability_section(store, pair.name, entry, place))
        add(study.snapshots_section(store, pair.name, entry, place))
    recipes = [RECIPES[trial.name] for trial in trials[0] if trial.name in RECIPES]
    if recipes:
        add(study.constants_section(recipes))
    for trial in trials[0]:
        run.warnings += [f"{trial.name}: {note}" for note in trial.notes if note.startswith("Shortened")]
    builder.data = {
        "trials": {pair.name: entry for pair, entry in done},
        "standings": ranked,
        "claims": claims,
        "unseen_layers": unseen,
        "recipes": {entry.name: entry for entry in recipes},
        "why": attributions,
        "why_iterations": factorial.iterations if factorial else None,
        "why_size_px": factorial.size_px if factorial else None,
    }
    return builder
