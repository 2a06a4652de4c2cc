"""Every method against Captum's own output or a definition written out, on VGG-19 and on other networks."""

import warnings
from collections.abc import Callable

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from commands.attributing import METHODS as NAMES_OF_THE_COMMAND
from interp.attribution.guided import check_guided
from interp.attribution.methods import METHODS, MethodOptions, attribute, cam_layer_of
from interp.attribution.saliency import saliency_map
from interp.attribution.targets import Scored, Target, class_target, parse_target
from interp.errors import UsageError
from interp.network.classifiers import TorchvisionClassifier
from interp.network.classify import Classifier
from interp.network.vgg import Vgg, WeightsInfo

NEEDS_MODULES = [name for name, method in METHODS.items() if method.guided]
QUICK = MethodOptions(samples=6, batch=4)


@pytest.fixture(scope="module")
def image() -> Tensor:
    noise = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(5))
    return F.interpolate(noise, size=(64, 64), mode="bicubic").clamp(0, 1)


class ResidualNet(nn.Module):
    """Two residual blocks in ResNet's manner: one in-place ReLU module called three times."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.stem, self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(8, 5)
        for parameter in self.parameters():
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        x = self.relu(self.first(x))
        out = self.second(x)
        out += x
        return self.fc(self.relu(out).mean(dim=(2, 3)))


class Activation(ResidualNet):
    """The same with another activation in one place."""

    def __init__(self, last: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.last(self.second(self.relu(self.stem(x)))).mean(dim=(2, 3)))


def classifier(net: nn.Module) -> TorchvisionClassifier:
    info = WeightsInfo("small", "", native_size_px=64, class_names=("a", "b", "c", "d", "e"))
    return TorchvisionClassifier(net, info, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class Guided(torch.autograd.Function):
    """ReLU with the guided rule (Springenberg et al. 2015) or, without the gate, the deconvolution's."""

    @staticmethod
    def forward(ctx, value: Tensor, gated: bool) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(value)
        ctx.gated = gated
        return value.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (value,) = ctx.saved_tensors
        return gradient.clamp(min=0) * ((value > 0) if ctx.gated else 1), None


def by_hand(net: Classifier, image: Tensor, index: int, monkeypatch: pytest.MonkeyPatch, gated: bool) -> Tensor:
    """The same network with every ReLU, whoever calls it, replaced by a hand-written one."""
    pixels = image.clone().requires_grad_()
    with monkeypatch.context() as patch:
        patch.setattr(F, "relu", lambda value, inplace=False: Guided.apply(value, gated))
        net(pixels)[0, index].backward()  # pyright: ignore[reportIndexIssue]
    assert pixels.grad is not None
    return pixels.grad


def hook_count(module: nn.Module) -> int:
    tables = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = sum(len(getattr(part, table)) for part in module.modules() for table in tables)
    return hooks + sum("forward" in vars(part) for part in module.modules())


def test_the_command_knows_every_method() -> None:
    assert tuple(METHODS) == NAMES_OF_THE_COMMAND


def captums_own(vgg: Vgg, image: Tensor, index: int) -> dict[str, Callable[[], Tensor]]:
    """Captum called on the classifier itself, without our narrowing to one number."""
    attr, grid = captum.attr, vgg.layer_module("relu5_4")
    grey = vgg.normalise.mean.expand_as(image)

    def grad_cam() -> Tensor:
        values = attr.LayerGradCam(vgg, grid).attribute(image, index, relu_attributions=True)
        assert isinstance(values, Tensor)
        return F.interpolate(values, size=image.shape[-2:], mode="bilinear")

    guided_cam = attr.GuidedGradCam(vgg, grid)
    return {
        "gradient": lambda: attr.Saliency(vgg).attribute(image, index, abs=False),
        "input-x-gradient": lambda: attr.InputXGradient(vgg).attribute(image, index),
        "guided-backprop": lambda: attr.GuidedBackprop(vgg).attribute(image, index),
        "deconvolution": lambda: attr.Deconvolution(vgg).attribute(image, index),
        "integrated-gradients": lambda: attr.IntegratedGradients(vgg).attribute(image, 0, index, n_steps=6),
        "grad-cam": grad_cam,
        "guided-grad-cam": lambda: guided_cam.attribute(image, index, interpolate_mode="bilinear"),
        "occlusion": lambda: attr.Occlusion(vgg).attribute(image, (3, 8, 8), (3, 4, 4), grey, index, None, 16)[:, :1],
    }  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"smoothgrad"}))
