"""Methods that change what flows back through ReLUs, and networks on which they would silently do something else.

Reached are ReLUs that are modules. One written as a function (`F.relu`, as in DenseNet or Inception) lets its plain
gradient pass; other activations have no guided rule at all. Such a network is refused.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from interp.errors import UsageError

RELU = "ReluBackward0"  # what automatic differentiation calls it
# Each takes a ReLU's place in some network; a sigmoid or softmax that weighs channels does not.
OTHER_ACTIVATIONS = {
    "GeluBackward0": "GELU",
    "SiluBackward0": "SiLU",
    "HardswishBackward0": "Hardswish",
    "HardtanhBackward0": "ReLU6",
    "LeakyReluBackward0": "LeakyReLU",
    "EluBackward0": "ELU",
    "PreluKernelBackward0": "PReLU",
    "MishBackward0": "Mish",
}


def _operators(values: Tensor) -> Counter[str]:
    """How often each operator lies between values and what they were computed from."""
    counts, seen, ahead = Counter[str](), set(), [values.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            counts[node.name()] += 1
            ahead += [before for before, _ in node.next_functions]
    return counts


def check_guided(scored: nn.Module, image_nchw: Tensor, method: str) -> None:
    """Refuse a network whose activations a guided method cannot reach.

    One forward pass counts the ReLUs that lie between picture and target and the ReLU modules that are called: a module
    that is used several times counts each time, and any ReLU beyond the modules' was called as a function.

    Args:
        scored: The network.
        image_nchw: Its input.
        method: Name of the method, for the message.

    Raises:
        UsageError: If a ReLU is functional, another activation is used, or there is no ReLU.
    """
    calls = 0

    def called(*_: object) -> None:
        nonlocal calls
        calls += 1

    handles = [part.register_forward_hook(called) for part in scored.modules() if isinstance(part, nn.ReLU)]
    try:
        counts = _operators(scored(image_nchw[:1].detach().requires_grad_()))
    finally:
        for handle in handles:
            handle.remove()
    relus = counts[RELU]
    others = sorted({OTHER_ACTIVATIONS[name] for name in counts if name in OTHER_ACTIVATIONS})
    if relus > calls:
        why = f"{relus - calls} of its {relus} ReLUs are functions, not modules, and would pass the plain gradient"
    elif others:
        why = f"its activations include {', '.join(others)}, for which the method has no rule"
    elif not relus:
        why = "no ReLU lies between the picture and the target, so it would give the plain gradient"
    else:
        return
    raise UsageError(f"{method} cannot be used on this network: {why}. Use gradient, smoothgrad or grad-cam.")


class _GuidedRelu(torch.autograd.Function):
    """A ReLU through which nothing negative flows back; where it is gated, nothing where it is off either."""

    @staticmethod
    def forward(ctx, value: Tensor, gated: bool) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.gated = gated
        ctx.save_for_backward(value)
        return value.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (value,) = ctx.saved_tensors
        positive = gradient.clamp(min=0)
        return positive.where(value > 0, 0) if ctx.gated else positive, None


@contextmanager
def guided_relus(network: nn.Module, *, gated: bool) -> Iterator[None]:
    """Let ReLU modules pass back positive gradients only, for a while.

    Args:
        network: Its ReLUs are left as they were, also after an error.
        gated: Whether a ReLU that is off passes nothing back either: guided backprop (Springenberg et al. 2015), and
            without it the deconvolution's rule (Zeiler & Fergus 2014).
    """
    relus = [part for part in network.modules() if isinstance(part, nn.ReLU)]
    try:
        for relu in relus:
            relu.forward = lambda input: _GuidedRelu.apply(input, gated)
        yield
    finally:
        for relu in relus:
            relu.__dict__.pop("forward", None)
