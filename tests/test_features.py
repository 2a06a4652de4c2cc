import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from interp.errors import MaskError, UsageError
from interp.network.channels import channel_contrast, channel_stats, class_evidence
from interp.network.features import Selection, feature_maps, feature_maps_of
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from reports.features import rule_of


@pytest.fixture(scope="module")
def vgg() -> Vgg:
    return load_vgg("random", width=1 / 8, seed=3)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 3, 50, 64, generator=torch.Generator().manual_seed(0))


def conv1_1(vgg: Vgg) -> nn.Conv2d:
    layer = vgg.features[0]
    assert isinstance(layer, nn.Conv2d)
    return layer


def numpy_contrast(maps_chw: np.ndarray, alpha_hw: np.ndarray, stride: int) -> np.ndarray:
    """The definition, cell by cell: weighted means of both sides over the weighted pooled deviation."""
    height, width = maps_chw.shape[1:]
    inside = np.array(
        [
            [alpha_hw[r * stride : (r + 1) * stride, c * stride : (c + 1) * stride].mean() for c in range(width)]
            for r in range(height)
        ]
    )
    scores = []
    for values in maps_chw:
        mean_in, mean_out = np.average(values, weights=inside), np.average(values, weights=1 - inside)
        within = (inside * (values - mean_in) ** 2 + (1 - inside) * (values - mean_out) ** 2).mean()
        scores.append(abs(mean_in - mean_out) / np.sqrt(within))
    return np.array(scores)


def test_maps_are_the_named_layer_and_the_stage_says_which(vgg: Vgg, image: torch.Tensor) -> None:
    before = feature_maps(vgg, image, "conv1_1")
    after = feature_maps(vgg, image, "relu1_1")
    pooled = feature_maps(vgg, image, "pool1")
    oracle = F.conv2d(vgg.normalise(image), conv1_1(vgg).weight, conv1_1(vgg).bias, padding=1)[0]
    np.testing.assert_allclose(before.maps_khw, oracle.numpy(), atol=1e-5)
    np.testing.assert_array_equal(after.maps_khw, before.maps_khw.clip(0))
    assert before.maps_khw.min() < 0  # no later in-place ReLU has been here
    assert [maps.stage for maps in (before, after, pooled)] == ["before ReLU", "after ReLU", "after pooling"]
    assert pooled.maps_khw.shape == (8, 25, 32)


def test_default_is_index_order_and_count_cuts(vgg: Vgg, image: torch.Tensor) -> None:
    maps = feature_maps(vgg, image, "relu3_1", count=5)
    assert maps.channels == (0, 1, 2, 3, 4)
    assert maps.maps_khw.shape[0] == 5
    assert len(maps.stats.mean_c) == 32  # statistics cover all channels
    assert "first 5 of 32" in rule_of(maps)
    assert feature_maps(vgg, image, "relu3_1", count=1000).channels == tuple(range(32))


@pytest.mark.parametrize("rank", ["mean", "variance", "contrast"])
def test_ranks_order_by_their_numpy_score(vgg: Vgg, image: torch.Tensor, rank: str) -> None:
    alpha = np.zeros((50, 64), np.float32)
    alpha[10:40, 7:30] = 1
    everything = feature_maps(vgg, image, "relu2_1").maps_khw.astype(np.float64)
    scores = {
        "mean": everything.mean(axis=(1, 2)),
        "variance": everything.var(axis=(1, 2)),
        "contrast": numpy_contrast(everything, alpha, 2),
    }[rank]
    maps = feature_maps(vgg, image, "relu2_1", rank=rank, count=6, alpha_hw01=alpha)
    assert maps.channels == tuple(np.argsort(-scores)[:6])
    np.testing.assert_allclose(maps.scores, np.sort(scores)[::-1][:6], rtol=1e-4)
    np.testing.assert_allclose(maps.maps_khw, everything[list(maps.channels)], rtol=1e-6)


def test_given_channels_keep_their_order(vgg: Vgg, image: torch.Tensor) -> None:
    maps = feature_maps(vgg, image, "relu2_1", channels=[7, 0, 3], rank="variance", count=1)
    assert maps.channels == (7, 0, 3)
    np.testing.assert_allclose(maps.scores, maps.stats.mean_c[[7, 0, 3]])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), stride=st.sampled_from([1, 2, 4]), shift=st.floats(-50, 50))
def test_contrast_matches_numpy_for_soft_masks_at_any_scale(seed: int, stride: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(3, 5, 7)) * np.array([1, 100, 0.01])[:, None, None] + shift
    alpha = rng.random((5 * stride + stride - 1, 7 * stride))
    maps[0] += 3 * (rng.random((5, 7)) > 0.5)
    scores = channel_contrast(torch.from_numpy(maps).float(), alpha, stride)
    # float32 maps around 50 carry errors of 4e-6, beside deviations down to 0.01
    np.testing.assert_allclose(scores, numpy_contrast(maps.astype(np.float32), alpha, stride), atol=2e-3)


