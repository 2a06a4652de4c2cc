"""Sections: built from real result types, they say what the data say, and become one page."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from interp.attribution.saliency import SaliencyMap
from interp.attribution.targets import Target
from interp.attribution.verdict import SaliencyVerdict, VerdictWord
from interp.network.classify import Prediction
from interp.network.features import ChannelStats, FeatureMaps, Selection
from interp.network.vgg import WeightsInfo
from interp.statistics.gram import GramStats
from interp.statistics.layers import fixed_choice
from reports import (
    ImageStore,
    RecordBuilder,
    Section,
    features_section,
    from_json,
    gram_section,
    layers_section,
    optimisation_section,
    outcome_section,
    region_section,
    render_html,
    reproduce_section,
    result_section,
    saliency_section,
    to_json,
)
from reports.blocks import Compare, Facts, Figure, Gallery, Paragraph, Table, Verdict
from reports.conclusions.restyling import stylize_conclusion
from reports.verdict import verdict_data
from segment.segmentation import Segmentation
from stylize.isolate import Isolation

HEIGHT, WIDTH = 60, 80
PHOTO = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
ALPHA = np.zeros((HEIGHT, WIDTH), np.float32)
ALPHA[10:40, 20:60] = 1
ALPHA[10, 20:60] = 128 / 255


@dataclass(frozen=True)
class Step:
    """What optimisation_section reads of a StepEvent."""

    step: int
    scale: int
    size_hw_px: tuple[int, int]
    losses: dict[str, float]


CUT = Segmentation(
    *((ALPHA > 0.5).astype(np.uint8), ALPHA > 0.5, ALPHA, "contrast", {"by": "colour"}, (20, 10, 40, 30)),
    **{"area_share": 0.25, "components": 2, "boundary_px": 1400, "soft_px": 40, "confidence": 0.5},
)
ISOLATION = Isolation(3600, 0, (0.125,), 280, 7.5)
PREDICTION = Prediction(("cat", "dog"), (0.15, 0.1), (3, 5), (10, 12))
TESTED = SaliencyVerdict(VerdictWord.RANDOM, 0.5, 0.4, 0.2, 0.1, 0.1, "dog", (0.0, 1.0), (0.1, 0.2), (0.2, 0.1))


def saliency(store: ImageStore, verdict: SaliencyVerdict) -> Section:
    picture = (PHOTO[:10, :12] / np.float32(255)).transpose(2, 0, 1)
    return saliency_section(
        store, SaliencyMap("guided-backprop", Target("cat", 3), picture, picture, PREDICTION), verdict
    )


def maps() -> FeatureMaps:
    values = np.random.default_rng(0).random((3, 6, 8), dtype=np.float32)
    values[1, 2, 2] = 9
    stats = ChannelStats(values.mean((1, 2)), values.std((1, 2)), values.max((1, 2)), np.array([False, False, True]))
    return FeatureMaps("relu1_1", values, (4, 7, 2), (0.3, 0.2, 0.1), Selection(channels=(4, 7, 2)), stats)


def words(section: Section) -> str:
    """Everything a section says, pictures as their alt text."""
    return repr(section)


def blocks(section: Section, kind: type) -> list:
    return [block for block in section.blocks if isinstance(block, kind)]


def test_all_sections_become_one_page() -> None:
    builder = RecordBuilder("stylize", "A photo", "A headline")
    store = builder.images
    events = [Step(1, 1, (30, 40), {"total": 1.0}), Step(2, 2, (60, 80), {"total": 0.5, "tv": 0.1})]
    builder.sections = [
        result_section(store, PHOTO, PHOTO[::-1], ALPHA, region="foreground"),
        region_section(store, PHOTO, CUT, ALPHA, ISOLATION),
        features_section(store, [maps()]),
        saliency(store, TESTED),
        gram_section(store, {"photo": [GramStats("relu1_1", 2.0, (0.75, 0.25), 1.6, 2)]}),
        layers_section(store, fixed_choice()),
        optimisation_section(store, events, [("After 2 evaluations", PHOTO)], seconds=1.25),
        outcome_section([("Style distance at relu2_2", "0.4", "0.1", "0", "nearer")]),
    ]
    builder.reproduce = reproduce_section(
        command_line="python cli.py stylize photo.png",
        options=[("--seed", "0", "default")],
        versions={"Python": "3.11"},
        weights=WeightsInfo("compact", "ab" * 32, note="in the package"),
        inputs=[("photo.png", "cd" * 32)],
        outputs=[("result.png", "ef" * 32)],
        facts={"Seed": "0"},
    )
    record = builder.build()
    assert from_json(to_json(record)) == record
    html = render_html(record)
    assert len(html) < 3_000_000
    for anchor in (
        "result",
        "region",
        "features",
        "saliency",
        "gram",
        "layers",
        "optimisation",
        "outcome",
        "reproduce",
    ):
        assert html.count(f'id="{anchor}"') == 1


def test_the_result_says_how_much_was_restyled() -> None:
    store = ImageStore()
    compare = blocks(result_section(store, PHOTO, PHOTO, ALPHA, region="foreground"), Compare)[0]
    share = 100 * (29 * 40 + 40 * 128 / 255) / (HEIGHT * WIDTH)
    assert f"80×60 px; restyled: its foreground, {share:.1f} %" in compare.caption
    assert compare.outline is not None
    whole = blocks(result_section(store, PHOTO, PHOTO), Compare)[0]
    assert "everything, 100 %" in whole.caption and whole.outline is None


@pytest.mark.parametrize(
    ("changed", "outside", "level", "said"),
    [(0, 3600, "good", "3,600"), (2, 3600, "bad", "up to 2 of 255"), (0, 0, "doubt", "every pixel")],
)
def test_the_verdict_on_isolation_follows_the_numbers(changed: int, outside: int, level: str, said: str) -> None:
    isolation = replace(ISOLATION, max_abs_outside=changed, outside_pixels=outside)
    section = region_section(ImageStore(), PHOTO, CUT, ALPHA, isolation)
    verdict = blocks(section, Verdict)[0]
    assert verdict.level == level and said in verdict.sentence
    paragraphs = blocks(section, Paragraph)
    assert ["changed by 12.5 %" in paragraph.text for paragraph in paragraphs] == ([True] if outside else [])


def test_the_region_tells_each_step_of_the_cut() -> None:
    section = region_section(ImageStore(), PHOTO, CUT, ALPHA)
    facts = dict(blocks(section, Facts)[0].rows)
    assert facts["How it was found"].startswith("Prompt contrast: ")
    assert facts["Soft pixels, partly inside"] == "40 (0.8 %)"
    assert facts["Parts of the foreground"] == "2"
    captions = [figure.caption for figure in blocks(section, Gallery)[0].figures]
    assert [caption[:6] for caption in captions] == ["1 Box:", "2 Trim", "3 Mask", "4 Alph"]
    given = replace(CUT, prompt="mask", facts={"corrected": False}, box_xywh_px=None)
    captions = [
        figure.caption for figure in blocks(region_section(ImageStore(), PHOTO, given, ALPHA), Gallery)[0].figures
    ]
    assert captions[1] == "2 Mask: as given."
    assert not blocks(section, Verdict)  # nothing was restyled, nothing is claimed


def test_features_name_the_rule_and_the_dead() -> None:
    section = features_section(ImageStore(), [maps()])
    figure = blocks(section, Figure)[0]
    assert figure.caption.startswith("relu1_1, after ReLU. 3 of relu1_1's 3 channels, as asked for.")
    shared = blocks(features_section(ImageStore(), [maps()], shared_scale=True), Figure)[0]
    low, high = np.quantile(maps().maps_khw, [0.001, 0.999])
    assert f"One scale: {low:.3g} (dark) … {high:.3g}." in shared.caption
    assert "channel 7 responds most" in figure.image.alt
    assert blocks(section, Table)[0].rows[0][0::5] == ("relu1_1", "1")
    assert "relu1_1 has 3 channels here and 64 there" in section.intro
    of_64 = replace(maps().stats, mean_c=np.ones(64, np.float32))
    assert "narrower" not in features_section(ImageStore(), [replace(maps(), stats=of_64)]).intro


@pytest.mark.parametrize(
    ("word", "level"),
    [
        (VerdictWord.CLASS, "good"),
        (VerdictWord.EDGES, "doubt"),
        (VerdictWord.RANDOM, "bad"),
        (VerdictWord.NOT_TESTED, "doubt"),
    ],
)
def test_a_saliency_map_never_goes_without_its_verdict(word: VerdictWord, level: str) -> None:
    section = saliency(ImageStore(), SaliencyVerdict(word))
    verdict = blocks(section, Verdict)[0]
    assert (verdict.level, verdict.word, verdict.sentence) == (level, word.capitalize(), "Its target is not a class.")
    shown = blocks(section, Gallery)[0].figures
    assert len(shown) == 3 and all(word in figure.image.alt for figure in shown)
    assert not blocks(section, Figure)  # untested: no curves are shown
    assert "unsure" in words(section)  # its best class has .15


def test_the_verdicts_numbers_are_told() -> None:
    verdict = blocks(saliency(ImageStore(), TESTED), Verdict)[0]
    assert verdict.sentence.startswith("Insertion - deletion 0.100 is not above 0.200, the 95 % quantile")
    assert "with the map for 'dog' 0.100, with the map of a random head 0.100" in verdict.sentence
    data = verdict_data(TESTED)
    assert data["word"] == "no better than random" and data["sentence"].startswith("No better than random: insertion")


@pytest.mark.parametrize(("leak", "word", "level"), [(0.0, "Isolated", "good"), (0.25, "Not isolated", "bad")])
def test_two_regions_are_shown_to_be_apart(leak: float, word: str, level: str) -> None:
    apart = replace(ISOLATION, outside_pixels=0, leak=(0.0, leak))
    (verdict,) = blocks(region_section(ImageStore(), PHOTO, CUT, ALPHA, apart), Verdict)
    assert verdict.word.startswith(word) and verdict.level == level
    conclusion = stylize_conclusion([("foreground", 0.9, 0.5), ("background", 0.9, 0.5)], apart, ())
    assert conclusion.level == level and ("25.0 %" in conclusion.belief) is (leak > 0)


def test_losses_are_told_from_first_to_last() -> None:
    events = [
        Step(1, 1, (30, 40), {"style relu1_1": 2.0, "total": 2.0}),
        Step(5, 2, (60, 80), {"style relu1_1": 0.5, "content relu4_2": 0.25, "total": 0.75}),
    ]
    section = optimisation_section(ImageStore(), events)
    assert blocks(section, Table)[0].rows == (
        ("style relu1_1", "2.00", "0.500", "0.250"),
        ("content relu4_2", "0.250", "0.250", "1.00"),
        ("total", "2.00", "0.750", "0.375"),
    )
    assert blocks(section, Facts)[0].rows == (("Evaluations of the loss", "5"), ("Scales", "2"))
    assert "style relu1_1 from 2.00 to 0.500" in blocks(section, Figure)[0].image.alt


def test_an_instant_picture_is_not_called_an_optimised_one() -> None:
    events = [Step(number, 1, (30, 40), {"style relu1_1": 2 / number, "total": 2 / number}) for number in (1, 2)]
    section = optimisation_section(ImageStore(), events, seconds=1.5, instant=True)
    assert "one pass of a decoder" in section.intro and "step by step" not in section.intro
    assert blocks(section, Table)[0].rows == (("style relu1_1", "2.00", "1.00"), ("total", "2.00", "1.00"))
    assert not blocks(section, Figure)


def test_reproduction_lists_every_option_and_file() -> None:
    section = reproduce_section(
        command_line="gramscope stylize 'a b.png'",
        options=[("--seed", "3", "command line"), ("--size", "512", "default")],
        versions={"torch": "2.14"},
        inputs=[("a b.png", "ab" * 32)],
        outputs=[("out.png", "cd" * 32)],
    )
    files, options, versions = blocks(section, Table)
    assert files.rows == (("a b.png", "read", "ab" * 32), ("out.png", "written", "cd" * 32))
    assert options.rows == (("--seed", "3", "command line"), ("--size", "512", "default"))
    assert versions.rows == (("torch", "2.14"),)


@pytest.mark.parametrize(("device", "promised"), [("cpu", True), ("cuda", False), ("mps", False)])
def test_the_same_bytes_are_promised_where_they_hold(device: str, promised: bool) -> None:
    told = reproduce_section(
        command_line="", options=[], versions={}, weights=None, inputs=[], outputs=[], facts={"Device": device}
    )
    assert ("give the same bytes" in told.intro) is promised and (
        "only with --device cpu" in told.intro
    ) is not promised
