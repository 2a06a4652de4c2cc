"""The multi-scale loop: a generator of StepEvent.

The image that the network sees is the composite (1 - sum α) photo + sum α y, with one y a region. So the loss sees the
seam, and outside the regions the gradient is exactly zero for any optimiser.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from interp.errors import MaskError, UsageError
from interp.sizes import resize_nchw01, working_size_hw_px
from interp.vgg import Vgg
from stylize.presets import DEFAULT, Settings
from stylize.scene import Scene, StyledRegion, build_scene

LBFGS_HISTORY = 10  # 24 bytes a pixel and entry; crowsonkb/style-transfer-pytorch uses the same
ADAM_BETAS = (0.9, 0.99)  # the same source


@dataclass(frozen=True)
class Step:
    """The figures of one evaluation of the loss; light enough to keep all of them.

    Attributes:
        step: Evaluations so far, from 1.
        total: Evaluations in all.
        scale: Number of the scale, from 1.
        scales: Number of scales.
        size_hw_px: Height and width of this scale.
        losses: Each term's unweighted value by name; `total` is the weighted sum a pixel.
        elapsed_s: Seconds since the start.
    """

    step: int
    total: int
    scale: int
    scales: int
    size_hw_px: tuple[int, int]
    losses: dict[str, float]
    elapsed_s: float


@dataclass(frozen=True)
class StepEvent(Step):
    """One evaluation with its images: what feeds progress, previews and report.

    Attributes:
        restyled_rchw: (R, 3, H, W), the best image of each region at this scale so far.
        scene: The scale being optimised.
    """

    restyled_rchw: Tensor = field(repr=False)
    scene: Scene = field(repr=False)

    @property
    def figures(self) -> Step:
        """The event without its images."""
        return Step(self.step, self.total, self.scale, self.scales, self.size_hw_px, self.losses, self.elapsed_s)

    @property
    def image_nchw01(self) -> Tensor:
        """The composite at this scale's size."""
        alphas = self.scene.alphas_rhw01[:, None]
        return self.scene.photo_nchw01 * (1 - alphas.sum(0)) + (alphas * self.restyled_rchw).sum(0, keepdim=True)


def stylize(
    vgg: Vgg, photo_nchw01: Tensor, regions: Sequence[StyledRegion], settings: Settings = DEFAULT
) -> Iterator[StepEvent]:
    """Restyle regions of a photo.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        regions: What to restyle; their alphas may not sum above 1.
        settings: Sizes, iterations, optimiser.

    Yields:
        One event an evaluation. The last one's images are the best of the finest scale; `isolate.compose` brings them
        into the photo.

    Raises:
        UsageError: If there is no region, or sizes disagree.
        MaskError: If regions overlap, or one is too small to carry a style.

    Example:
        >>> import numpy as np
        >>> from interp.layers import fixed_choice
        >>> from interp.weights import load_vgg
        >>> photo = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
        >>> left = np.zeros((96, 96), np.float32)
        >>> left[:, :64] = 1
        >>> region = StyledRegion(left, photo.flip(3), fixed_choice())
        >>> events = list(stylize(load_vgg("compact"), photo, [region], Settings(size_px=96, iterations=3)))
        >>> torch.equal(events[-1].image_nchw01[..., 64:], photo[..., 64:])
        True
    """
    check_regions(photo_nchw01, regions)
    sizes = scale_sizes_hw_px((photo_nchw01.shape[-2], photo_nchw01.shape[-1]), settings)
    counts = [settings.coarse_iterations] * (len(sizes) - 1) + [settings.iterations]
    started, step, restyled = time.monotonic(), 0, None
    for scale, (size, count) in enumerate(zip(sizes, counts, strict=True), start=1):
        scene = build_scene(vgg, photo_nchw01, regions, size, settings)
        restyled = _start(scene, restyled, settings)  # (R, 3, H, W)
        for losses, part in _descend(vgg, scene, scene.crop.of(restyled).clone(), count, settings):
            scene.crop.of(restyled).copy_(part)
            step += 1
            elapsed = time.monotonic() - started
            yield StepEvent(step, sum(counts), scale, len(sizes), size, losses, elapsed, restyled.clone(), scene)


