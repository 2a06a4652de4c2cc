"""Methods that change what flows back through ReLUs, and networks on which they would silently do something else.

Captum reaches ReLUs that are modules. One written as a function (`F.relu`, as in DenseNet or Inception) lets its plain
gradient pass; other activations have no guided rule at all. Such a network is refused.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from interp.errors import UsageError

RELUS = ("aten::relu", "aten::relu_")
# Each takes a ReLU's place in some network; a sigmoid or softmax that weighs channels does not.
OTHER_ACTIVATIONS = {
    "aten::gelu": "GELU",
    "aten::silu": "SiLU",
    "aten::silu_": "SiLU",
    "aten::hardswish": "Hardswish",
    "aten::hardswish_": "Hardswish",
    "aten::hardtanh": "ReLU6",
    "aten::hardtanh_": "ReLU6",
    "aten::relu6": "ReLU6",
    "aten::leaky_relu": "LeakyReLU",
    "aten::leaky_relu_": "LeakyReLU",
    "aten::elu": "ELU",
    "aten::elu_": "ELU",
    "aten::_prelu_kernel": "PReLU",
    "aten::mish": "Mish",
    "aten::mish_": "Mish",
}


class _Operators(TorchDispatchMode):
    """Counts the operators that run, whatever Python called them."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        self.counts[name] = self.counts.get(name, 0) + 1
        return func(*args, **(kwargs or {}))


def check_guided(scored: nn.Module, image_nchw: Tensor, method: str) -> None:
    """Refuse a network whose activations a guided method cannot reach.

    One forward pass counts the ReLU operators that run and the ReLU modules that are called: a module that is used
    several times counts each time, and any operator beyond the modules' was called as a function.

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
        with torch.no_grad(), _Operators() as operators:
            scored(image_nchw[:1])
    finally:
        for handle in handles:
            handle.remove()
    relus = sum(operators.counts.get(name, 0) for name in RELUS)
    others = sorted({OTHER_ACTIVATIONS[name] for name in operators.counts if name in OTHER_ACTIVATIONS})
    if relus > calls:
        why = f"{relus - calls} of its {relus} ReLUs are functions, not modules, and would pass the plain gradient"
    elif others:
        why = f"its activations include {', '.join(others)}, for which the method has no rule"
    elif not relus:
        why = "no ReLU lies between the picture and the target, so it would give the plain gradient"
    else:
        return
    raise UsageError(f"{method} cannot be used on this network: {why}. Use gradient, smoothgrad or grad-cam.")
