"""Linear maps between networks: the fit and the explained share against NumPy."""

import numpy as np
import pytest
import torch

from tools.train_compact.maps import Moments


def moments_of(features_nchw: np.ndarray, targets_nchw: np.ndarray) -> Moments:
    moments = Moments(features_nchw.shape[1], targets_nchw.shape[1])
    for features, targets in zip(features_nchw, targets_nchw, strict=True):  # one picture at a time
        moments.add(torch.from_numpy(features[None]), torch.from_numpy(targets[None]))
    return moments


def rows_of(values_nchw: np.ndarray) -> np.ndarray:
    return values_nchw.transpose(0, 2, 3, 1).reshape(-1, values_nchw.shape[1])


@pytest.fixture
def values() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.gamma(1.0, size=(4, 5, 6, 7)) * np.array([1, 3, 0.2, 1, 1])[:, None, None]
    targets = np.einsum("nkhw,kt->nthw", features, rng.normal(size=(5, 3))) + rng.normal(size=(4, 3, 6, 7)) + 2
    return features, targets


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_fit_is_numpys_least_squares(values: tuple[np.ndarray, np.ndarray], ridge: float) -> None:
    features, targets = map(rows_of, values)
    penalty = ridge * len(features) * np.square(features).mean()
    with_penalty = np.block([[np.ones((len(features), 1)), features], [np.zeros((5, 1)), np.sqrt(penalty) * np.eye(5)]])
    expected = np.linalg.lstsq(with_penalty, np.concatenate([targets, np.zeros((5, 3))]), rcond=None)[0]
    np.testing.assert_allclose(moments_of(*values).fit(ridge).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_the_share_is_explained_variance_on_other_pictures(values: tuple[np.ndarray, np.ndarray]) -> None:
    features, targets = values
    fit, others = (moments_of(features[part], targets[part]) for part in (slice(2), slice(2, 4)))
    linear_map = fit.fit(1e-3)
    predicted = rows_of(features[2:]) @ linear_map[1:].numpy() + linear_map[0].numpy()
    expected = 1 - np.square(rows_of(targets[2:]) - predicted).mean() / rows_of(targets[2:]).var(0).mean()
    assert 0.5 < expected < 1 and others.explained(linear_map) == pytest.approx(expected, rel=1e-9)
    assert others.variance() == pytest.approx(rows_of(targets[2:]).var(0).mean(), rel=1e-9)
