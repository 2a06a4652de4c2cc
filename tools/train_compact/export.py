"""From the trained network to files: batch norm folded, channels equalised, saved, measured, described."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from commands.outputs import write_atomically
from interp.network.known_weights import file_sha256
from interp.network.layer_names import RELU_NAMES
from interp.network.state_dict import TORCHVISION_METADATA
from interp.network.vgg import Vgg, WeightsInfo, pooled_linear_head
from interp.pictures.sizes import resize_nchw01
from tools.train_compact.data import Pictures
from tools.train_compact.recipe import MIN_SIDE_PX, Recipe
from tools.train_compact.train import BatchNormVgg

WEIGHTS_FILE, CLASSES_FILE, CARD_FILE = "compact-vgg19.safetensors", "classes.json", "MODEL_CARD.md"
DEAD = 1e-3  # of the layer's mean activation; scaling such a channel up would only cost float16 its digits
MEASURE_BATCH = 256
OTHER_SIDES = (0.5, 0.75, 1.25, 1.5)  # of the native one


def folded(model: BatchNormVgg) -> Vgg:
    """The same function without batch norm, as the project's own network."""
    model = model.eval()
    linear = model.linear
    vgg = Vgg(model.width, pooled_linear_head(linear.in_features, linear.out_features), WeightsInfo("trained", ""))
    modules = list(model.features)
    pairs = [(conv, norm) for conv, norm in itertools.pairwise(modules) if isinstance(conv, nn.Conv2d)]
    for target, (conv, norm) in zip(_convs(vgg), pairs, strict=True):
        target.load_state_dict(fuse_conv_bn_eval(conv, norm).state_dict())  # pyright: ignore[reportArgumentType]
    _linear(vgg).load_state_dict(linear.state_dict())
    return vgg.eval().requires_grad_(False).to(linear.weight.device)


def equalise_channels(vgg: Vgg, batches: Iterable[Tensor]) -> dict[str, list[int]]:
    """Scale each channel so that its mean activation after the ReLU is 1, the next layer undoing it, in place.

    ReLU and max-pool commute with positive factors, so the function stays the same (Gatys, Ecker & Bethge 2016, section
    2).

    Args:
        vgg: A network with a pooled linear head.
        batches: (N, 3, H, W) pictures in [0, 1] to take the means over.

    Returns:
        The dead channels of each layer that has any; they keep their scale.
    """
    means = _mean_activations(vgg, batches)
    dead: dict[str, list[int]] = {}
    before = torch.ones(3)
    for name, conv in zip(RELU_NAMES, _convs(vgg), strict=True):
        is_dead = means[name] <= DEAD * means[name].mean()
        if is_dead.any():
            dead[name] = is_dead.nonzero().flatten().tolist()
        factor = torch.where(is_dead, 1.0, means[name]).to(conv.weight)
        conv.weight.mul_(before.to(conv.weight).view(1, -1, 1, 1) / factor.view(-1, 1, 1, 1))
        conv.bias.div_(factor)  # pyright: ignore[reportOptionalMemberAccess] -- built with a bias
        before = factor
    _linear(vgg).weight.mul_(before)
    return dead


