"""What saved weights can do: classify at several sizes, and explain a full-width network's features."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_nchw01
from tools.train_compact.data import Pictures
from tools.train_compact.maps import moments_of
from tools.train_compact.recipe import FINE_CELL_PX, LAYER_WEIGHTS, MIN_SIDE_PX, RIDGE

MEASURE_BATCH = 256
OTHER_SIDES = (0.5, 0.75, 1.25, 1.5)  # of the native one


def batches01(pictures: Pictures, device: str, side_px: int | None = None) -> Iterator[Tensor]:
    """The pictures in order, as (N, 3, side, side) in [0, 1]."""
    for chunk in pictures.images_nchw_u8.split(MEASURE_BATCH):
        image_nchw01 = chunk.to(device).float() / 255
        yield resize_nchw01(image_nchw01, (side_px, side_px)) if side_px else image_nchw01


def accuracy(
    logits: Callable[[Tensor], Tensor], pictures: Pictures, device: str, side_px: int | None = None
) -> tuple[float, float]:
    """Share of pictures whose class is the first, and among the first five, of the logits."""
    first = among_five = 0
    labels = pictures.labels_n.to(device).split(MEASURE_BATCH)
    with torch.no_grad():
        for image_nchw01, expected in zip(batches01(pictures, device, side_px), labels, strict=True):
            scores = logits(image_nchw01)
            best = scores.topk(min(5, scores.shape[1])).indices == expected[:, None]
            first, among_five = first + int(best[:, 0].sum()), among_five + int(best.any(1).sum())
    return first / len(pictures.labels_n), among_five / len(pictures.labels_n)


@dataclass(frozen=True)
class Measured:
    """What the saved file can do.

    Attributes:
        top1: At native size.
        top5: At native size.
        top1_at_px: At other sides.
    """

    top1: float
    top5: float
    top1_at_px: dict[int, float]


def measure(vgg: Vgg, pictures: Pictures, device: str) -> Measured:
    """Classify all pictures at native size and around it."""
    native = vgg.info.native_size_px
    sides = [side for side in (round(native * factor) for factor in OTHER_SIDES) if side >= MIN_SIDE_PX]
    others = {side: accuracy(vgg, pictures, device, side)[0] for side in sides}
    return Measured(*accuracy(vgg, pictures, device), others)


def explained(
    nets: Sequence[Vgg],
    teacher: Vgg,
    fit_on: Iterable[Tensor],
    judged_on: Iterable[Tensor],
    layers: Sequence[str] = tuple(LAYER_WEIGHTS),
    ridge: float = RIDGE,
) -> dict[str, list[float]]:
    """Share of the teacher's variance that a linear map of each net's features explains, by layer.

    Args:
        nets: To judge.
        teacher: A full-width network.
        fit_on: (1, 3, H, W) pictures in [0, 1] to fit the maps on.
        judged_on: Others; none may be one that a net was trained on.
        layers: Names.
        ridge: As in `Moments.fit`.
    """
    fit, judged = (moments_of(nets, teacher, part, layers, FINE_CELL_PX) for part in (fit_on, judged_on))
    pairs = {name: zip(fit[name], judged[name], strict=True) for name in layers}
    return {name: [judge.explained(of_fit.fit(ridge)) for of_fit, judge in pairs[name]] for name in layers}
