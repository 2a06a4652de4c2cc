"""The multi-scale loop: a generator of StepEvent, for every way to restyle.

Each region is painted on a canvas of its own; the result is the composite (1 - sum α) photo + sum α y. So outside the
regions nothing changes, for any way, and a region's loss reaches its own y alone.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from interp.errors import MaskError, UsageError
from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_hw01, resize_nchw01, working_size_hw_px
from stylize.canvas import Scene, own_photo
from stylize.composite import compose, composite_nchw01
from stylize.descent import Evaluation, descend
from stylize.fill import with_border, without_border
from stylize.presets import DEFAULT, Settings
from stylize.recipes import Recipe
from stylize.region import StyledRegion


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
class Position:
    """Where a run is: what it can be gone on from, to the same bytes.

    Attributes:
        step: Evaluations so far.
        scale: Number of the scale, from 1.
        region: Number of the region that is painted, from 0.
        losses: As a `Step` has them.
        restyled_rchw: (R, 3, H + 32, W + 32), the images with their border.
        descent: As an `Evaluation` gives it.
    """

    step: int
    scale: int
    region: int
    losses: dict[str, float]
    restyled_rchw: Tensor = field(repr=False)
    descent: dict[str, Tensor] = field(repr=False)


@dataclass(frozen=True)
class StepEvent(Step):
    """One evaluation with its images: what feeds progress, previews and report.

    Attributes:
        restyled_rchw: (R, 3, H, W), each region's image so far; outside its canvas, the photo at first.
        scene: The scale being optimised.
        position: Gives where the run is, before the next event is asked for.
    """

    restyled_rchw: Tensor = field(repr=False)
    scene: Scene = field(repr=False)
    position: Callable[[], Position] = field(repr=False)

    @property
    def image_nchw01(self) -> Tensor:
        """The composite at this scale's size, in [0, 1]."""
        scene = self.scene
        return composite_nchw01(scene.photo_nchw01, scene.regions, scene.alphas_rhw01, self.restyled_rchw)


def stylize(
    vgg: Vgg,
    photo_nchw01: Tensor,
    regions: Sequence[StyledRegion],
    way: Settings | Recipe = DEFAULT,
    resume: Position | None = None,
) -> Iterator[StepEvent]:
    """Restyle regions of a photo.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        regions: What to restyle; their alphas may not sum above 1.
        way: Settings of our own way, a preset, or a recipe of other work.
        resume: Where to go on, of a run with the same of everything.

    Yields:
        One event an evaluation. The last one's images are the result of the finest scale; `compose` brings them into
        the photo. A descent whose loss or image is not finite any more ends there, with the last picture that was.

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
    scales = way.scales((photo_nchw01.shape[-2], photo_nchw01.shape[-1]))
    total = len(regions) * sum(count for _, count in scales)
    started, step, restyled, losses = time.monotonic(), 0, None, {}
    if resume is not None:
        step, restyled, losses = resume.step, resume.restyled_rchw.to(photo_nchw01), resume.losses
    photos = [own_photo(photo_nchw01, region) if way.isolates else photo_nchw01 for region in regions]
    for scale, (size, count) in enumerate(scales, start=1):
        if resume is not None and scale < resume.scale:
            continue
        canvases = tuple(way.canvas(vgg, *each, size) for each in zip(photos, regions, strict=True))
        photo = resize_nchw01(photo_nchw01, size)
        scene = Scene(photo, tuple(regions), _alphas(regions, photo), canvases)
        here = resume if resume is not None and scale == resume.scale else None
        restyled = restyled if here and restyled is not None else _start(scene, restyled)  # (R, 3, H + 32, W + 32)
        for number, (region, canvas, image) in enumerate(zip(regions, canvases, restyled, strict=True)):
            if here and number < here.region:
                continue
            begun = here.descent if here and number == here.region else None
            prefix = f"{region.name}: " if len(regions) > 1 else ""
            start = image[canvas.crop.here][None].clone()
            for found in descend(canvas.loss, start, count, way.descent(), begun):
                image[canvas.crop.here] = found.image_nchw01[0]
                step += 1
                terms = {name if name == "total" else prefix + name: value for name, value in found.figures.items()}
                losses = {**losses, **terms}
                elapsed, images = time.monotonic() - started, without_border(restyled).clone()
                position = partial(_position, step, scale, number, losses, restyled, found)
                yield StepEvent(
                    step, total, scale, len(scales), size, losses, elapsed, found.gradient_norm, images, scene, position
                )


def _position(
    step: int, scale: int, region: int, losses: dict[str, float], restyled_rchw: Tensor, found: Evaluation
) -> Position:
    return Position(step, scale, region, losses, restyled_rchw, found.state())


def _start(scene: Scene, coarser_rchw: Tensor | None) -> Tensor:
    """The images a scale starts from: the coarser scale's, enlarged; at first each canvas's own start."""
    photo = scene.photo_nchw01
    if coarser_rchw is not None:
        return with_border(resize_nchw01(without_border(coarser_rchw), (photo.shape[-2], photo.shape[-1])))
    images = with_border(photo).repeat(len(scene.canvases), 1, 1, 1)
    for image, canvas in zip(images, scene.canvases, strict=True):
        image[canvas.crop.here] = canvas.start_nchw01[0]
    return images


def cut_out(event: StepEvent, photo_hwc_u8: np.ndarray, cut: Callable[[np.ndarray], np.ndarray]) -> StepEvent:
    """Cut regions out of a result, instead of out of the photo.

    Args:
        event: The last event.
        photo_hwc_u8: (H, W, 3) uint8 RGB.
        cut: What finds a region in a picture: (H, W, 3) uint8 RGB -> (H, W) alpha.

    Returns:
        The event with the regions found in its own picture, restyled everywhere.
    """
    found = []
    for region, image in zip(event.scene.regions, event.restyled_rchw, strict=True):
        everywhere = replace(region, alpha_hw01=np.ones_like(region.alpha_hw01))
        found.append(replace(region, alpha_hw01=cut(compose(photo_hwc_u8, [everywhere], image[None]))))
    scene = replace(event.scene, regions=tuple(found), alphas_rhw01=_alphas(found, event.scene.photo_nchw01))
    return replace(event, scene=scene)


def reduced(vgg: Vgg, photo_nchw01: Tensor, event: StepEvent, way: Settings | Recipe, longest_px: int) -> StepEvent:
    """A result at a smaller size, with the scene that it would have there: what is measured of a large one.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) at its own size, as given to `stylize`.
        event: Its last one.
        way: As given.
        longest_px: Long side.
    """
    regions, size = event.scene.regions, working_size_hw_px(event.size_hw_px, longest_px)
    photos = [own_photo(photo_nchw01, region) if way.isolates else photo_nchw01 for region in regions]
    canvases = tuple(way.canvas(vgg, *each, size) for each in zip(photos, regions, strict=True))
    photo = resize_nchw01(photo_nchw01, size)
    restyled = torch.cat([resize_nchw01(image, size) for image in event.restyled_rchw.split(1)])
    scene = Scene(photo, regions, _alphas(regions, photo), canvases)
    return replace(event, size_hw_px=size, restyled_rchw=restyled, scene=scene)


def _alphas(regions: Sequence[StyledRegion], photo_nchw01: Tensor) -> Tensor:
    """The regions at a photo's size, (R, H, W), on its device."""
    size = photo_nchw01.shape[-2], photo_nchw01.shape[-1]
    alphas = np.stack([resize_hw01(region.alpha_hw01, size) for region in regions])
    return torch.from_numpy(alphas).to(photo_nchw01.device)


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
