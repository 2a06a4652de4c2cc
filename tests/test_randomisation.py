"""The cascade and its similarities: against scikit-image, SciPy and networks of which the answer is known."""

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.feature import hog
from skimage.metrics import structural_similarity
from torch import Tensor

from interp.attribution.methods import MethodOptions
from interp.attribution.randomisation import cascade, edges_hw, parameter_layers, randomise, similarity
from interp.attribution.saliency import saliency_map
from interp.attribution.sanity import other_classes, quick_verdict, random_margin95, sanity_check
from interp.attribution.targets import parse_target
from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg


@pytest.fixture(scope="module")
def image() -> Tensor:
    """A disc on a texture, 64 px."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    disc = ((rows - 30) ** 2 + (columns - 34) ** 2 < 300).float()
    texture = 0.5 + 0.2 * torch.sin(columns / 2) * torch.cos(rows / 3)
    return torch.stack([0.8 * disc + 0.1, texture, 0.7 - 0.5 * disc])[None]


def test_layers_come_from_the_top_with_vggs_names(compact: Vgg) -> None:
    names = [name for name, _ in parameter_layers(compact)]
    assert names[:3] == ["head", "conv5_4", "conv5_3"] and names[-1] == "conv1_1" and len(names) == 17
    below = [name for name, _ in parameter_layers(compact, "relu3_1")]
    assert below == ["conv3_1", "conv2_2", "conv2_1", "conv1_2", "conv1_1"]


def test_guided_backprop_survives_the_top_and_the_gradient_does_not(compact: Vgg, image: Tensor) -> None:
    """The published shape (Adebayo et al. 2018, figure 3): guided at least .9 in the top block, plain drops at once."""
    before = {key: value.clone() for key, value in compact.state_dict().items()}
    guided, plain = (
        cascade(compact, saliency_map(compact, image, method), seed=0, draws=2)
        for method in ("guided-backprop", "gradient")
    )
    assert guided.layers == plain.layers and guided.layers[0] == "head" and guided.layers[-1] == "conv1_1"
    assert min(entry.rank for entry in guided.similarities[:3]) > 0.9
    assert plain.similarities[0].rank < 0.75
    assert guided.similarities[-1].rank < guided.similarities[2].rank - 0.2
    assert guided.heats_khw.shape == (17, 64, 64)
    assert all(torch.equal(value, before[key]) for key, value in compact.state_dict().items())


def test_a_layer_keeps_its_draw_when_the_next_one_follows(compact: Vgg, image: Tensor) -> None:
    """Stage by stage by hand, with the same draws, gives the same maps."""
    import copy

    saliency = saliency_map(compact, image, "gradient")
    found = cascade(compact, saliency, seed=5, draws=1)
    victim = copy.deepcopy(compact)
    for place, (_, modules) in enumerate(parameter_layers(victim)[:3]):
        randomise(modules, 5, 0, place)
    pixels = image.clone().requires_grad_()
    victim(pixels)[0, saliency.target.index].backward()
    assert pixels.grad is not None
    by_hand = pixels.grad[0].abs().amax(dim=0).numpy()
    np.testing.assert_allclose(found.heats_khw[2], by_hand, atol=1e-5 * by_hand.max())


def test_a_network_without_weights_to_lose_keeps_its_map(image: Tensor) -> None:
    """Zeros stay zeros under a draw of their own mean square: the map stays flat, and is like nothing."""
    vgg = load_vgg("random", width=1 / 16)
    for parameter in vgg.parameters():
        parameter.zero_()
    vgg.features[0].bias.fill_(1.0)  # pyright: ignore[reportCallIssue, reportArgumentType]
    saliency = saliency_map(vgg, image, "gradient", parse_target(vgg, "conv1_1:0"))
    found = cascade(vgg, saliency, seed=0, draws=1)
    assert found.layers == ("conv1_1",)
    np.testing.assert_array_equal(found.heats_khw[0], np.zeros((224, 224)))
    assert found.similarities[0].rank == 0


def test_similarity_is_spearman_ssim_and_hog(rng: np.random.Generator) -> None:
    first, second = rng.random((64, 48)) ** 3, rng.random((64, 48))
    second += first

    def unit(values: np.ndarray) -> np.ndarray:
        clipped = values.clip(max=np.percentile(values, 99))
        return (clipped - clipped.min()) / (clipped.max() - clipped.min())

    found = similarity(first, second)
    spearman = stats.spearmanr(first.ravel(), second.ravel()).statistic  # pyright: ignore[reportAttributeAccessIssue]
    assert found.rank == pytest.approx(spearman)
    expected = structural_similarity(
        unit(first), unit(second), data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert found.ssim == pytest.approx(expected)
    cells = [hog(unit(values), pixels_per_cell=(4, 4), cells_per_block=(1, 1)) for values in (first, second)]
    assert found.hog == pytest.approx(stats.spearmanr(*cells).statistic)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_map_is_like_itself_at_any_scale_and_a_flat_one_like_nothing(rng: np.random.Generator) -> None:
    values = rng.random((40, 40))
    same, flat = similarity(values, 7 * values), similarity(values, np.zeros_like(values))
    assert (same.rank, same.ssim, same.hog) == pytest.approx((1, 1, 1))
    assert flat.rank == flat.hog == 0


def test_edges_are_where_the_luminance_changes() -> None:
    picture = np.zeros((3, 20, 20), np.float32)
    picture[:, :, 10:] = 1
    edges = edges_hw(picture)
    assert set(np.flatnonzero(edges.max(axis=0) > 1)) == {9, 10}
    blue = picture * np.array([0, 0, 1], np.float32)[:, None, None]
    np.testing.assert_allclose(edges_hw(blue), 0.114 * edges, atol=1e-6)


def test_targets_can_be_made_again(compact: Vgg, image: Tensor) -> None:
    for text in ("goldfish", "relu3_1:5", "conv2_1"):
        target = parse_target(compact, text)
        assert saliency_map(compact, image, "gradient", target).target == target


def test_the_long_form_agrees_with_the_quick_one(compact: Vgg, image: Tensor) -> None:
    saliency = saliency_map(compact, image, "gradient")
    margin95 = random_margin95(compact, image, saliency, seed=3)
    check = sanity_check(compact, image, saliency, seed=3, draws=1, random_quantile95=margin95)
    assert check.verdict == quick_verdict(compact, image, saliency, seed=3)
    assert check.verdict.random_logit_correlation == pytest.approx(check.logits[0].rank)
    assert len(check.other_classes) == len(set(check.other_classes)) == 5
    assert saliency.target.name not in check.other_classes
    assert check.edges == similarity(np.abs(saliency.map_chw).max(axis=0), edges_hw(saliency.input_chw01))
    with pytest.raises(UsageError, match="at least 1"):
        sanity_check(compact, image, saliency, draws=0)


def test_a_channel_goes_through_the_cascade_untested(image: Tensor) -> None:
    vgg = load_vgg("random", width=1 / 16)
    saliency = saliency_map(vgg, image, "guided-backprop", parse_target(vgg, "relu2_2:1"))
    check = sanity_check(vgg, image, saliency, draws=1)
    assert check.verdict.word == "not tested" and check.logits == ()
    assert check.cascade.layers == ("conv2_2", "conv2_1", "conv1_2", "conv1_1")


@pytest.mark.parametrize("method", ["smoothgrad", "integrated-gradients", "grad-cam", "occlusion"])
def test_every_kind_of_method_can_be_judged(compact: Vgg, image: Tensor, method: str) -> None:
    saliency = saliency_map(compact, image, method, options=MethodOptions(samples=4, seed=2))
    verdict = quick_verdict(compact, image, saliency, steps=2)
    assert verdict.word != "not tested" and verdict.margin is not None


def test_other_classes_begin_alike_however_many_are_drawn(compact: Vgg) -> None:
    few, many = (other_classes(compact, 7, 1, count) for count in (1, 300))
    assert many[:1] == few
    assert sorted([*many, 7]) == list(range(202))
