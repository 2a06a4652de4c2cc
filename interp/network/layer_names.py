"""VGG-19's layers by name: order, stride, receptive field. No torch: names are checked before it loads.

Source: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks", table 1, column E. `convX_Y` is the value before
the ReLU, `reluX_Y` the value after it, `poolX` the 2x2 max-pool that ends block X.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from interp.errors import unknown_name

CONVS_PER_BLOCK = (2, 2, 4, 4, 4)
CHANNELS_PER_BLOCK = (64, 128, 256, 512, 512)


@dataclass(frozen=True)
class Layer:
    """One named layer of VGG-19.

    Attributes:
        name: `conv1_1`, `relu1_1`, `pool1` …
        index: Position in torchvision's `vgg19().features`.
        block: 1 … 5, the scale the layer belongs to.
        stride_px: Distance of two neighbouring cells, in pixels of the input.
        receptive_field_px: Side of the square of pixels that one cell sees.
    """

    name: str
    index: int
    block: int
    stride_px: int
    receptive_field_px: int

    @property
    def inset_px(self) -> int:
        """How far a cell sees beyond its own square of pixels: (RF - stride) / 2."""
        return (self.receptive_field_px - self.stride_px) // 2

    @property
    def reach_px(self) -> int:
        """Distance from a cell's far edge to the end of its receptive field: (RF + stride) / 2."""
        return (self.receptive_field_px + self.stride_px) // 2

    def seen_px(self, row: int, column: int) -> tuple[int, int, int, int]:
        """What one cell sees of the picture: top, left, height and width of a square that may leave it."""
        top, left = (index * self.stride_px - self.inset_px for index in (row, column))
        return top, left, self.receptive_field_px, self.receptive_field_px


def _table() -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    index, stride, field = 0, 1, 1
    for block, convs in enumerate(CONVS_PER_BLOCK, start=1):
        for number in range(1, convs + 1):
            field += 2 * stride  # a 3x3 convolution sees one more cell on each side
            for kind in ("conv", "relu"):
                name = f"{kind}{block}_{number}"
                layers[name] = Layer(name, index, block, stride, field)
                index += 1
        field += stride  # a 2x2 pool sees one more cell
        stride *= 2
        layers[f"pool{block}"] = Layer(f"pool{block}", index, block, stride, field)
        index += 1
    return layers


LAYERS: dict[str, Layer] = _table()
RELU_NAMES: tuple[str, ...] = tuple(name for name in LAYERS if name.startswith("relu"))


def layer(name: str) -> Layer:
    """Look up a layer.

    Args:
        name: A layer name such as `relu4_2`.

    Returns:
        Its place in the network.

    Raises:
        UsageError: If VGG-19 has no such layer.
    """
    if name not in LAYERS:
        raise unknown_name("layer", name, LAYERS, _translated(name))
    return LAYERS[name]


def _translated(name: str) -> str | None:
    """Our name for a layer called as elsewhere: `RELU4_1`, Keras' `block4_conv2`, torchvision's `features.21`."""
    text = name.strip().lower()
    if match := re.fullmatch(r"(?:features?\W*)?(\d+)\W*", text):
        return next((layer.name for layer in LAYERS.values() if layer.index == int(match[1])), None)
    if match := re.fullmatch(r"block(\d)_(conv|relu|pool)(\d?)", text):
        block, kind, number = match.groups()
        text = f"pool{block}" if kind == "pool" else f"{kind}{block}_{number}"
    elif match := re.fullmatch(r"(conv|relu|r|c)\W*_?(\d)\W?_?(\d)", text):
        text = f"{ {'r': 'relu', 'c': 'conv'}.get(match[1], match[1]) }{match[2]}_{match[3]}"
    return text if text in LAYERS else None


def deepest(names: Iterable[str]) -> Layer:
    """Return the layer among `names` that comes last in the network."""
    return max((layer(name) for name in names), key=lambda found: found.index)
