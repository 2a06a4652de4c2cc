"""A region restyled in one pass: what the decoder makes of its features, brought to the painting's statistics."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from interp.network.frozen_pass import FrozenPass
from interp.network.precision import resolve_precision
from interp.network.weights import load_vgg
from interp.pictures.sizes import resize_nchw01, working_size_hw_px
from stylize.canvas import Pictures, own_photo, pictures_at
from stylize.feedforward.looking import Compared, Seen, level_masks, seen
from stylize.feedforward.network import LEVELS, Decoder
from stylize.fill import with_border, without_border
from stylize.presets import DEFAULT
from stylize.region import StyledRegion
from stylize.survey import survey
from stylize.tiles import tiles_of, worth_tiles

# What a pixel of the result sees on each side: relu4_1's 30, and of the decoder's convolutions two cells on each of
# the grids of 8, 4 and 2 px, three on the finest, and half a cell where a grid is enlarged.
REACH_PX = 64
# Painted around a canvas and cut off again: where convolutions see nothing beyond an edge, the decoder paints a frame.
MARGIN_PX = 48
FILE = Path(__file__).parent / "decoder.safetensors"


class InstantPainter:
    """Compact's VGG-19 and the decoder that was made for it, whatever network a run optimises with.

    Args:
        device: Where to compute.
        precision: `float32` or `bfloat16` (`precision.resolve_precision`).
        path: Of the decoder's weights.
    """

    def __init__(self, device: torch.device | str = "cpu", precision: str = "float32", path: Path = FILE) -> None:
        vgg = load_vgg("compact").to(device)
        self.look, self.half = FrozenPass(vgg, LEVELS, DEFAULT.pooling, precision), precision == "bfloat16"
        with safe_open(path, "pt") as file:
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 -- no mapping
        self.decoder = Decoder(vgg.info.width)
        self.decoder.load_state_dict(weights)
        self.decoder.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)  # pyright: ignore[reportCallIssue]

    @torch.no_grad()
    def see(self, draft_nchw01: Tensor, alpha_hw01: Tensor, painting_nchw01: Tensor, learned_hw01: Tensor) -> Seen:
        """Look at a region and a painting; the strength can be chosen afterwards, and again.

        Args:
            draft_nchw01: (1, 3, H, W) in [0, 1], the photo in the painting's colours.
            alpha_hw01: (H, W), the region.
            painting_nchw01: (1, 3, y, x) in [0, 1].
            learned_hw01: (y, x), the part of it to learn from.
        """
        return seen(self.look(draft_nchw01), alpha_hw01, self.look(painting_nchw01), learned_hw01)

    @torch.no_grad()
    def paint(self, known: Seen, strength: float) -> Tensor:
        """Restyle what was seen.

        Args:
            known: From `see`.
            strength: Above 0, as the optimiser's; 1 is balanced.

        Returns:
            (1, 3, H, W) in [0, 1].
        """
        return self._decode(*known.at(strength))

    def restyle(self, pictures: Pictures, strength: float, tile_px: int = 0) -> Tensor:
        """See and paint a region at one scale, (1, 3, h, w) in [0, 1]; where it is larger than a tile, by tiles."""
        height, width = pictures.draft_nchw01.shape[-2:]
        margin = min(MARGIN_PX, min(height, width) // 16 * 8)
        painted = self._restyle(with_margin(pictures, margin), strength, tile_px)
        return painted[..., margin : margin + height, margin : margin + width]

    def _restyle(self, pictures: Pictures, strength: float, tile_px: int) -> Tensor:
        draft = pictures.draft_nchw01
        if worth_tiles((draft.shape[-2], draft.shape[-1]), tile_px):
            return self._by_tiles(pictures, strength, tile_px)
        known = self.see(draft, pictures.alpha_hw01, pictures.painting_nchw01, pictures.learned_hw01)
        return self.paint(known, strength)

    @torch.no_grad()
    def _by_tiles(self, pictures: Pictures, strength: float, tile_px: int) -> Tensor:
        """The statistics are the whole region's; so a tile is painted as the whole would be."""
        draft, painting = pictures.draft_nchw01, pictures.painting_nchw01
        own = survey(self.look, draft, level_masks(pictures.alpha_hw01), tile_px=tile_px)
        style = survey(self.look, painting, level_masks(pictures.learned_hw01), tile_px=tile_px)
        move = Compared.of(own.moments, style.moments).at(strength)
        painted = torch.empty_like(draft)
        for tile in tiles_of((draft.shape[-2], draft.shape[-1]), tile_px, REACH_PX):
            features = list(self.look(draft[tile.outer.here]).values())
            image = self._decode(move.of(features), move.style.to(features[0]))
            painted[tile.core.here] = image[tile.core_in_outer.here]
        return painted

    def _decode(self, features: Sequence[Tensor], style: Tensor) -> Tensor:
        with torch.autocast(style.device.type, torch.bfloat16, enabled=self.half):
            return self.decoder(features, style.float()).float().clamp(0, 1)


def with_margin(pictures: Pictures, margin_px: int) -> Pictures:
    """A canvas continued on all sides by its mirror image, which is not of the region."""
    around = (margin_px,) * 4
    draft = F.pad(pictures.draft_nchw01, around, mode="reflect")
    return replace(pictures, draft_nchw01=draft, alpha_hw01=F.pad(pictures.alpha_hw01, around))


@functools.lru_cache(maxsize=2)
def instant_painter(device: torch.device, precision: str) -> InstantPainter:
    """The painter, loaded once; it holds nothing but weights. Precision as in `Settings`."""
    return InstantPainter(device, resolve_precision(precision, device))


def instant(
    photo_nchw01: Tensor,
    regions: Sequence[StyledRegion],
    size_px: int = 512,
    style_scale: float = 1.0,
    precision: str = "auto",
    tile_px: int = 0,
) -> Tensor:
    """Restyle regions of a photo in one pass each, without a loss.

    Args:
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        regions: What to restyle. Each is painted from itself alone, on a canvas of its own.
        size_px: Working size: the long side.
        style_scale: Size of the painting's strokes.
        precision: `float32`, `bfloat16` or `auto`.
        tile_px: Side of the tiles that a larger canvas is painted by, in less memory; 0 for none.

    Returns:
        (R, 3, h, w) in [0, 1] at the working size, for `compose`.

    Example:
        >>> import numpy as np
        >>> from interp.statistics.layers import fixed_choice
        >>> photo = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
        >>> region = StyledRegion(np.ones((64, 96), np.float32), photo.flip(3), fixed_choice())
        >>> instant(photo, [region], size_px=96).shape
        torch.Size([1, 3, 64, 96])
    """
    size = working_size_hw_px((photo_nchw01.shape[-2], photo_nchw01.shape[-1]), size_px)
    painter = instant_painter(photo_nchw01.device, precision)
    images = with_border(resize_nchw01(photo_nchw01, size)).repeat(len(regions), 1, 1, 1)
    for region, image in zip(regions, images, strict=True):
        pictures = pictures_at(own_photo(photo_nchw01, region), region, size, style_scale)
        image[pictures.crop.here] = painter.restyle(pictures, region.strength, tile_px)[0]
    return without_border(images)
