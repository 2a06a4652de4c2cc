"""The optimiser's way through the network: the features of an image, and their gradient to the image, by hand.

What automatic differentiation would compute, but the weights are frozen: a convolution's gradient to its input is a
convolution with the kernel turned round and the channels swapped, prepared once, by Winograd's products where they pay;
gradients add up in place; nothing is kept of the way down but what comes out of the ReLUs. Channels lie last, which
CPUs multiply faster.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from interp.network.layer_names import LAYERS, deepest
from interp.network.vgg import Vgg, check_fits, pooled
from interp.network.winograd import Winograd, pays
from interp.statistics.gram import KeptMoments, Moments

LAST = torch.channels_last
Convolution = Callable[[Tensor], Tensor]  # (N, in, h, w) -> (N, out, h, w), the channels last


@dataclass(frozen=True)
class _Layer:
    """One layer of the pass: its name and, of a convolution, the way down and back."""

    name: str
    down: Convolution | None = None
    back: Convolution | None = None


class FrozenPass:
    """Named layers of a network whose weights stay as they are.

    Args:
        vgg: The network.
        layers: Names such as `relu4_2`; `convX_Y` is the value before the ReLU.
        pooling: `max`, as trained; `average`, whose gradient reaches every pixel (Gatys et al. 2016, section 2);
            or `mixed`, the mean of both.
        precision: `float32`, or `bfloat16` for the convolutions, their gradients and the values returned
            (`precision.resolve_precision`).
    """

    def __init__(self, vgg: Vgg, layers: Sequence[str], pooling: str = "max", precision: str = "float32") -> None:
        self.vgg, self.names, self.pooling = vgg, tuple(dict.fromkeys(layers)), pooling
        self.dtype = torch.bfloat16 if precision == "bfloat16" else vgg.normalise.mean.dtype
        self.last = deepest(layers)
        count = list(LAYERS.values()).index(self.last) + 1
        self.steps = [self._step(*pair) for pair in zip(list(LAYERS)[:count], vgg.features, strict=False)]

    def __call__(self, image_nchw01: Tensor) -> dict[str, Tensor]:
        """Look at an image.

        Args:
            image_nchw01: (N, 3, H, W) float RGB in [0, 1]; gradients flow back to it, once.

        Returns:
            For each name (N, C, H / stride, W / stride), in the order asked for.

        Raises:
            UsageError: If the image has no cell at the deepest layer.
        """
        return self.look(image_nchw01, {}, self.names)[1]

    def look(
        self, image_nchw01: Tensor, masks: Mapping[str, Tensor], kept: Sequence[str]
    ) -> tuple[dict[str, Moments], dict[str, Tensor]]:
        """Look at an image for less than all: no gradient to a whole layer is held of those with moments alone.

        Args:
            image_nchw01: As above.
            masks: (h, w) weights on the grids of the layers whose mean and covariance are wanted.
            kept: Layers whose maps are wanted.

        Returns:
            Moments, as `region_moments` has them, and maps, by layer; gradients flow back from both.

        Raises:
            UsageError: As above.
        """
        check_fits(image_nchw01, self.last)
        seen = self.vgg.normalise(image_nchw01).to(self.dtype, memory_format=LAST)
        found = cast("tuple[Tensor, ...]", _Pass.apply(seen, self, masks, tuple(kept)))
        moments, maps = found[: 2 * len(masks)], found[2 * len(masks) :]
        pairs = zip(moments[::2], moments[1::2], strict=True)
        return dict(zip(masks, pairs, strict=True)), dict(zip(kept, maps, strict=True))

    def _step(self, name: str, module: nn.Module) -> _Layer:
        return _Layer(name, *_prepared(module, self.dtype)) if isinstance(module, nn.Conv2d) else _Layer(name)


def _prepared(module: nn.Conv2d, dtype: torch.dtype) -> tuple[Convolution, Convolution]:
    """The way down and back through a convolution, kept with its module: every scale and region asks for them."""
    made_of = (dtype, module.weight.data_ptr(), module.weight._version)  # a copy, or new weights, are prepared anew
    kept = getattr(module, "frozen", None)
    if kept is None or kept[0] != made_of:
        ways = _ways(module.weight.detach(), cast("Tensor", module.bias).detach(), dtype)
        kept = made_of, ways, module.weight  # which is held, so that no other takes its address
        module.frozen = kept  # pyright: ignore[reportArgumentType]
    return kept[1]


def _ways(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> tuple[Convolution, Convolution]:
    """Directly, or by Winograd's products where they pay."""
    if pays(weight, dtype):
        down = Winograd(weight, bias, dtype)
        return down, down.turned()
    weight, bias = weight.to(dtype), bias.to(dtype)
    return _direct(weight, bias), _direct(weight.flip(2, 3).transpose(0, 1), None)


