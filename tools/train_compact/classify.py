"""The network with batch norm, and the loop that trains it: stops after any step, resumes to the same bits on a CPU."""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from interp.errors import GramscopeError
from interp.network.layer_names import CONVS_PER_BLOCK
from interp.network.vgg import Normalise, channels_at
from tools.train_compact.data import Pictures
from tools.train_compact.recipe import LABEL_SMOOTHING, MOMENTUM, STATISTICS_IMAGES, WEIGHT_DECAY, Recipe, Stage
from tools.train_compact.session import TrainEvent, check_made_with
from tools.train_compact.views import view


class BatchNormVgg(nn.Module):
    """VGG-19's convolutions with batch norm, global average pool and one linear layer.

    Args:
        width: Channels as a fraction of VGG-19's.
        classes: Number of logits.
    """

    def __init__(self, width: float, classes: int) -> None:
        super().__init__()
        self.width = width
        modules: list[nn.Module] = []
        channels_in = 3
        for channels, convs in zip(channels_at(width), CONVS_PER_BLOCK, strict=True):
            for _ in range(convs):
                conv = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                modules += [conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
                channels_in = channels
            modules.append(nn.MaxPool2d(2))
        self.normalise = Normalise("torchvision")
        self.features = nn.Sequential(*modules)
        self.linear = nn.Linear(channels_in, classes)

    def forward(self, normalised_nchw: Tensor) -> Tensor:
        """Logits of normalised pictures."""
        return self.linear(self.features(normalised_nchw).mean((2, 3)))

    def logits(self, image_nchw01: Tensor) -> Tensor:
        """Logits of RGB pictures in [0, 1]."""
        return self(self.normalise(image_nchw01))


class Training:
    """The state of a training run.

    Everything random in a step is seeded by its number, so that a restored run continues as if it had never stopped.

    Args:
        pictures: To learn from.
        classes: Number of classes.
        recipe: What to do.
        device: Where to compute.
    """

    def __init__(self, pictures: Pictures, classes: int, recipe: Recipe, device: str = "cpu") -> None:
        self.pictures, self.recipe, self.device = pictures, recipe, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.model = BatchNormVgg(recipe.width, classes).to(device)
        self.model = self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] -- torch's stub
        self.batch = min(recipe.batch, len(pictures.labels_n))
        self.stage_index = self.step = 0
        self._order: tuple[tuple[int, int], Tensor] | None = None
        self._enter_stage()

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self.recipe.stages[self.stage_index]

    @property
    def finished(self) -> bool:
        """Whether all stages are done."""
        return self.stage_index == len(self.recipe.stages)

    def _enter_stage(self) -> None:
        weights = [value for value in self.model.parameters() if value.ndim > 1]
        others = [value for value in self.model.parameters() if value.ndim == 1]
        groups = [{"params": weights, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.SGD(groups, lr=self.stage.learning_rate, momentum=MOMENTUM, nesterov=True)
        memory_steps = self.stage.average * self.stage.steps(self.recipe.batch)
        decay = 1 - 1 / max(1.0, memory_steps)
        self.average = (
            AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
            if self.stage.average
            else None
        )

    def run_stage(self) -> Iterator[TrainEvent]:
        """Train to the end of the current stage.

        Yields:
            An event after each step; the state is whole whenever one is yielded.

        Raises:
            GramscopeError: If the loss is no longer a number.
        """
        steps, before = self.stage.steps(self.recipe.batch), self._steps_before()
        first, started = before + self.step, time.monotonic()
        while self.step < steps:
            side_px = self.stage.side_px(self.step, steps, self.recipe.side_px)
            loss = self._take_step(side_px, self.stage.learning_rate_at(self.step, steps, self.batch))
            self.step += 1
            here = before + self.step
            elapsed_s = (time.monotonic() - started) * here / (here - first)
            text = f"{self.stage.name}, {side_px} px  loss {loss:.3f}"
            yield TrainEvent(here, self.recipe.steps, elapsed_s, text)
        self._leave_stage(steps)

    def _steps_before(self) -> int:
        return sum(stage.steps(self.recipe.batch) for stage in self.recipe.stages[: self.stage_index])

    def _take_step(self, side_px: int, learning_rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        images, labels = self._views(self.step, side_px)
        self.model.train()
        loss = F.cross_entropy(self.model(images), labels, label_smoothing=LABEL_SMOOTHING)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        if self.average:
            self.average.update_parameters(self.model)
        if not torch.isfinite(loss):
            raise GramscopeError(
                f"The loss is not a number after step {self.step}. Use a larger --batch or another --seed."
            )
        return loss.item()

    def _leave_stage(self, steps: int) -> None:
        if self.average:
            self.model.load_state_dict(self.average.module.state_dict())
        if self.stage.statistics:
            count = -(-min(STATISTICS_IMAGES, self.stage.images) // self.batch)
            views = (self._views(steps + number, self.recipe.side_px)[0] for number in range(count))
            update_bn(views, self.model)
        self.stage_index, self.step = self.stage_index + 1, 0
        if not self.finished:
            self._enter_stage()

    def _views(self, step: int, side_px: int) -> tuple[Tensor, Tensor]:
        """The pictures and labels of a step of the current stage."""
        epoch, number = divmod(step, len(self.pictures.labels_n) // self.batch)
        key = (self.stage_index, epoch)
        if self._order is None or self._order[0] != key:
            order = torch.randperm(len(self.pictures.labels_n), generator=self._generator(*key, 0))
            self._order = key, order
        chosen = self._order[1][number * self.batch : (number + 1) * self.batch]
        images_nchw01 = self.pictures.images_nchw_u8[chosen].to(self.device).float() / 255
        normalised = self.model.normalise(images_nchw01).to(memory_format=torch.channels_last)
        generator = self._generator(self.stage_index, step, 1)
        return view(normalised, self.stage, side_px, generator), self.pictures.labels_n[chosen].to(self.device)

    def _generator(self, *numbers: int) -> torch.Generator:
        seed = np.random.SeedSequence((self.recipe.seed, *numbers)).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(seed) >> 1)

    def state(self) -> dict[str, Any]:
        """Everything needed to continue; plain numbers and tensors only."""
        return {
            "made_with": self._made_with(),
            "stage_index": self.stage_index,
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict() if self.average else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()` of a run of the same recipe on the same pictures.

        Raises:
            UsageError: If it comes from another recipe or other pictures.
        """
        check_made_with(state, self._made_with())
        self.stage_index, self.step = state["stage_index"], state["step"]
        self.model.load_state_dict(state["model"])
        if not self.finished:
            self._enter_stage()
            self.optimiser.load_state_dict(state["optimiser"])
            if self.average:
                self.average.load_state_dict(state["average"])

    def _made_with(self) -> dict[str, Any]:
        recipe = dataclasses.asdict(self.recipe)
        return {**recipe, "pictures": len(self.pictures.labels_n), "classes": self.model.linear.out_features}
