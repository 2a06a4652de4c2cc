"""A module that learns batch by batch, on a cosine and with averaged weights; it stops after any step and resumes.

What the decoders' tools share: a subclass says what a batch costs.
"""

import argparse
import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from commands.options import Progress
from interp.errors import GramscopeError
from tools.train_compact.distil import growing_average
from tools.train_compact.session import TrainEvent, check_made_with

FORGETTING = 0.02  # of the figures that are told, a step


@dataclass(frozen=True)
class LearningRecipe:
    """How to learn.

    Attributes:
        steps: Batches.
        batch: Pictures a batch.
        learning_rate: The peak; a cosine brings it to 0.
        warm_up: Share of the steps in which it rises.
        clip_norm: Of the gradient.
        average_decay: Of the averaged weights.
        seed: Of everything.
    """

    steps: int
    batch: int
    learning_rate: float
    warm_up: float
    clip_norm: float
    average_decay: float
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """The rate of a step."""
        rise = min(1.0, (step + 1) / max(1.0, self.warm_up * self.steps))
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


Learner = TypeVar("Learner", bound=nn.Module)


class Learning(ABC, Generic[Learner]):
    """The state of a training.

    Args:
        module: What learns.
        recipe: How.
        optimiser: Its parameters'.
        made_with: What a checkpoint must agree with, beside the recipe.
    """

    def __init__(
        self, module: Learner, recipe: LearningRecipe, optimiser: torch.optim.Optimizer, made_with: dict[str, Any]
    ) -> None:
        self.module, self.recipe, self.optimiser = module, recipe, optimiser
        self.average = AveragedModel(module, multi_avg_fn=growing_average(recipe.average_decay), use_buffers=False)
        self.made_with = {**asdict(recipe), **made_with}
        self.step = 0

    @property
    def trained(self) -> Learner:
        """The module with averaged weights, in evaluation mode."""
        return cast("Learner", copy.deepcopy(self.average.module).eval().requires_grad_(False))

    @abstractmethod
    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """The loss of this step's batch, and figures to tell by name."""

    def run(self) -> Iterator[TrainEvent]:
        """Train to the end, one event a step.

        Raises:
            GramscopeError: If the loss is not a number.
        """
        first, started, told = self.step, time.monotonic(), {}
        while self.step < self.recipe.steps:
            for name, value in self._take_step().items():
                told[name] = told.get(name, value) + FORGETTING * (value - told.get(name, value))
            self.step += 1
            elapsed_s = (time.monotonic() - started) * self.step / (self.step - first)
            text = ", ".join(f"{name} {value:.3f}" for name, value in told.items())
            yield TrainEvent(self.step, self.recipe.steps, elapsed_s, text)

    def _take_step(self) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.step)
        loss, told = self.loss()
        if not torch.isfinite(loss):
            raise GramscopeError(f"The loss is not a number at step {self.step}. Use a smaller --learning-rate.")
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.clip_norm)
        self.optimiser.step()
        self.average.update_parameters(self.module)
        for kept, now in zip(self.average.module.buffers(), self.module.buffers(), strict=True):
            kept.copy_(now)
        return told

    def state(self) -> dict[str, Any]:
        """Everything needed to continue."""
        return {
            "made_with": self.made_with,
            "step": self.step,
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()` of a run of the same recipe.

        Raises:
            UsageError: If it comes from another.
        """
        check_made_with(state, self.made_with)
        self.step = state["step"]
        self.module.load_state_dict(state["module"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])


def add_options(parser: argparse.ArgumentParser, recipe: LearningRecipe, output: str) -> None:
    """The options that every such tool has.

    Args:
        parser: To add them to.
        recipe: Its defaults.
        output: The folder for result and checkpoint.
    """
    parser.add_argument("--start", type=Path, help="weights to go on from, .safetensors")
    parser.add_argument("--output", type=Path, default=Path(output), help="for result and checkpoint")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --output")
    parser.add_argument("--steps", type=int, default=recipe.steps)
    parser.add_argument("--batch", type=int, default=recipe.batch)
    parser.add_argument("--learning-rate", type=float, default=recipe.learning_rate)
    parser.add_argument("--seed", type=int, default=recipe.seed)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--save-every", type=int, default=250, metavar="STEPS", help="steps between checkpoints")
    parser.add_argument("--progress", type=Progress, choices=list(Progress), default=Progress.AUTO)
    parser.add_argument("-q", "--quiet", action="store_true", help="errors only on stderr")
