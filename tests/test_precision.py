"""Convolutions in bfloat16: near float32 by its eight bits, sums in float32, and a choice that no timing makes."""

import numpy as np
import pytest
import torch

from interp.errors import UsageError
from interp.network.frozen_pass import FrozenPass
from interp.network.precision import resolve_precision
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.statistics.gram import region_moments
from interp.statistics.layers import FIXED_STYLE, fixed_choice
from stylize import Settings, StyledRegion, stylize

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def compact() -> Vgg:
    return load_vgg("compact")


def noise(seed: int, side_px: int = 96) -> torch.Tensor:
    return torch.rand(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(seed))


def test_values_and_gradients_are_near_those_of_float32(compact: Vgg) -> None:
    for pooling in ("max", "average", "mixed"):
        found = []
        for precision in ("float32", "bfloat16"):
            image = noise(1).requires_grad_()
            maps = FrozenPass(compact, FIXED_STYLE, pooling, precision)(image)
            sum(region_moments(value)[1].trace() for value in maps.values()).backward()  # pyright: ignore[reportAttributeAccessIssue]
            assert image.grad is not None and image.grad.dtype is torch.float32
            found.append(([value.detach().float() for value in maps.values()], image.grad))
        (exact, gradient), (half, other) = found
        for one, two in zip(exact, half, strict=True):
            assert float((one - two).norm() / one.norm()) < 0.02  # 2^-8 a value, through at most 13 convolutions
        cosine = float((gradient * other).sum() / (gradient.norm() * other.norm()))
        assert cosine > 0.98


def test_moments_of_bfloat16_are_summed_in_float32() -> None:
    """Two million equal values: a bfloat16 sum would stop growing at 256 of them."""
    maps = torch.full((1, 1, 1024, 2048), 0.375, dtype=torch.bfloat16)
    mean, covariance = region_moments(maps)
    assert mean.dtype is covariance.dtype is torch.float32
    assert float(mean[0]) == pytest.approx(0.375, rel=1e-4)
    assert float(covariance[0, 0]) < 1e-6


def test_bfloat16_restyles_alike_and_float32_is_kept_where_asked(compact: Vgg) -> None:
    photo, painting = noise(2), noise(3).sort(dim=2).values
    region = StyledRegion(np.ones((96, 96), np.float32), painting, fixed_choice())
    images = {}
    for precision in ("float32", "bfloat16"):
        settings = Settings(size_px=96, iterations=25, precision=precision)
        *_, last = stylize(compact, photo, [region], settings)
        images[precision], canvas = last.image_nchw01, last.scene.canvases[0]
        assert canvas.loss.precision == precision  # pyright: ignore[reportAttributeAccessIssue]
        assert last.losses["total"] < 0.5 * canvas.loss(canvas.start_nchw01)[1]["total"]
    apart = float((images["float32"] - images["bfloat16"]).square().mean().sqrt())
    moved = float((images["float32"] - photo).square().mean().sqrt())
    assert apart < 0.5 * moved


@pytest.mark.parametrize(("knows", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_asks_the_processor(monkeypatch: pytest.MonkeyPatch, knows: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: knows)
    assert resolve_precision("auto", CPU) == expected
    assert resolve_precision("auto", torch.device("meta")) == "float32"
    assert Settings(precision="float32").precision == resolve_precision("float32", CPU) == "float32"


def test_an_unknown_precision_is_refused() -> None:
    for wrong in (lambda: resolve_precision("float16", CPU), lambda: Settings(precision="half")):
        with pytest.raises(UsageError, match="precision"):
            wrong()
