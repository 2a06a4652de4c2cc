"""What a target makes of photos: its value, where it answers, and what the cells that answer most see."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from interp.attribution.maximise import before_relu
from interp.attribution.targets import Scored, Target
from interp.network.classify import Classifier, native_size_hw_px
from interp.network.layer_names import LAYERS
from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_nchw01, working_size_hw_px

RESPONSE_PX = 512  # long side at which a photo is looked at
CELLS = 12  # of a photo, at most
BEYOND = 0.5  # grey, in place of what a cell sees beyond the photo's border


@dataclass(frozen=True)
class Cell:
    """One cell of a layer's grid, and its receptive field.

    Attributes:
        row: In the grid, from 0.
        column: In the grid, from 0.
        value: The channel there, or the mean of the layer's channels.
        seen_px: Top, left, height and width of what it sees of the photo as it was looked at, in px; it may reach
            beyond the border.
    """

    row: int
    column: int
    value: float
    seen_px: tuple[int, int, int, int]


@dataclass(frozen=True)
class Response:
    """What a target makes of a photo.

    Attributes:
        value: Of the number that was raised.
        input_hwc01: (H, W, 3) the photo at the size it was looked at, RGB.
        map_hw: Values of the channel, or the mean of the layer's, on the layer's own grid; None for a class.
        cells: Those that answer most, best first, no two of which see much the same; none for a class.
        by_gradient: Whether what a cell sees is as far as its gradient reached, not the layers' arithmetic.
    """

    value: float
    input_hwc01: np.ndarray = field(repr=False)
    map_hw: np.ndarray | None = field(repr=False)
    cells: tuple[Cell, ...]
    by_gradient: bool = False

    def patch(self, cell: Cell) -> np.ndarray:
        """What a cell sees, (h, w, 3) RGB in [0, 1]; grey beyond the photo's border."""
        top, left, height, width = cell.seen_px
        patch = np.full((height, width, 3), BEYOND, np.float32)
        rows, columns = (
            slice(max(0, start), min(start + size, end))
            for start, size, end in zip((top, left), (height, width), self.input_hwc01.shape, strict=False)
        )
        inside = self.input_hwc01[rows, columns]
        above, before = rows.start - top, columns.start - left
        patch[above : above + inside.shape[0], before : before + inside.shape[1]] = inside
        return patch


def response(classifier: Classifier, target: Target, image_nchw01: Tensor) -> Response:
    """Look at a photo through a target.

    A cell of VGG-19 sees the square that its layers' kernels, strides and paddings make; of another network nothing is
    known of that, so there the gradient of the one strongest cell is followed back to the pixels.

    Args:
        classifier: The network.
        target: A class (looked at in its native size), a channel or a layer (at 512 px).
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], any size.

    Returns:
        Its value, its map, and the cells that answer most.

    Example:
        >>> from interp.network.weights import load_vgg
        >>> found = response(load_vgg("compact"), Target("relu2_1:3", 3, "relu2_1"), torch.rand(1, 3, 64, 96))
        >>> found.map_hw.shape, found.patch(found.cells[0]).shape
        ((32, 48), (10, 10, 3))
    """
    size_hw_px = native_size_hw_px(classifier, image_nchw01)
    if not target.is_class and not classifier.only_squares:
        size_hw_px = working_size_hw_px((image_nchw01.shape[-2], image_nchw01.shape[-1]), RESPONSE_PX)
    image = resize_nchw01(image_nchw01.detach(), size_hw_px)
    input_hwc01 = image[0].permute(1, 2, 0).cpu().numpy()
    raised = before_relu(classifier, target)
    with torch.no_grad():
        value = float(Scored(classifier, raised)(image))
        if raised.is_class:
            return Response(value, input_hwc01, None, ())
        map_hw = _map(classifier, raised, image).cpu().numpy()
    if isinstance(classifier, Vgg):
        return Response(value, input_hwc01, map_hw, _cells(map_hw, raised.layer))
    return Response(value, input_hwc01, map_hw, _one_cell(classifier, raised, image), by_gradient=True)


def strongest(responses: Mapping[str, Response], count: int = CELLS) -> list[tuple[str, Cell]]:
    """The cells of several photos that answer most, best first.

    Args:
        responses: To one target, by the photo's name.
        count: At most that many.

    Returns:
        (name, cell).
    """
    every = [(name, cell) for name, found in responses.items() for cell in found.cells]
    return sorted(every, key=lambda entry: -entry[1].value)[:count]


def _map(classifier: Classifier, target: Target, image_nchw01: Tensor) -> Tensor:
    values = classifier.layer_values(image_nchw01, target.layer)[0]
    return values.mean(dim=0) if target.index < 0 else values[target.index]


def _cells(map_hw: np.ndarray, name: str) -> tuple[Cell, ...]:
    """The strongest cells, each more than half a receptive field from those before it, down or across."""
    place = LAYERS[name]
    free, cells = map_hw.astype(np.float64), list[Cell]()
    apart = max(1, place.receptive_field_px // (2 * place.stride_px))
    while len(cells) < CELLS and np.isfinite(free.max()):
        row, column = (int(index) for index in np.unravel_index(free.argmax(), free.shape))
        cells.append(Cell(row, column, float(free[row, column]), place.seen_px(row, column)))
        free[max(0, row - apart) : row + apart + 1, max(0, column - apart) : column + apart + 1] = -np.inf
    return tuple(cells)


def _one_cell(classifier: Classifier, target: Target, image_nchw01: Tensor) -> tuple[Cell, ...]:
    """The strongest cell, and the smallest box that holds every pixel from which a gradient comes."""
    pixels = image_nchw01.clone().requires_grad_()
    map_hw = _map(classifier, target, pixels)
    row, column = divmod(int(map_hw.argmax()), map_hw.shape[1])
    (gradient,) = torch.autograd.grad(map_hw[row, column], pixels)
    reached = gradient[0].abs().amax(dim=0) > 0
    if not bool(reached.any()):
        return ()
    (top, bottom), (left, right) = (
        (int(along[0]), int(along[-1])) for along in (reached.any(dim=axis).nonzero()[:, 0] for axis in (1, 0))
    )
    return (Cell(row, column, float(map_hw[row, column].detach()), (top, left, bottom - top + 1, right - left + 1)),)
