"""Shared fixtures: one small network, one thread, the sample photos."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from commands import samples
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import Picture, load_picture


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fuzz-cases N` runs more damaged files than the suite's 500."""
    parser.addoption("--fuzz-cases", type=int, default=500, help="damaged files to try")


@pytest.fixture(autouse=True)
def _denormals_restored() -> Iterator[None]:
    """Commands flush denormals for the whole process; Hypothesis refuses to draw floats then."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def compact() -> Vgg:
    """The embedded weights."""
    return load_vgg("compact")


@pytest.fixture(scope="session")
def astronaut() -> Picture:
    """A 512x512 px portrait."""
    return load_picture(samples.photo("astronaut"))


@pytest.fixture
def rng() -> np.random.Generator:
    """NumPy's generator with a fixed seed."""
    return np.random.default_rng(0)
