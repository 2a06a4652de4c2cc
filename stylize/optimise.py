"""The multi-scale loop: a generator of StepEvent.

Each region is painted on a canvas of its own; the result is the composite (1 - sum α) photo + sum α y. So outside the
regions nothing changes, for any optimiser, and a region's loss reaches its own y alone.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor

from interp.errors import MaskError, UsageError
from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_hw01, resize_nchw01, working_size_hw_px
from stylize.canvas import Canvas, Scene, build_canvas, own_photo
from stylize.fill import with_border, without_border
from stylize.presets import DEFAULT, Settings
from stylize.region import StyledRegion

LBFGS_HISTORY = 10  # 24 bytes a pixel and entry; crowsonkb/style-transfer-pytorch uses the same
ADAM_BETAS = (0.9, 0.99)  # the same source


@dataclass(frozen=True)
class Step:
    """The figures of one evaluation of the loss; light enough to keep all of them.

    Attributes:
        step: Evaluations so far, from 1, over all regions.
        total: Evaluations in all.
        scale: Number of the scale, from 1.
        scales: Number of scales.
        size_hw_px: Height and width of this scale.
        losses: Each term's latest unweighted value by name; `total` is the weighted sum a pixel. With several regions
            the names begin with the region's, and `total` is that of the one being painted.
        elapsed_s: Seconds since the start.
        gradient_norm: Of the loss, with respect to the image being optimised.
    """

    step: int
    total: int
    scale: int
    scales: int
    size_hw_px: tuple[int, int]
    losses: dict[str, float]
    elapsed_s: float
    gradient_norm: float

    @property
    def figures(self) -> "Step":
        """The figures alone, without an event's images."""
        return Step(**{item.name: getattr(self, item.name) for item in fields(Step)})


@dataclass(frozen=True)
class StepEvent(Step):
    """One evaluation with its images: what feeds progress, previews and report.

    Attributes:
        restyled_rchw: (R, 3, H, W), the best image of each region so far; outside its canvas, the photo at first.
        scene: The scale being optimised.
    """

    restyled_rchw: Tensor = field(repr=False)
    scene: Scene = field(repr=False)

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
        >>> from interp.statistics.layers import fixed_choice
        >>> from interp.network.weights import load_vgg
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
    steps = len(regions) * sum(counts)
    started, step, restyled, losses = time.monotonic(), 0, None, {}
    photos = [own_photo(photo_nchw01, region) for region in regions]
    for scale, (size, count) in enumerate(zip(sizes, counts, strict=True), start=1):
        canvases = tuple(build_canvas(vgg, *each, size, settings) for each in zip(photos, regions, strict=True))
        alphas = np.stack([resize_hw01(region.alpha_hw01, size) for region in regions])
        scene = Scene(resize_nchw01(photo_nchw01, size), torch.from_numpy(alphas).to(photo_nchw01.device), canvases)
        restyled = _start(scene, restyled, settings)  # (R, 3, H + 32, W + 32)
        for region, canvas, image in zip(regions, scene.canvases, restyled, strict=True):
            prefix = f"{region.name}: " if len(regions) > 1 else ""
            for terms, norm, best in _descend(vgg, canvas, image[canvas.crop.here][None].clone(), count, settings):
                image[canvas.crop.here] = best[0]
                step += 1
                losses = {**losses, **{prefix + name: value for name, value in terms.items()}, "total": terms["total"]}
                elapsed = time.monotonic() - started
                yield StepEvent(
                    step, steps, scale, len(sizes), size, losses, elapsed, norm, without_border(restyled).clone(), scene
                )


def _descend(
    vgg: Vgg, canvas: Canvas, start_nchw01: Tensor, count: int, settings: Settings
) -> Iterator[tuple[dict[str, float], float, Tensor]]:
    """Minimise a region's loss on its canvas; yield each evaluation's terms, gradient norm, and the best image yet."""
    image = start_nchw01.contiguous().requires_grad_()
    best, best_loss, losses = image.detach().clone(), float("inf"), {}
    optimizer = _optimizer(image, settings)

    def evaluate() -> float:
        nonlocal best_loss, losses
        value, losses = canvas.loss(vgg.activations(image, canvas.layers, settings.pooling), image)
        image.grad = torch.autograd.grad(value, image)[0].contiguous()  # L-BFGS flattens it
        total = float(value.detach())
        losses["total"] = total / canvas.loss.pixels
        if total < best_loss:
            best_loss = total
            best.copy_(image.detach())
        return total

    for step in range(count):
        if settings.optimizer == "adam":
            optimizer.param_groups[0]["lr"] = settings.learning_rate * (0.5 + 0.5 * math.cos(math.pi * step / count))
        optimizer.step(evaluate)
        if settings.optimizer == "adam":
            with torch.no_grad():
                image.clamp_(0, 1)
        assert image.grad is not None
        yield losses, float(image.grad.norm()), best


def lbfgs(image: Tensor) -> torch.optim.LBFGS:
    """L-BFGS, one evaluation a step; its tolerances are off, because they are absolute and freeze large pictures."""
    return torch.optim.LBFGS(
        [image], lr=1, max_iter=1, history_size=LBFGS_HISTORY, tolerance_grad=-1, tolerance_change=-1
    )


def _optimizer(image: Tensor, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer == "adam":
        return torch.optim.Adam([image], lr=settings.learning_rate, betas=ADAM_BETAS)
    return lbfgs(image)


def _start(scene: Scene, coarser_rchw: Tensor | None, settings: Settings) -> Tensor:
    """The images a scale starts from: the coarser scale's, enlarged; at first each region's draft, or noise."""
    photo = scene.photo_nchw01
    if coarser_rchw is not None:
        return with_border(resize_nchw01(without_border(coarser_rchw), (photo.shape[-2], photo.shape[-1])))
    images = with_border(photo).repeat(len(scene.canvases), 1, 1, 1)
    generator = torch.Generator().manual_seed(settings.seed)
    for image, canvas in zip(images, scene.canvases, strict=True):
        noisy = settings.start == "noise"
        start = torch.rand(canvas.draft_nchw01.shape, generator=generator) if noisy else canvas.draft_nchw01
        image[canvas.crop.here] = start[0].to(image)
    return images


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
