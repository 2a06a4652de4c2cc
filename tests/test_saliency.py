import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from interp.attribution.methods import attribute
from interp.attribution.saliency import SaliencyMap, guided_backprop, prompt_saliency_hw
from interp.attribution.targets import Scored, Target
from interp.errors import UsageError, WeightsError
from interp.network.classify import Prediction, classify, native_size_hw_px
from interp.network.vgg import Vgg, WeightsInfo, pooled_linear_head
from interp.network.weights import load_vgg
from reports.conventions import flashtorch_panels
from tests.helpers import GuidedReLU


@pytest.fixture(scope="module")
def image() -> Tensor:
    """Soft colour blobs, 80 x 120 px."""
    noise = torch.rand(1, 3, 10, 15, generator=torch.Generator().manual_seed(5))
    return nn.functional.interpolate(noise, size=(80, 120), mode="bicubic").clamp(0, 1)


class ActivationWeightedReLU(GuidedReLU):
    """FlashTorch's rule: the positive gradient times the ReLU's output."""

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (value,) = ctx.saved_tensors
        return gradient.clamp(min=0) * value.clamp(min=0)


def with_relu(vgg: Vgg, rule: type[torch.autograd.Function], image: Tensor) -> Tensor:
    """Forward pass with every ReLU of the features replaced by a hand-written one."""
    value = vgg.normalise(image)
    for module in vgg.features:
        value = rule.apply(value) if isinstance(module, nn.ReLU) else module(value)
    assert vgg.head is not None
    return vgg.head(value)  # pyright: ignore[reportArgumentType]


def hook_count(module: nn.Module) -> int:
    tables = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(part, table)) for part in module.modules() for table in tables)


def saliency_of(map_chw: np.ndarray, input_chw01: np.ndarray | None = None) -> SaliencyMap:
    size = map_chw.shape[1:]
    inputs = np.full(map_chw.shape, 0.5, np.float32) if input_chw01 is None else input_chw01
    return SaliencyMap("m", Target("t", 0), map_chw, inputs, Prediction(("t",), (1.0,), (0,), (size[0], size[1])))


