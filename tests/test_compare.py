"""The comparative study: alike for all, undisturbed by what is shown, and judged by what is stated."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.pictures.images import to_hwc_u8
from interp.statistics.gram import region_gram
from reports.standings import claim_in_short, claim_sentence, winning_sentences
from reports.ways import way_notes
from stylize.compare import Outcome, Waypoint, compare, count_spikes
from stylize.pair import Pair
from stylize.presets import Preset
from stylize.recipes import GATYS, ISOLATED, PYTORCH, TENSORFLOW, TENSORFLOW_FIXED
from stylize.rulers import rulers_for
from stylize.standings import Claim, claim_of, standings, unseen_layers

SIDE = 96
OWN = Preset(iterations=4, coarse_iterations=2)


def picture(seed: int) -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)).mul(255).round().div(255)


def pair_of(vgg: Vgg, **options: object) -> Pair:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[16:88, 8:80] = 1
    given = {"alpha_hw01": alpha, "iterations": 6, "jitters": 0} | options
    return Pair(vgg, picture(0), picture(1), **given)  # pyright: ignore[reportArgumentType]


def run(shared: Pair, *ways: object) -> list[Outcome]:
    return list(compare(shared, ways))  # pyright: ignore[reportArgumentType]


def test_readings_start_at_the_photo_and_end_at_the_saved_result(compact: Vgg) -> None:
    shared = pair_of(compact)
    for outcome in run(shared, OWN, GATYS):
        first, last = outcome.waypoints[0], outcome.waypoints[-1]
        assert first.step == 0 and first.reading.content == 0 and first.reading.edges_kept == pytest.approx(1)
        assert last.step == outcome.steps == (4 if outcome.name == "default" else 6)
        assert [point.step for point in outcome.waypoints] == sorted({point.step for point in outcome.waypoints})
        result = torch.from_numpy(outcome.result_hwc_u8).permute(2, 0, 1)[None].float() / 255
        maps = compact.activations(torch.cat([result, shared.photo_nchw01, shared.painting_nchw01]), ["relu1_2"])
        cells = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        cells[18:86, 10:78] = True  # the region without the two pixels at which relu1_2 sees beyond it
        inside, target = maps["relu1_2"][0][:, cells], maps["relu1_2"][2].flatten(1)
        own, wanted = (values @ values.T / values.shape[1] for values in (inside, target))
        expected = float((own - wanted).square().sum() / wanted.square().sum())
        assert last.reading.gram["relu1_2"] == pytest.approx(expected, rel=1e-4)


def test_outside_the_region_nothing_changes(compact: Vgg) -> None:
    shared = pair_of(compact)
    photo = to_hwc_u8(shared.photo_nchw01)
    for outcome in run(shared, OWN, TENSORFLOW):
        outside = shared.alpha_hw01 == 0
        assert outcome.changed_outside == 0 and (outcome.result_hwc_u8[outside] == photo[outside]).all()
        assert (outcome.result_hwc_u8[~outside] != photo[~outside]).any()


def test_the_print_interval_has_no_effect(compact: Vgg) -> None:
    often, seldom = run(pair_of(compact), replace(PYTORCH, every=1), replace(PYTORCH, every=4))
    assert [len(outcome.snapshots) for outcome in (often, seldom)] == [5, 1]
    assert (often.result_hwc_u8 == seldom.result_hwc_u8).all() and (often.losses == seldom.losses).all()
    assert (often.snapshots[3][1] == seldom.snapshots[0][1]).all()


def test_report_isolated_cuts_its_own_result_from_the_same_run(compact: Vgg) -> None:
    seen, ticks = [], []
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, :40] = 1

    def cut(result_hwc_u8: np.ndarray) -> np.ndarray:
        seen.append(result_hwc_u8)
        return alpha

    shared = pair_of(compact, cut=cut, jitters=1)
    whole, isolated = compare(shared, [PYTORCH, ISOLATED], lambda tick, name: ticks.append(tick))
    assert ticks == sorted(ticks) and ticks[-1] == pytest.approx(1)  # of one run and its repeat, not of two
    photo = to_hwc_u8(shared.photo_nchw01)
    assert (isolated.result_hwc_u8[:, 40:] == photo[:, 40:]).all()
    assert (isolated.result_hwc_u8[:, :40] == seen[0][:, :40]).all() and (seen[0] != photo).any()
    both = (shared.alpha_hw01 == 1) & (alpha == 1)
    assert (isolated.result_hwc_u8[both] == whole.result_hwc_u8[both]).all()
    changed = (isolated.result_hwc_u8 != photo).any(2)[shared.alpha_hw01 == 0].mean()
    assert isolated.changed_outside == pytest.approx(changed) and changed > 0 == whole.changed_outside
    with pytest.raises(UsageError, match="--region"):
        run(pair_of(compact), ISOLATED)


def test_jitter_repeats_the_run_from_a_moved_photo(compact: Vgg) -> None:
    (outcome,) = run(pair_of(compact, jitters=2, iterations=3), TENSORFLOW_FIXED)
    stability = outcome.stability
    assert stability.jitter_rms is not None and stability.jitter_rms > 0 and stability.jitter_style is not None
    moved = pair_of(compact).rms_change(outcome.result_hwc_u8, to_hwc_u8(picture(0)))
    assert stability.jitter_share == pytest.approx(stability.jitter_rms / moved)


def test_what_a_reader_must_know_is_noted(compact: Vgg) -> None:
    (outcome,) = run(pair_of(compact, iterations=1), PYTORCH)
    notes = " ".join(way_notes(outcome.way, outcome.run_as, "compact", outcome.first_gradient))
    assert "Same formulas, another net (compact" in notes and f"{outcome.first_gradient:.3g}" in notes
    assert "1 of the recipe's 5,000" in notes and "96 px instead of the recipe's 400 px" in notes


def test_spikes_are_counted_within_a_scale() -> None:
    losses = np.array([1.0, 1.2, 1.0, 1.05, 3.0, 2.0, 2.3])
    assert count_spikes(losses, np.array([1, 1, 1, 1, 2, 2, 2])) == 2


def test_a_way_that_blows_up_is_diverged(compact: Vgg) -> None:
    (outcome,) = run(pair_of(compact, iterations=8), replace(GATYS, learning_rate=1e30))
    assert outcome.stability.diverged and outcome.steps < 8


def test_standings_and_sentences(compact: Vgg) -> None:
    outcomes = run(pair_of(compact, iterations=2), PYTORCH, TENSORFLOW, TENSORFLOW_FIXED)
    assert all(outcome.stability.jitter_rms is None for outcome in outcomes)
    for place, content in enumerate((1e-9, 1.01e-9)):
        outcome = outcomes[place]
        end = Waypoint(outcome.steps, outcome.seconds, replace(outcome.last, content=content))
        outcomes[place] = replace(outcome, waypoints=(outcome.waypoints[0], end))
    ranked = {standing.criterion: standing for standing in standings({"a": outcomes, "b": outcomes})}
    content = ranked["distance to the photo, relu4_2"]
    assert content.winners == ("report-pytorch", "report-tensorflow")  # within two percent
    assert content.values["report-pytorch"] == (1e-9, 1e-9)
    assert "random-network distance" in ranked and "change under a jittered photo, of its own change" not in ranked
    assert "pixels outside changed, %" not in ranked  # nobody did
    for name, sentence in zip(content.values, winning_sentences(list(ranked.values())), strict=True):
        won = [standing.criterion for standing in ranked.values() if standing.winners == (name,)]
        assert all(criterion in sentence for criterion in won) and sentence.startswith(name)
    unseen = unseen_layers(outcomes)
    assert "relu1_2" in unseen and not {"relu1_1", "relu4_2"} & set(unseen)
    claim = claim_of(outcomes, unseen)
    one, two, three = (outcome.last.mean_gram(unseen) for outcome in outcomes)
    assert claim and claim.closed == pytest.approx((two - three) / (two - one))
    said = claim_sentence(claim)
    assert all(words in said for words in (f"{one:.2f}", f"{two:.2f}", f"{three:.2f}"))
    assert claim_of(outcomes[:1], unseen) is None


@pytest.mark.parametrize(
    ("fixed", "closed", "much"),
    [(0.9, "none of the gap", "nothing"), (0.75, "25.0 % of the gap", "a part"), (0.5, "the gap and more", "all")],
)
def test_a_claim_is_told_without_a_share_beyond_all(fixed: float, closed: str, much: str) -> None:
    """Models at 0.6 and 0.8: a repair that goes further than the first model closes no 150 %."""
    claim = Claim(0.85, 0.6, 0.8, fixed, 0.4, 0.5)
    said, short = claim_sentence(claim), claim_in_short(claim)
    assert f"closes {closed}." in said and f"accounts for {much} of the difference" in short and "holds here" in short
    assert not re.search(r"\d", short)
    lost = replace(claim, model1=0.9)
    assert "does not hold" in claim_in_short(lost) and "accounts" not in claim_in_short(lost)


def test_rulers_by_hand(compact: Vgg) -> None:
    whole = np.ones((SIDE, SIDE), np.float32)
    reading = rulers_for(compact, picture(0), whole, picture(1), {}).read(picture(2))
    maps = {seed: compact.activations(picture(seed), ["relu4_2", "relu5_1"]) for seed in range(3)}
    gram, target = (region_gram(maps[seed]["relu5_1"]) for seed in (2, 1))
    assert reading.gram["relu5_1"] == pytest.approx(float((gram - target).square().sum() / target.square().sum()))
    difference = (maps[2]["relu4_2"] - maps[0]["relu4_2"]).square().sum() / maps[0]["relu4_2"].square().sum()
    assert reading.content == pytest.approx(float(difference), rel=1e-5)
