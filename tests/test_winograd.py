"""Winograd's convolutions against the direct ones, in float64 and, as accurate as asked, in float32."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from interp.network.frozen_pass import FrozenPass
from interp.network.vgg import Vgg, WeightsInfo
from interp.network.winograd import Winograd, pays


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 23), st.integers(1, 23), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_any_size_is_the_direct_convolution(height: int, width: int, entering: int, leaving: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    value, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((1, entering, height, width), (leaving, entering, 3, 3), (leaving,))
    )
    torch.testing.assert_close(Winograd(weight, bias)(value), F.conv2d(value, weight, bias, padding=1))


@pytest.mark.parametrize(("channels", "side"), [(64, 64), (256, 40), (512, 13)])
def test_float32_errs_by_less_than_a_ten_thousandth(channels: int, side: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(128, channels, 3, 3, generator=generator) / (3 * channels**0.5)
    value = torch.randn(1, channels, side, side, generator=generator).contiguous(memory_format=torch.channels_last)
    exact = F.conv2d(value.double(), weight.double(), padding=1)
    assert float((Winograd(weight)(value) - exact).norm() / exact.norm()) < 1e-5


def test_many_strips_are_one_picture() -> None:
    """More tiles than one strip holds: the seams are where they would show."""
    weight, value = torch.randn(64, 64, 3, 3), torch.randn(1, 64, 197, 201)
    found = Winograd(weight)
    assert found._rows_a_strip(197, 201) < 50
    torch.testing.assert_close(found(value), F.conv2d(value, weight, padding=1), rtol=1e-4, atol=1e-3)


def test_a_batch_is_its_pictures() -> None:
    weight, value = torch.randn(3, 2, 3, 3), torch.randn(3, 2, 9, 6)
    torch.testing.assert_close(Winograd(weight)(value), F.conv2d(value, weight, padding=1), rtol=1e-4, atol=1e-4)


def test_many_channels_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for dtype in (torch.float32, torch.bfloat16):
        assert pays(torch.empty(128, 256, 3, 3), dtype) and pays(torch.empty(512, 512, 3, 3), dtype)
        assert not pays(torch.empty(64, 128, 3, 3), dtype) and not pays(torch.empty(128, 64, 3, 3), dtype)
    assert not pays(torch.empty(512, 512, 3, 3), torch.float64)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert pays(torch.empty(512, 512, 3, 3)) and not pays(torch.empty(512, 512, 3, 3), torch.bfloat16)
    assert not pays(torch.empty(512, 512, 3, 3, device="meta"))


def test_a_full_width_pass_and_its_gradient_are_near_those_in_float64() -> None:
    torch.manual_seed(0)
    vgg = Vgg(info=WeightsInfo("test", "")).requires_grad_(False)
    layers = ["relu1_1", "relu2_1", "relu3_2"]  # from conv2_2 on by Winograd
    images = [torch.rand(1, 3, 40, 52, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
    exact = images[1].double().requires_grad_()
    found = FrozenPass(vgg, layers, "average")(images[0].requires_grad_())
    expected = Vgg(info=vgg.info).double()
    expected.load_state_dict(vgg.state_dict())
    for name, values in expected.activations(exact, layers, "average").items():
        assert float((found[name] - values).detach().norm() / values.detach().norm()) < 1e-5
        values.square().sum().backward(retain_graph=True)
    torch.stack([values.square().sum() for values in found.values()]).sum().backward()
    assert images[0].grad is not None and exact.grad is not None
    assert float((images[0].grad - exact.grad).norm() / exact.grad.norm()) < 1e-4


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 23), st.integers(1, 23), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_turned_round_it_is_the_gradient(height: int, width: int, entering: int, leaving: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(leaving, entering, 3, 3, generator=generator, dtype=torch.float64)
    value = torch.randn(1, entering, height, width, generator=generator, dtype=torch.float64).requires_grad_()
    coming = torch.randn(1, leaving, height, width, generator=generator, dtype=torch.float64)
    (expected,) = torch.autograd.grad(F.conv2d(value, weight, padding=1), value, coming)
    torch.testing.assert_close(Winograd(weight, torch.ones(leaving).double()).turned()(coming), expected)


@pytest.mark.parametrize(("channels", "side"), [(128, 40), (512, 13)])
def test_bfloat16_errs_by_few_hundredths_of_noise(channels: int, side: int) -> None:
    """Of a picture's layers by less than a hundredth: values without a sign cancel less."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(128, channels, 3, 3, generator=generator) / (3 * channels**0.5)
    value = torch.randn(1, channels, side, side, generator=generator).bfloat16()
    exact = F.conv2d(value.double(), weight.double(), padding=1)
    both = Winograd(weight, None, torch.bfloat16)
    assert float((both(value) - exact).norm() / exact.norm()) < 0.03
    back = F.conv2d(exact, weight.double().flip(2, 3).transpose(0, 1), padding=1)
    assert float((both.turned()(exact.bfloat16()) - back).norm() / back.norm()) < 0.03


def test_kernels_lie_in_memory_once() -> None:
    found = Winograd(torch.randn(3, 2, 3, 3))
    assert found.turned().kernels.data_ptr() == found.kernels.data_ptr()
