"""The one loop that changes an image to lower a loss."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from interp.adam import Adam
from interp.errors import WeightsError
from stylize.lbfgs import Lbfgs

# Times the first loss, or where that is small, far from the target (1 a pixel: `losses`): the optimiser has run away;
# and the step after it.
DIVERGED, SHORTER = 10.0, 0.1

Loss = Callable[[Tensor], tuple[Tensor, dict[str, float]]]  # (1, 3, H, W) RGB in [0, 1] -> value, figures by name


@dataclass(frozen=True)
class Descent:
    """Optimiser and value range.

    Attributes:
        optimizer: `lbfgs` or `adam`.
        learning_rate: In units of the optimised image.
        falling: Whether the rate falls to 0 along a half cosine.
        history: Of L-BFGS; 10 as in crowsonkb/style-transfer-pytorch: 24 bytes a pixel and entry. With 1 compact ends
            as low on four pairs at 384 px, in a tenth less time; full width ends .7 to 2 % higher, and other losses
            (Model 1's) run away.
        to_zero: Of L-BFGS; see `Lbfgs`. The losses of our own way begin at some .05 a pixel and end near .01.
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
    to_zero: bool = False
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
        gradient_norm: With respect to the optimised image; at the last evaluation, which needs no gradient, the one
            before it if there is one.
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
        Every evaluation. Where the loss or the image stops being finite, or the loss grows tenfold and is above 10 a
        pixel, it goes on from the best image so far with a tenth of the step; the second time it ends there. With a way
        of other work, which has no such rule, the first time, and with the last image that was finite.

    Raises:
        WeightsError: If the loss, or its gradient, is not finite from the start.
    """
    walk = _Walk(loss, start_nchw01, how)
    first = walk.restore(resume) if resume is not None else 0
    for step in range(first, steps):
        if 0 < step == steps - 1 and how.keeps_best:
            walk.look()
        else:
            walk.step(step / steps)
        if step == 0 and not (walk.finite and math.isfinite(walk.norm)):
            raise WeightsError(
                f"The loss is {walk.value:g} and its gradient {walk.norm:g} at the first step; expected finite "
                "numbers. The network's weights, or a weight of the loss, are far too large: use others."
            )
        lost = not walk.finite or walk.value > walk.bound
        over = lost and (walk.rate < how.learning_rate or not how.keeps_best)
        if lost and not over:
            walk.begin_again()
        yield Evaluation(walk.figures, walk.norm, walk.result_nchw01, partial(walk.state, step + 1))
        if over:
            return


class _Walk:
    """An image on its way to a lower loss.

    Attributes:
        rate: The optimiser's.
        bound: Loss above which it has run away.
        value: The latest loss.
        figures: What the loss said of it.
        norm: Of the gradient.
        finite: Whether loss and image are.
        result_nchw01: The result until here.
    """

    def __init__(self, loss: Loss, start_nchw01: Tensor, how: Descent) -> None:
        self.loss, self.how = loss, how
        self.mean, self.std = (
            torch.tensor(each).view(1, 3, 1, 1).to(start_nchw01) for each in (how.mean_rgb, how.std_rgb)
        )
        self.image = self._coded(start_nchw01).contiguous().requires_grad_()
        self.held, self.best, self.rate, self.bound = start_nchw01.clone(), math.inf, how.learning_rate, math.inf
        self.value, self.norm, self.finite, self.figures = math.nan, math.nan, True, {}
        self.result_nchw01, self.optimizer = self.held, self._optimizer()

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Evaluate and go one step, after a share of all."""
        if self.how.falling and self.how.optimizer == "adam":
            self.optimizer.rate = self.rate * (0.5 + 0.5 * math.cos(math.pi * share))
        self.optimizer.step(self._evaluate)
        if self.how.clamp:
            self.image.copy_(self._coded(self._shown().clamp(0, 1)))
        self._judge()
        assert self.image.grad is not None
        self.norm = float(self.image.grad.norm())
        if self.bound == math.inf and self.how.keeps_best:
            self.bound = DIVERGED * max(self.value, self.image[0, 0].numel())

    @torch.no_grad()
    def look(self) -> None:
        """Evaluate alone: after the last evaluation comes no step, and the gradient would be half of the work."""
        self._note(self._shown())
        self._judge()

    def _judge(self) -> None:
        """Whether to go on, and what the result is."""
        self.finite = math.isfinite(self.value) and bool(self.image.isfinite().all())
        self.result_nchw01 = self.held if self.how.keeps_best or not self.finite else self._shown()

    @torch.no_grad()
    def begin_again(self) -> None:
        """From the best image, with shorter steps."""
        self.rate *= SHORTER
        self.image.copy_(self._coded(self.held))
        self.optimizer = self._optimizer()

    def state(self, done: int) -> dict[str, Tensor]:
        """All that the next step depends on, by name."""
        numbers = {"best": self.best, "rate": self.rate, "bound": self.bound}
        kept = {"image": self.image.detach(), "held": self.held, "step": torch.tensor(done)}
        kept |= {name: torch.tensor(number, dtype=torch.float64) for name, number in numbers.items()}
        return kept | {f"optimizer {name}": value for name, value in self.optimizer.state().items()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> int:
        """Go on from `state()`; returns the steps done."""
        self.image.copy_(state["image"])
        self.held.copy_(state["held"])
        self.best, self.rate, self.bound = (float(state[name]) for name in ("best", "rate", "bound"))
        self.optimizer = self._optimizer()
        own = {name.removeprefix("optimizer "): state[name] for name in state if name.startswith("optimizer ")}
        self.optimizer.restore(own)
        return int(state["step"])

    def _evaluate(self) -> float:
        total = self._note(self._shown())
        self.image.grad = torch.autograd.grad(total, self.image)[0].contiguous()
        return self.value

    def _note(self, shown_nchw01: Tensor) -> Tensor:
        """The loss, which can be differentiated; its image is kept if it is to be the result."""
        total, self.figures = self.loss(shown_nchw01)
        self.value = float(total.detach())
        if self.value < self.best or (math.isfinite(self.value) and not self.how.keeps_best):
            self.best = self.value
            self.held.copy_(shown_nchw01.detach())
        return total

    def _shown(self) -> Tensor:
        return self.image * self.std + self.mean

    def _coded(self, image_nchw01: Tensor) -> Tensor:
        return (image_nchw01 - self.mean) / self.std

    def _optimizer(self) -> Lbfgs | Adam:
        how = self.how
        if how.optimizer == "adam":
            return Adam(self.image, self.rate, how.betas, how.epsilon)
        return Lbfgs(self.image, how.history, self.rate, how.to_zero)


def gradient_nchw(loss: Loss, image_nchw01: Tensor) -> Tensor:
    """A loss's gradient at an image."""
    image = image_nchw01.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(image)[0], image)[0]
