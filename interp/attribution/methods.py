"""The attribution methods by name, on a network narrowed to one number per picture; the longer ones through Captum.

Two kinds of map come out. A sensitivity tells how much the target would change with a pixel; its size counts. A
contribution tells how much of the target a pixel makes up; its sign counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from interp.attribution.cells import Cells
from interp.attribution.guided import check_guided, guided_relus
from interp.attribution.targets import Scored
from interp.errors import UsageError, unknown_name
from interp.network.layer_names import LAYERS
from interp.network.vgg import Vgg

GUIDED = "guided-backprop"
NOISE_SHARE = 0.15  # of the picture's range: Smilkov et al. 2017 recommend 10 to 20 %
WINDOW_SHARE = 1 / 8  # of the shorter side; Zeiler & Fergus 2014 used about a fifth


@dataclass(frozen=True)
class MethodOptions:
    """What the methods can be told.

    Attributes:
        samples: Noisy copies of SmoothGrad, and steps of integrated gradients' path.
        batch: Pictures at once in the methods that look at many.
        cam_layer: Layer of Grad-CAM; None for the network's last grid, or the one before the target's layer.
        seed: Of SmoothGrad's noise.
    """

    samples: int = 50
    batch: int = 16
    cam_layer: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Method:
    """One way to attribute.

    Attributes:
        name: What the user writes.
        title: What figures write.
        source: The paper and its formula.
        run: (scored, image, options) to (1, 3, h, w), or (1, 1, h, w) where a method gives one value a pixel.
        contribution: Whether the values are shares of the target, signed, rather than sensitivities.
        guided: Whether it changes the gradient of ReLUs.
        cells: Of a coarse method, (scored, image, options, its map) to the cells that it knows.
    """

    name: str
    title: str
    source: str
    run: Callable[[Scored, Tensor, MethodOptions], Tensor]
    contribution: bool = False
    guided: bool = False
    cells: Callable[[Scored, Tensor, MethodOptions, Tensor], Cells] | None = None


def attribute(scored: Scored, image_nchw01: Tensor, method: str, options: MethodOptions | None = None) -> Tensor:
    """Attribute a target to the pixels.

    Args:
        scored: The network and its target.
        image_nchw01: (1, 3, h, w) float RGB in [0, 1], at the size to look at.
        method: One of `METHODS`.
        options: Defaults if None.

    Returns:
        (1, 3, h, w), or (1, 1, h, w) for grad-cam and occlusion. The network is left as it was, also after an error.

    Raises:
        UsageError: If the method is unknown or cannot be used on this network or target.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    options = options or MethodOptions()
    if options.samples < 1 or options.batch < 1:
        raise UsageError(f"Got {options.samples} samples in batches of {options.batch}; expected at least 1 of each.")
    image = image_nchw01.detach().clone()
    if METHODS[method].guided:
        check_guided(scored, image, METHODS[method].title)
    return METHODS[method].run(scored, image.requires_grad_(), options).detach()


def cells_of(
    scored: Scored, image_nchw01: Tensor, method: str, options: MethodOptions, map_nchw: Tensor
) -> Cells | None:
    """The cells behind the map that `attribute` gave; None where the method knows every pixel."""
    read = METHODS[method].cells
    return read(scored, image_nchw01.detach().clone().requires_grad_(), options, map_nchw) if read else None


def cam_layer_of(scored: Scored, options: MethodOptions) -> str:
    """Which layer Grad-CAM looks at.

    Raises:
        UsageError: If there is none before the target.
    """
    classifier, target = scored.classifier, scored.target
    name = options.cam_layer or classifier.cam_layer
    if target.is_class:
        if not name:
            raise UsageError(f"{classifier.info.name} has no layer that is a grid; Grad-CAM needs one.")
        return name
    if not isinstance(classifier, Vgg):
        if options.cam_layer is None:
            raise UsageError(f"Grad-CAM of {target.name} needs a layer before it; give it as --layer.")
        return name
    before = [entry.name for entry in LAYERS.values() if entry.index < LAYERS[target.layer].index]
    if options.cam_layer is None:
        name = next((entry for entry in reversed(before) if entry.startswith("relu")), "")
    if name not in before:
        raise UsageError(f"Grad-CAM of {target.name} needs a layer before it; got {name or 'none'!r}. Choose another.")
    return name


