import copy
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from interp.attribution.fidelity import blurred, curve_auc, perturb, ranking
from interp.attribution.randomisation import randomise, rank_correlation, with_random_head
from interp.attribution.saliency import SaliencyMap, guided_backprop
from interp.attribution.sanity import quick_verdict
from interp.attribution.targets import Target
from interp.errors import UsageError
from interp.network.vgg import Vgg, WeightsInfo
from reports.verdict import verdict_sentence

SIDE_PX = 32
CELLS = 4  # the planted classifiers read the image in 4 x 4 blocks


def planted(head: nn.Module) -> Vgg:
    """A classifier that sees pixels brighter than .7, averaged in 4 x 4 blocks."""
    vgg = Vgg(1 / 32, head, WeightsInfo("planted", "", width=1 / 32, native_size_px=SIDE_PX))
    bright = nn.Conv2d(3, 1, 1)
    threshold = vgg.normalise(torch.full((1, 3, 1, 1), 0.7)).mean().item()
    nn.init.constant_(bright.weight, 1 / 3)
    nn.init.constant_(bright.bias, -threshold)  # pyright: ignore[reportArgumentType]
    vgg.features = nn.Sequential(bright, nn.ReLU(), nn.AdaptiveAvgPool2d(CELLS), nn.Flatten())
    return vgg.eval().requires_grad_(False)


def linear(weight: Tensor, bias: float = 0.0) -> nn.Linear:
    head = nn.Linear(weight.shape[1], weight.shape[0])
    head.weight.data.copy_(weight)
    head.bias.data.fill_(bias)
    return head


def reads_its_own_block() -> Vgg:
    return planted(linear(40 * torch.eye(CELLS**2)))


def reads_the_same_for_all() -> Vgg:
    """Each class adds up the same brightness, at another strength."""
    strengths = torch.linspace(1.0, 0.1, CELLS**2)
    return planted(linear(2 * strengths[:, None].expand(-1, CELLS**2)))


@pytest.fixture(scope="module")
def image() -> Tensor:
    grey = torch.rand(1, 1, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(7))
    return grey.expand(1, 3, -1, -1).contiguous()


def with_gradient(saliency: SaliencyMap, map_chw: np.ndarray) -> SaliencyMap:
    return dataclasses.replace(saliency, map_chw=map_chw.astype(np.float32))


def test_a_map_of_its_own_block_follows_the_class(image: Tensor) -> None:
    vgg = reads_its_own_block()
    verdict = quick_verdict(vgg, image, guided_backprop(vgg, image, target=5))
    assert verdict.word == "follows the class"
    assert verdict.random_logit_correlation is not None and verdict.random_head_correlation is not None
    assert verdict.random_logit_correlation < 0.1
    assert verdict.random_head_correlation < 0.9
    assert verdict.insertion_auc is not None and verdict.deletion_auc is not None
    margin = verdict.insertion_auc - verdict.deletion_auc
    for number in (margin, verdict.random_quantile95, verdict.random_logit_correlation):
        assert f"{number:.3f}" in verdict_sentence(verdict)


def test_a_map_that_is_the_same_for_every_class_follows_edges(image: Tensor) -> None:
    vgg = reads_the_same_for_all()
    verdict = quick_verdict(vgg, image, guided_backprop(vgg, image, target=0))
    assert verdict.word == "follows edges, not the class"
    assert verdict.random_logit_correlation == pytest.approx(1.0)


def test_a_map_that_ignores_the_heads_parameters_follows_edges(image: Tensor) -> None:
    vgg = planted(nn.Identity())  # nothing learnt to randomise, though each class has its own block
    verdict = quick_verdict(vgg, image, guided_backprop(vgg, image, target=5))
    assert verdict.random_logit_correlation is not None and verdict.random_logit_correlation < 0.1
    assert verdict.random_head_correlation == pytest.approx(1.0)
    assert verdict.word == "follows edges, not the class"


@pytest.mark.parametrize("kind", ["noise", "reversed"])
def test_a_map_that_names_the_wrong_pixels_is_no_better_than_random(image: Tensor, kind: str) -> None:
    vgg = reads_its_own_block()
    honest = guided_backprop(vgg, image, target=5)
    noise = np.random.default_rng(3).normal(size=honest.map_chw.shape)
    gradient = noise if kind == "noise" else honest.map_chw.max() - honest.map_chw
    assert quick_verdict(vgg, image, with_gradient(honest, gradient)).word == "no better than random"


def test_a_constant_model_has_no_map_better_than_random(image: Tensor) -> None:
    vgg = planted(linear(torch.zeros(4, CELLS**2), bias=1.0))
    verdict = quick_verdict(vgg, image, guided_backprop(vgg, image, target=1))
    assert verdict.word == "no better than random"
    assert verdict.insertion_auc == verdict.deletion_auc == pytest.approx(0.25)
    assert verdict.random_logit_correlation == 0.0  # flat maps rank nothing


