"""What all ways of a study share, and our own way as one of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from interp.network.vgg import Vgg
from interp.statistics.layers import LayerChoice
from stylize.historical import RecipeEvent, follow, paste
from stylize.optimise import StepEvent, scale_sizes_hw_px, stylize
from stylize.presets import Settings
from stylize.recipes import Recipe
from stylize.region import StyledRegion

JITTER = 1 / 255  # largest change of a value of the photo


@dataclass(frozen=True)
class Own:
    """Our own way as a contestant.

    Attributes:
        name: Of the preset.
        settings: Of the loop.
        choice: Layers.
        strength: Painting against photo.
    """

    name: str
    settings: Settings
    choice: LayerChoice
    strength: float = 1.0

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"this project, preset {self.name}"


Contestant = Recipe | Own
Cut = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Contest:
    """What all ways share.

    Attributes:
        vgg: The network.
        photo_nchw01: (1, 3, H, W), the photo at the working size.
        painting_nchw01: (1, 3, h, w).
        alpha_hw01: (H, W), the region at that size.
        iterations: At most this many steps a recipe; None for each one's own.
        jitters: Repeats from a photo whose values move by up to 1/255.
        seed: Of the jitter.
        cut: GrabCut on a result, (H, W, 3) uint8 -> alpha of what it would have been the region; for recipes that cut.
    """

    vgg: Vgg = field(repr=False)
    photo_nchw01: Tensor = field(repr=False)
    painting_nchw01: Tensor = field(repr=False)
    alpha_hw01: np.ndarray = field(repr=False)
    iterations: int | None = None
    jitters: int = 1
    seed: int = 0
    cut: Cut | None = field(default=None, repr=False)

    def steps_of(self, contestant: Contestant) -> int:
        """Evaluations of one run."""
        if isinstance(contestant, Recipe):
            return min(contestant.iterations, self.iterations or contestant.iterations)
        settings = self._settings(contestant)
        height, width = self.photo_nchw01.shape[-2:]
        coarse = len(scale_sizes_hw_px((height, width), settings)) - 1
        return settings.iterations + coarse * settings.coarse_iterations

    def events(self, contestant: Contestant, photo_nchw01: Tensor) -> "Iterator[StepEvent] | Iterator[RecipeEvent]":
        """Run one way on a photo."""
        if isinstance(contestant, Recipe):
            count, side = self.steps_of(contestant), max(photo_nchw01.shape[-2:])
            return follow(
                self.vgg, photo_nchw01, self.painting_nchw01, contestant, size_px=side, iterations=count
            )  # fmt: skip
        region = StyledRegion(self.alpha_hw01, self.painting_nchw01, contestant.choice, contestant.strength)
        return stylize(self.vgg, photo_nchw01, [region], self._settings(contestant))

    def paste(self, image_nchw01: Tensor, alpha_hw01: np.ndarray) -> Tensor:
        """Bring a restyled picture, of any size, into the photo."""
        return paste(self.photo_nchw01, image_nchw01, alpha_hw01)

    def _settings(self, contestant: Own) -> Settings:
        settings = replace(contestant.settings, size_px=max(64, *self.photo_nchw01.shape[-2:]))
        if self.iterations is None:
            return settings
        shorter = min(settings.iterations, self.iterations), min(settings.coarse_iterations, self.iterations)
        return replace(settings, iterations=shorter[0], coarse_iterations=shorter[1])


def jittered(photo_nchw01: Tensor, generator: torch.Generator) -> Tensor:
    """The photo with every value moved by up to 1/255."""
    noise = (2 * torch.rand(photo_nchw01.shape, generator=generator) - 1) * JITTER
    return (photo_nchw01 + noise.to(photo_nchw01)).clamp(0, 1)


def rms_change(one_hwc_u8: np.ndarray, other_hwc_u8: np.ndarray, alpha_hw01: np.ndarray) -> float:
    """Root mean square difference of two pictures inside a region, 0 … 255."""
    squares = np.square(one_hwc_u8.astype(np.float64) - other_hwc_u8).mean(2)
    return float(np.sqrt((alpha_hw01 * squares).sum() / alpha_hw01.sum()))


def restyled_nchw01(event: StepEvent | RecipeEvent) -> Tensor:
    """What is to be pasted: a recipe's picture, or our own region's image before it is composed."""
    return event.restyled_rchw if isinstance(event, StepEvent) else event.image_nchw01
