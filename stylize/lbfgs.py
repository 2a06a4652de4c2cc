"""L-BFGS with one evaluation of the loss a step, as torch's own does with `max_iter=1` and no tolerances.

Nocedal & Wright 2006, "Numerical Optimization", algorithms 7.4 and 7.5, without a line search: steps of length 1. The
first one is torch's, whose size is that of a rounding error in an image, or as long as the loss itself says.
Torch's optimisers load their compiler when the first is made: 2 s.
"""

from collections import deque
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

CURVATURE = 1e-10  # y·s above which a step is remembered
LONGEST_RMS = 0.1  # of a first step: where a loss cannot fall, its gradient is small and Polyak's step is endless


class Lbfgs:
    """Minimises over one tensor, in place.

    Args:
        image: What is changed, contiguous; `evaluate` sets its gradient.
        history: Steps remembered: 8 bytes a value and entry in float32.
        rate: Length of a step.
        to_zero: Whether the loss can fall to about 0. The first step then goes as far as the gradient says that 0 is
            (Polyak 1987, "Introduction to Optimization", section 5.3), instead of torch's min(1, 1 / its 1-norm).
    """

    def __init__(self, image: Tensor, history: int = 10, rate: float = 1.0, to_zero: bool = False) -> None:
        self.image, self.rate, self.to_zero = image, rate, to_zero
        # Change of the image, change of its gradient, and their product.
        self.steps: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=history)
        self.before: tuple[Tensor, Tensor] | None = None  # the last change of the image, and the gradient before it
        self.scale = 1.0

    @torch.no_grad()
    def step(self, evaluate: Callable[[], float]) -> None:
        """Evaluate, and go one step."""
        with torch.enable_grad():
            loss = evaluate()
        assert self.image.grad is not None
        gradient = self.image.grad.flatten()
        if self.before is None:
            change = gradient * (-self.rate * self._first_length(loss, gradient))
        else:
            self._remember(self.before[0], gradient - self.before[1])
            change = self._direction(gradient).mul_(self.rate)
        self.before = change, gradient
        self.image.view(-1).add_(change)

    def _first_length(self, loss: float, gradient: Tensor) -> float:
        """What the gradient is multiplied by in the first step."""
        if not self.to_zero:
            return min(1.0, 1.0 / float(gradient.abs().sum()))
        norm = max(float(gradient.norm()), 1e-12)
        return min(loss / norm**2, LONGEST_RMS * len(gradient) ** 0.5 / norm)

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, beside the image, by name; of float64 where it is a number."""
        found = {"scale": torch.tensor(self.scale, dtype=torch.float64)}
        for number, (change, turn, curvature) in enumerate(self.steps):
            found |= {f"change {number}": change, f"turn {number}": turn}
            found[f"curvature {number}"] = torch.tensor(curvature, dtype=torch.float64)
        return found if self.before is None else found | {"last change": self.before[0], "gradient": self.before[1]}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state()`."""
        self.scale = float(state["scale"])
        count = sum(name.startswith("change ") for name in state)
        for number in range(count):
            change, turn = (state[f"{name} {number}"].to(self.image) for name in ("change", "turn"))
            self.steps.append((change, turn, float(state[f"curvature {number}"])))
        if "gradient" in state:
            self.before = state["last change"].to(self.image), state["gradient"].to(self.image)

    def _remember(self, change: Tensor, turn: Tensor) -> None:
        curvature = float(turn.dot(change))
        if curvature > CURVATURE:
            self.steps.append((change, turn, curvature))
            self.scale = curvature / float(turn.dot(turn))

    def _direction(self, gradient: Tensor) -> Tensor:
        """Against the gradient, bent by what the remembered steps say of the curvature."""
        direction, shares = gradient.neg(), []
        for change, turn, curvature in reversed(self.steps):
            shares.append(float(change.dot(direction)) / curvature)
            direction.add_(turn, alpha=-shares[-1])
        direction.mul_(self.scale)
        for change, turn, curvature in self.steps:
            direction.add_(change, alpha=shares.pop() - float(turn.dot(direction)) / curvature)
        return direction
