"""The comparative study: alike for all, undisturbed by what is shown, and judged by what is stated."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.pictures.images import to_hwc_u8
from interp.statistics.gram import region_gram
from interp.statistics.layers import fixed_choice
from stylize.compare import Tick, Trial, compare, count_spikes
from stylize.contest import Contest, Own, rms_change
from stylize.judge import Judge
from stylize.peak import PeakMemory
from stylize.presets import Settings
from stylize.recipes import GATYS, ISOLATED, PYTORCH, TENSORFLOW, TENSORFLOW_FIXED
from stylize.verdicts import claim_sentence, standings, unseen_layers, winning_sentences

SIDE = 96
OWN = Own("default", Settings(iterations=4, coarse_iterations=2), fixed_choice())


def picture(seed: int) -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)).mul(255).round().div(255)


def contest(vgg: Vgg, **options: object) -> Contest:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[16:88, 8:80] = 1
    given = {"alpha_hw01": alpha, "iterations": 6, "jitters": 0} | options
    return Contest(vgg, picture(0), picture(1), **given)  # pyright: ignore[reportArgumentType]


def run(shared: Contest, *ways: object) -> list[Trial]:
    return list(compare(shared, ways))  # pyright: ignore[reportArgumentType]


def test_readings_start_at_the_photo_and_end_at_the_saved_result(compact: Vgg) -> None:
    shared = contest(compact)
    for trial in run(shared, OWN, GATYS):
        first, last = trial.readings[0], trial.last
        assert first.step == 0 and first.content == 0 and first.marks.edges_kept == pytest.approx(1)
        assert last.step == trial.steps == (4 if trial.name == "default" else 6)
        assert [reading.step for reading in trial.readings] == sorted({reading.step for reading in trial.readings})
        result = torch.from_numpy(trial.result_hwc_u8).permute(2, 0, 1)[None].float() / 255
        maps = compact.activations(torch.cat([result, shared.photo_nchw01, shared.painting_nchw01]), ["relu1_2"])
        cells = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        cells[18:86, 10:78] = True  # the region without the two pixels at which relu1_2 sees beyond it
        inside, target = maps["relu1_2"][0][:, cells], maps["relu1_2"][2].flatten(1)
        own, wanted = (values @ values.T / values.shape[1] for values in (inside, target))
        expected = float((own - wanted).square().sum() / wanted.square().sum())
        assert last.style["relu1_2"] == pytest.approx(expected, rel=1e-4)


def test_outside_the_region_nothing_changes(compact: Vgg) -> None:
    shared = contest(compact)
    photo = to_hwc_u8(shared.photo_nchw01)
    for trial in run(shared, OWN, TENSORFLOW):
        outside = shared.alpha_hw01 == 0
        assert trial.changed_outside == 0 and (trial.result_hwc_u8[outside] == photo[outside]).all()
        assert (trial.result_hwc_u8[~outside] != photo[~outside]).any()


def test_the_print_interval_has_no_effect(compact: Vgg) -> None:
    often, seldom = run(contest(compact), replace(PYTORCH, every=1), replace(PYTORCH, every=4))
    assert [len(trial.snapshots) for trial in (often, seldom)] == [5, 1]
    assert (often.result_hwc_u8 == seldom.result_hwc_u8).all() and (often.losses == seldom.losses).all()
    assert (often.snapshots[3][1] == seldom.snapshots[0][1]).all()


def test_report_isolated_cuts_its_own_result_from_the_same_run(compact: Vgg) -> None:
    seen, ticks = [], []
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, :40] = 1

    def cut(result_hwc_u8: np.ndarray) -> np.ndarray:
        seen.append(result_hwc_u8)
        return alpha

    shared = contest(compact, cut=cut, jitters=1)
    whole, isolated = compare(shared, [PYTORCH, ISOLATED], lambda tick, name: ticks.append(tick))
    assert len(ticks) == 12 and ticks[-1] == Tick(12, 12, ticks[-1].elapsed_s)  # one run and its repeat, not two
    photo = to_hwc_u8(shared.photo_nchw01)
    assert (isolated.result_hwc_u8[:, 40:] == photo[:, 40:]).all()
    assert (isolated.result_hwc_u8[:, :40] == seen[0][:, :40]).all() and (seen[0] != photo).any()
    both = (shared.alpha_hw01 == 1) & (alpha == 1)
    assert (isolated.result_hwc_u8[both] == whole.result_hwc_u8[both]).all()
    changed = (isolated.result_hwc_u8 != photo).any(2)[shared.alpha_hw01 == 0].mean()
    assert isolated.changed_outside == pytest.approx(changed) and changed > 0 == whole.changed_outside
    with pytest.raises(UsageError, match="--region"):
        run(contest(compact), ISOLATED)


def test_jitter_repeats_the_run_from_a_moved_photo(compact: Vgg) -> None:
    (trial,) = run(contest(compact, jitters=2, iterations=3), TENSORFLOW_FIXED)
    stability = trial.stability
    assert stability.jitter_rms is not None and stability.jitter_rms > 0 and stability.jitter_style is not None
    moved = rms_change(trial.result_hwc_u8, to_hwc_u8(picture(0)), contest(compact).alpha_hw01)
    assert stability.jitter_share == pytest.approx(stability.jitter_rms / moved)


def test_what_a_reader_must_know_is_noted(compact: Vgg) -> None:
    (trial,) = run(contest(compact, iterations=1), PYTORCH)
    notes = " ".join(trial.notes)
    assert "Same formulas, another net (compact" in notes and f"{trial.first_style_gradient:.3g}" in notes
    assert "1 of the recipe's 5,000" in notes and "96 px instead of the recipe's 400 px" in notes


def test_spikes_are_counted_within_a_scale() -> None:
    losses = np.array([1.0, 1.2, 1.0, 1.05, 3.0, 2.0, 2.3])
    assert count_spikes(losses, np.array([1, 1, 1, 1, 2, 2, 2])) == 2


def test_a_way_that_blows_up_is_diverged(compact: Vgg) -> None:
    (trial,) = run(contest(compact, iterations=8), replace(GATYS, learning_rate=1e30))
    assert trial.stability.diverged and trial.steps < 8


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell the peak")
def test_peak_memory_sees_what_was_freed_again() -> None:
    with PeakMemory("cpu") as peak:
        np.ones(40_000_000, np.uint8)
        with peak.paused():
            np.ones(400_000_000, np.uint8)
    assert peak.bytes is not None and 35e6 < peak.bytes < 200e6  # the 40 MB, not the 400


def test_standings_and_sentences(compact: Vgg) -> None:
    trials = run(contest(compact, iterations=2), PYTORCH, TENSORFLOW, TENSORFLOW_FIXED)
    assert all(trial.stability.jitter_rms is None for trial in trials)
    better = replace(trials[0].last, content=1e-9)
    trials[0] = replace(trials[0], readings=(trials[0].readings[0], better), peak_bytes=None)
    trials[1] = replace(trials[1], readings=(trials[1].readings[0], replace(trials[1].last, content=1.01e-9)))
    ranked = {standing.criterion: standing for standing in standings({"a": trials, "b": trials})}
    content = ranked["distance to the photo, relu4_2"]
    assert content.winners == ("report-pytorch", "report-tensorflow")  # within two percent
    assert content.values["report-pytorch"] == (1e-9, 1e-9)
    assert "peak memory, MB" not in ranked and "change under a jittered photo, of its own change" not in ranked
    assert "pixels outside changed, %" not in ranked  # nobody did
    for name, sentence in zip(content.values, winning_sentences(list(ranked.values())), strict=True):
        won = [standing.criterion for standing in ranked.values() if standing.winners == (name,)]
        assert all(criterion in sentence for criterion in won) and sentence.startswith(name)
    unseen = unseen_layers(trials)
    assert "relu1_2" in unseen and not {"relu1_1", "relu4_2"} & set(unseen)
    claim = claim_sentence(trials, unseen)
    one, two, three = (trial.last.mean_style(unseen) for trial in trials)
    assert claim and f"{one:.2f}" in claim and f"{two:.2f}" in claim and f"{(two - three) / (two - one):.0%}" in claim
    assert claim_sentence(trials[:1], unseen) is None


def test_judge_by_hand(compact: Vgg) -> None:
    whole = np.ones((SIDE, SIDE), np.float32)
    reading = Judge(compact, picture(0), picture(1), whole).read(picture(2), 7, 1.5)
    maps = {seed: compact.activations(picture(seed), ["relu4_2", "relu5_1"]) for seed in range(3)}
    gram, target = (region_gram(maps[seed]["relu5_1"]) for seed in (2, 1))
    assert reading.style["relu5_1"] == pytest.approx(float((gram - target).square().sum() / target.square().sum()))
    difference = (maps[2]["relu4_2"] - maps[0]["relu4_2"]).square().sum() / maps[0]["relu4_2"].square().sum()
    assert reading.content == pytest.approx(float(difference), rel=1e-5)
    assert (reading.step, reading.seconds) == (7, 1.5)