def test_two_numbers_tell_guided_backprop_from_flashtorch() -> None:
    """y = relu(3x) at x = 2: guided backprop 3, FlashTorch's rule 18."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Flatten())
    nn.init.constant_(net[0].weight, 3.0)  # pyright: ignore[reportArgumentType]
    x = torch.full((1, 1, 1, 1), 2.0)
    assert attribute(Scored(net, Target("y", 0)), x, "guided-backprop").item()  # pyright: ignore[reportArgumentType] == 3.0

    x.requires_grad_()
    ActivationWeightedReLU.apply(net[0](x)).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == 18.0


def test_equals_a_hand_written_guided_relu(compact: Vgg, image: Tensor) -> None:
    saliency = guided_backprop(compact, image, target=17)
    pixels = torch.from_numpy(saliency.input_chw01)[None].requires_grad_()
    with_relu(compact, GuidedReLU, pixels)[0, 17].backward()
    assert pixels.grad is not None
    scale = pixels.grad.abs().max().item()
    np.testing.assert_allclose(saliency.map_chw, pixels.grad[0].numpy(), atol=1e-5 * scale)
    assert scale > 0

    pixels.grad = None
    compact(pixels)[0, 17].backward()  # and it is not the plain gradient
    assert pixels.grad is not None
    assert np.abs(saliency.map_chw - pixels.grad[0].numpy()).max() > 0.1 * scale


def test_unguided_parts_are_the_true_gradient_of_the_logit() -> None:
    """With nothing negative to block, guided backprop is the gradient, and central differences agree."""
    vgg = Vgg(1 / 32, pooled_linear_head(16, 3), WeightsInfo("w", "", width=1 / 32, native_size_px=32)).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in vgg.parameters():
            fan_in = parameter[0].numel()
            parameter.copy_(torch.rand(parameter.shape, generator=generator).double() / fan_in)
    image = torch.rand(1, 3, 32, 32, generator=generator).double() * 0.2 + 0.7  # brighter than the mean
    gradient = torch.from_numpy(guided_backprop(vgg, image, target=2).map_chw)
    step = 1e-4 * torch.randn(3, 32, 32, generator=generator).double()
    with torch.no_grad():
        change = (vgg(image + step) - vgg(image - step))[0, 2] / 2
    assert (gradient * step).sum().item() == pytest.approx(change.item(), rel=1e-5)


def test_the_target_is_honoured_and_named(compact: Vgg, image: Tensor) -> None:
    top = guided_backprop(compact, image)
    other = guided_backprop(compact, image, target=3)
    assert top.target.index == top.prediction.indices[0]
    assert top.target.name == top.prediction.names[0]
    assert (other.target.name, other.target.index) == (compact.info.class_names[3], 3)
    assert other.prediction == top.prediction == classify(compact, image)
    assert not np.array_equal(top.map_chw, other.map_chw)


@pytest.mark.parametrize("target", [-1, 202])
def test_no_such_class(compact: Vgg, image: Tensor, target: int) -> None:
    with pytest.raises(UsageError, match="0 to 201"):
        guided_backprop(compact, image, target=target)


def test_weights_without_a_head(image: Tensor) -> None:
    for method in (classify, guided_backprop):
        with pytest.raises(WeightsError, match="no classifier"):
            method(load_vgg("random", width=1 / 32), image)


def test_prediction_is_the_softmax_of_the_logits(compact: Vgg, image: Tensor) -> None:
    prediction = classify(compact, image)
    assert prediction.size_hw_px == (52, 78)
    native = nn.functional.interpolate(image, size=(52, 78), mode="bicubic", antialias=True).clamp(0, 1)
    with torch.no_grad():
        logits = compact(native)[0].double().numpy()
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert prediction.indices == tuple(np.argsort(-probabilities)[:5])
    np.testing.assert_allclose(prediction.probabilities, np.sort(probabilities)[::-1][:5], rtol=1e-4)
    assert prediction.names == tuple(compact.info.class_names[index] for index in prediction.indices)


@pytest.mark.parametrize(("probability", "unsure"), [(0.199, True), (0.2, False)])
def test_unsure(probability: float, unsure: bool) -> None:
    assert Prediction(("a",), (probability,), (0,), (64, 64)).unsure is unsure


@settings(max_examples=60, deadline=None)
@given(height=st.integers(16, 5000), width=st.integers(16, 5000), native=st.sampled_from([64, 224]))
def test_native_size_keeps_area_and_shape(height: int, width: int, native: int) -> None:
    info = WeightsInfo("w", "", width=1 / 32, native_size_px=native)
    rows, columns = native_size_hw_px(Vgg(1 / 32, info=info), torch.empty(1, 3, 1, 1).expand(1, 3, height, width))
    assert min(rows, columns) >= 32
    assert max(rows, columns) <= 2048
    if max(height, width) <= 4 * min(height, width):  # else the short side's 32 px decide
        assert rows * columns == pytest.approx(native**2, rel=0.03)
    if max(height, width) <= 64 * min(height, width):
        assert rows / columns == pytest.approx(height / width, rel=0.04)


def test_hooks_are_gone_after_success_and_after_an_error(compact: Vgg, image: Tensor) -> None:
    class Broken(nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            raise RuntimeError("boom")

    broken = nn.Sequential(compact.normalise, compact.features, Broken())
    before = hook_count(compact)
    guided_backprop(compact, image)
    assert hook_count(compact) == before
    with pytest.raises(RuntimeError, match="boom"):
        attribute(Scored(broken, Target("y", 0)), image, "guided-backprop")  # pyright: ignore[reportArgumentType]
    assert hook_count(broken) == before


def test_panels_follow_flashtorchs_rule_from_captums_own_output(compact: Vgg, image: Tensor) -> None:
    saliency = guided_backprop(compact, image)
    pixels = torch.from_numpy(saliency.input_chw01)[None].requires_grad_()
    with pytest.warns(UserWarning, match="hooks on ReLU"):
        gradient = GuidedBackprop(compact).attribute(pixels, target=saliency.target.index)[0].detach()
    panels = flashtorch_panels(saliency)

    def standardised(values: Tensor) -> Tensor:
        return ((values - values.mean()) / values.std() * 0.1 + 0.5).clamp(0, 1)

    maximum = standardised(gradient.max(dim=0).values)
    np.testing.assert_allclose(panels.gradient_hwc01, standardised(gradient).permute(1, 2, 0), atol=1e-5)
    np.testing.assert_allclose(panels.max_hw01, maximum, atol=1e-5)
    np.testing.assert_array_equal(panels.input_hwc01, saliency.input_chw01.transpose(1, 2, 0))
    assert panels.max_hw01.min() < 0.5  # signed: negative maxima stay below the mean's grey

    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    viridis = colormaps["viridis"](Normalize()(maximum.numpy()))[..., :3]
    # A value on the edge of one of viridis' 256 steps may fall on either side: one step is up to 0.011.
    np.testing.assert_allclose(panels.overlay_hwc01, (panels.input_hwc01 + viridis) / 2, atol=0.006)


def test_a_flat_gradient_gives_flat_grey_panels() -> None:
    panels = flashtorch_panels(saliency_of(np.zeros((3, 8, 9), np.float32)))
    assert (panels.gradient_hwc01 == 0.5).all()
    assert np.isfinite(panels.overlay_hwc01).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
def test_panels_do_not_depend_on_the_gradients_scale(seed: int, scale: float) -> None:
    gradient = np.random.default_rng(seed).normal(size=(3, 6, 7)).astype(np.float32)
    once, scaled = (flashtorch_panels(saliency_of((g).astype(np.float32))) for g in (gradient, gradient * scale))
    np.testing.assert_allclose(once.gradient_hwc01, scaled.gradient_hwc01, atol=1e-5)
    np.testing.assert_allclose(once.max_hw01, scaled.max_hw01, atol=1e-5)


def test_magnitude_is_the_largest_absolute_channel() -> None:
    gradient = np.array([[[1.0, 0.0]], [[-3.0, 0.5]], [[2.0, -0.2]]], np.float32)
    np.testing.assert_array_equal(saliency_of(gradient).magnitude_hw, np.array([[3.0, 0.5]], np.float32))


def test_prompt_saliency_is_a_gaussian_of_two_and_a_half_percent() -> None:
    gradient = np.zeros((3, 80, 80), np.float32)
    gradient[1, 30, 50] = -4.0
    blurred = prompt_saliency_hw(saliency_of(gradient)).astype(np.float64)
    rows, columns = np.mgrid[:80, :80]
    assert blurred.sum() == pytest.approx(4.0, rel=1e-4)
    assert (blurred * rows).sum() / blurred.sum() == pytest.approx(30, abs=0.01)
    spread_px = np.sqrt((blurred * (columns - 50) ** 2).sum() / blurred.sum())
    assert spread_px == pytest.approx(0.025 * 80, rel=0.02)
