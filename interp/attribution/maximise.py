"""What a channel, layer or class wants to see: a picture optimised to raise it (Erhan et al. 2009).

Parametrisation and robustness follow Olah et al. 2017, "Feature Visualization", and its code (lucid, `optvis/param`):
the picture is the inverse Fourier transform of coefficients that are scaled by 1 / frequency, in colour channels that
are uncorrelated in photographs, and it is shifted, turned and scaled a little before every step, so that what raises
the target must do so wherever it lies.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from interp.adam import Adam
from interp.attribution.targets import Scored, Target
from interp.errors import UsageError, WeightsError
from interp.network.classify import Classifier
from interp.network.vgg import Vgg

# Square root of the covariance of ImageNet's colours (lucid, `optvis/param/color.py`), rows RGB.
COLOUR_SQRT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
START_STD = 0.01  # of the coefficients: grey with a trace of noise
LEARNING_RATE = 0.05  # Adam's, for coefficients
JITTER_SHARE = 1 / 16  # of the side
TURN_DEG = 5.0
ZOOM = 0.1  # at most that much smaller or larger
MARGIN_SHARE = 1 / 8  # of the side, optimised on each side and cut off: a layer's zero padding marks the border


@dataclass(frozen=True)
class MaximiseEvent:
    """One step.

    Attributes:
        step: Number, from 1.
        total: Of steps in all.
        elapsed_s: Seconds so far.
        value: The target's value on the shaken picture of this step.
    """

    step: int
    total: int
    elapsed_s: float
    value: float


@dataclass(frozen=True)
class Maximised:
    """The picture that was found.

    Attributes:
        target: What was asked for.
        raised: What was raised: of a ReLU's channel the one before the ReLU.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], a square.
        values: The target at every step.
        final: The target on the picture itself, unshaken.
    """

    target: Target
    raised: Target
    image_nchw01: Tensor = field(repr=False)
    values: tuple[float, ...] = field(repr=False)
    final: float


class FourierPicture:
    """A picture as Fourier coefficients in decorrelated colours.

    Args:
        size_px: Side of the square.
        generator: CPU generator of the start.
        device: Where to compute.
    """

    def __init__(self, size_px: int, generator: torch.Generator, device: torch.device) -> None:
        self.size_px = size_px
        rows, columns = torch.fft.fftfreq(size_px)[:, None], torch.fft.rfftfreq(size_px)
        frequency = torch.sqrt(rows**2 + columns**2).clamp(min=1 / size_px)
        self.scale = (size_px / frequency)[None, None].to(device) / 4  # lucid's factor: the start has a small contrast
        start = torch.randn(1, 3, *frequency.shape, 2, generator=generator) * START_STD
        self.coefficients = start.to(device).requires_grad_()
        self.colours = torch.tensor(COLOUR_SQRT).to(device)
        self.colours = self.colours / self.colours.norm(dim=0).max()

    def image_nchw01(self) -> Tensor:
        """(1, 3, H, W) RGB in [0, 1]; gradients flow back to the coefficients."""
        spectrum = torch.view_as_complex(self.coefficients) * self.scale
        planes = torch.fft.irfft2(spectrum, s=(self.size_px, self.size_px))
        return torch.sigmoid(torch.einsum("rc,nchw->nrhw", self.colours, planes))


def maximise(
    classifier: Classifier, target: Target, *, size_px: int = 128, steps: int = 256, seed: int = 0
) -> Iterator[MaximiseEvent | Maximised]:
    """Optimise a picture until it raises a target.

    A ReLU's channel is raised before the ReLU, which gives no gradient where it is dead; the maximum is the same.

    Args:
        classifier: The network.
        target: A class, a channel or a layer.
        size_px: Side of the picture.
        steps: Of Adam.
        seed: Of the start and of the shaking.

    Yields:
        An event a step, and at the end the picture.

    Raises:
        UsageError: If size or steps are out of range.

    Example:
        >>> from interp.network.weights import load_vgg
        >>> *events, found = maximise(load_vgg("compact"), Target("relu2_1:3", 3, "relu2_1"), size_px=32, steps=4)
        >>> len(events), tuple(found.image_nchw01.shape)
        (4, (1, 3, 32, 32))
    """
    if size_px < 32 or steps < 1:
        raise UsageError(f"Got {size_px} px and {steps} steps; expected at least 32 px and 1 step.")
    raised = before_relu(classifier, target)
    scored = Scored(classifier, raised)
    generator = torch.Generator().manual_seed(seed)
    device = classifier.normalise.mean.device
    margin = round(MARGIN_SHARE * size_px)
    picture = FourierPicture(size_px + 2 * margin, generator, device)
    optimiser = Adam(picture.coefficients, LEARNING_RATE)
    values, started = [], time.monotonic()
    for step in range(1, steps + 1):
        picture.coefficients.grad = None
        value = scored(shaken(picture.image_nchw01(), generator)).sum()
        (-value).backward()
        optimiser.step()
        values.append(float(value.detach()))
        if not math.isfinite(values[-1]):
            raise WeightsError(
                f"The target's value is not finite at step {step}. Use other weights, or another target."
            )
        yield MaximiseEvent(step, steps, time.monotonic() - started, values[-1])
    with torch.no_grad():
        image = picture.image_nchw01()[..., margin : margin + size_px, margin : margin + size_px].contiguous()
        yield Maximised(target, raised, image, tuple(values), float(scored(image)))


def before_relu(classifier: Classifier, target: Target) -> Target:
    """The same channel before its ReLU; any other target as it is."""
    if isinstance(classifier, Vgg) and target.layer.startswith("relu"):
        return Target(target.name, target.index, target.layer.replace("relu", "conv"))
    return target


def shaken(image_nchw01: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, turn and scale a picture at random, mirrored at its borders."""
    side = image_nchw01.shape[-1]
    draws = torch.rand(4, generator=generator) * 2 - 1
    angle = math.radians(TURN_DEG) * float(draws[0])
    zoom = 1 + ZOOM * float(draws[1])
    shift = 2 * JITTER_SHARE * draws[2:]
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
    transform = torch.cat([turn, shift[:, None]], dim=1)[None].to(image_nchw01)
    grid = F.affine_grid(transform, [1, 3, side, side], align_corners=False)
    return F.grid_sample(image_nchw01, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
