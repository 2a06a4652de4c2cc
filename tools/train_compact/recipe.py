"""The two steps of the recipe: classification in three stages, as a table, then distillation with a last stage.

Stage 1 learns from crops that grow with it; every batch has one window and so one sharpness, and the batch-norm
statistics fit none of them. Stages 2 and 3 mix sharpnesses inside each batch, and take the statistics anew afterwards.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from interp.errors import UsageError

BATCH = 128
SIDE_PX = 64
MIN_SIDE_PX = 32  # five pools leave one cell of it
MOMENTUM = 0.9
WEIGHT_DECAY = 3e-4  # of weights, not of biases and batch norm
LABEL_SMOOTHING = 0.1
GAIN_STD = 0.2  # of contrast, about 1, each picture its own
OFFSET_STD = 0.2  # in normalised units, each channel its own
SHIFT_PX = 4
STATISTICS_IMAGES = 25_600


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        name: For the progress display.
        images: Seen in all.
        learning_rate: Peak for batches of 128, in proportion for others (Goyal et al. 2017, section 2.1).
        warm_up: Share of the steps that rise linearly to the peak; a cosine brings the rate to 0.
        sides: (side as a fraction of the native one, share of the images), in the order they are used.
        crop_area: Range of the one window's share of the area that a batch sees; None for the mixture below.
        sharp_share: Of each batch, left at native sharpness and only shifted; the others are zoomed.
        zoom: Range, log-uniform; the border is reflected.
        rotation_deg: At most, to either side.
        aspect: At most, as a relative stretch.
        average: Memory of the exponential average of the weights, as a share of the steps; 0 for none.
        statistics: Whether batch-norm statistics are taken anew at the end.
    """

    name: str
    images: int
    learning_rate: float
    warm_up: float = 0.0
    sides: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    crop_area: tuple[float, float] | None = None
    sharp_share: float = 1.0
    zoom: tuple[float, float] = (1.0, 1.0)
    rotation_deg: float = 0.0
    aspect: float = 0.0
    average: float = 0.0
    statistics: bool = False

    def steps(self, batch: int) -> int:
        """Batches of the stage."""
        return max(1, self.images // batch)

    def side_px(self, step: int, steps: int, native_px: int) -> int:
        """Side of the squares at a step."""
        done = (step + 0.5) / steps
        ends = itertools.accumulate(share for _, share in self.sides)
        fractions = (fraction for (fraction, _), end in zip(self.sides, ends, strict=True) if done <= end)
        return max(MIN_SIDE_PX, round(next(fractions, self.sides[-1][0]) * native_px))

    def learning_rate_at(self, step: int, steps: int, batch: int) -> float:
        """The rate of a step: warm-up and half a cosine."""
        rise = min(1.0, (step + 1) / max(1.0, self.warm_up * steps))
        return self.learning_rate * batch / BATCH * rise * 0.5 * (1 + math.cos(math.pi * step / steps))


STAGES = (
    Stage(
        "crops", 3_650_000, 0.2, warm_up=0.03, sides=((0.5, 2.6 / 3.65), (0.75, 0.7 / 3.65), (1.0, 0.35 / 3.65)),
        crop_area=(0.35, 1.0), average=0.03,
    ),
    Stage("sharp and zoomed", 283_000, 0.05, sharp_share=0.5, zoom=(0.6, 1.7), statistics=True),
    Stage(
        "sharp and warped", 330_000, 0.05, sharp_share=0.4, zoom=(0.5, 2.2), rotation_deg=10, aspect=0.15,
        statistics=True,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the classification, besides the pictures.

    Attributes:
        width: Channels as a fraction of VGG-19's.
        side_px: Native side of the squares.
        batch: Pictures a step.
        seed: Of the initial weights and of every batch.
        stages: In order.
    """

    width: float = 0.25
    side_px: int = SIDE_PX
    batch: int = BATCH
    seed: int = 0
    stages: tuple[Stage, ...] = STAGES

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.width <= 4:
            raise UsageError(f"--width {self.width:g} is out of range; expected 0 < width <= 4.")
        if self.side_px < MIN_SIDE_PX:
            raise UsageError(f"--side {self.side_px} is too small; expected at least {MIN_SIDE_PX} px.")
        if self.batch < 2:
            raise UsageError(f"--batch {self.batch} is too small; batch norm needs at least 2.")

    @property
    def steps(self) -> int:
        """Batches of all stages."""
        return sum(stage.steps(self.batch) for stage in self.stages)


def scaled_stages(images: Sequence[int]) -> tuple[Stage, ...]:
    """The stages with other numbers of images, everything else in proportion."""
    if len(images) != len(STAGES) or min(images) < 1:
        raise UsageError(f"--images {' '.join(map(str, images))}: expected {len(STAGES)} positive numbers.")
    return tuple(replace(stage, images=number) for stage, number in zip(STAGES, images, strict=True))


# Step 2. relu3_3, 4_3 and 5_3 follow from their neighbours.
LAYER_WEIGHTS = {
    "relu1_1": 1.0, "relu1_2": 0.5, "relu2_1": 1.0, "relu2_2": 0.5, "relu3_1": 1.0, "relu3_2": 0.5, "relu3_4": 0.5,
    "relu4_1": 1.5, "relu4_2": 2.0, "relu4_4": 0.5, "relu5_1": 2.0, "relu5_2": 0.2, "relu5_4": 0.2,
}  # fmt: skip
FINE_CELL_PX = 4  # where cells are finer, as many as lie this far apart are compared, at a random offset
START_BATCHES = 12  # the first maps are fitted on
SOLVE_EVERY = 10  # steps, the maps are fitted anew
MAP_MEMORY = 0.985  # of the batches they are fitted on
RIDGE = 1e-3  # relative to the features' mean square
WARM_UP_STEPS = 300
DECAY_SHARE = 0.25  # of the steps, linear to 0; before, the rate is stable
BETAS = (0.9, 0.98)  # Adam's
CLIP_NORM = 5.0  # of the convolutions' gradient
AVERAGE_DECAY = 0.999  # of the exponential average of the weights, with a shorter memory at first
CLASSIFY_EVERY = 2  # steps
CLASSIFY_WEIGHT = 0.6
TEMPERATURE = 2.0  # of the start's own logits (Hinton et al. 2015)

# Step 2's last stage: the classifier above the frozen layers.
FROZEN = "relu5_1"  # and all below
EPOCHS = 24
TOP_RATE = 1e-3  # AdamW's peak
TOP_WEIGHT_DECAY = 0.02  # of weights, not of biases
TOP_AVERAGE_DECAY = 0.998
DROPOUT = 0.1  # of the pooled features
HARD_SHARE = 0.35  # of the loss is cross-entropy, the rest distillation of the start's own logits
VARIANTS = 6  # of each tile: as it is, mirrored, the others zoomed and coloured
VARIANT_ZOOM = 1.3  # up to
VARIANT_GAIN_STD, VARIANT_OFFSET_STD = 0.15, 0.05  # of contrast, each picture its own; of each channel


@dataclass(frozen=True)
class DistilRecipe:
    """Everything that decides the distillation, besides networks and pictures.

    Attributes:
        crops: Seen in all.
        side_px: Of the square crops.
        batch: Crops a step; twice as many tiles are classified.
        learning_rate: Adam's between warm-up and decay, relative to the RMS of each layer's weights at the start, which
            differ much once channels are scaled to mean activation 1.
        seed: Of every batch.
        bfloat16: Whether convolutions compute in it; weights, averages and losses stay float32.
    """

    crops: int = 100_000
    side_px: int = 128
    batch: int = 8
    learning_rate: float = 1.6e-2
    seed: int = 0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.side_px < MIN_SIDE_PX:
            raise UsageError(f"--side {self.side_px} is too small; expected at least {MIN_SIDE_PX} px.")
        if not 1 <= self.batch <= self.crops:
            raise UsageError(f"--batch {self.batch} is out of range; expected 1 to --crops, {self.crops}.")

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self.crops // self.batch

    def learning_rate_at(self, step: int) -> float:
        """The rate of a step: warm-up, stable, linear decay."""
        rise = min(1.0, (step + 1) / min(WARM_UP_STEPS, self.steps))
        fall = min(1.0, (self.steps - step) / (DECAY_SHARE * self.steps))
        return self.learning_rate * rise * fall


def top_rate_at(step: int, steps: int) -> float:
    """The rate of a step of the last stage: warm-up under half a cosine."""
    rise = min(1.0, (step + 1) / min(WARM_UP_STEPS, steps))
    return TOP_RATE * rise * 0.5 * (1 + math.cos(math.pi * step / steps))
