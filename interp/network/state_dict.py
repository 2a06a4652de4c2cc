"""Weights files as they lie on disk: `.pth` and `.safetensors`, wrapped or not, brought to torchvision's keys.

Only tensors are ever loaded; a pickle with code in it is refused.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.errors import WeightsError, is_out_of_memory
from interp.network.foreign import common_prefix, kind_of_file
from interp.network.layer_names import LAYERS
from interp.network.vgg import CAFFE_MEAN_BGR, IMAGENET_MEAN, IMAGENET_STD

CONVS = {name: place.index for name, place in LAYERS.items() if name.startswith("conv")}
WRAPPERS = ("state_dict", "model_state_dict", "model")
IMAGENET_SIZE_PX = 224
TORCHVISION_METADATA = {
    name: ",".join(map(str, values)) for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD))
}


@dataclass(frozen=True)
class StateFile:
    """What a weights file holds.

    Attributes:
        tensors: Float32 by torchvision's keys, `features.N.weight` …; whether all are there is not checked yet.
        layout: The preprocessing that the file itself states, or None.
        stated_by: Where it states it.
        native_size_px: Side of the squares the classifier was trained on; ImageNet's 224 where the file is silent.
    """

    tensors: Mapping[str, Tensor]
    layout: str | None = None
    stated_by: str = ""
    native_size_px: int = IMAGENET_SIZE_PX


def read_state_file(path: Path) -> StateFile:
    """Read a weights file.

    Args:
        path: `.safetensors`, or a `.pth` that holds a state dict, also wrapped as `{"state_dict": …}` or saved from
            `DataParallel`. Besides torchvision's keys it may carry `conv1_1.weight` … (Gatys), plain numbers
            (`features` saved alone, or AdaIN's encoder, which begins with a 1x1 convolution), or fully connected layers
            1, 4, 6 (torchvision before 0.2).

    Returns:
        Its tensors, and what it says about itself.

    Raises:
        WeightsError: If it is damaged, holds anything but tensors, or states another preprocessing than the known ones.
    """
    tensors, metadata = _read(path)
    tensors = _unwrapped(tensors)
    native_size_px = _native_size_px(path, metadata)
    if "conv1_1.weight" in tensors:
        return StateFile(_renamed(tensors, CONVS), native_size_px=native_size_px)
    if "0.weight" in tensors:
        return _read_numbered(path, tensors, native_size_px)
    if "classifier.1.weight" in tensors and "classifier.0.weight" not in tensors:
        tensors = _renamed(tensors, {"classifier.1": 0, "classifier.4": 3}, "classifier")
    stated = all(metadata.get(name) == value for name, value in TORCHVISION_METADATA.items())
    return StateFile(tensors, "torchvision" if stated else None, "its metadata", native_size_px)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a weights file of any network, float32, wrappings taken off.

    Args:
        path: `.safetensors`, or a `.pth` that holds a state dict.

    Raises:
        WeightsError: If it is damaged or holds anything but tensors.
    """
    return _unwrapped(_read(path)[0])


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what `DataParallel`, Lightning or a wrapper of one's own puts before every key."""
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    prefix = common_prefix(tensors)
    return {key.removeprefix(prefix): value for key, value in tensors.items()}


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """The tensors of a file, float32 and finite, and the metadata of safetensors."""
    if not path.is_file():
        raise WeightsError(f"Weights {str(path)!r} are no file. Check the path.")
    try:
        if _is_safetensors(path):
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                loaded: Any = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's advice to its own developers
                loaded, metadata = torch.load(path, map_location="cpu", weights_only=True), {}
    except Exception as error:  # torch and safetensors raise many kinds on damaged or foreign files
        if is_out_of_memory(error):
            raise
        raise WeightsError(
            f"Weights {str(path)!r} are {kind_of_file(path, error)}. Expected a state dict of plain tensors (.pth) or "
            ".safetensors."
        ) from error
    if isinstance(loaded, dict):
        loaded = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), dict)), loaded)
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"Weights {str(path)!r} hold {type(loaded).__name__}; expected a state dict of tensors.")
    return {str(key): _plain(value, str(key), path) for key, value in loaded.items()}, metadata


def _is_safetensors(path: Path) -> bool:
    """By content: eight bytes of length, then a JSON object (huggingface.co/docs/safetensors, "Format")."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:9] == b"{" or path.suffix.lower() == ".safetensors"


def _plain(value: Tensor, key: str, path: Path) -> Tensor:
    """A tensor as dense float32.

    Raises:
        WeightsError: If it cannot be, or holds what is not a finite number.
    """
    try:
        dense = value.dequantize() if value.is_quantized else value
        dense = (dense if dense.layout == torch.strided else dense.to_dense()).detach()
        if dense.is_complex() or dense.is_meta:
            raise TypeError(f"a tensor of {value.dtype} on {value.device}")
        # A copy: what is read may be the mapped file, or share its memory.
        dense = dense.float().clone(memory_format=torch.contiguous_format)
    except (TypeError, RuntimeError, NotImplementedError) as error:
        if is_out_of_memory(error):
            raise
        raise WeightsError(f"Weights {str(path)!r}: {key!r} cannot be read as plain numbers ({error}).") from error
    if not torch.isfinite(dense).all():
        count = int((~torch.isfinite(dense)).sum())
        raise WeightsError(
            f"Weights {str(path)!r}: {count} of the {dense.numel():,} numbers in {key!r} are not finite; expected "
            "finite ones. The training diverged, or the file is damaged: use an earlier one."
        )
    return dense


def _native_size_px(path: Path, metadata: Mapping[str, str]) -> int:
    text = metadata.get("native_size", str(IMAGENET_SIZE_PX))
    if not text.isdecimal() or not 1 <= int(text) <= 4096:
        raise WeightsError(f"Weights {str(path)!r} state a native size of {text!r}; expected pixels, 1 to 4096.")
    return int(text)


def _renamed(tensors: Mapping[str, Tensor], numbers: Mapping[str, int], group: str = "features") -> dict[str, Tensor]:
    """Turn `old.weight` into `group.number.weight` for each old name."""
    names = {
        f"{old}.{part}": f"{group}.{number}.{part}" for old, number in numbers.items() for part in ("weight", "bias")
    }
    return {names.get(key, key): value for key, value in tensors.items()}


def _read_numbered(path: Path, tensors: Mapping[str, Tensor], native_size_px: int) -> StateFile:
    """A saved `nn.Sequential`: the convolutions in order, perhaps behind a 1x1 one that does Caffe's preprocessing."""
    numbers = sorted(int(key.split(".")[0]) for key in tensors if key.split(".")[0].isdecimal() and "weight" in key)
    layout = None
    if tensors["0.weight"].shape == (3, 3, 1, 1):
        to_bgr_255 = 255 * torch.eye(3).flip(1)[..., None, None]
        mean_bgr = torch.tensor(CAFFE_MEAN_BGR)
        bias = tensors.get("0.bias", torch.zeros(3))
        if not torch.allclose(tensors["0.weight"], to_bgr_255, atol=0.1) or not torch.allclose(-bias, mean_bgr, atol=1):
            raise WeightsError(
                f"Weights {str(path)!r} begin with a 1x1 convolution that is not Caffe's preprocessing; expected RGB "
                "in [0, 1] turned to BGR 0-255 minus the mean."
            )
        layout, numbers = "caffe", numbers[1:]
    names = {str(number): index for number, index in zip(numbers, CONVS.values(), strict=False)}
    return StateFile(_renamed(tensors, names), layout, "its first convolution", native_size_px)