def test_one_class_leaves_no_other_logit(image: Tensor) -> None:
    vgg = planted(linear(torch.ones(1, CELLS**2)))
    verdict = quick_verdict(vgg, image, guided_backprop(vgg, image))
    assert verdict.random_logit_correlation is None
    assert "untested" in verdict_sentence(verdict)


def test_not_tested_without_a_head_or_a_class(image: Tensor) -> None:
    vgg = reads_its_own_block()
    saliency = guided_backprop(vgg, image)
    channel = dataclasses.replace(saliency, target=Target("relu1_1", -1, "relu1_1"))
    for verdict in (quick_verdict(Vgg(1 / 32), image, saliency), quick_verdict(vgg, image, channel)):
        assert verdict.word == "not tested"
        assert verdict.insertion_auc is None
        assert verdict.fractions == ()


def test_an_unknown_method_cannot_be_repeated(image: Tensor) -> None:
    vgg = reads_its_own_block()
    foreign = dataclasses.replace(guided_backprop(vgg, image), method="tea leaves")
    with pytest.raises(UsageError, match="tea leaves"):
        quick_verdict(vgg, image, foreign)


def test_same_seed_same_verdict_and_the_network_stays_as_it_was(compact: Vgg) -> None:
    before = {key: value.clone() for key, value in compact.state_dict().items()}
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    saliency = guided_backprop(compact, image)
    first, again = (quick_verdict(compact, image, saliency, seed=4, steps=3) for _ in range(2))
    assert first == again
    assert first.fractions == pytest.approx((0, 1 / 3, 2 / 3, 1), abs=1 / 4096)
    other = quick_verdict(compact, image, saliency, seed=5, steps=1)
    assert first.random_head_correlation != other.random_head_correlation
    assert all(torch.equal(value, before[key]) for key, value in compact.state_dict().items())


def test_curves_run_between_blur_photo_and_mean_colour(compact: Vgg) -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    saliency = guided_backprop(compact, image)
    verdict = quick_verdict(compact, image, saliency, steps=2)
    mean_colour = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand_as(image)  # ImageNet's
    with torch.no_grad():
        logits = compact(torch.cat([blurred(image), image, image, mean_colour]))
    expected = torch.softmax(logits, dim=1)[:, saliency.target.index]
    curves = verdict.insertion_curve, verdict.deletion_curve
    measured = [curve[end] for curve in curves for end in (0, -1)]
    np.testing.assert_allclose(measured, expected, rtol=1e-3)


def test_few_random_maps_beat_the_quantile_of_random_rankings(image: Tensor) -> None:
    vgg = reads_its_own_block()
    honest = guided_backprop(vgg, image, target=5)
    rng = np.random.default_rng(11)
    maps = [with_gradient(honest, rng.random(honest.map_chw.shape)) for _ in range(30)]
    verdicts = [quick_verdict(vgg, image, noise, seed=seed, steps=6) for seed, noise in enumerate(maps)]
    passed = sum(verdict.word != "no better than random" for verdict in verdicts)
    assert passed <= 6  # 5 % of infinitely many rankings, about 7 % of twenty; half of them against one ranking


def mean_of_pixels(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3))


def test_insertion_and_deletion_have_their_closed_form_for_the_mean_of_pixels() -> None:
    """Pixels v(u) = 1 - u, best first: inserted t - t²/2, area 1/3; deleted 1/2 - t + t²/2, area 1/6."""
    count = SIDE_PX**2
    order = np.random.default_rng(0).permutation(count)
    values = np.empty(count, np.float32)
    values[order] = 1 - (np.arange(count) + 0.5) / count
    image = torch.from_numpy(values).view(1, 1, SIDE_PX, SIDE_PX).expand(1, 3, -1, -1)
    black = torch.zeros_like(image)
    exact = ranking(values.reshape(SIDE_PX, SIDE_PX), np.random.default_rng(1))
    np.testing.assert_array_equal(exact, order)
    for ranked, areas in ((exact, (1 / 3, 1 / 6)), (exact[::-1].copy(), (1 / 6, 1 / 3))):
        curves = perturb(mean_of_pixels, image, black, black, ranked, steps=32)
        t = curves.fractions
        np.testing.assert_allclose(t, np.linspace(0, 1, 33))
        measured = curve_auc(t, curves.insertion), curve_auc(t, curves.deletion)
        np.testing.assert_allclose(measured, areas, atol=2e-4)
        np.testing.assert_allclose(curves.insertion + curves.deletion, 0.5, atol=1e-5)
    np.testing.assert_allclose(
        perturb(mean_of_pixels, image, black, black, exact, 32).insertion, t - t**2 / 2, atol=1e-5
    )


