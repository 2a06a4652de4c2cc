"""What all ways of a comparison share: a photo, a painting, a region, a network, and limits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from interp.network.vgg import Vgg
from interp.pictures.images import to_hwc_u8
from interp.statistics.layers import fixed_choice
from stylize.composite import compose
from stylize.optimise import StepEvent, cut_out, stylize
from stylize.region import StyledRegion
from stylize.ways import Way

JITTER = 1 / 255  # largest change of a value of the photo
Cut = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """Two pictures to compare ways on.

    Attributes:
        vgg: The network.
        photo_nchw01: (1, 3, H, W), the photo at the working size.
        painting_nchw01: (1, 3, h, w).
        alpha_hw01: (H, W), the region at that size.
        iterations: At most this many steps a scale; None for each way's own.
        jitters: Repeats from a photo whose values move by up to 1/255.
        seed: Of the jitter.
        cut: GrabCut on a result, (H, W, 3) uint8 -> alpha of what it would have been the region; for ways that cut.
    """

    vgg: Vgg = field(repr=False)
    photo_nchw01: Tensor = field(repr=False)
    painting_nchw01: Tensor = field(repr=False)
    alpha_hw01: np.ndarray = field(repr=False)
    iterations: int | None = None
    jitters: int = 1
    seed: int = 0
    cut: Cut | None = field(default=None, repr=False)

    @property
    def photo_hwc_u8(self) -> np.ndarray:
        """The photo as bytes."""
        return to_hwc_u8(self.photo_nchw01)

    def as_run(self, way: Way) -> Way:
        """A way within the limits."""
        return way.limited(max(self.photo_nchw01.shape[-2:]), self.iterations)

    def steps_of(self, way: Way) -> int:
        """Evaluations of one run."""
        height, width = self.photo_nchw01.shape[-2:]
        return sum(count for _, count in self.as_run(way).scales((height, width)))

    def events(self, way: Way, photo_nchw01: Tensor | None = None) -> Iterator[StepEvent]:
        """Run a way, on another photo if one is given."""
        choice, strength = way.choose(fixed_choice()), 1.0 if way.strength is None else way.strength
        region = StyledRegion(self.alpha_hw01, self.painting_nchw01, choice, strength)
        return stylize(
            self.vgg, self.photo_nchw01 if photo_nchw01 is None else photo_nchw01, [region], self.as_run(way)
        )

    def result_of(self, event: StepEvent, way: Way) -> np.ndarray:
        """What would be saved, (H, W, 3) uint8: pasted into the photo, after the cut if the way makes one."""
        if way.cut_result and self.cut:
            event = cut_out(event, self.photo_hwc_u8, self.cut)
        return compose(self.photo_hwc_u8, event.scene.regions, event.restyled_rchw)

    def jittered(self, generator: torch.Generator) -> Tensor:
        """The photo with every value moved by up to 1/255."""
        noise = (2 * torch.rand(self.photo_nchw01.shape, generator=generator) - 1) * JITTER
        return (self.photo_nchw01 + noise.to(self.photo_nchw01)).clamp(0, 1)

    def rms_change(self, one_hwc_u8: np.ndarray, other_hwc_u8: np.ndarray) -> float:
        """Root mean square difference of two pictures inside the region, 0 … 255."""
        squares = np.square(one_hwc_u8.astype(np.float64) - other_hwc_u8).mean(2)
        return float(np.sqrt((self.alpha_hw01 * squares).sum() / self.alpha_hw01.sum()))
