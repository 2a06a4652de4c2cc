"""The network against torchvision's, layer by layer, and the table of layers against arithmetic."""

import pytest
import torch
import torchvision

from interp.errors import UsageError, WeightsError
from interp.network.layer_names import LAYERS, deepest, layer
from interp.network.vgg import IMAGENET_MEAN, IMAGENET_STD, Vgg


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


@pytest.mark.parametrize("name", ["relu1_2", "pool2", "relu3_1", "conv3_4"])
def test_receptive_field_and_stride_by_probing(name: str) -> None:
    """Gradient of one cell reaches exactly the pixels that the table says."""
    vgg = Vgg(width=1 / 16)
    for parameter in vgg.parameters():
        torch.nn.init.constant_(parameter, 0.01)  # all positive: nothing is masked by a ReLU
    vgg.normalise = torch.nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    vgg.features = torch.nn.Sequential(
        *[torch.nn.AvgPool2d(2) if isinstance(module, torch.nn.MaxPool2d) else module for module in vgg.features]
    )
    image = torch.rand(1, 3, 96, 96).requires_grad_()
    maps = vgg.activations(image, [name])[name]
    row = maps.shape[2] // 2
    (gradient,) = torch.autograd.grad(maps[0, 0, row, row], image)
    rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
    place = layer(name)
    assert len(rows) == place.receptive_field_px
    assert int(rows[0]) == row * place.stride_px - place.inset_px


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