def test_contrast_prefers_the_channel_that_is_the_mask() -> None:
    alpha = np.zeros((8, 8), np.float32)
    alpha[:, :3] = 1
    noise = torch.rand(8, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.from_numpy(alpha)
    scores = channel_contrast(torch.stack([noise, -5 * mask, torch.full((8, 8), 3.7), noise + mask]), alpha, 1)
    assert np.isfinite(scores).all()
    assert scores.argmax() == 1
    assert scores[3] > scores[0]
    assert scores[2] == pytest.approx(0, abs=1e-4)


def test_dead_channels_are_counted_before_and_after_the_relu(image: torch.Tensor) -> None:
    vgg = load_vgg("random", width=1 / 8)
    weight, bias = conv1_1(vgg).parameters()
    weight.data[[2, 5, 6]] = 0
    bias.data[[2, 5, 6]] = torch.tensor([-1.0, 0.0, 1e-3])
    for layer in ("conv1_1", "relu1_1"):
        maps = feature_maps(vgg, image, layer)
        assert np.flatnonzero(maps.stats.dead_c).tolist() == [2, 5]
        assert "2 of 8" in rule_of(maps)


def test_stats_match_numpy() -> None:
    maps = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(2)) * 3 + 1
    stats, values = channel_stats(maps), maps.double().numpy()
    np.testing.assert_allclose(stats.mean_c, values.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(stats.std_c, values.std(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(stats.maximum_c, maps.amax(dim=(1, 2)).numpy())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": "varience"}, "variance"),
        ({"count": 0}, "at least 1"),
        ({"channels": [0, 8]}, "no channel 8"),
        ({"channels": [-1]}, "0 to 7"),
        ({"channels": []}, "no channel"),
        ({"rank": "contrast"}, "no region"),
        ({"rank": "contrast", "alpha_hw01": np.ones((64, 50), np.float32)}, "same size"),
    ],
)
def test_options_that_cannot_be_honoured(
    vgg: Vgg, image: torch.Tensor, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        feature_maps(vgg, image, "relu1_1", **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", [0, 1])
def test_contrast_needs_two_sides(vgg: Vgg, image: torch.Tensor, value: int) -> None:
    with pytest.raises(MaskError):
        feature_maps(vgg, image, "relu1_1", rank="contrast", alpha_hw01=np.full((50, 64), value, np.float32))


def test_unknown_layer(vgg: Vgg, image: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="conv1_1"):
        feature_maps(vgg, image, "conv1_l")


def test_several_layers_in_one_pass_equal_each_alone(vgg: Vgg, image: torch.Tensor) -> None:
    """A convolution captured beside its ReLU is not rewritten by it, whatever else is asked for."""
    together = list(feature_maps_of(vgg, image, ["relu2_1", "conv1_1", "relu1_1", "conv2_1", "pool1"], Selection()))
    assert [maps.layer for maps in together] == ["conv1_1", "relu1_1", "pool1", "conv2_1", "relu2_1"]
    for maps in together:
        alone = feature_maps(vgg, image, maps.layer)
        np.testing.assert_array_equal(maps.maps_khw, alone.maps_khw)
        assert (rule_of(maps), maps.channels) == (rule_of(alone), alone.channels)
    assert together[0].maps_khw.min() < 0 and together[3].maps_khw.min() < 0


def test_energy_is_the_diagonal_of_the_gram_matrix(vgg: Vgg, image: torch.Tensor) -> None:
    from interp.statistics.gram import region_gram

    maps = feature_maps(vgg, image, "relu2_1", rank="energy")
    diagonal = region_gram(vgg.activations(image, ["relu2_1"])["relu2_1"]).diagonal().numpy()
    np.testing.assert_allclose(maps.scores, np.sort(diagonal)[::-1], rtol=1e-4)
    assert maps.channels == tuple(np.argsort(-diagonal, kind="stable"))
    assert "Gram" in rule_of(maps)


def test_gradient_rank_is_what_silencing_a_channel_costs_to_first_order(compact: Vgg, image: torch.Tensor) -> None:
    """Central differences of the score when one channel is scaled."""
    evidence = class_evidence(compact, image, ["relu3_2", "conv3_2"], index=5)
    native = F.interpolate(image, size=(57, 72), mode="bicubic", antialias=True).clamp(0, 1)
    assert (evidence.class_name, evidence.size_hw_px) == (compact.info.class_names[5], (57, 72))
    exact = copy.deepcopy(compact).double()
    place = 12  # of conv3_2 among the modules

    def score(channel: int, factor: float) -> float:
        with torch.no_grad():
            values = exact.features[: place + 1](exact.normalise(native.double()))
            values[:, channel] *= factor
            assert exact.head is not None
            return float(exact.head(exact.features[place + 1 :](values))[0, 5])

    scores = evidence.scores["conv3_2"]
    for channel in np.argsort(-np.abs(scores))[:3]:
        change = (score(int(channel), 1 + 1e-4) - score(int(channel), 1 - 1e-4)) / 2e-4
        assert scores[channel] == pytest.approx(change, rel=0.02)
    maps = feature_maps(compact, image, "relu3_2", rank="gradient", evidence=evidence, count=4)
    assert maps.channels == tuple(np.argsort(-evidence.scores["relu3_2"])[:4])
    assert maps.scores == pytest.approx(tuple(np.sort(evidence.scores["relu3_2"])[::-1][:4]))
    assert "gradient × activation" in rule_of(maps) and "at 72x57 px" in rule_of(maps)
    with pytest.raises(UsageError, match="class evidence of relu1_1"):
        feature_maps(compact, image, "relu1_1", rank="gradient", evidence=evidence)
