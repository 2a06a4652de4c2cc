"""Conclusions follow the numbers: the same functions say the opposite of opposite results."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from interp.attribution.saliency import SaliencyMap
from interp.attribution.targets import Target
from interp.attribution.verdict import SaliencyVerdict, VerdictWord
from interp.network.classify import Prediction
from reports.conclusions.regions import segment_conclusion
from reports.conclusions.restyling import SOME, compare_conclusion, stylize_conclusion, sweep_conclusion
from reports.conclusions.seeing import (
    features_conclusion,
    maximise_conclusion,
    most_believable,
    saliency_conclusion,
    sanity_conclusion,
)
from reports.record import Conclusion
from stylize.isolate import Isolation
from stylize.standings import About, Standing

KEPT = Isolation(3600, 0, (0.0,), 280, 7.5)
NAN = float("nan")


@pytest.mark.parametrize(
    ("share", "edges", "found", "advice"),
    [
        (0.95, 0.8, "takes on the painting's style: it went 95.0 %", "--style FILE"),
        (0.95, 0.1, "and most of the photo's outlines are gone", "lower --strength"),
        (0.7, 0.8, "takes on much of the painting's style", "--style FILE"),
        (0.4, 0.8, "takes on a part of the painting's style", "raise --strength"),
        (-0.3, 0.8, "came no closer to the painting", "raise --strength"),
    ],
)
def test_a_restyling_is_judged_by_its_distances(share: float, edges: float, found: str, advice: str) -> None:
    said = stylize_conclusion([("background", share, edges)], KEPT, ())
    assert found in said.found and advice in said.advice
    assert (said.level == "good") is ("only a part" not in said.belief) is (share > SOME)


def test_what_could_not_be_measured_is_not_called_little() -> None:
    """A photo restyled after itself, say: no ruler speaks, and no sentence may say that one did."""
    everywhere = Isolation(0, 0, (0.0,), 0, 0.0)
    said = stylize_conclusion([("picture", NAN, NAN)], everywhere, (), first_look=True)
    assert "cannot be told" in said.found and "less like the photo" in said.advice and said.level == "doubt"
    assert "only a part" not in said.belief and "was measured" not in said.belief
    one = stylize_conclusion([("foreground", NAN, NAN), ("background", 0.9, 0.8)], everywhere, ())
    assert "was measured" in one.belief and "--style FILE" in one.advice


def test_a_region_behind_what_is_transparent_is_said_to_be_the_cause() -> None:
    said = stylize_conclusion([("background", -0.1, 0.9)], KEPT, (), hidden=[("background", 0.003)])
    assert "0.3 % of what is visible of the photo is background" in said.belief and "--region" in said.advice
    assert said.level == "doubt"


def test_little_style_is_laid_to_a_weak_strength_before_a_quick_way() -> None:
    region = [("background", 0.3, 0.8)]
    assert "it was 0.03" in stylize_conclusion(region, KEPT, (), first_look=True, strength=0.03).advice
    assert "without --instant" in stylize_conclusion(region, KEPT, (), first_look=True).advice


def test_a_changed_outside_is_bad_news_and_a_doubtful_cut_is_doubt() -> None:
    region = [("background", 0.9, 0.8)]
    good = stylize_conclusion(region, KEPT, ())
    bad = stylize_conclusion(region, replace(KEPT, max_abs_outside=3), ())
    doubtful = stylize_conclusion(region, KEPT, ["The cut is scattered."])
    assert [said.level for said in (good, bad, doubtful)] == ["good", "bad", "doubt"]
    assert "bit for bit" in good.belief and "by up to 3 of 255" in bad.belief
    assert "The cut is scattered." in doubtful.belief and "--box" in doubtful.advice
    assert "--size 384" in stylize_conclusion(region, KEPT, (), finer_px=384).advice
    look = stylize_conclusion([("background", 0.3, 0.8)], KEPT, (), first_look=True)
    assert "without --instant" in look.advice
    stopped = stylize_conclusion(region, KEPT, (), interrupted=True)
    assert "stopped" in stopped.belief and "let it finish" in stopped.advice and stopped.level == "doubt"


def _judged(word: VerdictWord, probability: float, names: tuple[str, ...] = ("cat", "dog")) -> Conclusion:
    picture = np.linspace(0, 1, 48, dtype=np.float32).reshape(3, 4, 4)
    prediction = Prediction(names, (probability, 0.01)[: len(names)], (3, 5)[: len(names)], (4, 4))
    return saliency_conclusion(
        [SaliencyMap("gradient", Target("cat", 3), picture, picture, prediction)], [SaliencyVerdict(word)]
    )


def test_a_map_is_believed_as_far_as_its_verdict_goes() -> None:
    said = {word: _judged(word, 0.9) for word in VerdictWord}
    assert {word: entry.level for word, entry in said.items()} == {
        VerdictWord.CLASS: "good",
        VerdictWord.EDGES: "doubt",
        VerdictWord.RANDOM: "bad",
        VerdictWord.NOT_TESTED: "doubt",
    }
    assert "can be believed" in said[VerdictWord.CLASS].belief
    assert "Do not read" in said[VerdictWord.RANDOM].belief
    assert "sees 'cat' (probability 90.0 %)" in said[VerdictWord.CLASS].found


def test_a_class_that_the_network_does_not_see_is_called_so() -> None:
    """Asked for by name, with a probability known from the test, not from the five best."""
    picture = np.linspace(0, 1, 48, dtype=np.float32).reshape(3, 4, 4)
    seen = Prediction(("cup, mug", "bowl"), (0.9, 0.05), (7, 8), (4, 4))
    maps = [SaliencyMap("gradient", Target("cat, tabby", 3), picture, picture, seen)]
    for chance, level in ((0.0001, "doubt"), (0.4, "good")):
        said = saliency_conclusion(maps, [SaliencyVerdict(VerdictWord.CLASS, deletion_curve=(chance, 0.0))])
        assert ("does not see 'cat' here" in said.belief, said.level) == (level == "doubt", level)
        assert "sees 'cup' (probability 90.0 %)" in said.found
        assert f"Explained is 'cat', to which it gives {'40.0' if level == 'good' else 'under 0.1'} %" in said.found
        assert ("--target 'cup'" in said.advice) is (level == "doubt")
    best = replace(maps[0], target=Target("cup, mug", 7))
    assert "Explained" not in saliency_conclusion([best], [SaliencyVerdict(VerdictWord.CLASS)]).found


@pytest.mark.parametrize("word", VerdictWord)
def test_a_flat_picture_has_nothing_to_point_at(word: VerdictWord) -> None:
    for value, rest in ((0.0, 0.0), (0.5, 1 / 255)):
        picture = np.full((3, 4, 4), value, np.float32)
        picture[0, 1, 1] += rest
        maps = [SaliencyMap("gradient", Target("cat", 3), picture, picture, Prediction(("cat",), (0.9,), (3,), (4, 4)))]
        said = saliency_conclusion(maps, [SaliencyVerdict(word)])
        assert "one flat colour" in said.belief and said.level == "bad" and "try" not in said.advice


def test_sanity_checks_answer_their_own_question_first() -> None:
    picture = np.linspace(0, 1, 48, dtype=np.float32).reshape(3, 4, 4)
    entry = SaliencyMap("gradient", Target("cat", 3), picture, picture, Prediction(("cat",), (0.9,), (3,), (4, 4)))
    maps = [entry, replace(entry, method="guided-backprop")]
    words = SaliencyVerdict(VerdictWord.CLASS), SaliencyVerdict(VerdictWord.EDGES)
    said = sanity_conclusion(maps, words)
    assert said.found == "1 of 2 maps can be believed: Gradient. The other shows edges or chance."
    assert "sees 'cat'" in said.belief and said.advice == "read only the map that passed."
    assert sanity_conclusion(maps, words[1:] * 2).found == "Neither map is about 'cat'."


def test_a_guess_is_called_one() -> None:
    said = _judged(VerdictWord.CLASS, 0.1)
    assert "unsure" in said.found and said.level == "doubt" and "--target" in said.advice


def test_a_cut_is_as_good_as_its_doubts() -> None:
    cut = cast(Any, SimpleNamespace(components=1, area_share=0.25, prompt="contrast"))
    good, doubtful = segment_conclusion(cut, ()), segment_conclusion(cut, ("Shared colours.",))
    assert (good.level, doubtful.level) == ("good", "doubt")
    assert "25.0 % of the photo, in one piece" in good.found
    assert "Shared colours." in doubtful.belief and "--box" in doubtful.advice


def test_who_wins_is_counted() -> None:
    def row(about: About, *winners: str) -> Standing:
        return Standing("any", about, {"ours": (1.0,), "theirs": (2.0,)}, winners, False)

    style = [row(About.STYLE, "ours"), row(About.STYLE, "ours"), row(About.STYLE, "theirs")]
    photo, speed = row(About.PHOTO, "theirs"), row(About.SPEED, "ours")
    assert compare_conclusion([*style, photo, speed], None, 1).found == (
        "ours wins on the painting's style (2 of 3 criteria) and speed (1 of 1 criteria); "
        "theirs wins on the photo kept (1 of 1 criteria)."
    )
    tie = compare_conclusion([row(About.PHOTO, "ours", "theirs")], "The claim.", 3)
    assert tie.found == "ours and theirs win on the photo kept (1 of 1 criteria)." and tie.level == "good"
    assert "The claim." in tie.belief and "Nothing tells" in compare_conclusion([], None, 1).found


def test_few_trials_are_called_few() -> None:
    def attempt(number: int) -> Any:
        return SimpleNamespace(number=number, objectives=(0.4, 0.2, 0.1), on_front=number == 0)

    few, many = (sweep_conclusion([attempt(n) for n in range(count)], attempt(0), "p.toml") for count in (3, 40))
    assert few.level == "doubt" and "3 trials are few" in few.belief and many.level == "good"
    failed = SimpleNamespace(number=2, objectives=(1.03, 0.5, 0.1), on_front=True)
    lost = sweep_conclusion([attempt(n) for n in range(40)], cast(Any, failed), "p.toml")
    assert "no more like the painting's than the photo's" in lost.found and lost.level == "doubt"
    assert "60.0 % of the distance" in few.found and "--preset p.toml" in few.advice


@pytest.mark.parametrize(
    ("made", "natural", "found", "level"),
    [
        (8.0, 2.0, "4 times as much as to a.png. Its strongest cell, 9.50, is in b.png.", "good"),
        (2.0, 0.0, "(2.00; below 0 is no answer), and not to a.png as a whole (0).", "good"),
        (1.0, 2.0, "no more than a.png does", "bad"),
        (-1.0, -2.0, "not at all (-1.00)", "bad"),
    ],
)
def test_a_made_picture_must_beat_the_photo(made: float, natural: float, found: str, level: str) -> None:
    target = SimpleNamespace(target=SimpleNamespace(name="relu1_1:3"), final=made)
    photos = {"a.png": SimpleNamespace(value=natural), "b.png": SimpleNamespace(value=natural - 1)}
    cells = [("b.png", SimpleNamespace(value=9.5)), ("a.png", SimpleNamespace(value=2.0))]
    said = maximise_conclusion(cast(Any, target), cast(Any, photos), cast(Any, cells))
    assert found in said.found and said.level == level and "Only" not in said.found
    few = maximise_conclusion(
        cast(Any, target), cast(Any, photos), cast(Any, [*cells, ("a.png", SimpleNamespace(value=-1))])
    )
    assert ("Only 2 of the 3 parts shown excite it" in few.found) == (level == "good")
    assert ("12 photos or more" in said.advice) == (level == "good")


@pytest.mark.parametrize(
    ("rank", "asked", "found", "advice"),
    [
        ("index", None, "channel 7 answers most strongly", "maximise relu3_1:7 "),
        ("contrast", None, "channel 4 tells the subject from its surroundings best", "maximise relu3_1:4 "),
        ("gradient", None, "channel 4 speaks most for the class", "maximise relu3_1:4 "),
        ("gradient", (4, 7), "channel 7 answers most strongly", "maximise relu3_1:7 "),
    ],
)
def test_a_channel_is_named_for_what_the_channels_were_ranked_by(
    rank: str, asked: Any, found: str, advice: str
) -> None:
    values = np.zeros((2, 3, 3))
    values[1, 1, 1] = 5.0
    stats = SimpleNamespace(dead=0, mean_c=np.zeros(9))
    selection = SimpleNamespace(rank=rank, channels=asked)
    maps = SimpleNamespace(layer="relu3_1", channels=(4, 7), maps_khw=values, stats=stats, selection=selection)
    said = features_conclusion(cast(Any, [maps]), False)
    assert found in said.found and advice in said.advice


@pytest.mark.parametrize(("words", "first"), [("RANDOM CLASS CLASS", 1), ("EDGES RANDOM", 0), ("", 0)])
def test_the_map_shown_first_is_one_that_can_be_believed(words: str, first: int) -> None:
    verdicts = [SaliencyVerdict(VerdictWord[word]) for word in words.split()]
    assert most_believable(cast(Any, [None] * 3), verdicts) == first
