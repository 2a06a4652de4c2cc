"""From the trained network to files: batch norm folded, channels equalised, saved."""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from commands.outputs import write_atomically
from interp.errors import WeightsError
from interp.network.layer_names import RELU_NAMES
from interp.network.state_dict import TORCHVISION_METADATA
from interp.network.vgg import Vgg, WeightsInfo, pooled_linear_head
from tools.train_compact.classify import BatchNormVgg

WEIGHTS_FILE, CLASSES_FILE = "compact-vgg19.safetensors", "classes.json"
DEAD = 1e-3  # of the layer's mean; scaling such a channel up would only cost float16 its digits


def folded(model: BatchNormVgg) -> Vgg:
    """The same function without batch norm, as the project's own network."""
    classes, channels = model.linear.weight.shape
    info = WeightsInfo("trained", "", width=model.width)
    vgg = Vgg(model.width, pooled_linear_head(channels, classes), info)
    modules = list(model.eval().features)
    pairs = [(conv, norm) for conv, norm in itertools.pairwise(modules) if isinstance(conv, nn.Conv2d)]
    for target, (conv, norm) in zip(convs(vgg), pairs, strict=True):
        target.load_state_dict(fuse_conv_bn_eval(conv, norm).state_dict())  # pyright: ignore[reportArgumentType]
    linear(vgg).load_state_dict(model.linear.state_dict())
    return vgg.eval().requires_grad_(False).to(model.linear.weight.device)


def equalise_channels(vgg: Vgg, batches: Iterable[Tensor]) -> dict[str, list[int]]:
    """Scale each channel so that its mean square after the ReLU is 1, the next layer undoing it, in place.

    ReLU and max-pool commute with positive factors, so the function stays the same. Gatys, Ecker & Bethge 2016, section
    2, bring the mean to 1; a channel that fires rarely would then outweigh all others in a Gram matrix.

    Args:
        vgg: A network with a pooled linear head.
        batches: (N, 3, H, W) pictures in [0, 1] to take the mean squares over.

    Returns:
        The dead channels of each layer that has any; they keep their scale.
    """
    sizes = _root_mean_squares(vgg, batches)
    dead: dict[str, list[int]] = {}
    before = torch.ones(3)
    for name, conv in zip(RELU_NAMES, convs(vgg), strict=True):
        is_dead = sizes[name] <= DEAD * sizes[name].mean()
        if is_dead.any():
            dead[name] = is_dead.nonzero().flatten().tolist()
        factor = torch.where(is_dead, 1.0, sizes[name]).to(conv.weight)
        conv.weight.mul_(before.to(conv.weight).view(1, -1, 1, 1) / factor.view(-1, 1, 1, 1))
        conv.bias.div_(factor)  # pyright: ignore[reportOptionalMemberAccess] -- built with a bias
        before = factor
    linear(vgg).weight.mul_(before)
    return dead


def _root_mean_squares(vgg: Vgg, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    sums = {name: torch.zeros(()) for name in RELU_NAMES}
    cells = dict.fromkeys(RELU_NAMES, 0)
    for image_nchw01 in batches:
        for name, value in vgg.activations(image_nchw01, RELU_NAMES).items():
            count = value[:, 0].numel()
            sums[name] = sums[name] + count * value.double().square().mean((0, 2, 3)).cpu()
            cells[name] += count
    return {name: (total / cells[name]).sqrt() for name, total in sums.items()}


def convs(vgg: Vgg) -> list[nn.Conv2d]:
    """The convolutions in order."""
    return [module for module in vgg.features if isinstance(module, nn.Conv2d)]


def linear(vgg: Vgg) -> nn.Linear:
    """The linear layer of the head."""
    found = getattr(vgg.head, "linear", None)
    if not isinstance(found, nn.Linear):
        raise WeightsError(f"Weights {vgg.info.name!r} have no pooled linear head; expected what step 1 wrote.")
    return found


def save_weights(vgg: Vgg, native_px: int, classes: list[dict[str, str]], folder: Path) -> Path:
    """Write the float16 weights with torchvision's keys, and the names of the classes beside them."""
    tensors = {
        key.replace("head.linear.", "head."): value.half().contiguous().cpu() for key, value in vgg.state_dict().items()
    }
    metadata = {
        "arch": "vgg19",
        "width": f"{vgg.info.width:g}",
        "native_size": str(native_px),
        "range": "RGB [0,1] minus mean over std",
        "head": "gap-linear",
        **TORCHVISION_METADATA,
    }
    write_atomically(folder / WEIGHTS_FILE, with_sorted_header(save(tensors, metadata)))
    write_atomically(folder / CLASSES_FILE, json.dumps(classes, indent=0, ensure_ascii=False).encode())
    return folder / WEIGHTS_FILE


def read_classes(path: Path) -> list[dict[str, str]]:
    """Read what `save_weights` wrote beside the weights.

    Raises:
        WeightsError: If it is missing or holds something else.
    """
    try:
        return [
            {"wnid": entry["wnid"], "name": entry["name"]} for entry in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            f"Cannot read the classes in {str(path)!r} ({error}); expected what step 1 wrote."
        ) from error


def with_sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header in a fixed order, so that the same weights have the same SHA-256.

    The format: 8 bytes of header length, a JSON header padded with blanks, the tensors.
    """
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]