def test_a_constant_score_has_both_areas_equal_to_it() -> None:
    image = torch.rand(1, 3, 5, 7)
    curves = perturb(lambda batch: torch.full((len(batch),), 0.375), image, image, image, np.arange(35), steps=8)
    assert curve_auc(curves.fractions, curves.insertion) == 0.375
    assert curve_auc(curves.fractions, curves.deletion) == 0.375
    assert curves.margin == 0


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_area_is_rises_formula_for_equal_steps(scores: list[float]) -> None:
    rise = (sum(scores) - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)
    assert curve_auc(np.linspace(0, 1, len(scores)), np.array(scores)) == pytest.approx(rise, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), height=st.integers(1, 9), width=st.integers(1, 9), steps=st.integers(1, 40))
def test_perturbation_starts_and_ends_whole(seed: int, height: int, width: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    image, start, gone = (torch.from_numpy(rng.random((1, 3, height, width))) for _ in range(3))
    curves = perturb(mean_of_pixels, image, start, gone, rng.permutation(height * width), steps)
    ends = [float(mean_of_pixels(part)) for part in (start, image, image, gone)]
    measured = [curves.insertion[0], curves.insertion[-1], curves.deletion[0], curves.deletion[-1]]
    np.testing.assert_allclose(measured, ends, atol=1e-9)
    assert (np.diff(curves.fractions) > 0).all()


def test_ties_are_ranked_at_random() -> None:
    values = np.zeros((8, 8))
    values[7, 7] = 1
    first, second = (ranking(values, np.random.default_rng(seed)) for seed in (0, 1))
    assert first[0] == second[0] == 63
    assert sorted(first) == list(range(64))
    assert not np.array_equal(first, second)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_rank_correlation_is_spearmans_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 5, (6, 7)).astype(float), rng.normal(size=(6, 7))
    expected = stats.spearmanr(first.ravel(), second.ravel()).statistic  # pyright: ignore[reportAttributeAccessIssue]
    assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(second, np.exp(3 * second)) == pytest.approx(1)
    assert rank_correlation(np.zeros((6, 7)), second) == 0


def test_insertion_starts_from_rises_blur() -> None:
    image = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(2))
    offsets = torch.arange(-5, 6).float()
    kernel = torch.exp(-(offsets**2) / (2 * 5**2))
    kernel = kernel / kernel.sum()
    square = (kernel[:, None] * kernel).expand(3, 1, 11, 11)
    oracle = F.conv2d(F.pad(image, (5, 5, 5, 5), mode="reflect"), square, groups=3)
    torch.testing.assert_close(blurred(image), oracle, atol=1e-5, rtol=0)


def test_a_randomised_head_keeps_energy_and_spares_the_original() -> None:
    head = nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 100))
    before = [values.detach().clone() for values in head.parameters()]
    other, same, third = (copy.deepcopy(head) for _ in range(3))
    for victim, seed in ((other, 0), (same, 0), (third, 1)):
        randomise([victim], seed)
    assert all(torch.equal(*pair) for pair in zip(head.parameters(), before, strict=True))
    for mine, drawn, again, differs in zip(*(net.parameters() for net in (head, other, same, third)), strict=True):
        assert torch.equal(drawn, again)
        assert not torch.equal(drawn, differs)
        if mine.ndim == 2:
            assert drawn.square().mean().item() == pytest.approx(mine.square().mean().item(), rel=0.05)
            assert abs(np.corrcoef(mine.detach().ravel(), drawn.detach().ravel())[0, 1]) < 0.02


def test_guided_maps_hardly_notice_the_head_where_plain_gradients_do(compact: Vgg) -> None:
    """The published shape of the curve (Adebayo et al. 2018), and why every map comes with a verdict."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    disc = ((rows - 30) ** 2 + (columns - 34) ** 2 < 300).float()
    texture = 0.5 + 0.2 * torch.sin(columns / 2) * torch.cos(rows / 3)
    image = torch.stack([0.8 * disc + 0.1, texture, 0.7 - 0.5 * disc])[None]
    saliency = guided_backprop(compact, image)
    verdict = quick_verdict(compact, image, saliency, steps=1)

    def plain(classifier: nn.Module) -> np.ndarray:
        pixels = image.clone().requires_grad_()
        classifier(pixels)[0, saliency.target.index].backward()
        assert pixels.grad is not None
        return pixels.grad[0].abs().amax(dim=0).numpy()

    assert compact.head is not None
    reheaded = with_random_head(compact, 0)
    assert verdict.random_head_correlation is not None
    assert verdict.random_head_correlation > rank_correlation(plain(compact), plain(reheaded)) + 0.15
