"""Several runs on one page: their answers side by side, what each found, which settings differ."""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import chain

from reports.blocks import Block, Facts, Figure, Gallery, Level, Linked, Paragraph, Table, Verdict
from reports.record import Conclusion, Record, Section, every, image_refs, worse
from reports.store import RecordBuilder
from reports.wording import listed

OPTIONS = ("Option", "Value", "Origin")
PASSING = ("Seconds so far",)  # facts that say nothing about the result
WHERE = ("out-dir", "output")  # options that say nothing about it either
SAME = 0.01  # of a picture's proportions


def together(runs: Mapping[str, Record]) -> Record:
    """Put several runs' records into one.

    Args:
        runs: Two records or more, by the name to call each run.

    Returns:
        A record whose page compares them.
    """
    commands = sorted({record.command for record in runs.values()})
    title = f"{len(runs)} runs of {listed(commands)}"
    builder = RecordBuilder(
        "report",
        title,
        f"{title}: {', '.join(runs)}.",
    )
    for record in runs.values():
        builder.images.images |= record.images
    differing = _differing(runs)
    builder.conclusion = _conclusion(title, runs, [name for name, *_ in differing])
    answers = [(name, answer) for name, record in runs.items() if (answer := answer_of(record))]
    if answers:
        figures = [Figure(answer.image, f"{name}. {answer.caption}", answer.pixelated) for name, answer in answers]
        builder.lead.append(Linked((*_shared(runs, figures), *figures)))
    shown = {ref.sha256 for ref in image_refs(tuple(builder.lead))}
    builder.sections += [_found(runs), _settings(list(runs), differing), *_pictures(runs, shown)]
    return builder.build()


def answer_of(record: Record) -> Figure | None:
    """The picture that is a run's answer: the last one of its lead, else its first; none where it shows none."""
    lead = list(every(record.lead, Figure))
    return lead[-1] if lead else next(every(record.sections, Figure), None)


def _shared(runs: Mapping[str, Record], answers: Sequence[Figure]) -> list[Figure]:
    """Pictures that open every page and have the answers' proportions: the photo, as a rule."""
    leads = [list(every(record.lead, Figure)) for record in runs.values()]
    shared = set.intersection(*({figure.image.sha256 for figure in lead} for lead in leads))
    ratio = _ratio(answers[0])
    alike = all(abs(_ratio(answer) / ratio - 1) < SAME for answer in answers)
    return [
        figure
        for figure in leads[0][:1]
        if alike and figure.image.sha256 in shared and abs(_ratio(figure) / ratio - 1) < SAME
    ]


def _ratio(figure: Figure) -> float:
    return figure.image.width_px / figure.image.height_px


def _conclusion(title: str, runs: Mapping[str, Record], differing: Sequence[str]) -> Conclusion:
    levels: list[Level] = [record.conclusion.level for record in runs.values() if record.conclusion]
    worst = reduce(worse, levels) if levels else "doubt"
    sound = levels.count("good")
    found = f"{title}, with the same settings." if not differing else f"{title}. They differ in {_listed(differing)}."
    belief = f"{sound} of {len(runs)} can be believed as they are." if sound < len(runs) else "Each can be believed."
    advice = "magnify the pictures, which move in step; what each run says of itself is below."
    return Conclusion(found, belief, advice, worst)


def _listed(names: Sequence[str]) -> str:
    return listed([*names[:6], *([f"{len(names) - 6} more"] if len(names) > 6 else [])])


def _found(runs: Mapping[str, Record]) -> Section:
    blocks: list[Block] = []
    for name, record in runs.items():
        own = record.conclusion
        said = f"{own.found} {own.belief}" if own else record.headline or record.title
        blocks.append(Verdict(name, said, own.level if own else "doubt"))
    return Section("found", "What each run found", "In its own words; its own page says more.", tuple(blocks))


def _settings(names: Sequence[str], differing: Sequence[tuple[str, ...]]) -> Section:
    intro = "Every option, fact and file that is not the same in all of them, but for where the results went."
    if not differing:
        return Section("settings", "Settings", intro, (Paragraph("There is none."),))
    table = Table("Settings that differ", ("Setting", *names), tuple(differing))
    return Section("settings", "Settings that differ", intro, (table,))


def _differing(runs: Mapping[str, Record]) -> list[tuple[str, ...]]:
    """Name and each run's value of every setting that is not the same for all; – where a run has none."""
    settings = [_settings_of(record) for record in runs.values()]
    every_name = dict.fromkeys(chain.from_iterable(settings))
    rows = [(name, *(one.get(name, "–") for one in settings)) for name in every_name]
    return [row for row in rows if len(set(row[1:])) > 1 and row[0] not in WHERE]


def _settings_of(record: Record) -> dict[str, str]:
    """Options, facts, files read and versions of a record, by name."""
    blocks = record.reproduce.blocks if record.reproduce else ()
    found = {"command": record.command}
    for table in (block for block in blocks if isinstance(block, Table)):
        for row in table.rows:
            if table.header == OPTIONS or len(row) == 2:
                found[row[0]] = row[1]
            elif row[1] == "read":
                role, _, name = row[0].partition(": ")
                found[role.replace(", ", " for the ")] = name
    for facts in (block for block in blocks if isinstance(block, Facts)):
        found |= {name: value for name, value in facts.rows if name not in PASSING}
    return found


def _pictures(runs: Mapping[str, Record], shown: set[str]) -> list[Section]:
    """What else the pages open with, each picture once, with its runs; `shown` are those above, by SHA-256."""
    owners: dict[str, tuple[Figure, list[str]]] = {}
    for name, record in runs.items():
        answer = answer_of(record)
        for figure in every(record.lead, Figure):
            if figure != answer and figure.image.sha256 not in shown:
                owners.setdefault(figure.image.sha256, (figure, []))[1].append(name)
    figures = []
    for figure, names in owners.values():
        of = "all" if len(names) == len(runs) else ", ".join(dict.fromkeys(names))
        figures.append(Figure(figure.image, f"{figure.caption} ({of})", figure.pixelated))
    if not figures:
        return []
    return [Section("pictures", "What they were made from", "", (Gallery(tuple(figures)),))]
