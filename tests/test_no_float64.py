"""The main paths on a device that knows no float64, as Apple's: here one that is emulated, cell by cell, on the CPU."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from interp.attribution.saliency import saliency_map
from interp.attribution.sanity import quick_verdict
from interp.network.features import feature_maps
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.colour import match_colour
from interp.statistics.gram_compare import compare_grams
from interp.statistics.layers import choose_layers, fixed_choice
from stylize import StyledRegion, stylize
from stylize.optimise import Settings

DEVICE = torch.device("meta")  # stands for the device: torch knows the name everywhere
MAY_MIX = ("aten::copy_", "aten::_to_copy", "aten::index", "aten::index_put_")  # CPU tensors beside the device's


class Resident(Tensor):
    """A tensor on the device; its values lie in `held`, on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Resident":
        return torch.Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=DEVICE
        )

    def __init__(self, inner: Tensor) -> None:
        self.held = inner

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class Device(TorchDispatchMode):
    """Catches what creates tensors on the device, or brings them there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class Literals(TorchFunctionMode):
    """`torch.tensor` fills memory below the dispatcher: here it does so on the CPU, and the result is brought over."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") == DEVICE:
            return func(*args, **{**kwargs, "device": None}).to(DEVICE)
        return func(*args, **kwargs)


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the inner tensors; refuse float64 on the device, and operands on different devices."""
    name = func._schema.name
    operands = [entry for entry in tree_leaves((args, kwargs)) if isinstance(entry, Tensor)]
    residents = {id(entry.held): entry for entry in operands if isinstance(entry, Resident)}
    strangers = [entry for entry in operands if not isinstance(entry, Resident) and entry.ndim]
    if residents and strangers and name not in MAY_MIX:
        raise RuntimeError(f"{name}: tensors on the CPU and on the device")
    wanted = kwargs.get("device")
    stays = bool(residents) if wanted is None else wanted == DEVICE
    if wanted == DEVICE:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    unwrapped = tree_map(lambda entry: entry.held if isinstance(entry, Resident) else entry, (args, kwargs))
    result = func(*unwrapped[0], **unwrapped[1])

    def placed(entry: Any) -> Any:
        if not isinstance(entry, Tensor) or not stays:
            return entry
        if entry.dtype is torch.float64:
            raise TypeError(f"{name}: float64 on a device that has none")
        return residents.get(id(entry)) if id(entry) in residents else Resident(entry)

    return tree_map(placed, result)


@pytest.fixture
def device() -> Iterator[torch.device]:
    with Literals(), Device():
        yield DEVICE


@pytest.fixture
def vgg(device: torch.device) -> Vgg:
    return load_vgg("compact", device=str(device))


def picture(seed: int, side_px: int = 96) -> Tensor:
    grey = torch.rand(1, 3, side_px // 4, side_px // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(grey, scale_factor=4).to(DEVICE)


def test_the_device_refuses_float64_and_strangers(device: torch.device) -> None:
    """That the emulation finds the kind of fault it is for."""
    values = torch.rand(3, 4).to(device)
    assert values.device == DEVICE and isinstance(values, Resident)
    for fault in (values.double, lambda: values + torch.ones(3, 4, dtype=torch.float64, device=device)):
        with pytest.raises(TypeError, match="float64"):
            fault()
    with pytest.raises(RuntimeError, match="on the CPU and on the device"):
        _ = values + torch.ones(3, 4)
    with pytest.raises(RuntimeError, match="numpy"):
        values.numpy()
    assert values.cpu().double().numpy().shape == (3, 4)


def test_it_computes_what_the_cpu_computes(device: torch.device) -> None:
    image = picture(0)
    here, there = load_vgg("compact"), load_vgg("compact", device=str(device))
    expected = here.activations(image.cpu(), ["relu3_1"])["relu3_1"]
    torch.testing.assert_close(there.activations(image, ["relu3_1"])["relu3_1"].cpu(), expected)


def test_colours_are_matched(device: torch.device) -> None:
    alpha = torch.ones(96, 96)
    matched = match_colour(picture(0), picture(1) / 2, alpha)
    assert matched.device == DEVICE
    torch.testing.assert_close(matched.cpu().mean((2, 3)), picture(1).cpu().mean((2, 3)) / 2, atol=0.02, rtol=0)


def test_feature_maps(vgg: Vgg) -> None:
    maps = feature_maps(vgg, picture(0), "relu3_1", rank="contrast", alpha_hw01=np.eye(96, dtype=np.float32))
    assert np.isfinite(maps.maps_khw).all()


@pytest.mark.parametrize("method", ["guided-backprop", "grad-cam", "smoothgrad"])
def test_saliency_and_its_verdict(vgg: Vgg, method: str) -> None:
    saliency = saliency_map(vgg, picture(0), method)
    assert quick_verdict(vgg, picture(0), saliency, steps=2).margin is not None


def test_grams(vgg: Vgg) -> None:
    comparison = compare_grams(vgg, [picture(0), picture(1)], ["relu1_1", "relu2_1"])
    assert comparison.layers[0].distances[0][1] > 0


def test_layers_are_chosen(vgg: Vgg) -> None:
    choice = choose_layers(vgg, picture(0, 128), picture(1, 128))
    assert choice.style_evidence and choice.content_evidence


def test_a_step_of_restyling(vgg: Vgg) -> None:
    alpha = np.zeros((96, 96), np.float32)
    alpha[16:80, 16:80] = 1
    region = StyledRegion(alpha, picture(1), fixed_choice())
    *_, last = stylize(vgg, picture(0), [region], Settings(iterations=1, coarse_iterations=1))
    assert np.isfinite(last.losses["total"])
