"""What crowsonkb/style-transfer-pytorch does by default, in our words: the best-known tool, to compare with.

Whole pictures only. Its settings, from its own source as of May 2023:

- style: squared Wasserstein-2 distance a channel at relu1_1 … relu5_1, weights 256:64:16:4:1 (sum 1);
- content: mean squared difference at relu4_2, weight .015; total variation over nine points, weight 2;
- max pools, replicate padding in conv1_1; scales from 128 px by √2; the painting's long side is the photo's;
- Adam .02, betas .9 and .99, moments carried to the next scale; image clamped; iterates averaged, .99.

Convolutions run in bfloat16 where the CPU knows it, as ours do. Its 1000 + 500 evaluations a scale are given as
arguments: on a CPU they take an hour.
"""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from interp.network.precision import resolve_precision
from interp.network.vgg import IMAGENET_STD, Vgg
from interp.pictures.sizes import resize_nchw01, working_size_hw_px
from interp.statistics.gram import region_moments
from interp.statistics.layers import FIXED_CONTENT, FIXED_STYLE
from interp.statistics.wasserstein import GaussianTarget

STYLE_WEIGHTS = tuple(weight / 341 for weight in (256, 64, 16, 4, 1))
CONTENT_WEIGHT, VARIATION_WEIGHT = 0.015, 2.0
COARSEST_PX, STEP = 128, 2**0.5
RATE, BETAS, AVERAGING = 0.02, (0.9, 0.99), 0.99


def crowsonkb(
    vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, size_px: int, first: int = 150, later: int = 80
) -> Tensor:
    """Restyle a whole photo.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        painting_nchw01: (1, 3, h, w) RGB in [0, 1].
        size_px: Long side of the finest scale.
        first: Evaluations at the first scale.
        later: Evaluations at each later one.

    Returns:
        (1, 3, y, x) RGB in [0, 1] at the finest scale.
    """
    vgg = copy.deepcopy(vgg)
    setattr(vgg.layer_module("conv1_1"), "padding_mode", "replicate")  # noqa: B010 -- a module, to the type checker
    image, moments = photo_nchw01, None
    for number, side in enumerate(_sides_px(size_px)):
        size = working_size_hw_px((photo_nchw01.shape[-2], photo_nchw01.shape[-1]), side)
        painted = working_size_hw_px((painting_nchw01.shape[-2], painting_nchw01.shape[-1]), side)
        loss = _Loss(vgg, resize_nchw01(photo_nchw01, size), resize_nchw01(painting_nchw01, painted))
        image = resize_nchw01(image, size).clone().requires_grad_()
        optimizer = torch.optim.Adam([image], lr=RATE, betas=BETAS)
        if moments is not None:
            optimizer.state[image] = _enlarged(moments, size)
        average, share = torch.zeros_like(image), 0.0
        for _ in range(later if number else first):
            (image.grad,) = torch.autograd.grad(loss(image), image)
            optimizer.step()
            with torch.no_grad():
                image.clamp_(0, 1)
                average = AVERAGING * average + (1 - AVERAGING) * image
            share = AVERAGING * share + 1 - AVERAGING
        image, moments = (average / share).clamp(0, 1), optimizer.state[image]
    return image.detach()


class _Loss:
    def __init__(self, vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor) -> None:
        self.vgg, self.precision = vgg, resolve_precision("auto", photo_nchw01.device)
        # Its constants are for input of unit spread; Caffe's is 255 std wide, and features follow it.
        self.unit = 1 / (255 * IMAGENET_STD[2]) if vgg.info.layout == "caffe" else 1.0
        with torch.no_grad():
            style = self._maps(painting_nchw01)
            self.targets = {name: GaussianTarget.of(region_moments(style[name])) for name in FIXED_STYLE}
            self.content = self._maps(photo_nchw01)[FIXED_CONTENT]

    def _maps(self, image_nchw01: Tensor) -> dict[str, Tensor]:
        image = image_nchw01.contiguous(memory_format=torch.channels_last)
        half = self.precision == "bfloat16"
        with torch.autocast(image.device.type, torch.bfloat16, enabled=half):
            maps = self.vgg.activations(image, [*FIXED_STYLE, FIXED_CONTENT])
        return {name: self.unit * values.float() for name, values in maps.items()}

    def __call__(self, image_nchw01: Tensor) -> Tensor:
        maps = self._maps(image_nchw01)
        total = CONTENT_WEIGHT * (maps[FIXED_CONTENT] - self.content).square().mean()
        for name, weight in zip(FIXED_STYLE, STYLE_WEIGHTS, strict=True):
            target = self.targets[name]
            energy = (target.mean.square().sum() + target.covariance.trace()) / len(target.mean)
            total = total + weight * (energy * target.distance(region_moments(maps[name]))).to(total)
        return total + VARIATION_WEIGHT * nine_point_variation(image_nchw01)


def nine_point_variation(image_nchw01: Tensor) -> Tensor:
    """Twice the sum of the mean squared differences along axes (a third each) and diagonals (a twelfth each)."""
    padded = F.pad(image_nchw01, (0, 1, 0, 1), mode="replicate")
    here, right, below, beyond = padded[..., :-1, :-1], padded[..., :-1, 1:], padded[..., 1:, :-1], padded[..., 1:, 1:]
    axes = (right - here).square().mean() + (below - here).square().mean()
    diagonals = (beyond - here).square().mean() + (right - below).square().mean()
    return 2 * (axes / 3 + diagonals / 12)


def _sides_px(size_px: int) -> list[int]:
    sides = [size_px]
    while (smaller := round(size_px / STEP ** len(sides))) >= COARSEST_PX:
        sides.append(smaller)
    return sides[::-1]


def _enlarged(state: dict[str, Tensor], size_hw_px: tuple[int, int]) -> dict[str, Tensor]:
    first = F.interpolate(state["exp_avg"], size=size_hw_px, mode="bicubic")
    second = F.interpolate(state["exp_avg_sq"], size=size_hw_px, mode="bilinear").relu()
    return {"step": state["step"], "exp_avg": first, "exp_avg_sq": second}
