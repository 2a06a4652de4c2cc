"""Shared fixtures: one small network, one thread, the sample photos; browser tests only where there is a browser."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from commands import samples
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import Picture, load_picture

LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fuzz-cases N` runs more damaged files than the suite's 500."""
    parser.addoption("--fuzz-cases", type=int, default=500, help="damaged files to try")


def chromium() -> str | None:
    """Path of Chromium or Chrome, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave browser tests out where they cannot run."""
    there = chromium() and all(find_spec(name) for name in ("playwright", "axe_playwright_python"))
    left_out = [] if there else [item for item in items if item.get_closest_marker("browser")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    config.stash[LEFT_OUT] = len(left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say so."""
    if config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{config.stash[LEFT_OUT]} browser tests were left out: there is no Chromium, or no Playwright. "
            "`./scripts/test browser` installs them."
        )


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
