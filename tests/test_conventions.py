"""Display conventions against their definitions, in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from commands.saliency import Convention
from interp.attribution.saliency import SaliencyMap
from interp.attribution.targets import Target
from interp.errors import UsageError
from interp.network.classify import Prediction
from reports.conventions import CONVENTIONS, views

MAPS = hnp.arrays(np.float32, (3, 5, 6), elements=st.floats(-8, 8, width=16))


def saliency(map_chw: np.ndarray, method: str = "gradient") -> SaliencyMap:
    size = map_chw.shape[1], map_chw.shape[2]
    return SaliencyMap(
        method, Target("t", 0), map_chw, np.full((3, *size), 0.5, np.float32), Prediction((), (), (), size)
    )


def test_the_command_offers_every_convention() -> None:
    assert {entry.value for entry in Convention} == set(CONVENTIONS)


@settings(deadline=None, max_examples=40)
@given(MAPS)
def test_percentile99_clips_the_sum_of_sizes(map_chw: np.ndarray) -> None:
    (view,) = views([saliency(map_chw)], "percentile99")
    summed = np.abs(map_chw).sum(0)
    low, high = summed.min(), np.percentile(summed, 99)
    expected = np.clip((summed - low) / (high - low), 0, 1) if high > low else np.zeros_like(summed)
    np.testing.assert_allclose(view.unit_hw01, expected, atol=1e-5)
    assert (view.low, view.high) == pytest.approx((low, high))


@settings(deadline=None, max_examples=40)
@given(MAPS)
def test_symmetric_puts_zero_in_the_middle(map_chw: np.ndarray) -> None:
    (view,), (negated,) = (views([saliency(sign * map_chw)], "symmetric") for sign in (1, -1))
    assert view.low == -view.high
    summed = map_chw.sum(0)
    if view.high > 0:
        np.testing.assert_allclose(view.unit_hw01, 0.5 + summed / (2 * np.abs(summed).max()), atol=1e-5)
        np.testing.assert_allclose(view.unit_hw01, 1 - negated.unit_hw01, atol=1e-5)


def test_shared_maps_have_one_scale_and_others_their_own() -> None:
    small, large = saliency(np.full((3, 4, 4), 0.5, np.float32)), saliency(np.full((3, 4, 4), -2, np.float32))
    shared = views([small, large], "shared")
    assert [(view.low, view.high) for view in shared] == [(0.0, 2.0), (0.0, 2.0)]
    assert [float(view.unit_hw01.max()) for view in shared] == [0.25, 1.0]
    own = views([small, large], "symmetric")
    assert [view.high for view in own] == [1.5, 6.0]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_flat_maps_of_any_channels_can_be_drawn(convention: str, channels: int) -> None:
    for value in (0.0, 2.5):
        (view,) = views([saliency(np.full((channels, 4, 5), value, np.float32))], convention)
        assert view.unit_hw01.shape == (4, 5)
        assert np.isfinite(view.unit_hw01).all()


def test_unknown_convention() -> None:
    with pytest.raises(UsageError, match="symmetric"):
        views([], "symetric")
