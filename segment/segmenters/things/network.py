"""The network for things: a decoder on what compact's VGG-19 sees in a photo, made by `tools/train_things`.

A feature pyramid (Lin et al. 2017). The photo is looked at in three sizes, for the small network knows whole objects
best near its native size; layers of different sizes that fall on one grid enter it together.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from interp.network.vgg import Vgg, channels_at
from interp.pictures.images import to_nchw01

SIDE_PX = 256  # of the square that a photo is stretched to
# From coarse to fine: cells a side, channels of the decoder there, and what enters: side of the picture and layer.
LEVELS = (
    (4, 64, ((64, "relu5_4"),)),
    (8, 64, ((64, "relu4_4"), (128, "relu5_4"))),
    (16, 64, ((128, "relu4_4"), (256, "relu5_4"))),
    (32, 64, ((128, "relu3_4"), (256, "relu4_4"))),
    (64, 48, ((256, "relu3_4"),)),
    (128, 32, ((256, "relu1_2"), (256, "relu2_2"))),
)


class Decoder(nn.Module):
    """From features to logits of being the subject.

    Args:
        width: Of the VGG-19, as a fraction.
        dropout: Share of the channels left out in training.
    """

    def __init__(self, width: float = 0.25, dropout: float = 0.0) -> None:
        super().__init__()
        seen = dict(enumerate(channels_at(width), start=1))
        self.laterals, self.coarser, self.blocks, self.heads = (nn.ModuleList() for _ in range(4))
        self.dropout = nn.Dropout2d(dropout)
        before = 0
        for _, channels, entries in LEVELS:
            entering = sum(seen[int(name[4])] for _, name in entries)
            self.laterals.append(_convolution(entering, channels, 1))
            self.coarser.append(nn.Identity() if before in (0, channels) else nn.Conv2d(before, channels, 1))
            self.blocks.append(nn.Sequential(_convolution(channels, channels, 3), _convolution(channels, channels, 3)))
            self.heads.append(nn.Conv2d(channels, 1, 1))
            before = channels

    def forward(self, entering: list[Tensor]) -> list[Tensor]:
        """From what `look` gives to (N, 1, cells, cells) logits at every level; the last is the finest."""
        logits: list[Tensor] = []
        value = None
        for lateral, coarser, block, head, features in zip(
            self.laterals, self.coarser, self.blocks, self.heads, entering, strict=True
        ):
            own = self.dropout(lateral(features))
            if value is not None:
                own = own + coarser(F.interpolate(value, own.shape[-2:], mode="bilinear"))
            value = own + block(own)
            logits.append(head(value))
        return logits


def look(vgg: Vgg, image_nchw01: Tensor) -> list[Tensor]:
    """What enters the decoder at each level: square roots of features, which tames their long tails.

    Args:
        vgg: compact.
        image_nchw01: (N, 3, 256, 256) in [0, 1].
    """
    seen: dict[tuple[int, str], Tensor] = {}
    for side in {side for _, _, entries in LEVELS for side, _ in entries}:
        names = [name for _, _, entries in LEVELS for size, name in entries if size == side]
        seen |= {(side, name): each for name, each in vgg.activations(_shrunk(image_nchw01, side), names).items()}
    return [torch.cat([_shrunk(seen[entry], cells).sqrt() for entry in entries], dim=1) for cells, _, entries in LEVELS]


def _shrunk(values: Tensor, side: int) -> Tensor:
    """Averages of whole cells."""
    factor = values.shape[-1] // side
    return F.avg_pool2d(values, factor) if factor > 1 else values


def _convolution(entering: int, leaving: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(entering, leaving, side, padding=side // 2, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()
    )


@torch.no_grad()
def marked_hw01(vgg: Vgg, decoder: Decoder, rgb_hwc_u8: np.ndarray) -> np.ndarray:
    """The probability of being the subject: mean of the photo's and its mirror image's, which errs less.

    Args:
        vgg: compact.
        decoder: In evaluation mode, on the same device.
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.

    Returns:
        (128, 128) float32 in [0, 1].
    """
    square = F.interpolate(
        to_nchw01(rgb_hwc_u8).to(next(decoder.parameters()).device),
        (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True,
    )  # fmt: skip
    both = decoder(look(vgg, torch.cat([square, square.flip(3)])))[-1].sigmoid()
    return ((both[0] + both[1].flip(2)) / 2)[0].cpu().numpy()
