"""Teach a narrow VGG-19 the features of a full-width one, layer by layer, while it goes on classifying.

At each layer a linear map carries the student's channels to the teacher's, as Wang et al. 2020, "Collaborative
Distillation", do for style transfer; here the map is no parameter but the best one for the latest batches. Stops after
any step, resumes to the same bits on a CPU.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from interp.errors import GramscopeError
from interp.network.vgg import Vgg
from tools.train_compact.crops import draw_crops, draw_tiles
from tools.train_compact.data import Pictures
from tools.train_compact.export import convs, linear
from tools.train_compact.maps import RunningMap, cells, moments_of
from tools.train_compact.recipe import (
    AVERAGE_DECAY,
    BETAS,
    CLASSIFY_EVERY,
    CLASSIFY_WEIGHT,
    CLIP_NORM,
    FINE_CELL_PX,
    LABEL_SMOOTHING,
    LAYER_WEIGHTS,
    MAP_MEMORY,
    RIDGE,
    SOLVE_EVERY,
    START_BATCHES,
    TEMPERATURE,
    DistilRecipe,
)
from tools.train_compact.session import TrainEvent, check_made_with

LAYERS = tuple(LAYER_WEIGHTS)


def has_bfloat16(device: str) -> bool:
    """Whether a device computes in bfloat16 by itself."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # newer than torch 2.6
    return bool(capabilities.get("avx512_bf16") or capabilities.get("bf16"))


