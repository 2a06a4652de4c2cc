"""Train the decoder for things on frozen features. Stops after any step and resumes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.network.vgg import Vgg
from segment.segmenters.things.network import SIDE_PX, Decoder, look
from tools.learning import Learning, LearningRecipe
from tools.train_compact.distil import has_bfloat16
from tools.train_things.pictures import Masked, draw

LEVEL_WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.6, 1.0)  # of the loss, coarse to fine
EDGE_WEIGHT = 4.0  # of places whose surroundings are mixed (Wei et al. 2020, F3Net, equation 5)
EDGE_SHARE = 0.12  # of the side: how far surroundings reach


@dataclass(frozen=True)
class ThingsRecipe(LearningRecipe):
    """How to learn.

    Attributes:
        weight_decay: AdamW's.
        dropout: Share of the channels.
    """

    steps: int = 6_000
    batch: int = 8
    learning_rate: float = 2e-3
    warm_up: float = 0.03
    clip_norm: float = 5.0
    average_decay: float = 0.998
    weight_decay: float = 1e-2
    dropout: float = 0.1


class Training(Learning[Decoder]):
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
        self.vgg, self.pictures, self.device = vgg, pictures, next(vgg.parameters()).device
        self.bfloat16 = has_bfloat16(self.device.type)
        torch.manual_seed(recipe.seed)
        decoder = Decoder(vgg.info.width, recipe.dropout)
        if start:
            decoder.load_state_dict(start)
        decoder.to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimiser = torch.optim.AdamW(decoder.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
        super().__init__(decoder, recipe, optimiser, {"network": vgg.info.sha256, "photos": len(pictures)})

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Of a batch of samples, at every level."""
        torch.manual_seed(self.recipe.seed + self.step)  # dropout's
        rng = np.random.default_rng((self.recipe.seed, self.step))
        drawn = draw(self.pictures, self.recipe.batch, SIDE_PX, rng)
        image_nchw01, mask_nchw01 = (each.to(self.device) for each in drawn)
        self.module.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            with torch.no_grad():
                entering = look(self.vgg, image_nchw01.contiguous(memory_format=torch.channels_last))
            logits = self.module(entering)
        levels = zip(LEVEL_WEIGHTS, logits, strict=True)
        loss = torch.stack([weight * map_loss(each.float(), mask_nchw01) for weight, each in levels]).sum()
        return loss, {"loss": float(loss.detach())}


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
