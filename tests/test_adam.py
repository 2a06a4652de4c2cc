"""Our Adam against torch's, step by step."""

import pytest
import torch

from interp.adam import Adam


@pytest.mark.parametrize(("rate", "betas", "epsilon"), [(0.05, (0.9, 0.999), 1e-8), (0.02, (0.5, 0.9), 1e-7)])
def test_every_step_is_torchs_to_the_bit(rate: float, betas: tuple[float, float], epsilon: float) -> None:
    start = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    adam = Adam(ours, rate, betas, epsilon)
    torchs = torch.optim.Adam([theirs], lr=rate, betas=betas, eps=epsilon, foreach=False)
    for _ in range(30):
        for value, optimiser in ((ours, adam), (theirs, torchs)):
            value.grad = None
            (value.sin().square() * (1 + value)).sum().backward()
            optimiser.step()
        assert torch.equal(ours, theirs)
    assert not torch.allclose(ours, start, atol=rate)