def test_maps_equal_captums(compact: Vgg, image: Tensor, method: str) -> None:
    ours = attribute(Scored(compact, class_target(compact, 17)), image, method, QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Captum warns of the hooks it sets
        theirs = captums_own(compact, image.clone().requires_grad_(), 17)[method]().detach()
    assert ours.shape == theirs.shape
    scale = float(theirs.abs().max())
    assert scale > 0
    torch.testing.assert_close(ours / scale, theirs / scale, atol=1e-5, rtol=0)


def test_smoothgrad_is_the_mean_gradient_of_noisy_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """For f(x) = sum x³ it is 3(x² + sigma²); and it leaves the global generator alone."""
    net = classifier(ResidualNet())
    image = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    scored = Scored(net, Target("cubes", 0))
    monkeypatch.setattr(scored, "forward", lambda x: x.pow(3).sum(dim=(1, 2, 3))[:, None])
    state = torch.random.get_rng_state()
    values = attribute(scored, image, "smoothgrad", MethodOptions(samples=400, batch=64, seed=3))
    assert torch.equal(torch.random.get_rng_state(), state)
    sigma = 0.15 * float(image.max() - image.min())
    expected = 3 * (image**2 + sigma**2)
    assert float((values - expected).mean()) == pytest.approx(0, abs=0.01)
    assert float((values - expected).abs().mean()) < 4 * sigma / 400**0.5
    again = attribute(scored, image, "smoothgrad", MethodOptions(samples=400, batch=64, seed=3))
    other = attribute(scored, image, "smoothgrad", MethodOptions(samples=400, batch=64, seed=4))
    assert torch.equal(values, again) and not torch.equal(values, other)


def test_integrated_gradients_are_complete(compact: Vgg, image: Tensor) -> None:
    """They add up to the score of the picture minus that of black (Sundararajan et al. 2017, axiom of completeness)."""
    scored = Scored(compact, class_target(compact, 3))
    values = attribute(scored, image, "integrated-gradients", MethodOptions(samples=200, batch=50))
    with torch.no_grad():
        change = float(scored(image) - scored(torch.zeros_like(image)))
    assert float(values.sum()) == pytest.approx(change, rel=0.01)


def test_occlusion_is_the_fall_of_the_score(compact: Vgg, image: Tensor) -> None:
    scored = Scored(compact, class_target(compact, 3))
    values = attribute(scored, image, "occlusion", MethodOptions(batch=7))
    greyed = image.clone()
    greyed[..., :8, :8] = compact.normalise.mean
    with torch.no_grad():  # the corner belongs to a single window
        assert float(values[0, 0, 0, 0]) == pytest.approx(float(scored(image) - scored(greyed)), rel=1e-4)


@pytest.mark.parametrize("method", ["smoothgrad", "integrated-gradients", "occlusion"])
def test_the_batch_does_not_matter(compact: Vgg, image: Tensor, method: str) -> None:
    scored = Scored(compact, class_target(compact, 3))
    small = image[..., :32, :32]
    one, many = (attribute(scored, small, method, MethodOptions(samples=6, batch=batch)) for batch in (1, 64))
    torch.testing.assert_close(one, many, atol=2e-4 * float(one.abs().max()), rtol=0)


@pytest.mark.parametrize(("method", "gated"), [("guided-backprop", True), ("deconvolution", False)])
def test_a_relu_that_is_used_three_times_and_in_place_is_guided_each_time(
    image: Tensor, monkeypatch: pytest.MonkeyPatch, method: str, gated: bool
) -> None:
    net = classifier(ResidualNet())
    expected = by_hand(net, image, 2, monkeypatch, gated)
    ours = attribute(Scored(net, class_target(net, 2)), image, method)
    torch.testing.assert_close(ours, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)
    plain = attribute(Scored(net, class_target(net, 2)), image, "gradient")
    assert float((ours - plain).abs().max()) > 0.1 * float(expected.abs().max())


@pytest.mark.parametrize("method", NEEDS_MODULES)
@pytest.mark.parametrize(
    ("last", "words"),
    [
        (F.relu, "1 of its 2 ReLUs are functions"),
        (lambda x: x.relu_(), "1 of its 2 ReLUs are functions"),
        (torch.relu, "functions"),
        (nn.GELU(), "GELU"),
        (nn.SiLU(inplace=True), "SiLU"),
        (nn.ReLU6(), "ReLU6"),
        (nn.LeakyReLU(), "LeakyReLU"),
    ],
)
def test_what_captum_would_silently_leave_unguided_is_refused(
    image: Tensor, method: str, last: Callable[[Tensor], Tensor], words: str
) -> None:
    net = classifier(Activation(last))
    before = hook_count(net)
    with pytest.raises(UsageError, match=words):
        attribute(Scored(net, class_target(net, 0)), image, method)
    assert hook_count(net) == before
    assert float(attribute(Scored(net, class_target(net, 0)), image, "gradient").abs().max()) > 0


def test_a_target_below_the_first_relu_is_refused(compact: Vgg, image: Tensor) -> None:
    with pytest.raises(UsageError, match="no ReLU lies between"):
        attribute(Scored(compact, parse_target(compact, "conv1_1:3")), image, "guided-backprop")
    check_guided(Scored(compact, parse_target(compact, "relu1_1:3")), image, "any")


@pytest.mark.parametrize("method", METHODS)
def test_hooks_are_gone_after_success_and_after_an_error(compact: Vgg, image: Tensor, method: str) -> None:
    before = hook_count(compact)
    attribute(Scored(compact, class_target(compact, 1)), image, method, QUICK)
    assert hook_count(compact) == before

    class Broken(ResidualNet):
        def forward(self, x: Tensor) -> Tensor:
            scores = super().forward(x)
            if torch.is_grad_enabled() or method == "occlusion":
                raise RuntimeError("boom")
            return scores

    with pytest.MonkeyPatch.context() as patch:
        if method == "occlusion":
            net = classifier(ResidualNet())
            patch.setattr(type(net.net), "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("boom")))
        else:
            net = classifier(Broken())
        with pytest.raises(RuntimeError, match="boom"):
            attribute(Scored(net, Target("a", 0)), image, method, MethodOptions(samples=2, cam_layer="second"))
    assert hook_count(net) == 0


def test_channels_and_layers_are_means_over_their_cells(compact: Vgg, image: Tensor) -> None:
    maps = compact.activations(image, ["conv3_2", "relu4_1"])
    channel, layer = parse_target(compact, "relu4_1:7"), parse_target(compact, "conv3_2")
    with torch.no_grad():
        assert float(Scored(compact, channel)(image)) == pytest.approx(float(maps["relu4_1"][0, 7].mean()), rel=1e-5)
        assert float(Scored(compact, layer)(image)) == pytest.approx(float(maps["conv3_2"].mean()), rel=1e-4)
    pixels = image.clone().requires_grad_()
    compact.activations(pixels, ["relu4_1"])["relu4_1"][0, 7].mean().backward()
    assert pixels.grad is not None
    ours = attribute(Scored(compact, channel), image, "gradient")
    torch.testing.assert_close(ours, pixels.grad, atol=1e-6 * float(pixels.grad.abs().max()), rtol=1e-4)


def test_values_before_an_in_place_relu_are_not_rewritten(image: Tensor) -> None:
    net = classifier(ResidualNet())
    before = net.layer_values(image, "stem")
    residual = net.net
    assert isinstance(residual, ResidualNet)
    torch.testing.assert_close(before, residual.stem(net.normalise(image)))
    assert float(before.min()) < 0
    assert hook_count(net) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("relu4_1:128", "0 to 127"),
        ("relu4_1:-1", "no channel"),
        ("relu4_1:x", "no channel"),
        ("relu9_1:3", "Unknown layer"),
        ("goldfihs", "Did you mean 'goldfish'"),
        ("cat", "Did you mean 'tabby cat' or 'Persian cat' or 'Egyptian cat'"),
        ("lynx", "Nearest in spelling: 'fly', 'lion'"),
        ("202", "0 to 201"),
        ("", "no class"),
    ],
)
def test_targets_that_do_not_exist(compact: Vgg, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_target(compact, text)


def test_classes_by_name_number_or_synonym() -> None:
    net = classifier(ResidualNet())
    net.info = WeightsInfo("small", "", class_names=("tabby, tabby cat", "crane", "crane", "dog", "e"))
    assert [parse_target(net, text).index for text in ("Tabby Cat", "tabby", "3", "tabby, tabby cat")] == [0, 0, 3, 0]
    with pytest.raises(UsageError, match="classes 1, 2"):
        parse_target(net, "crane")


def test_grad_cam_looks_before_its_target(compact: Vgg, image: Tensor) -> None:
    options = MethodOptions()
    assert cam_layer_of(Scored(compact, class_target(compact, 0)), options) == "relu5_4"
    assert cam_layer_of(Scored(compact, parse_target(compact, "relu3_1:2")), options) == "relu2_2"
    for target, layer in (("conv1_1:0", None), ("relu3_1:0", "relu4_1")):
        with pytest.raises(UsageError, match="before it"):
            cam_layer_of(Scored(compact, parse_target(compact, target)), MethodOptions(cam_layer=layer))
    net = classifier(ResidualNet())
    assert net.cam_layer == "relu"
    with pytest.raises(UsageError, match="--layer"):
        cam_layer_of(Scored(net, parse_target(net, "first:0")), options)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [("gradcam", QUICK, "grad-cam"), ("gradient", MethodOptions(samples=0), "at least 1")],
)
def test_options_that_cannot_be_honoured(
    compact: Vgg, image: Tensor, method: str, options: MethodOptions, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        attribute(Scored(compact, class_target(compact, 0)), image, method, options)


def test_heat_keeps_the_sign_of_contributions_only(compact: Vgg, image: Tensor) -> None:
    sensitivity = saliency_map(compact, image, "gradient")
    contribution = saliency_map(compact, image, "input-x-gradient")
    np.testing.assert_allclose(sensitivity.heat_hw, np.abs(sensitivity.map_chw).max(axis=0))
    np.testing.assert_allclose(contribution.heat_hw, contribution.map_chw.sum(axis=0), rtol=1e-5)
    assert contribution.heat_hw.min() < 0
