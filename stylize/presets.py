"""Our own way: the settings of its loop, and named presets of them."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from interp.errors import UsageError, unknown_name
from interp.network.precision import PRECISIONS, resolve_precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from interp.network.vgg import Vgg
    from interp.statistics.layers import LayerChoice
    from stylize.canvas import Canvas
    from stylize.descent import Descent
    from stylize.region import StyledRegion

COLOURS = ("none", "luminance", "match")
OPTIMIZERS = ("lbfgs", "adam")
POOLINGS = ("average", "max", "mixed")
STARTS = ("photo", "noise", "instant")
CHOICES = {"optimizer": OPTIMIZERS, "pooling": POOLINGS, "precision": PRECISIONS, "start": STARTS}
ADAM_BETAS = (0.9, 0.99)  # crowsonkb/style-transfer-pytorch
HISTORY_OF_TILES = 1  # of L-BFGS: at 4096 px ten steps would be 4 GB
SHOWN_AT = (0.1, 0.3, 0.5, 0.75)  # of the run


@dataclass(frozen=True)
class Settings:
    """How our own way optimises (`stylize.ways`).

    Attributes:
        size_px: Long side of the finest scale.
        coarsest_px: Scales are halved while their long side is at least this; a coarse scale lays out the large strokes
            that a fine one cannot move any more.
        iterations: Evaluations at the finest scale. By two networks that took no part, twice as many, coarse ones too,
            come no nearer to the painting on eight pairs at 384 px (`benchmarks/look.py`, within 1 % at ten layers).
        coarse_iterations: Evaluations at each coarser scale.
        optimizer: `lbfgs` (history 10, by tiles 1; tolerances off) or `adam`.
        learning_rate: Adam's first, in units of the [0, 1] range, falling to 0 along a half cosine.
        style_scale: Size of the painting's strokes; 1 brings the painting to the working photo's area.
        pooling: `average`, `max` or `mixed`, instead of the network's own: averages let the gradient reach every pixel.
        precision: Of the convolutions: `float32`, `bfloat16`, or `auto`, the latter where the CPU knows it.
        tile_px: Side of the tiles that a canvas is worked on by; 0 for all at once. The loss stays the same; of
            L-BFGS' history, less is kept.
        start: Where the coarsest scale begins: the `photo` in the painting's colours, `noise`, or what the decoder
            of the instant way makes of the photo.
        total_variation: tau, 0 for none; a little takes the finest ripple away.
        seed: Of the noise.
    """

    size_px: int = 512
    coarsest_px: int = 96
    iterations: int = 30
    coarse_iterations: int = 50
    optimizer: str = "lbfgs"
    learning_rate: float = 0.05
    style_scale: float = 1.0
    pooling: str = "average"
    precision: str = "auto"
    tile_px: int = 0
    start: str = "photo"
    total_variation: float = 0.07
    seed: int = 0

    def __post_init__(self) -> None:
        if not 64 <= self.size_px <= 8192:
            raise UsageError(f"Working size {self.size_px} px is out of range; expected 64 … 8192.")
        for name in ("coarsest_px", "iterations", "coarse_iterations"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ').capitalize()} {getattr(self, name)}; expected at least 1.")
        if self.tile_px and not 64 <= self.tile_px <= 8192:
            raise UsageError(f"Tiles of {self.tile_px} px; expected 64 … 8192, or 0 for none.")
        for name in ("learning_rate", "style_scale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name.replace('_', ' ').capitalize()} {value}; expected a number above 0.")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown_name(name, getattr(self, name), known)

    @property
    def isolates(self) -> bool:
        """A region is painted from itself alone."""
        return True

    def scales(self, photo_hw_px: tuple[int, int]) -> list[tuple[tuple[int, int], int]]:
        """(height, width) and evaluations of each scale, coarse to fine, each twice the last; none of them twice."""
        from interp.pictures.sizes import working_size_hw_px

        sides = [self.size_px]
        while sides[0] // 2 >= self.coarsest_px:
            sides.insert(0, sides[0] // 2)
        *coarse, finest = dict.fromkeys(working_size_hw_px(photo_hw_px, side) for side in sides)
        return [*((size, self.coarse_iterations) for size in coarse), (finest, self.iterations)]

    def resolved(self, device: "str | torch.device") -> Self:
        """The same, with the precision that `auto` stands for on a device."""
        return replace(self, precision=resolve_precision(self.precision, device))

    def in_tiles(self, tile_px: int) -> Self:
        """The same, worked on by tiles of a side."""
        return replace(self, tile_px=tile_px)

    def shows(self, step: int, total: int) -> bool:
        """Four pictures on the way."""
        return step in [math.ceil(share * total) for share in SHOWN_AT]

    def descent(self) -> "Descent":
        """The image itself, in [0, 1]."""
        from stylize.descent import Descent

        if self.optimizer == "lbfgs":
            return Descent(history=HISTORY_OF_TILES if self.tile_px else Descent.history, to_zero=True)
        return Descent("adam", self.learning_rate, falling=True, betas=ADAM_BETAS, clamp=True)

    def canvas(
        self, vgg: "Vgg", photo_nchw01: "Tensor", region: "StyledRegion", size_hw_px: tuple[int, int]
    ) -> "Canvas":
        """See `canvas.build_canvas`."""
        from stylize.canvas import build_canvas

        return build_canvas(vgg, photo_nchw01, region, size_hw_px, self)


@dataclass(frozen=True)
class Preset(Settings):
    """Our own way by name: the settings of its loop, and what a region gets where the user says nothing.

    Attributes:
        strength: Painting against photo; None leaves it to the command line.
        style_layers: Weight of each style layer, sum 1; None leaves the choice of layers open.
        content_layer: None likewise.
        name: Of the preset, or the file's path.
    """

    strength: float | None = None
    style_layers: dict[str, float] | None = None
    content_layer: str | None = None
    name: str = "default"

    cut_result: ClassVar[bool] = False
    sources: ClassVar[dict[str, str]] = {}

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"this project, preset {self.name}"

    def limited(self, size_px: int, iterations: int | None) -> "Preset":
        """The same at another size (64 px at least), with at most so many iterations at every scale."""
        counts = [min(count, iterations or count) for count in (self.iterations, self.coarse_iterations)]
        return replace(self, size_px=max(64, size_px), iterations=counts[0], coarse_iterations=counts[1])

    def uncut(self) -> "Preset":
        """Itself: what is painted is what is kept."""
        return self

    def choose(self, choice: "LayerChoice") -> "LayerChoice":
        """A choice of layers, overridden by those that the preset sets, with its weights."""
        from interp.statistics.layers import Origin

        if self.style_layers is not None:
            choice = replace(choice, style_weights=self.style_layers, style_from=Origin.PRESET)
        if self.content_layer is not None:
            choice = replace(choice, content_layer=self.content_layer, content_from=Origin.PRESET)
        return choice


DEFAULT = Settings()
PRESETS: dict[str, Preset] = {
    "default": Preset(),
    "draft": Preset(size_px=256, iterations=20, coarse_iterations=30, name="draft"),
    # One pass of a decoder, and the three steps that pay most: colours, and edges without a halo.
    "instant": Preset(start="instant", coarsest_px=8192, iterations=4, name="instant"),
}
