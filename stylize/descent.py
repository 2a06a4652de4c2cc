"""The one loop that changes an image to lower a loss."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from interp.errors import WeightsError
from stylize.lbfgs import Lbfgs

Loss = Callable[[Tensor], tuple[Tensor, dict[str, float]]]  # (1, 3, H, W) RGB in [0, 1] -> value, figures by name


@dataclass(frozen=True)
class Descent:
    """Optimiser and value range.

    Attributes:
        optimizer: `lbfgs` or `adam`.
        learning_rate: In units of the optimised image.
        falling: Whether the rate falls to 0 along a half cosine.
        history: Of L-BFGS; 10 as in crowsonkb/style-transfer-pytorch: 24 bytes a pixel and entry.
        betas: Adam's.
        epsilon: Adam's.
        mean_rgb: What is optimised is (image - mean) / std, channel by channel.
        std_rgb: See `mean_rgb`.
        clamp: Whether the image is brought back into [0, 1] after every step.
        keeps_best: Whether the image of the smallest loss is the result; else the last one, as other work has it.
    """

    optimizer: str = "lbfgs"
    learning_rate: float = 1.0
    falling: bool = False
    history: int = 10
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    mean_rgb: tuple[float, ...] = (0.0, 0.0, 0.0)
    std_rgb: tuple[float, ...] = (1.0, 1.0, 1.0)
    clamp: bool = False
    keeps_best: bool = True


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the loss.

    Attributes:
        figures: What the loss says of it, by name.
        gradient_norm: With respect to the optimised image.
        image_nchw01: The result until here; its memory is used again by the next evaluation.
        state: Gives all that the next evaluation depends on, by name; before it is asked for.
    """

    figures: dict[str, float]
    gradient_norm: float
    image_nchw01: Tensor
    state: Callable[[], dict[str, Tensor]] = field(repr=False)


def descend(
    loss: Loss, start_nchw01: Tensor, steps: int, how: Descent, resume: Mapping[str, Tensor] | None = None
) -> Iterator[Evaluation]:
    """Minimise a loss.

    Args:
        loss: Of an image.
        start_nchw01: (1, 3, H, W) RGB in [0, 1].
        steps: Evaluations.
        how: Optimiser and value range.
        resume: An evaluation's `state()`, to go on after it.

    Yields:
        Every evaluation; none after one that is not finite any more, whose image is the last that was.

    Raises:
        WeightsError: If the loss, or its gradient, is not finite from the start.
    """
    mean, std = (torch.tensor(values).view(1, 3, 1, 1).to(start_nchw01) for values in (how.mean_rgb, how.std_rgb))
    image = ((start_nchw01 - mean) / std).contiguous().requires_grad_()
    optimizer = _optimizer(image, how)
    held, best, value, figures, first = start_nchw01.clone(), math.inf, math.nan, {}, 0
    if resume is not None:
        first, best = int(resume["step"]), float(resume["best"])
        with torch.no_grad():
            image.copy_(resume["image"])
        held.copy_(resume["held"])
        _restore(optimizer, image, {name.removeprefix("optimizer "): value for name, value in resume.items()})

    def evaluate() -> float:
        nonlocal best, value, figures
        shown = image * std + mean
        total, figures = loss(shown)
        image.grad = torch.autograd.grad(total, image)[0].contiguous()
        value = float(total.detach())
        if value < best or (math.isfinite(value) and not how.keeps_best):
            best = value
            held.copy_(shown.detach())
        return value

    def state() -> dict[str, Tensor]:
        numbers = {"step": torch.tensor(step + 1), "best": torch.tensor(best, dtype=torch.float64)}
        kept = {"image": image.detach(), "held": held, **numbers}
        return kept | {f"optimizer {name}": value for name, value in _state(optimizer, image).items()}

    for step in range(first, steps):
        if how.falling and isinstance(optimizer, torch.optim.Adam):
            optimizer.param_groups[0]["lr"] = how.learning_rate * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        optimizer.step(evaluate)
        with torch.no_grad():
            if how.clamp:
                image.copy_(((image * std + mean).clamp(0, 1) - mean) / std)
            sound = math.isfinite(value) and bool(image.isfinite().all())
            result = held if how.keeps_best or not sound else image * std + mean
            assert image.grad is not None
            norm = float(image.grad.norm())
        if step == 0 and not (sound and math.isfinite(norm)):
            raise WeightsError(
                f"The loss is {value:g} and its gradient {norm:g} at the first step; expected finite numbers. The "
                "network's weights, or a weight of the loss, are far too large: use others."
            )
        yield Evaluation(figures, norm, result, state)
        if not sound:
            return


def gradient_nchw(loss: Loss, image_nchw01: Tensor) -> Tensor:
    """A loss's gradient at an image."""
    image = image_nchw01.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(image)[0], image)[0]


def _state(optimizer: Lbfgs | torch.optim.Adam, image: Tensor) -> dict[str, Tensor]:
    return optimizer.state() if isinstance(optimizer, Lbfgs) else dict(optimizer.state[image])


def _restore(optimizer: Lbfgs | torch.optim.Adam, image: Tensor, state: dict[str, Tensor]) -> None:
    if isinstance(optimizer, Lbfgs):
        optimizer.restore(state)
    else:
        optimizer.state[image] = {name: state[name] for name in ("step", "exp_avg", "exp_avg_sq")}


def _optimizer(image: Tensor, how: Descent) -> Lbfgs | torch.optim.Adam:
    if how.optimizer == "adam":
        return torch.optim.Adam([image], lr=how.learning_rate, betas=how.betas, eps=how.epsilon)
    return Lbfgs(image, how.history, how.learning_rate)
