"""Region statistics against NumPy and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interp.network.layer_names import LAYERS
from interp.statistics.gram import effective_rank, gram_stats, region_gram, relative_distance
from interp.statistics.regions import layer_mask, layer_regions, pool_mask, region_depth_px

UNIT = st.floats(0, 1, width=32)
FEATURES = hnp.arrays(np.float32, (3, 4, 5), elements=st.floats(-3, 3, width=32))
MASK = hnp.arrays(np.float32, (4, 5), elements=UNIT).filter(lambda mask: mask.sum() > 0.1)


def numpy_gram(features: np.ndarray, mask: np.ndarray) -> np.ndarray:
    total = np.zeros((features.shape[0],) * 2)
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            total += mask[row, column] * np.outer(features[:, row, column], features[:, row, column])
    return total / mask.sum()


@given(FEATURES, MASK)
@settings(deadline=None, max_examples=50)
def test_gram_equals_the_sum_over_cells(features: np.ndarray, mask: np.ndarray) -> None:
    ours = region_gram(torch.from_numpy(features)[None], torch.from_numpy(mask)).numpy()
    np.testing.assert_allclose(ours, numpy_gram(features, mask), atol=1e-4)
    np.testing.assert_allclose(ours, ours.T, atol=1e-5)
    assert np.linalg.eigvalsh(ours.astype(np.float64)).min() > -1e-3


@given(FEATURES, hnp.arrays(np.float32, (4, 5), elements=st.floats(0.0625, 0.9375, width=32)))
@settings(deadline=None, max_examples=50)
def test_soft_regions_add_up_to_the_whole(features: np.ndarray, mask: np.ndarray) -> None:
    maps, inside = torch.from_numpy(features)[None], torch.from_numpy(mask)
    parts = [(region_gram(maps, part), float(part.sum())) for part in (inside, 1 - inside)]
    total = sum(gram * area for gram, area in parts) / inside.numel()
    torch.testing.assert_close(total, region_gram(maps), atol=1e-4, rtol=1e-4)


def test_gram_ignores_where() -> None:
    maps = torch.rand(1, 4, 6, 6)
    shuffled = maps.flatten(2)[..., torch.randperm(36)].view_as(maps)
    torch.testing.assert_close(region_gram(maps), region_gram(shuffled))


def test_region_gram_gradient_by_finite_differences() -> None:
    maps = torch.rand(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(4, 4, dtype=torch.float64)
    target = region_gram(torch.rand(1, 3, 4, 4, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda values: relative_distance(region_gram(values, mask), target), maps)


def test_effective_rank_counts_equal_directions() -> None:
    assert effective_rank(torch.tensor([1.0, 1.0, 1.0, 0.0])) == pytest.approx(3)
    assert effective_rank(torch.zeros(4)) == 0
    stats = gram_stats("relu1_1", torch.diag(torch.tensor([3.0, 1.0])))
    assert stats.spectrum == pytest.approx((0.75, 0.25))
    assert stats.energy == pytest.approx(2)


def brute_distance(inside: np.ndarray) -> np.ndarray:
    zeros = np.argwhere(~inside)
    result = np.zeros(inside.shape)
    for row, column in np.argwhere(inside):
        result[row, column] = np.abs(zeros - (row, column)).max(1).min()
    return result


@given(hnp.arrays(bool, (9, 11)).filter(lambda mask: not mask.all()))
@settings(deadline=None, max_examples=50)
def test_depth_is_the_chessboard_distance_to_the_outside(inside: np.ndarray) -> None:
    np.testing.assert_array_equal(region_depth_px(inside.astype(np.float32)), brute_distance(inside))


def test_whole_picture_is_not_eroded() -> None:
    region = layer_regions(np.ones((64, 64), np.float32), ["relu4_1"])["relu4_1"]
    assert region.fully_eroded and float(region.mask_hw01.min()) == 1


@pytest.mark.parametrize("name", ["relu1_1", "relu2_1", "relu3_1", "relu4_1"])
def test_erosion_keeps_exactly_the_cells_that_see_the_region_only(name: str) -> None:
    alpha = np.zeros((192, 192), np.float32)
    alpha[24:170, 30:180] = 1
    place, region = LAYERS[name], layer_regions(alpha, [name])[name]
    for row, column in np.ndindex(*region.mask_hw01.shape):
        top, left = row * place.stride_px - place.inset_px, column * place.stride_px - place.inset_px
        bottom, right = (start + place.receptive_field_px for start in (top, left))
        seen = alpha[max(top, 0) : bottom, max(left, 0) : right]
        # Beyond the picture's border there is nothing to see.
        assert bool(region.mask_hw01[row, column] > 0) == bool((seen > 0).all()), (row, column)
    assert region.fully_eroded


def test_a_thin_island_keeps_a_part_beside_a_broad_one() -> None:
    alpha = np.zeros((256, 256), np.float32)
    alpha[:, :160] = 1
    alpha[40:200, 200:240] = 1
    region = layer_regions(alpha, ["relu4_1"])["relu4_1"]
    assert not region.fully_eroded
    assert float(region.mask_hw01[:, 25:30].sum()) > 0 and float(region.mask_hw01[:, :16].sum()) > 0


def test_too_few_cells_are_not_usable() -> None:
    alpha = np.zeros((128, 128), np.float32)
    alpha[60, 60] = 1
    assert not layer_regions(alpha, ["relu1_1"])["relu1_1"].usable
    assert layer_regions(np.ones((128, 128), np.float32), ["relu4_1"])["relu4_1"].usable


def test_layer_mask_is_the_mean_over_a_cell(rng: np.random.Generator) -> None:
    alpha = rng.random((35, 50)).astype(np.float32)
    expected = alpha[:32, :48].reshape(4, 8, 6, 8).mean((1, 3))
    np.testing.assert_allclose(pool_mask(torch.from_numpy(alpha), LAYERS["relu4_1"]).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(layer_mask(alpha, "relu4_2").numpy(), expected, rtol=1e-5)
