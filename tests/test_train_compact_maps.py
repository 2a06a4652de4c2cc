"""Linear maps between networks: fits, explained shares and gradients against NumPy and finite differences."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from tools.train_compact.maps import Moments, RunningMap, cells, moments_of


def moments_of_each(features_nchw: np.ndarray, targets_nchw: np.ndarray) -> Moments:
    moments = Moments(features_nchw.shape[1], targets_nchw.shape[1])
    for features, targets in zip(features_nchw, targets_nchw, strict=True):  # one picture at a time
        moments.add(torch.from_numpy(features[None]), torch.from_numpy(targets[None]))
    return moments


def rows_of(values_nchw: np.ndarray) -> np.ndarray:
    return values_nchw.transpose(0, 2, 3, 1).reshape(-1, values_nchw.shape[1])


def least_squares(values_nchw: Sequence[np.ndarray], ridge: float, weight: np.ndarray | None = None) -> Tensor:
    """Ridge regression as ordinary least squares with one more row for each coefficient."""
    features, targets = map(rows_of, values_nchw)
    weight = np.ones(len(features)) if weight is None else weight
    channels = features.shape[1]
    penalty = ridge * (weight[:, None] * np.square(features)).sum(0).mean()
    rows = np.sqrt(weight)[:, None] * np.c_[np.ones(len(features)), features]
    rows = np.r_[rows, np.c_[np.zeros(channels), np.sqrt(penalty) * np.eye(channels)]]
    targets = np.r_[np.sqrt(weight)[:, None] * targets, np.zeros((channels, targets.shape[1]))]
    return torch.from_numpy(np.linalg.lstsq(rows, targets, rcond=None)[0])


@pytest.fixture
def values() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.gamma(1.0, size=(4, 5, 6, 7)) * np.array([1, 3, 0.2, 1, 1])[:, None, None]
    targets = np.einsum("nkhw,kt->nthw", features, rng.normal(size=(5, 3))) + rng.normal(size=(4, 3, 6, 7)) + 2
    return features, targets


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_fit_is_numpys_least_squares(values: tuple[np.ndarray, np.ndarray], ridge: float) -> None:
    expected = least_squares(values, ridge)
    torch.testing.assert_close(moments_of_each(*values).fit(ridge), expected, rtol=1e-9, atol=1e-9)


def test_the_share_is_explained_variance_on_other_pictures(values: tuple[np.ndarray, np.ndarray]) -> None:
    features, targets = values
    fit, others = (moments_of_each(features[part], targets[part]) for part in (slice(2), slice(2, 4)))
    linear_map = fit.fit(1e-3)
    predicted = rows_of(features[2:]) @ linear_map[1:].numpy() + linear_map[0].numpy()
    expected = 1 - np.square(rows_of(targets[2:]) - predicted).mean() / rows_of(targets[2:]).var(0).mean()
    assert 0.5 < expected < 1 and others.explained(linear_map) == pytest.approx(expected, rel=1e-9)
    assert others.variance().item() == pytest.approx(rows_of(targets[2:]).var(0).mean(), rel=1e-9)


def test_a_running_map_is_a_fit_that_forgets(values: tuple[np.ndarray, np.ndarray]) -> None:
    features, targets = values
    running = RunningMap(moments_of_each(features[:1], targets[:1]), ridge=0.1, memory=0.5).double()
    for number in (1, 2, 3):
        running.unexplained(*(torch.from_numpy(part[number : number + 1]) for part in values))
    expected = least_squares([part[:1] for part in values], 0.1)
    torch.testing.assert_close(running.linear_map, expected, rtol=1e-6, atol=1e-6)
    running.solve()
    expected = least_squares(values, 0.1, np.repeat([0.125, 0.25, 0.5, 1.0], 42))
    torch.testing.assert_close(running.linear_map, expected, rtol=1e-9, atol=1e-9)


def test_the_strided_relative_loss_has_the_gradient_of_its_finite_differences(
    values: tuple[np.ndarray, np.ndarray],
) -> None:
    features, targets = map(torch.from_numpy, values)
    running = RunningMap(moments_of_each(*values), ridge=0.1, memory=0.9).double()

    def loss(features_nchw: Tensor) -> Tensor:
        pair = (cells(value, "relu1_2", 4, (1, 3)) for value in (features_nchw, targets))
        return running.unexplained(*pair)

    own = features.clone().requires_grad_()
    loss(own).backward()
    assert own.grad is not None
    seen = own.grad.abs().amax((0, 1)) > 0
    assert seen[1::4, 3::4].all() and int(seen.sum()) == 2  # rows 1 and 5, column 3
    assert torch.autograd.gradcheck(loss, features.clone().requires_grad_())
    predicted = (
        rows_of(features.numpy()[..., 1::4, 3::4]) @ running.linear_map[1:].numpy() + running.linear_map[0].numpy()
    )
    error = np.square(predicted - rows_of(targets.numpy()[..., 1::4, 3::4])).mean()
    assert loss(features).item() == pytest.approx(error / rows_of(targets.numpy()).var(0).mean(), rel=1e-6)


def test_networks_are_compared_cell_by_cell() -> None:
    net, teacher = (load_vgg("random", width=width, seed=number) for number, width in enumerate((1 / 16, 1 / 8)))
    images = list(torch.rand(3, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    names = ("relu1_1", "relu2_1", "relu3_1")
    found = moments_of([net], teacher, images, names, cell_px=4)
    for name in names:
        every = 4 // layer(name).stride_px
        own, target = (_values(vgg, images, name)[..., ::every, ::every] for vgg in (net, teacher))
        expected = moments_of_each(own, target)
        assert found[name][0].gram[0, 0] == 3 * 64
        torch.testing.assert_close(found[name][0].cross, expected.cross, rtol=1e-4, atol=1e-4)


def _values(vgg: Vgg, images: list[Tensor], name: str) -> np.ndarray:
    return np.concatenate([vgg.layer_values(image, name).numpy() for image in images])