def _mean_activations(vgg: Vgg, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    sums = {name: torch.zeros(()) for name in RELU_NAMES}
    cells = dict.fromkeys(RELU_NAMES, 0)
    for image_nchw01 in batches:
        for name, value in vgg.activations(image_nchw01, RELU_NAMES).items():
            count = value[:, 0].numel()
            sums[name] = sums[name] + count * value.mean((0, 2, 3)).cpu().double()
            cells[name] += count
    return {name: total / cells[name] for name, total in sums.items()}


def _convs(vgg: Vgg) -> list[nn.Conv2d]:
    return [module for module in vgg.features if isinstance(module, nn.Conv2d)]


def _linear(vgg: Vgg) -> nn.Linear:
    return vgg.head.linear  # type: ignore[union-attr, return-value] -- a pooled linear head


def batches01(pictures: Pictures, device: str, side_px: int | None = None) -> Iterator[Tensor]:
    """The pictures in order, as (N, 3, side, side) in [0, 1]."""
    for chunk in pictures.images_nchw_u8.split(MEASURE_BATCH):
        image_nchw01 = chunk.to(device).float() / 255
        yield resize_nchw01(image_nchw01, (side_px, side_px)) if side_px else image_nchw01


def accuracy(
    logits: Callable[[Tensor], Tensor], pictures: Pictures, device: str, side_px: int | None = None
) -> tuple[float, float]:
    """Share of pictures whose class is the first, and among the first five, of the logits."""
    first = among_five = 0
    labels = pictures.labels_n.to(device).split(MEASURE_BATCH)
    with torch.no_grad():
        for image_nchw01, expected in zip(batches01(pictures, device, side_px), labels, strict=True):
            scores = logits(image_nchw01)
            best = scores.topk(min(5, scores.shape[1])).indices == expected[:, None]
            first, among_five = first + int(best[:, 0].sum()), among_five + int(best.any(1).sum())
    return first / len(pictures.labels_n), among_five / len(pictures.labels_n)


def save_weights(vgg: Vgg, recipe: Recipe, classes: list[dict[str, str]], folder: Path) -> Path:
    """Write the float16 weights with torchvision's keys, and the names of the classes beside them."""
    tensors = {
        key.replace("head.linear.", "head."): value.half().contiguous().cpu() for key, value in vgg.state_dict().items()
    }
    metadata = {
        "arch": "vgg19",
        "width": f"{recipe.width:g}",
        "native_size": str(recipe.side_px),
        "range": "RGB [0,1] minus mean over std",
        "head": "gap-linear",
        **TORCHVISION_METADATA,
    }
    write_atomically(folder / WEIGHTS_FILE, _with_sorted_header(save(tensors, metadata)))
    write_atomically(folder / CLASSES_FILE, json.dumps(classes, indent=0, ensure_ascii=False).encode())
    return folder / WEIGHTS_FILE


def _with_sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header in a fixed order, so that the same weights have the same SHA-256.

    The format: 8 bytes of header length, a JSON header padded with blanks, the tensors.
    """
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


@dataclass(frozen=True)
class Measured:
    """What the saved file can do.

    Attributes:
        top1: At native size.
        top5: At native size.
        top1_at_px: At other sides.
        dead: Dead channels by layer.
    """

    top1: float
    top5: float
    top1_at_px: dict[int, float]
    dead: dict[str, list[int]]


def measure(vgg: Vgg, pictures: Pictures, dead: dict[str, list[int]], device: str) -> Measured:
    """Classify all pictures at native size and around it."""
    native = vgg.info.native_size_px
    sides = [side for side in (round(native * factor) for factor in OTHER_SIDES) if side >= MIN_SIDE_PX]
    others = {side: accuracy(vgg, pictures, device, side)[0] for side in sides}
    return Measured(*accuracy(vgg, pictures, device), others, dead)


def model_card(path: Path, vgg: Vgg, recipe: Recipe, measured: Measured, pictures: tuple[int, int, int]) -> str:
    """Describe a saved file in Markdown.

    Args:
        path: The file.
        vgg: What `load_vgg` made of it.
        recipe: How it was trained.
        measured: What it can do.
        pictures: How many it was trained on, measured on and scaled on.
    """
    mean, std = TORCHVISION_METADATA["mean"], TORCHVISION_METADATA["std"]
    channels = ", ".join(str(conv.out_channels) for conv in _convs(vgg))
    rows = {
        "architecture": f"VGG-19's 16 convolutions with {channels} channels, ReLU, 2x2 max-pool; global average pool "
        "and one linear layer",
        "keys": "torchvision's `features.{0,2,5,…,34}.{weight,bias}`; `head.{weight,bias}`",
        "input": f"RGB in [0, 1], minus ({mean}), over ({std}); trained at {recipe.side_px} px",
        "scaling": "batch norm folded in; each channel's mean activation after the ReLU is 1 over "
        f"{pictures[2]:,} validation pictures (Gatys et al. 2016)",
        "dead channels": ", ".join(f"{name}: {channels}" for name, channels in measured.dead.items()) or "none",
        "classes": f"{len(vgg.info.class_names)}, in the order of `{CLASSES_FILE}`",
        "data": f"{pictures[0]:,} training and {pictures[1]:,} validation pictures",
        f"top-1 / top-5 at {recipe.side_px} px": f"{measured.top1:.3f} / {measured.top5:.3f} on all of validation",
        "top-1 at other sizes": ", ".join(f"{top1:.3f} at {side} px" for side, top1 in measured.top1_at_px.items()),
    }
    stages = [
        f"{stage.name}, {stage.images:,} images, learning rate {stage.learning_rate:g}" for stage in recipe.stages
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""# A VGG-19 at {recipe.width:g} of its width

{sum(value.numel() for value in vgg.parameters()):,} numbers in float16, {path.stat().st_size:,} bytes, SHA-256
`{file_sha256(path)}`. Trained from scratch.

| | |
|---|---|
{table}

**Training.** SGD with Nesterov momentum, batch {recipe.batch}, seed {recipe.seed}. Stages: {"; ".join(stages)}.
"""
