"""What several test files share: the command line as a user calls it, and pictures that are easy to reason about."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from typer.testing import CliRunner, Result

from cli import app
from interp.pictures.images import quantise_hw01, to_hwc_u8
from interp.pictures.sizes import resize_nchw01

QUICK = ["--size", "128", "--iterations", "3", "--preset", "draft"]  # of stylize
SIDE = 160


def call(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def assert_failed(result: Result, code: int, *words: str, folder: Path | None = None) -> None:
    """The exit code, one message with these words, nothing on stdout, nothing written."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    message = result.stderr.strip().splitlines()[-1]
    assert all(word in message for word in words), message
    assert "Traceback" not in result.stderr
    if folder:
        assert not folder.exists() or not list(folder.iterdir())


def smooth(seed: int, side: int = SIDE) -> Tensor:
    """A colourful cloud picture."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, side // 8, side // 8, generator=generator)
    return torch.from_numpy(to_hwc_u8(resize_nchw01(small, (side, side)))).permute(2, 0, 1)[None].float() / 255


def stripes(side: int = SIDE) -> Tensor:
    """A painting of diagonal stripes."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    wave = (((rows + columns) // 6) % 2).float()
    return torch.stack([wave, 1 - wave, 0.5 * wave])[None]


def disc(side: int = SIDE, radius: float = 0.35) -> np.ndarray:
    """A disc with a soft edge."""
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    return quantise_hw01(np.clip((radius - np.hypot(rows, columns)) * 40 + 0.5, 0, 1).astype(np.float32))


class GuidedReLU(torch.autograd.Function):
    """Guided backprop as Springenberg et al. 2015 define it, by hand."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(value)
        return value.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (value,) = ctx.saved_tensors
        return gradient * (gradient > 0) * (value > 0)
