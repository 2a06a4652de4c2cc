"""Evidence for the content layer: which layer holds the photo's layout and ignores its texture.

layout = 1 - cosine after shuffling 64 px blocks (does the layer hold where things are?); indifference = cosine after
shuffling pixels inside 8 px blocks and matching the painting's colours (does it not care for texture and colour?).
Their product is the score. Cosines are centred per channel.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.network.layer_names import LAYERS, RELU_NAMES
from interp.network.vgg import Vgg
from interp.pictures.colour import match_colour
from interp.statistics.regions import pool_mask

LAYOUT_BLOCK_PX, TEXTURE_BLOCK_PX = 64, 8
# A cell that sees less than three texture blocks cannot tell layout from texture: it copies pixels. One wider than a
# texture block cannot place what the blocks leave in place: an eye, a window.
CONTENT_NAMES = tuple(
    name
    for name in RELU_NAMES
    if LAYERS[name].receptive_field_px >= 3 * TEXTURE_BLOCK_PX and LAYERS[name].stride_px <= TEXTURE_BLOCK_PX
)


@dataclass(frozen=True)
class ContentEvidence:
    """How well one layer holds the photo's layout and ignores its texture; all in [0, 1]."""

    layer: str
    layout: float
    indifference: float
    score: float
    chosen: bool = False


def content_evidence(
    vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, alpha_hw01: np.ndarray, generator: torch.Generator
) -> tuple[ContentEvidence, ...]:
    """Measure layout and indifference of the ReLU layers of blocks 3 and 4.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        painting_nchw01: (1, 3, h, w), whose colours are matched.
        alpha_hw01: (H, W) region of the photo.
        generator: CPU generator for the shuffles.

    Returns:
        One entry a layer; empty where the region holds fewer than two 64 px blocks.
    """
    blocks = _region_blocks(alpha_hw01)
    if len(blocks) < 2:
        return ()
    covered = torch.zeros(photo_nchw01.shape[-2:])
    for top, left in blocks:
        covered[top : top + LAYOUT_BLOCK_PX, left : left + LAYOUT_BLOCK_PX] = 1
    original = vgg.activations(photo_nchw01, CONTENT_NAMES)
    moved = vgg.activations(_shuffle_blocks(photo_nchw01, blocks, generator), CONTENT_NAMES)
    plain = match_colour(_shuffle_inside_blocks(photo_nchw01, generator), painting_nchw01, torch.from_numpy(alpha_hw01))
    retextured = vgg.activations(plain, CONTENT_NAMES)
    entries = []
    for name in CONTENT_NAMES:
        mask = pool_mask(covered, LAYERS[name])
        layout = 1 - _centred_cosine(original[name], moved[name], mask)
        indifference = _centred_cosine(original[name], retextured[name], mask)
        layout, indifference = min(max(layout, 0.0), 1.0), min(max(indifference, 0.0), 1.0)
        entries.append(ContentEvidence(name, layout, indifference, layout * indifference))
    return tuple(entries)


def _region_blocks(alpha_hw01: np.ndarray) -> list[tuple[int, int]]:
    """Top-left corners of the 64 px blocks that lie mostly in the region."""
    height, width = alpha_hw01.shape
    size = LAYOUT_BLOCK_PX
    corners = [(top, left) for top in range(0, height - size + 1, size) for left in range(0, width - size + 1, size)]
    return [(top, left) for top, left in corners if alpha_hw01[top : top + size, left : left + size].mean() >= 0.5]


def _shuffle_blocks(image_nchw01: Tensor, blocks: list[tuple[int, int]], generator: torch.Generator) -> Tensor:
    """Move every block to another block's place: a random cycle, so none stays."""
    size = LAYOUT_BLOCK_PX
    cycle = torch.randperm(len(blocks), generator=generator).tolist()
    shuffled = image_nchw01.clone()
    for here, there in zip(cycle, cycle[1:] + cycle[:1], strict=True):
        (top, left), (to_top, to_left) = blocks[here], blocks[there]
        shuffled[..., to_top : to_top + size, to_left : to_left + size] = image_nchw01[
            ..., top : top + size, left : left + size
        ]
    return shuffled


def _shuffle_inside_blocks(image_nchw01: Tensor, generator: torch.Generator) -> Tensor:
    """Shuffle the pixels inside each 8 px block; a remainder at the border stays."""
    size = TEXTURE_BLOCK_PX
    height, width = (side // size * size for side in image_nchw01.shape[-2:])
    body = image_nchw01[0, :, :height, :width].reshape(3, height // size, size, width // size, size)
    cells = body.permute(1, 3, 0, 2, 4).reshape(-1, 3, size * size)
    order = torch.rand(len(cells), size * size, generator=generator).argsort(1).to(cells.device)
    cells = cells.gather(2, order[:, None].expand(-1, 3, -1))
    body = cells.view(height // size, width // size, 3, size, size).permute(2, 0, 3, 1, 4).reshape(3, height, width)
    shuffled = image_nchw01.clone()
    shuffled[0, :, :height, :width] = body
    return shuffled


def _centred_cosine(first: Tensor, second: Tensor, mask_hw01: Tensor) -> float:
    """Cosine of two layers' values under a mask, each channel's mean removed."""
    weights = mask_hw01.flatten().to(first.device)
    a, b = (values.flatten(2)[0] for values in (first, second))
    a, b = ((values - ((values * weights).sum(1) / weights.sum())[:, None]) * weights.sqrt() for values in (a, b))
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-20))
