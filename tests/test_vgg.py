"""The network against torchvision's, layer by layer, and the table of layers against arithmetic."""

import numpy as np
import pytest
import torch
import torchvision

from interp.errors import UsageError, WeightsError
from interp.network.layer_names import LAYERS, deepest
from interp.network.vgg import IMAGENET_MEAN, IMAGENET_STD, Vgg

PROBED = ("conv1_1", "conv1_2", "pool1", "relu2_1", "pool2", "conv3_4", "pool3", "relu4_3", "pool4", "conv5_4", "pool5")


@pytest.fixture(scope="module")
def theirs() -> torchvision.models.VGG:
    torch.manual_seed(0)
    return torchvision.models.vgg19(weights=None).eval()


@pytest.fixture(scope="module")
def ours(theirs: torchvision.models.VGG) -> Vgg:
    vgg = Vgg().eval()
    vgg.load_state_dict(theirs.state_dict(), strict=False)
    return vgg.requires_grad_(False)


def test_every_layer_equals_torchvisions(ours: Vgg, theirs: torchvision.models.VGG) -> None:
    image = torch.rand(1, 3, 64, 48)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    value = (image - mean) / std
    with torch.no_grad():
        captured = ours.activations(image, list(LAYERS))
        for (name, place), module in zip(LAYERS.items(), theirs.features.children(), strict=True):
            value = module(value.clone())  # their ReLUs work in place
            torch.testing.assert_close(captured[name], value, msg=f"{name} at index {place.index}")


def test_receptive_fields_are_the_published_ones() -> None:
    fields = {name: LAYERS[name].receptive_field_px for name in LAYERS}
    expected = {"relu1_1": 3, "relu2_1": 10, "relu3_1": 24, "relu4_1": 68, "relu4_2": 84, "relu5_1": 156}
    assert {name: fields[name] for name in expected} == expected


@pytest.mark.parametrize("name", PROBED)
def test_a_cell_sees_exactly_the_pixels_its_gradient_reaches(name: str) -> None:
    """Weights and pixels are positive and pools average, so that no path from a pixel to the cell is closed."""
    vgg = Vgg(width=1 / 64)
    for parameter in vgg.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    image = torch.rand(1, 3, 112, 128, generator=torch.Generator().manual_seed(0)) + 3  # positive, normalised too
    pixels = image.double().requires_grad_()
    maps = vgg.double().activations(pixels, [name], "average")[name]
    for row, column in ((maps.shape[2] // 2, maps.shape[3] // 3), (0, maps.shape[3] - 1)):
        (gradient,) = torch.autograd.grad(maps[0, 0, row, column], pixels, retain_graph=True)
        top, left, height, width = LAYERS[name].seen_px(row, column)
        expected = np.zeros((112, 128), bool)
        expected[max(0, top) : top + height, max(0, left) : left + width] = True
        np.testing.assert_array_equal((gradient[0] != 0).all(dim=0).numpy(), expected)
        np.testing.assert_array_equal((gradient[0] != 0).any(dim=0).numpy(), expected)


def test_captured_convolutions_keep_their_negative_values(ours: Vgg) -> None:
    maps = ours.activations(torch.rand(1, 3, 32, 32), ["conv2_1", "relu2_1"])
    assert (maps["conv2_1"] < 0).any()
    torch.testing.assert_close(maps["conv2_1"].relu(), maps["relu2_1"])


def test_names_are_checked(ours: Vgg) -> None:
    with pytest.raises(UsageError, match=r"'relu4_9'.*Did you mean"):
        ours.activations(torch.rand(1, 3, 32, 32), ["relu4_9"])
    with pytest.raises(UsageError, match="at least 16 px"):
        ours.activations(torch.rand(1, 3, 8, 32), ["relu5_1"])
    assert deepest(["relu3_1", "conv3_2", "relu1_1"]).name == "conv3_2"


def test_logits_need_a_head(ours: Vgg) -> None:
    with pytest.raises(WeightsError, match="no classifier"):
        ours(torch.rand(1, 3, 32, 32))
