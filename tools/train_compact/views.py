"""What a batch looks like to the network: windows, sharpness, colour."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tools.train_compact.recipe import GAIN_STD, OFFSET_STD, SHIFT_PX, Stage


def view(images_nchw: Tensor, stage: Stage, side_px: int, generator: torch.Generator) -> Tensor:
    """Draw the views of a stage.

    Args:
        images_nchw: (N, 3, S, S) normalised pictures at native size.
        stage: Decides between one window a batch and a mixture of sharpnesses.
        side_px: Side of the result.
        generator: On the CPU.

    Returns:
        (N, 3, side_px, side_px), flipped and jittered.
    """
    if stage.crop_area:
        images_nchw = one_window(images_nchw, stage.crop_area, side_px, generator)
    else:
        images_nchw = sharp_and_warped(images_nchw, stage, generator)
    return jittered(images_nchw, generator)


def one_window(images_nchw: Tensor, area: tuple[float, float], side_px: int, generator: torch.Generator) -> Tensor:
    """Cut the same random square out of every picture and resize it."""
    native = images_nchw.shape[-1]
    share = area[0] + (area[1] - area[0]) * torch.rand((), generator=generator).item()
    side = max(1, round(native * math.sqrt(share)))
    top, left = torch.randint(native - side + 1, (2,), generator=generator).tolist()
    window = images_nchw[..., top : top + side, left : left + side]
    return F.interpolate(window, (side_px, side_px), mode="bilinear", antialias=True, align_corners=False)


def sharp_and_warped(images_nchw: Tensor, stage: Stage, generator: torch.Generator) -> Tensor:
    """Shift every picture by whole pixels; zoom, rotate and stretch those past the stage's share of sharp ones."""
    count, native = len(images_nchw), images_nchw.shape[-1]

    def uniform(limit: float) -> Tensor:
        return limit * (2 * torch.rand(count, generator=generator) - 1)

    shift = torch.randint(-SHIFT_PX, SHIFT_PX + 1, (count, 2, 1), generator=generator) * (2 / native)
    low, high = map(math.log, stage.zoom)
    zoom = torch.exp(low + (high - low) * torch.rand(count, generator=generator))
    angle, stretch = torch.deg2rad(uniform(stage.rotation_deg)), torch.exp(uniform(math.log1p(stage.aspect)) / 2)
    sharp = torch.arange(count) < round(stage.sharp_share * count)
    x, y = torch.where(sharp, 1.0, stretch / zoom), torch.where(sharp, 1.0, 1 / (stretch * zoom))
    angle = torch.where(sharp, 0.0, angle)
    rows = (torch.stack([x * angle.cos(), -y * angle.sin()], 1), torch.stack([x * angle.sin(), y * angle.cos()], 1))
    matrix = torch.cat([torch.stack(rows, 1), shift], dim=2).to(
        images_nchw
    )  # from the result's places to the picture's
    grid = F.affine_grid(matrix, list(images_nchw.shape), align_corners=False)
    return F.grid_sample(images_nchw, grid, padding_mode="reflection", align_corners=False)


def jittered(images_nchw: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the pictures; change contrast and, channel by channel, brightness."""
    count = len(images_nchw)
    mirrored = torch.rand((count, 1, 1, 1), generator=generator) < 0.5
    gain = 1 + GAIN_STD * torch.randn((count, 1, 1, 1), generator=generator)
    offset = OFFSET_STD * torch.randn((count, 3, 1, 1), generator=generator)
    flipped = torch.where(mirrored.to(images_nchw.device), images_nchw.flip(3), images_nchw)
    return flipped * gain.to(images_nchw) + offset.to(images_nchw)
