"""Adam (Kingma & Ba 2015, algorithm 1) for one tensor, to the bit what torch's does.

The first of torch's own optimisers that is made loads torch's compiler and SymPy, which takes seconds.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class Adam:
    """Steps down a gradient.

    Args:
        value: What is optimised; its `grad` is followed.
        rate: Alpha.
        betas: Decay of the moments, b1 and b2.
        epsilon: Added to the root of the second moment.

    Example:
        >>> value = torch.tensor([1.0, -2.0])
        >>> value.grad = torch.tensor([3.0, 0.5])
        >>> Adam(value, 0.1).step()
        >>> value
        tensor([ 0.9000, -2.1000])
    """

    def __init__(
        self, value: Tensor, rate: float, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8
    ) -> None:
        self.value, self.rate, self.betas, self.epsilon = value, rate, betas, epsilon
        self.first, self.second, self.steps = torch.zeros_like(value), torch.zeros_like(value), 0

    @torch.no_grad()
    def step(self, evaluate: Callable[[], float] | None = None) -> None:
        """Go one, after `evaluate` has set the gradient: with it, g, and the number t of steps so far.

        m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g²
        x = x - alpha m / (1 - b1^t) / (√(v / (1 - b2^t)) + epsilon)
        """
        if evaluate is not None:
            with torch.enable_grad():
                evaluate()
        gradient, (keep_first, keep_second) = self.value.grad, self.betas
        assert gradient is not None
        self.steps += 1
        self.first.lerp_(gradient, 1 - keep_first)
        self.second.mul_(keep_second).addcmul_(gradient, gradient, value=1 - keep_second)
        root = (self.second.sqrt() / (1 - keep_second**self.steps) ** 0.5).add_(self.epsilon)
        self.value.addcdiv_(self.first, root, value=-self.rate / (1 - keep_first**self.steps))

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, beside the value, by name."""
        return {"first": self.first, "second": self.second, "steps": torch.tensor(self.steps)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state()`."""
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
        self.steps = int(state["steps"])