def autocast(recipe: DistilRecipe, device: torch.device) -> torch.autocast:
    """Convolutions in bfloat16, if the recipe says so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16)


class Distillation:
    """The state of a distillation.

    Everything random in a step is seeded by its number, so that a restored run continues as if it had never stopped.

    Args:
        start: The network to teach, with a head for the tiles' classes; itself left as it is.
        teacher: To learn from.
        photos: (H, W, 3) uint8 RGB.
        tiles: Labelled squares of the start's native size.
        recipe: What to do.
    """

    def __init__(
        self, start: Vgg, teacher: Vgg, photos: Sequence[np.ndarray], tiles: Pictures, recipe: DistilRecipe
    ) -> None:
        self.start, self.photos, self.tiles, self.recipe = start, photos, tiles, recipe
        self.device = next(start.parameters()).device
        self.teacher = copy.deepcopy(teacher)
        if recipe.bfloat16:
            self.teacher.features.to(torch.bfloat16)
        self.student = copy.deepcopy(start).requires_grad_(True)
        for vgg in (self.teacher, self.student):
            vgg.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] -- torch's stub
        self.average = AveragedModel(self.student, multi_avg_fn=growing_average(AVERAGE_DECAY))
        layers = [*convs(self.student), linear(self.student)]
        groups = [{"params": list(layer.parameters()), "rms": _rms(layer.weight)} for layer in layers]
        self.optimiser = torch.optim.Adam(groups, betas=BETAS)
        self.maps = nn.ModuleDict(self._fitted_maps())
        self.step = 0

    @property
    def taught(self) -> Vgg:
        """The student with averaged weights, frozen."""
        student = copy.deepcopy(self.student)
        student.load_state_dict(self.average.module.state_dict())
        return student.requires_grad_(False)

    def _fitted_maps(self) -> dict[str, RunningMap]:
        crops = self._crops(START_BATCHES * self.recipe.batch, self._rng(0)).split(self.recipe.batch)
        with autocast(self.recipe, self.device):
            moments = moments_of([self.student], self.teacher, crops, LAYERS, FINE_CELL_PX)
        return {name: RunningMap(of_student, RIDGE, MAP_MEMORY) for name, (of_student,) in moments.items()}

    def run(self) -> Iterator[TrainEvent]:
        """Train to the end.

        Yields:
            An event after each step; the state is whole whenever one is yielded.

        Raises:
            GramscopeError: If the loss is no longer a number.
        """
        first, started = self.step, time.monotonic()
        while self.step < self.recipe.steps:
            unexplained = self._take_step()
            self.step += 1
            elapsed_s = (time.monotonic() - started) * self.step / (self.step - first)
            told = ", ".join(f"{name} {unexplained[name]:.2f}" for name in ("relu1_1", "relu4_2", "relu5_1"))
            yield TrainEvent(self.step, self.recipe.steps, elapsed_s, f"unexplained {told}")

    def _take_step(self) -> dict[str, float]:
        """Learn from one batch; returns each layer's unexplained share of the teacher's variance on it."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["rms"] * self.recipe.learning_rate_at(self.step)
        rng = self._rng(1 + self.step)
        unexplained = self._unexplained(self._crops(self.recipe.batch, rng), rng)
        loss = torch.stack([LAYER_WEIGHTS[name] * share for name, share in unexplained.items()]).sum()
        if self.step % CLASSIFY_EVERY == 0:
            loss = loss + CLASSIFY_WEIGHT * self._classification(rng)
        if not torch.isfinite(loss):
            raise GramscopeError(f"The loss is not a number at step {self.step}. Use a smaller --learning-rate.")
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.features.parameters(), CLIP_NORM)
        self.optimiser.step()
        self.average.update_parameters(self.student)
        return {name: share.item() for name, share in unexplained.items()}

    def _unexplained(self, crops_nchw01: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        with autocast(self.recipe, self.device):
            with torch.no_grad():
                targets = self.teacher.activations(crops_nchw01, LAYERS)
            features = self.student.activations(crops_nchw01, LAYERS)
        unexplained = {}
        for name, running in self.maps.items():
            assert isinstance(running, RunningMap)
            if self.step % SOLVE_EVERY == 0:
                running.solve()
            offset_px = tuple(rng.integers(FINE_CELL_PX, size=2).tolist())
            own, target = (cells(values[name], name, FINE_CELL_PX, offset_px) for values in (features, targets))
            unexplained[name] = running.unexplained(own, target)
        return unexplained

    def _classification(self, rng: np.random.Generator) -> Tensor:
        """Half cross-entropy, half distillation of the start's own logits."""
        images_nchw01, labels = (value.to(self.device) for value in draw_tiles(self.tiles, 2 * self.recipe.batch, rng))
        with autocast(self.recipe, self.device):
            logits = self.student(images_nchw01).float()
            with torch.no_grad():
                before = self.start(images_nchw01).float()
        return labelled_loss(logits, labels, before, 0.5)

    def _crops(self, count: int, rng: np.random.Generator) -> Tensor:
        crops = draw_crops(self.photos, self.tiles, count, self.recipe.side_px, rng)
        return crops.to(self.device).contiguous(memory_format=torch.channels_last)

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng((self.recipe.seed, number))

    def state(self) -> dict[str, Any]:
        """Everything needed to continue; plain numbers and tensors only."""
        return {
            "made_with": self._made_with(),
            "step": self.step,
            "student": self.student.state_dict(),
            "maps": self.maps.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()` of a run of the same recipe on the same networks and pictures.

        Raises:
            UsageError: If it comes from others.
        """
        check_made_with(state, self._made_with())
        self.step = state["step"]
        self.student.load_state_dict(state["student"])
        self.maps.load_state_dict(state["maps"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.load_state_dict(state["average"])

    def _made_with(self) -> dict[str, Any]:
        networks = {"start": self.start.info.sha256, "teacher": self.teacher.info.sha256}
        counts = {"photos": len(self.photos), "pictures": len(self.tiles.labels_n)}
        return {**dataclasses.asdict(self.recipe), **networks, **counts}


def labelled_loss(logits: Tensor, labels: Tensor, before: Tensor, hard_share: float) -> Tensor:
    """Cross-entropy with smoothed labels, and distillation of the start's own logits (Hinton et al. 2015).

    Args:
        logits: (N, classes).
        labels: (N,) int64.
        before: The start's logits.
        hard_share: Weight of the cross-entropy; the rest is the distillation's.
    """
    hard = F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)
    soft = (before / TEMPERATURE).softmax(1)
    kept = F.kl_div((logits / TEMPERATURE).log_softmax(1), soft, reduction="batchmean")
    return hard_share * hard + (1 - hard_share) * TEMPERATURE**2 * kept


def growing_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """An exponential average whose memory grows with the steps, up to `decay`; for torch's `AveragedModel`."""

    def update(averages: Sequence[Tensor], values: Sequence[Tensor], steps: Tensor | int) -> None:
        decay_now = min(decay, float(steps / (steps + 10)))
        for average, value in zip(averages, values, strict=True):
            average.lerp_(value, 1 - decay_now)

    return update


def _rms(weight: Tensor) -> float:
    return weight.detach().square().mean().sqrt().item()
