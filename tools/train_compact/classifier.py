"""The last stage of the distillation: the classifier above the frozen features learns anew, from values kept in memory.

Up to `FROZEN` the network stays as taught; the rest starts again from the first step's weights.
"""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from interp.errors import GramscopeError
from interp.network.layer_names import layer
from interp.network.vgg import Vgg, channels_at
from tools.train_compact.data import Pictures, Watch
from tools.train_compact.distil import autocast, growing_average, labelled_loss
from tools.train_compact.export import linear
from tools.train_compact.recipe import (
    BATCH,
    DROPOUT,
    EPOCHS,
    FROZEN,
    HARD_SHARE,
    TOP_AVERAGE_DECAY,
    TOP_WEIGHT_DECAY,
    VARIANT_GAIN_STD,
    VARIANT_OFFSET_STD,
    VARIANT_ZOOM,
    VARIANTS,
    DistilRecipe,
    top_rate_at,
)
from tools.train_compact.session import TrainEvent

CHUNK = 200  # tiles with the same zoom and shift


@dataclass(frozen=True)
class Kept:
    """What two networks make of each tile in each variant.

    Attributes:
        features_vnchw: The taught network's at `FROZEN`, (variants, N, C, h, w) bfloat16; 2.5 GB for 100,000 tiles of
            64 px at quarter width.
        start_logits_vnk: The start's, (variants, N, classes) float16.
        labels_n: (N,) int64.
    """

    features_vnchw: Tensor
    start_logits_vnk: Tensor
    labels_n: Tensor


@torch.no_grad()
def keep(taught: Vgg, start: Vgg, tiles: Pictures, recipe: DistilRecipe, watch: Watch) -> Kept:
    """Run the tiles, shuffled, through both networks."""
    device, rng = next(taught.parameters()).device, _rng(recipe, 0)
    start = copy.deepcopy(start)
    start.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] -- torch's stub
    order = torch.from_numpy(rng.permutation(len(tiles.labels_n)))  # else a class has a zoom to be known by
    labels, place = tiles.labels_n[order], layer(FROZEN)
    cells = [side // place.stride_px for side in tiles.images_nchw_u8.shape[-2:]]
    channels = channels_at(taught.info.width)[place.block - 1]
    features = torch.empty((VARIANTS, len(labels), channels, *cells), dtype=torch.bfloat16)
    logits = torch.empty((VARIANTS, len(labels), linear(start).out_features), dtype=torch.float16)
    chunks = torch.arange(len(labels)).split(CHUNK)
    for chunk in watch(chunks, len(chunks)):
        images_nchw01 = tiles.images_nchw_u8[order[chunk]].float() / 255
        for number in range(VARIANTS):
            varied_nchw01 = varied(images_nchw01, number, rng).to(device)
            with autocast(recipe, device):
                features[number, chunk] = taught.layer_values(varied_nchw01, FROZEN).to(features)
                logits[number, chunk] = start(varied_nchw01).to(logits)
    return Kept(features, logits, labels)


def varied(images_nchw01: Tensor, number: int, rng: np.random.Generator) -> Tensor:
    """A variant: 0 as they are, 1 mirrored, the others zoomed and shifted all alike, each with its own colours."""
    if number >= 2:
        height, width = images_nchw01.shape[-2:]
        zoom = rng.uniform(1, VARIANT_ZOOM)
        size = (round(zoom * height), round(zoom * width))
        zoomed = F.interpolate(images_nchw01, size, mode="bilinear", antialias=True, align_corners=False)
        top, left = rng.integers(size[0] - height + 1), rng.integers(size[1] - width + 1)
        gain, offset = (
            torch.from_numpy(rng.standard_normal((len(images_nchw01), channels, 1, 1), dtype=np.float32))
            for channels in (1, 3)
        )
        window = zoomed[..., top : top + height, left : left + width]
        images_nchw01 = (window * (1 + VARIANT_GAIN_STD * gain) + VARIANT_OFFSET_STD * offset).clamp(0, 1)
    return images_nchw01.flip(3) if number % 2 else images_nchw01


def retrain(vgg: Vgg, start: Vgg, kept: Kept, recipe: DistilRecipe) -> Iterator[TrainEvent]:
    """Train the layers above `FROZEN` and the head, from the start's; they enter `vgg` after the last step.

    Yields:
        An event after each step.

    Raises:
        GramscopeError: If the loss is no longer a number.
    """
    above = slice(layer(FROZEN).index + 1, None)
    top = nn.Sequential(copy.deepcopy(start.features[above]), copy.deepcopy(linear(start))).requires_grad_(True)
    top.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = AveragedModel(top, multi_avg_fn=growing_average(TOP_AVERAGE_DECAY))
    matrices = [value for value in top.parameters() if value.ndim > 1]
    biases = [value for value in top.parameters() if value.ndim == 1]
    groups = [{"params": matrices, "weight_decay": TOP_WEIGHT_DECAY}, {"params": biases, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups)
    rng, batch = _rng(recipe, 1), min(BATCH, len(kept.labels_n))
    steps, started = EPOCHS * len(kept.labels_n) // batch, time.monotonic()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = top_rate_at(step, steps)
        loss = _loss(top, kept, batch, recipe, rng)
        if not torch.isfinite(loss):
            raise GramscopeError(f"The classifier's loss is not a number at step {step}. Use another --seed.")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update_parameters(top)
        yield TrainEvent(step + 1, steps, time.monotonic() - started, f"classifier  loss {loss.item():.3f}")
    top.load_state_dict(average.module.state_dict())
    vgg.features[above].load_state_dict(top[0].state_dict())
    linear(vgg).load_state_dict(top[1].state_dict())


def _loss(top: nn.Sequential, kept: Kept, batch: int, recipe: DistilRecipe, rng: np.random.Generator) -> Tensor:
    """The loss on tiles drawn in any of their variants, with dropout on the pooled features."""
    layers, head = top
    device = next(top.parameters()).device
    chosen, variant = (torch.from_numpy(rng.integers(limit, size=batch)) for limit in (len(kept.labels_n), VARIANTS))
    features, before = (
        value[variant, chosen].to(device).float() for value in (kept.features_vnchw, kept.start_logits_vnk)
    )
    with autocast(recipe, device):
        pooled = layers(features).float().mean((2, 3))
        stays = torch.from_numpy(rng.random(pooled.shape, dtype=np.float32) >= DROPOUT).to(device)
        logits = head(pooled * stays / (1 - DROPOUT)).float()
    return labelled_loss(logits, kept.labels_n[chosen].to(device), before, HARD_SHARE)


def _rng(recipe: DistilRecipe, number: int) -> np.random.Generator:
    return np.random.default_rng((recipe.seed, 1 + recipe.steps + number))  # the distillation takes those before
