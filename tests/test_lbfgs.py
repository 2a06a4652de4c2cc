"""Our L-BFGS takes torch's steps."""

import torch
from torch import Tensor

from stylize.lbfgs import LONGEST_RMS, Lbfgs


def rosenbrock(point: Tensor) -> Tensor:
    """Curved valleys, in which the curvature of some steps is negative."""
    flat = point.flatten()
    return (100 * (flat[1:] - flat[:-1] ** 2).square() + (1 - flat[:-1]).square()).sum()


def walk(steps: int, history: int, ours: bool) -> list[Tensor]:
    point = torch.linspace(-1.2, 0.8, 12, dtype=torch.float64).view(1, 3, 2, 2).requires_grad_()
    if ours:
        optimizer = Lbfgs(point, history, 0.5)
    else:
        optimizer = torch.optim.LBFGS(
            [point], 0.5, max_iter=1, history_size=history, tolerance_grad=-1, tolerance_change=-1
        )

    def evaluate() -> float:
        loss = rosenbrock(point)
        point.grad = torch.autograd.grad(loss, point)[0]
        return float(loss.detach())

    seen = []
    for _ in range(steps):
        optimizer.step(evaluate)
        seen.append(point.detach().clone())
    return seen


def test_the_steps_are_those_of_torch() -> None:
    for history in (1, 3, 10):
        for number, pair in enumerate(zip(walk(40, history, True), walk(40, history, False), strict=True)):
            torch.testing.assert_close(*pair, rtol=1e-6, atol=1e-9, msg=f"step {number} of history {history}")


def test_the_first_step_goes_where_the_gradient_says_that_nothing_is_left() -> None:
    point = torch.tensor([0.03, 0.04, 0.0], dtype=torch.float64).view(1, 3, 1, 1).requires_grad_()

    def evaluate() -> float:
        loss = point.square().sum().sqrt() / 100  # a cone of little slope: its gradient leads straight to the tip
        point.grad = torch.autograd.grad(loss, point)[0]
        return float(loss.detach())

    Lbfgs(point, 3, to_zero=True).step(evaluate)
    torch.testing.assert_close(point.detach(), torch.zeros_like(point))


def test_a_loss_that_cannot_fall_leads_to_no_endless_first_step() -> None:
    point = torch.zeros(1, 3, 5, 5, dtype=torch.float64).requires_grad_()

    def evaluate() -> float:
        loss = 1 + 1e-9 * point.sum()
        point.grad = torch.autograd.grad(loss, point)[0]
        return float(loss.detach())

    Lbfgs(point, 3, to_zero=True).step(evaluate)
    torch.testing.assert_close(point.detach(), torch.full_like(point, -LONGEST_RMS))


def test_a_valley_is_found_to_its_end() -> None:
    assert float(rosenbrock(walk(400, 10, True)[-1])) < 1e-12