def _direct(weight: Tensor, bias: Tensor | None) -> Convolution:
    return partial(F.conv2d, weight=weight.contiguous(memory_format=LAST), bias=bias, padding=1)


class _Pass(torch.autograd.Function):
    """The pass as one step of automatic differentiation: moments of some layers, maps of others."""

    @staticmethod
    def forward(
        ctx, value: Tensor, way: FrozenPass, masks: Mapping[str, Tensor], names: tuple[str, ...]
    ) -> tuple[Tensor, ...]:
        maps, moments, kept = {}, {}, []
        for step in way.steps:
            if step.down is not None:
                value = step.down(value)
            elif step.name.startswith("relu"):
                before = step.name.replace("relu", "conv")
                value = F.relu(value) if before in maps or before in moments else F.relu_(value)
                if ctx.needs_input_grad[0]:
                    kept.append(value.detach())  # what is returned would hold the pass that holds it
            else:
                value = pooled(value, way.pooling)
            if step.name in masks:
                moments[step.name] = KeptMoments(value.detach(), masks[step.name])
            if step.name in names:
                maps[step.name] = value
        ctx.set_materialize_grads(False)
        ctx.way, ctx.names, ctx.moments = way, names, {name: moments[name] for name in masks}
        ctx.kept = kept  # not `save_for_backward`: it frees nothing before the end
        return *(part for name in masks for part in moments[name].moments), *(maps[name] for name in names)

    @staticmethod
    def backward(ctx, *gradients: Tensor | None) -> tuple[Tensor | None, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        way, kept, moments = ctx.way, ctx.kept, ctx.moments
        pairs, own = gradients[: 2 * len(moments)], gradients[2 * len(moments) :]
        along = dict(zip(moments, zip(pairs[::2], pairs[1::2], strict=True), strict=True))
        own = dict(zip(ctx.names, own, strict=True))
        gradient = None
        for step in reversed(way.steps):
            gradient = _sum(gradient, own.pop(step.name, None))
            if step.name in moments:
                gradient = moments.pop(step.name).add_gradient(along[step.name], gradient)
            if gradient is None:
                if step.name.startswith("relu"):
                    kept.pop()
            elif step.back is not None:
                gradient = step.back(gradient)
            elif step.name.startswith("relu"):
                torch.ops.aten.threshold_backward.grad_input(gradient, kept.pop(), 0, grad_input=gradient)
            else:
                gradient = _unpooled(gradient, kept[-1], way.pooling)
        return gradient, None, None, None


def _sum(gradient: Tensor | None, own: Tensor | None) -> Tensor | None:
    """What reaches a layer from deeper ones, in place, plus what the loss asks of it."""
    if own is None:
        return gradient
    return own.clone(memory_format=LAST) if gradient is None else gradient.add_(own)


def _unpooled(gradient: Tensor, entered: Tensor, pooling: str) -> Tensor:
    """The gradient to what entered a pool."""
    if pooling != "average":
        with torch.enable_grad():
            entered = entered.detach().requires_grad_()
            return torch.autograd.grad(pooled(entered, pooling), entered, gradient)[0]
    spread = F.interpolate(gradient.mul_(0.25), scale_factor=2)
    dropped = [whole - part for whole, part in zip(entered.shape[2:], spread.shape[2:], strict=True)]
    return F.pad(spread, (0, dropped[1], 0, dropped[0])) if any(dropped) else spread
