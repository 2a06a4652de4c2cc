"""Train the decoder by the optimiser's loss, every layer of style alike. Stops after any step and resumes.

With the optimiser's own weights, most on the finest layers, a decoder learns to recolour, and paints nothing.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from interp.errors import GramscopeError
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
from tools.train_compact.distil import growing_average, has_bfloat16
from tools.train_compact.session import TrainEvent, check_made_with
from tools.train_decoder.pictures import SIDE_PX, Pair, draw

AVERAGE_DECAY = 0.999
WARM_UP = 0.02  # share of the steps
CLIP_NORM = 1.0
SELF_WEIGHT = 20.0  # of the mean squared error where the photo is its own painting


Maps = dict[str, Tensor]  # (1, C, h, w) by layer


def one_by_one(maps: Maps) -> list[Maps]:
    """The pictures of a batch."""
    parts = [value.split(1) for value in maps.values()]
    return [dict(zip(maps, each, strict=True)) for each in zip(*parts, strict=True)]


@dataclass(frozen=True)
class DecoderRecipe:
    """What to do.

    Attributes:
        steps: Batches.
        batch: Pairs a batch.
        learning_rate: Adam's peak; a cosine brings it to 0.
        seed: Of everything.
    """

    steps: int = 20_000
    batch: int = 4
    learning_rate: float = 2e-3
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """The rate of a step."""
        rise = min(1.0, (step + 1) / max(1.0, WARM_UP * self.steps))
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


class Training:
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
        self.vgg, self.photos, self.paintings, self.recipe = vgg, photos, paintings, recipe
        self.device = next(vgg.parameters()).device
        precision = "bfloat16" if has_bfloat16(self.device.type) else "float32"
        self.network = FrozenPass(vgg, [*FIXED_STYLE, FIXED_CONTENT], DEFAULT.pooling, precision)
        self.half = precision == "bfloat16"
        self.whole = torch.ones(SIDE_PX, SIDE_PX, device=self.device)
        torch.manual_seed(recipe.seed)
        self.decoder = Decoder(vgg.info.width)
        if start:
            self.decoder.load_state_dict(start)
        self.decoder.to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = AveragedModel(self.decoder, multi_avg_fn=growing_average(AVERAGE_DECAY))
        self.optimiser = torch.optim.Adam(self.decoder.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99))
        self.step = 0

    @property
    def trained(self) -> Decoder:
        """The decoder with averaged weights."""
        decoder = Decoder(self.vgg.info.width)
        decoder.load_state_dict(self.average.module.state_dict())
        return decoder.to(self.device).eval().requires_grad_(False)

    def run(self) -> Iterator[TrainEvent]:
        """Train to the end, one event a step.

        Raises:
            GramscopeError: If the loss is not a number.
        """
        first, started, told = self.step, time.monotonic(), {}
        while self.step < self.recipe.steps:
            found = self._take_step()
            self.step += 1
            for name, value in found.items():
                told[name] = told.get(name, value) + 0.01 * (value - told.get(name, value))
            elapsed_s = (time.monotonic() - started) * self.step / (self.step - first)
            text = ", ".join(f"{name} {value:.4f}" for name, value in told.items())
            yield TrainEvent(self.step, self.recipe.steps, elapsed_s, text)

    def _take_step(self) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.step)
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
            images = self.decoder(features, summaries).float()
        loss, told = self._loss(images, own, style, pairs)
        if not torch.isfinite(loss):
            raise GramscopeError(f"The loss is not a number at step {self.step}. Use a smaller --learning-rate.")
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), CLIP_NORM)
        self.optimiser.step()
        self.average.update_parameters(self.decoder)
        return told

    def _loss(
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

    def state(self) -> dict[str, Any]:
        """Everything needed to continue."""
        return {
            "made_with": self._made_with(),
            "step": self.step,
            "decoder": self.decoder.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()` of a run of the same recipe.

        Raises:
            UsageError: If it comes from another.
        """
        check_made_with(state, self._made_with())
        self.step = state["step"]
        self.decoder.load_state_dict(state["decoder"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _made_with(self) -> dict[str, Any]:
        counts = {"photos": len(self.photos), "paintings": len(self.paintings)}
        return {**asdict(self.recipe), "network": self.vgg.info.sha256, **counts}