def _descend(
    vgg: Vgg, scene: Scene, start_rchw: Tensor, count: int, settings: Settings
) -> Iterator[tuple[dict[str, float], Tensor]]:
    """Minimise the regions' losses; yield each evaluation's terms and the best images so far.

    A region's loss reaches its own y alone: the gradient of y_r is α_r times that of loss r at the composite.
    """
    restyled = start_rchw.requires_grad_()
    alphas = scene.crop.of(scene.alphas_rhw01)[:, None]
    best, best_loss, losses = restyled.detach().clone(), float("inf"), {}
    optimizer = _optimizer(restyled, settings)

    def evaluate() -> float:
        nonlocal best_loss, losses
        image = scene.composite(restyled.detach()).requires_grad_()
        features = vgg.activations(image, scene.layers)
        restyled.grad = torch.empty_like(restyled)
        total, losses = 0.0, {}
        for number, loss in enumerate(scene.losses):
            value, terms = loss(features, image)
            (gradient,) = torch.autograd.grad(value, image, retain_graph=number + 1 < len(scene.losses))
            restyled.grad[number] = alphas[number] * gradient[0]
            total += float(value.detach())
            prefix = f"region {number + 1}: " if len(scene.losses) > 1 else ""
            losses |= {prefix + name: term for name, term in terms.items()}
        losses["total"] = total / sum(loss.pixels for loss in scene.losses)
        if losses["total"] < best_loss:
            best_loss = losses["total"]
            best.copy_(restyled.detach())
        return total

    for step in range(count):
        if settings.optimizer == "adam":
            optimizer.param_groups[0]["lr"] = settings.learning_rate * (0.5 + 0.5 * math.cos(math.pi * step / count))
        optimizer.step(evaluate)
        if settings.optimizer == "adam":
            with torch.no_grad():
                restyled.clamp_(0, 1)
        yield losses, best


def _optimizer(restyled: Tensor, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer == "adam":
        return torch.optim.Adam([restyled], lr=settings.learning_rate, betas=ADAM_BETAS)
    # One evaluation a step; tolerances off, because they are absolute and would freeze large pictures.
    return torch.optim.LBFGS(
        [restyled], lr=1, max_iter=1, history_size=LBFGS_HISTORY, tolerance_grad=-1, tolerance_change=-1
    )


def _start(scene: Scene, coarser_rchw: Tensor | None, settings: Settings) -> Tensor:
    """The images a scale starts from: the coarser scale's, enlarged; at first the photo, or noise."""
    photo = scene.photo_nchw01
    count = len(scene.losses)
    if coarser_rchw is not None:
        return resize_nchw01(coarser_rchw, (photo.shape[-2], photo.shape[-1]))
    if settings.start == "noise":
        noise = torch.rand((count, *photo.shape[1:]), generator=torch.Generator().manual_seed(settings.seed))
        return noise.to(photo.device)
    return photo.repeat(count, 1, 1, 1)


def scale_sizes_hw_px(photo_hw_px: tuple[int, int], settings: Settings) -> list[tuple[int, int]]:
    """Heights and widths of the scales, coarse to fine, each twice the last; none of them twice."""
    sides = [settings.size_px]
    while sides[0] // 2 >= settings.coarsest_px:
        sides.insert(0, sides[0] // 2)
    return list(dict.fromkeys(working_size_hw_px(photo_hw_px, side) for side in sides))


def check_regions(photo_nchw01: Tensor, regions: Sequence[StyledRegion]) -> None:
    """Refuse regions that do not fit the photo or each other."""
    if not regions:
        raise UsageError("No region given; expected at least one.")
    height, width = photo_nchw01.shape[-2:]
    for region in regions:
        if region.alpha_hw01.shape != (height, width):
            raise UsageError(
                f"A region is {region.alpha_hw01.shape[1]}x{region.alpha_hw01.shape[0]} px, "
                f"the photo {width}x{height}; expected the same size."
            )
    if sum(region.alpha_hw01 for region in regions).max() > 1 + 1e-5:  # pyright: ignore[reportAttributeAccessIssue]
        raise MaskError("Regions overlap: their alphas sum above 1. Make one the complement of the other.")
