"""Settings of the optimisation, and named sets of them."""

import math
from dataclasses import dataclass, replace

from interp.errors import UsageError, unknown_name

COLOURS = ("none", "luminance", "match")
OPTIMIZERS = ("lbfgs", "adam")
POOLINGS = ("average", "max")
STARTS = ("photo", "noise")


@dataclass(frozen=True)
class Settings:
    """How to optimise.

    Attributes:
        size_px: Long side of the finest scale.
        coarsest_px: Scales are halved while their long side is at least this; a coarse scale lays out the large strokes
            that a fine one cannot move any more.
        iterations: Evaluations at the finest scale.
        coarse_iterations: Evaluations at each coarser scale.
        optimizer: `lbfgs` (history 10, tolerances off) or `adam`.
        learning_rate: Adam's first, in units of the [0, 1] range, falling to 0 along a half cosine.
        style_scale: Size of the painting's strokes; 1 brings the painting to the working photo's area.
        pooling: `average` or `max`, in place of the network's own: averages let the gradient reach every pixel.
        start: `photo` or `noise`, where the coarsest scale begins.
        total_variation: tau, 0 for none.
        seed: Of the noise.
    """

    size_px: int = 512
    coarsest_px: int = 96
    iterations: int = 60
    coarse_iterations: int = 60
    optimizer: str = "lbfgs"
    learning_rate: float = 0.05
    style_scale: float = 1.0
    pooling: str = "average"
    start: str = "photo"
    total_variation: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 64 <= self.size_px <= 8192:
            raise UsageError(f"Working size {self.size_px} px is out of range; expected 64 … 8192.")
        for name in ("coarsest_px", "iterations", "coarse_iterations"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ').capitalize()} {getattr(self, name)}; expected at least 1.")
        for name in ("learning_rate", "style_scale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name.replace('_', ' ').capitalize()} {value}; expected a number above 0.")
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS)
        if self.pooling not in POOLINGS:
            raise unknown_name("pooling", self.pooling, POOLINGS)
        if self.start not in STARTS:
            raise unknown_name("start", self.start, STARTS)


DEFAULT = Settings()
PRESETS: dict[str, Settings] = {
    "default": DEFAULT,
    "draft": replace(DEFAULT, size_px=256, iterations=40, coarse_iterations=30),
}


def preset(name: str) -> Settings:
    """Look up a preset by name.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]
