"""The report of a comparative study: from outcomes to a record."""

from typing import TYPE_CHECKING

from commands.pairs import PicturePair

if TYPE_CHECKING:
    from reports.store import RecordBuilder
    from stylize.compare import Outcome
    from stylize.factors import Factorial


def sheet(pair: PicturePair, outcomes: "list[Outcome]") -> bytes:
    """Photo, painting and results side by side."""
    from reports.study import contact_sheet

    pictures = [("photo", pair.pair.photo_hwc_u8), ("painting", pair.painting.rgb_hwc_u8)]
    pictures += [(f"{outcome.name}, {outcome.steps:,} steps", outcome.result_hwc_u8) for outcome in outcomes]
    return contact_sheet(pair.name, pictures)


def tell_compare(
    pairs: list[PicturePair], outcomes: "list[list[Outcome]]", factorial: "Factorial | None"
) -> "RecordBuilder":
    """Put a study into a record, in reading order."""
    from reports import study
    from reports.conclusions.restyling import compare_conclusion
    from reports.factors import factors_section
    from reports.standings import claim_in_short, claim_sentence, standings_section
    from reports.store import RecordBuilder
    from reports.ways import constants_section
    from stylize.factors import PRINT_INTERVAL
    from stylize.standings import About, best_at, claim_of, standings, unseen_layers

    done = list(zip(pairs, outcomes, strict=False))
    unseen = unseen_layers([outcome for entry in outcomes for outcome in entry])
    ranked = standings({pair.name: entry for pair, entry in done})
    claims = [claim_of(entry, unseen) for entry in outcomes]
    claimed = [claim_sentence(claim) if claim else None for claim in claims]
    headline = claimed[0] or f"{len(outcomes[0])} ways on {len(done)} pair{'s' if len(done) > 1 else ''} of pictures."
    builder = RecordBuilder("compare", f"Comparison: {', '.join(pair.name for pair, _ in done)}", headline)
    store, add = builder.images, builder.sections.append
    weights = pairs[0].pair.vgg.info.name
    nearest, wins, _ = best_at(ranked, About.STYLE)
    best = next((outcome for outcome in outcomes[0] if outcome.name in nearest), outcomes[0][0])
    builder.lead.append(
        study.winner_row(store, done[0][0].pair.photo_hwc_u8, done[0][0].painting.rgb_hwc_u8, best, wins)
    )
    short = claim_in_short(claims[0]) if claims[0] else None
    builder.conclusion = compare_conclusion(ranked, short, len(done))
    for place, ((pair, entry), sentence) in enumerate(zip(done, claimed, strict=True), start=1):
        pictures = pair.pair.photo_hwc_u8, pair.painting.rgb_hwc_u8
        add(study.results_section(store, pair.name, *pictures, entry, weights, sentence, place))
    add(standings_section(ranked, len(done)))
    explanations = factorial.explanations() if factorial else None
    if factorial and explanations:
        add(factors_section(store, pairs[0].name, factorial, explanations, PRINT_INTERVAL))
    for place, (pair, entry) in enumerate(done, start=1):
        add(study.curves_section(store, pair.name, entry, unseen, place))
        add(study.stability_section(store, pair.name, entry, place))
        add(study.snapshots_section(store, pair.name, entry, place))
    ways = [outcome.way for outcome in outcomes[0] if outcome.way.sources]
    if ways:
        add(constants_section(ways))
    builder.data = {
        "outcomes": {pair.name: entry for pair, entry in done},
        "standings": ranked,
        "claims": claims,
        "unseen_layers": unseen,
        "why": explanations,
        "why_iterations": factorial.iterations if factorial else None,
        "why_size_px": factorial.size_px if factorial else None,
    }
    return builder