def _gradient(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    (gradient,) = torch.autograd.grad(scored(image)[:, 0].sum(), image)
    return gradient


def _input_x_gradient(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    return image * _gradient(scored, image, options)


def _guided_backprop(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    with guided_relus(scored, gated=True):
        return _gradient(scored, image, options)


def _deconvolution(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    with guided_relus(scored, gated=False):
        return _gradient(scored, image, options)


def _smoothgrad(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    from captum.attr import NoiseTunnel, Saliency  # here and below, because captum loads pyplot: half a second

    spread = NOISE_SHARE * float(image.detach().max() - image.detach().min())
    cuda = [image.device] if image.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(options.seed)  # NoiseTunnel draws from the global generator, restored afterwards
        tunnel: Any = NoiseTunnel(Saliency(scored))
        return tunnel.attribute(
            image, nt_type="smoothgrad", nt_samples=options.samples, nt_samples_batch_size=options.batch,
            stdevs=spread, abs=False, target=0,
        )  # fmt: skip


def _integrated_gradients(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    from captum.attr import IntegratedGradients

    return IntegratedGradients(scored).attribute(
        image, baselines=torch.zeros_like(image), target=0, n_steps=options.samples, internal_batch_size=options.batch
    )


def _cam_grid(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    from captum.attr import LayerGradCam

    layer = scored.classifier.layer_module(cam_layer_of(scored, options))
    grid: Any = LayerGradCam(scored, layer).attribute(image, target=0, relu_attributions=True)
    if not isinstance(grid, Tensor) or grid.ndim != 4:
        raise UsageError("Grad-CAM's layer gives no grid of channels; expected one that does.")
    return grid


def _grad_cam(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    grid = _cam_grid(scored, image, options)
    return F.interpolate(grid, size=image.shape[-2:], mode="bilinear", align_corners=False)


def _cam_cells(scored: Scored, image: Tensor, options: MethodOptions, map_nchw: Tensor) -> Cells:
    values_hw = _cam_grid(scored, image, options)[0, 0].detach().cpu().numpy()
    return Cells(values_hw, values_hw.shape)


def _guided_grad_cam(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    return _guided_backprop(scored, image, options) * _grad_cam(scored, image, options)


def _occlusion(scored: Scored, image: Tensor, options: MethodOptions) -> Tensor:
    from captum.attr import Occlusion

    step = _occlusion_step_px(image)
    mean = scored.classifier.normalise.mean.to(image).expand_as(image)
    with torch.no_grad():
        values = Occlusion(scored).attribute(
            image.detach(), sliding_window_shapes=(3, 2 * step, 2 * step), strides=(3, step, step), baselines=mean,
            target=0, perturbations_per_eval=options.batch,
        )  # fmt: skip
    return values[:, :1]


def _occlusion_step_px(image: Tensor) -> int:
    """Half a window's side: windows overlap by half, so that the map is made of squares of this side."""
    return max(2, round(WINDOW_SHARE * min(image.shape[-2:]) / 2))


def _occlusion_cells(scored: Scored, image: Tensor, options: MethodOptions, map_nchw: Tensor) -> Cells:
    step, (height, width) = _occlusion_step_px(image), image.shape[-2:]
    return Cells(map_nchw[0, 0, ::step, ::step].cpu().numpy(), (height / step, width / step))


METHODS = {
    entry.name: entry
    for entry in (
        Method("gradient", "Gradient", "d target / d pixel (Simonyan et al. 2013)", _gradient),
        Method(
            "input-x-gradient", "Input × gradient", "pixel · d target / d pixel (Shrikumar et al. 2016)",
            _input_x_gradient, contribution=True,
        ),
        Method(
            GUIDED, "Guided backprop",
            "the gradient; every ReLU also blocks what flows back negative (Springenberg et al. 2015)",
            _guided_backprop, guided=True,
        ),
        Method(
            "deconvolution", "Deconvolution",
            "the gradient; every ReLU blocks what flows back negative, and nothing else (Zeiler & Fergus 2014)",
            _deconvolution, guided=True,
        ),
        Method("smoothgrad", "SmoothGrad", "mean gradient of noisy copies (Smilkov et al. 2017)", _smoothgrad),
        Method(
            "integrated-gradients", "Integrated gradients",
            "pixel · mean gradient on the way from black (Sundararajan et al. 2017)",
            _integrated_gradients, contribution=True,
        ),
        Method(
            "grad-cam", "Grad-CAM", "a layer's channels weighted by their mean gradient (Selvaraju et al. 2017)",
            _grad_cam, contribution=True, cells=_cam_cells,
        ),
        Method(
            "guided-grad-cam", "Guided Grad-CAM", "guided backprop × Grad-CAM (Selvaraju et al. 2017)",
            _guided_grad_cam, guided=True,
        ),
        Method(
            "occlusion", "Occlusion", "fall of the target when a square is greyed out (Zeiler & Fergus 2014)",
            _occlusion, contribution=True, cells=_occlusion_cells,
        ),
    )
}  # fmt: skip
