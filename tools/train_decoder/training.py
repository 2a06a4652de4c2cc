"""Train the decoder by the optimiser's loss, every layer of style alike. Stops after any step and resumes.

With the optimiser's own weights, most on the finest layers, a decoder learns to recolour, and paints nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interp.network.frozen_pass import FrozenPass
from interp.network.vgg import Vgg
from interp.pictures.colour import match_colour
from interp.statistics.gram import region_moments
from interp.statistics.layers import FIXED_CONTENT, FIXED_STYLE
from interp.statistics.wasserstein import GaussianTarget
from stylize.feedforward.looking import batched, seen
from stylize.feedforward.network import Decoder
from stylize.losses import CONTENT_SHARE, TotalVariation
from stylize.presets import DEFAULT
from tools.learning import Learning, LearningRecipe
from tools.train_compact.distil import has_bfloat16
from tools.train_decoder.pictures import SIDE_PX, Pair, draw

SELF_WEIGHT = 20.0  # of the mean squared error where the photo is its own painting


Maps = dict[str, Tensor]  # (1, C, h, w) by layer


def one_by_one(maps: Maps) -> list[Maps]:
    """The pictures of a batch."""
    parts = [value.split(1) for value in maps.values()]
    return [dict(zip(maps, each, strict=True)) for each in zip(*parts, strict=True)]


@dataclass(frozen=True)
class DecoderRecipe(LearningRecipe):
    """How to learn, with Adam."""

    steps: int = 20_000
    batch: int = 4
    learning_rate: float = 2e-3
    warm_up: float = 0.02
    clip_norm: float = 1.0
    average_decay: float = 0.999


class Training(Learning[Decoder]):
    """The state of a training.

    Args:
        vgg: Whose features are decoded, and which judges; frozen.
        photos: (H, W, 3) uint8 RGB.
        paintings: Likewise.
        recipe: What to do.
        start: Weights of a decoder to go on from.
    """

    def __init__(
        self,
        vgg: Vgg,
        photos: Sequence[np.ndarray],
        paintings: Sequence[np.ndarray],
        recipe: DecoderRecipe,
        start: dict[str, Tensor] | None = None,
    ) -> None:
        self.vgg, self.photos, self.paintings, self.device = vgg, photos, paintings, next(vgg.parameters()).device
        self.half = has_bfloat16(self.device.type)
        precision = "bfloat16" if self.half else "float32"
        self.network = FrozenPass(vgg, [*FIXED_STYLE, FIXED_CONTENT], DEFAULT.pooling, precision)
        self.whole = torch.ones(SIDE_PX, SIDE_PX, device=self.device)
        torch.manual_seed(recipe.seed)
        decoder = Decoder(vgg.info.width)
        if start:
            decoder.load_state_dict(start)
        decoder.to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimiser = torch.optim.Adam(decoder.parameters(), recipe.learning_rate, betas=(0.9, 0.99))
        counts = {"photos": len(photos), "paintings": len(paintings)}
        super().__init__(decoder, recipe, optimiser, {"network": vgg.info.sha256, **counts})

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Of a batch of pairs."""
        rng = np.random.default_rng((self.recipe.seed, self.step))
        pairs = [draw(self.photos, self.paintings, rng) for _ in range(self.recipe.batch)]
        drafts = [match_colour(pair.photo_nchw01, pair.painting_nchw01) for pair in pairs]
        shown = [*drafts, *(pair.painting_nchw01 for pair in pairs)]
        with torch.no_grad():
            maps = one_by_one(self.network(torch.cat(shown).to(self.device)))
        own, style = maps[: len(pairs)], maps[len(pairs) :]
        known = [seen(draft, self.whole, wanted, self.whole) for draft, wanted in zip(own, style, strict=True)]
        features, summaries = batched([each.at(pair.strength) for each, pair in zip(known, pairs, strict=True)])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            images = self.module(features, summaries).float()
        return self._of_images(images, own, style, pairs)

    def _of_images(
        self, images: Tensor, own: list[Maps], style: list[Maps], pairs: list[Pair]
    ) -> tuple[Tensor, dict[str, float]]:
        """The optimiser's loss of every image, and how near a photo comes to itself."""
        smooth = TotalVariation(self.whole, DEFAULT.total_variation)
        losses, told = [], {}
        rows = zip(pairs, own, style, one_by_one(self.network(images)), images.split(1), strict=True)
        for pair, draft, wanted, found, image in rows:
            kept = draft[FIXED_CONTENT].float()
            content = (found[FIXED_CONTENT].float() - kept).square().sum() / kept.square().sum()
            loss = CONTENT_SHARE / pair.strength * content + smooth.weight * smooth({}, image)
            for name in FIXED_STYLE:
                target = GaussianTarget.of(region_moments(wanted[name]))
                loss = loss + target.distance(region_moments(found[name])).to(loss) / len(FIXED_STYLE)
            if pair.itself:
                error = (image - pair.photo_nchw01.to(image)).square().mean()
                loss = loss + SELF_WEIGHT * error
                told["itself dB"] = -10 * math.log10(max(1e-9, float(error.detach())))
            elif pair.strength == 1:
                told["loss"] = float(loss.detach())
            losses.append(loss)
        return torch.stack(losses).mean(), told
