"""The hand-written way to the image: features and gradients of automatic differentiation, at every kind of layer."""

import copy
from typing import cast

import pytest
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.network.frozen_pass import FrozenPass
from interp.network.vgg import Vgg, WeightsInfo
from interp.statistics.gram import region_moments

# Not in network order; a convolution beside its own ReLU; a pool; the deepest is a convolution.
LAYERS = ["relu3_1", "conv1_1", "relu1_1", "relu2_1", "pool2", "conv3_2", "relu2_2"]


def vgg64(layout: str = "torchvision") -> Vgg:
    torch.manual_seed(0)
    return Vgg(width=1 / 16, info=WeightsInfo("test", "", layout, 1 / 16)).double().requires_grad_(False)


def noise(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def weighted(maps: dict[str, Tensor]) -> Tensor:
    """A loss in which every value counts differently."""
    return torch.stack([(value * torch.linspace(-1, 1, value.numel()).view_as(value)).sum() for value in maps.values()])


@pytest.mark.parametrize("pooling", ["max", "average", "mixed"])
@pytest.mark.parametrize("size", [(32, 48), (29, 39), (4, 7)])
def test_values_and_gradients_are_those_of_autograd(pooling: str, size: tuple[int, int]) -> None:
    for layout in ("torchvision", "caffe"):
        vgg = vgg64(layout)
        image, same = noise(*size).requires_grad_(), noise(*size).requires_grad_()
        found, expected = FrozenPass(vgg, LAYERS, pooling)(image), vgg.activations(same, LAYERS, pooling)
        assert list(found) == LAYERS
        for name in LAYERS:
            torch.testing.assert_close(found[name], expected[name])
        weighted(found).sum().backward()
        weighted(expected).sum().backward()
        assert image.grad is not None and float(image.grad.abs().max()) > 0
        torch.testing.assert_close(image.grad, same.grad)


@pytest.mark.parametrize("asked", [["relu1_1"], ["conv3_2"], ["pool2"], ["relu2_1", "relu3_1"]])
def test_a_loss_may_ask_for_some_of_the_layers_only(asked: list[str]) -> None:
    vgg = vgg64()
    image, same = noise(24, 24).requires_grad_(), noise(24, 24).requires_grad_()
    for own, maps in ((image, FrozenPass(vgg, LAYERS)(image)), (same, vgg.activations(same, LAYERS))):
        own.grad = torch.autograd.grad(weighted({name: maps[name] for name in asked}).sum(), own)[0]
    torch.testing.assert_close(image.grad, same.grad)


@pytest.mark.parametrize("used", [(0, 1), (0,), (1,)])
def test_moments_without_the_maps_have_the_same_gradient(used: tuple[int, ...]) -> None:
    """A layer with moments and map, one before its ReLU, one left out by the loss; a size with gaps."""
    vgg, names = vgg64(), ["relu1_1", "conv2_1", "pool2", "relu3_1", "relu1_2"]
    image, same = noise(29, 39).requires_grad_(), noise(29, 39).requires_grad_()
    expected = vgg.activations(same, names)
    masks = {
        name: torch.rand(value.shape[2:], generator=torch.Generator().manual_seed(2)).double()
        for name, value in expected.items()
    }
    moments, maps = FrozenPass(vgg, names).look(image, masks, ["relu1_1", "pool2"])
    assert list(moments) == names and list(maps) == ["relu1_1", "pool2"]
    plain = {name: region_moments(value, masks[name]) for name, value in expected.items()}
    losses = []
    for found, whole in ((moments, maps), (plain, expected)):
        parts = {f"{name} {part}": found[name][part] for name in names[:-1] for part in used}
        losses.append(weighted({**parts, "relu1_1": whole["relu1_1"], "pool2": whole["pool2"]}).sum())
    torch.testing.assert_close(*losses)
    gradients = [torch.autograd.grad(loss, own)[0] for loss, own in zip(losses, (image, same), strict=True)]
    torch.testing.assert_close(*gradients)


def test_the_gradients_that_come_in_are_left_as_they_were() -> None:
    image = noise(16, 16).requires_grad_()
    maps = FrozenPass(vgg64(), ["relu1_1", "relu2_1"])(image)
    coming = [torch.ones_like(value) for value in maps.values()]
    torch.autograd.grad(list(maps.values()), image, coming)
    assert all(bool((value == 1).all()) for value in coming)


def test_the_image_is_left_as_it_was() -> None:
    image = noise(16, 16)
    before = image.clone()
    FrozenPass(vgg64(), ["relu2_1"])(image)
    assert torch.equal(image, before)


def test_an_image_without_a_cell_is_refused() -> None:
    with pytest.raises(UsageError, match="5x3 px image has no cell at relu3_1; expected at least 4 px"):
        FrozenPass(vgg64(), ["relu3_1"])(noise(3, 5))


def test_weights_are_prepared_once_and_anew_when_they_change() -> None:
    vgg, image = vgg64(), noise(16, 16)
    first, second = (FrozenPass(vgg, ["relu2_1"]).steps for _ in range(2))
    assert first[0].down is second[0].down and first[0].back is second[0].back
    copied = copy.deepcopy(vgg)
    with torch.no_grad():
        for net, factor in ((copied, 2.0), (vgg, 3.0)):
            cast("torch.nn.Conv2d", net.features[0]).weight.mul_(factor)
            torch.testing.assert_close(
                FrozenPass(net, ["relu2_1"])(image)["relu2_1"], net.activations(image, ["relu2_1"])["relu2_1"]
            )
