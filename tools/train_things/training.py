"""Train the decoder for things on frozen features. Stops after any step and resumes."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from interp.errors import GramscopeError
from interp.network.vgg import Vgg
from segment.segmenters.things.network import SIDE_PX, Decoder, look
from tools.train_compact.distil import growing_average, has_bfloat16
from tools.train_compact.session import TrainEvent, check_made_with
from tools.train_things.pictures import Masked, draw

LEVEL_WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.6, 1.0)  # of the loss, coarse to fine
EDGE_WEIGHT = 4.0  # of places whose surroundings are mixed (Wei et al. 2020, F3Net, equation 5)
EDGE_SHARE = 0.12  # of the side: how far surroundings reach
AVERAGE_DECAY = 0.998
WARM_UP = 0.03  # share of the steps
CLIP_NORM = 5.0


@dataclass(frozen=True)
class ThingsRecipe:
    """What to do.

    Attributes:
        steps: Batches.
        batch: Pictures a batch.
        learning_rate: AdamW's peak; a cosine brings it to 0.
        weight_decay: AdamW's.
        dropout: Share of the channels.
        seed: Of everything.
    """

    steps: int = 6_000
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    dropout: float = 0.1
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """The rate of a step."""
        rise = min(1.0, (step + 1) / max(1.0, WARM_UP * self.steps))
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


class Training:
    """The state of a training.

    Args:
        vgg: Whose features are decoded; frozen.
        pictures: To learn from.
        recipe: What to do.
        start: Weights of a decoder to go on from.
    """

    def __init__(
        self, vgg: Vgg, pictures: Sequence[Masked], recipe: ThingsRecipe, start: dict[str, Tensor] | None = None
    ) -> None:
        self.vgg, self.pictures, self.recipe = vgg, pictures, recipe
        self.device = next(vgg.parameters()).device
        self.bfloat16 = has_bfloat16(self.device.type)
        torch.manual_seed(recipe.seed)
        self.decoder = Decoder(vgg.info.width, recipe.dropout)
        if start:
            self.decoder.load_state_dict(start)
        self.decoder.to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = AveragedModel(self.decoder, multi_avg_fn=growing_average(AVERAGE_DECAY), use_buffers=False)
        self.optimiser = torch.optim.AdamW(
            self.decoder.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.step = 0

    @property
    def trained(self) -> Decoder:
        """The decoder with averaged weights, in evaluation mode."""
        decoder = Decoder(self.vgg.info.width)
        decoder.load_state_dict(self.average.module.state_dict())
        return decoder.to(self.device).eval().requires_grad_(False)

    def run(self) -> Iterator[TrainEvent]:
        """Train to the end, one event a step.

        Raises:
            GramscopeError: If the loss is not a number.
        """
        first, started, told = self.step, time.monotonic(), 0.0
        while self.step < self.recipe.steps:
            loss = self._take_step()
            self.step += 1
            told = loss if self.step == first + 1 else told + 0.02 * (loss - told)
            elapsed_s = (time.monotonic() - started) * self.step / (self.step - first)
            yield TrainEvent(self.step, self.recipe.steps, elapsed_s, f"loss {told:.3f}")

    def _take_step(self) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.step)
        torch.manual_seed(self.recipe.seed + self.step)  # dropout's
        rng = np.random.default_rng((self.recipe.seed, self.step))
        drawn = draw(self.pictures, self.recipe.batch, SIDE_PX, rng)
        image_nchw01, mask_nchw01 = (each.to(self.device) for each in drawn)
        self.decoder.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            with torch.no_grad():
                entering = look(self.vgg, image_nchw01.contiguous(memory_format=torch.channels_last))
            logits = self.decoder(entering)
        loss = torch.stack(
            [weight * map_loss(each.float(), mask_nchw01) for weight, each in zip(LEVEL_WEIGHTS, logits, strict=True)]
        ).sum()
        if not torch.isfinite(loss):
            raise GramscopeError(f"The loss is not a number at step {self.step}. Use a smaller --learning-rate.")
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), CLIP_NORM)
        self.optimiser.step()
        self.average.update_parameters(self.decoder)
        for kept, now in zip(self.average.module.buffers(), self.decoder.buffers(), strict=True):
            kept.copy_(now)
        return loss.item()

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
        return {**asdict(self.recipe), "network": self.vgg.info.sha256, "photos": len(self.pictures)}


def map_loss(logits_n1hw: Tensor, mask_n1hw: Tensor) -> Tensor:
    """Cross-entropy and intersection over union, places near the outline counting more (F3Net, equations 5 to 8).

    Args:
        logits_n1hw: At any size.
        mask_n1hw: In [0, 1], at least that size.
    """
    target = F.adaptive_avg_pool2d(mask_n1hw, (logits_n1hw.shape[-2], logits_n1hw.shape[-1]))
    reach = 2 * round(EDGE_SHARE * target.shape[-1] / 2) + 1
    around = F.avg_pool2d(target, reach, stride=1, padding=reach // 2, count_include_pad=False)
    weight = 1 + EDGE_WEIGHT * (around - target).abs()
    entropy = F.binary_cross_entropy_with_logits(logits_n1hw, target, reduction="none")
    entropy = (weight * entropy).sum((1, 2, 3)) / weight.sum((1, 2, 3))
    probability = logits_n1hw.sigmoid()
    shared = (weight * probability * target).sum((1, 2, 3))
    either = (weight * (probability + target - probability * target)).sum((1, 2, 3))
    return (entropy + 1 - (shared + 1) / (either + 1)).mean()
