"""Figures are the same whatever Matplotlib was told by its environment, a style file or a notebook."""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from cycler import cycler

from reports.canvas import DARK_PAPER, GRID, LEGIBLE, OWN_COLOUR, PALE, chart, contrast, line_chart, svg
from reports.restyling import loss_curves

ROOT = Path(__file__).parent.parent
HOSTILE: dict[Any, Any] = {
    "text.usetex": True, "axes.facecolor": "red", "font.size": 30.0, "savefig.dpi": 10.0, "lines.linewidth": 9.0,
    "axes.prop_cycle": cycler(color=["k"]), "image.cmap": "gray", "axes.grid": True, "legend.fontsize": 2,
    "figure.constrained_layout.use": True, "xtick.labelsize": 30, "font.family": ["no such font"],
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    step: int
    losses: dict[str, float]
    scale: int = 0
    size_hw_px: tuple[int, int] = (8, 8)


def test_settings_of_others_change_no_byte() -> None:
    def draw() -> tuple[bytes, ...]:
        return (
            line_chart.svg({"a$_b": ([0, 1], [2, 3])}, x_label="x", y_label="y"),
            line_chart({"a$_b": ([0, 1], [2, 3])}, x_label="x", y_label="y"),
            loss_curves([Step(number, {"total": 1 / (1 + number)}) for number in range(3)]),
        )

    plain = draw()
    with matplotlib.rc_context(HOSTILE):
        assert draw() == plain
        assert matplotlib.rcParams["text.usetex"] is True  # theirs again afterwards


def test_every_function_that_draws_is_closed() -> None:
    seen = 0
    for path in (ROOT / "reports").glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if path.name == "canvas.py" or not isinstance(function, ast.FunctionDef):
                continue
            called = {
                node.func.id
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            if called & {"chart", "panels", "page", "MatplotlibFigure", "Canvas"}:
                seen += 1
                assert "closed" in {getattr(mark, "id", "") for mark in function.decorator_list}, (path, function.name)
    assert seen > 10


@pytest.mark.parametrize("case", ["MPLBACKEND", "folder", "MATPLOTLIBRC"])
def test_commands_outlive_the_environment_of_a_notebook(case: str, tmp_path: Path) -> None:
    rc = tmp_path / "matplotlibrc"
    environment = {**os.environ}
    if case == "MPLBACKEND":
        environment["MPLBACKEND"] = "module://no_such_module.backend_inline"
    else:
        rc.write_text("text.usetex: True\nbackend: qtagg\nfont.size: 40\n")
    if case == "MATPLOTLIBRC":
        environment["MATPLOTLIBRC"] = str(rc)
    words = ["kmeans", str(ROOT / "commands/samples/night_swirl.png"), "--k", "2", "--out-dir", str(tmp_path / "o")]
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import cli; cli.app({words!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and (tmp_path / "o" / "night_swirl.kmeans.figure.png").is_file(), done.stderr


def test_an_svg_has_no_ground_and_every_colour_has_a_legible_twin_for_dark_pages() -> None:
    text = line_chart.svg({"a<b & 絵": ([0, 1], [2, 3])}, x_label="x", y_label="y").decode()
    ElementTree.fromstring(text)
    assert "a&lt;b &amp; 絵" in text  # text stays text, for the reader's fonts
    drawn = text[text.index("</style>") :]
    assert not re.search(r": #[0-9a-f]{6}", drawn) and "#ffffff" not in text
    used = set(re.findall(r"var\((--c[0-9a-f]{6})\)", drawn))
    light, dark = (dict(re.findall(r"(--c[0-9a-f]{6}):(#[0-9a-f]{6})", part)) for part in text.split("@media")[:2])
    assert used == set(light) == set(dark)
    pale = {f"--c{colour[1:]}" for colour in (PALE, GRID)}  # lines behind the data
    for name in used - pale:
        assert contrast(_rgb(dark[name]), np.array(DARK_PAPER)) >= LEGIBLE, name


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(_rgb("#000000"), _rgb("#ffffff")) == pytest.approx(21)
    assert contrast(_rgb("#777777"), _rgb("#ffffff")) == pytest.approx(4.48, abs=0.005)  # WebAIM's checker


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])


def test_what_shows_a_colour_of_the_picture_keeps_it_and_text_keeps_its_spaces() -> None:
    figure, axis = chart(2.0)
    own, other = axis.barh([0, 1], [1, 1], color="#1d1315")
    own.set_gid(f"{OWN_COLOUR}-0")
    axis.set_title("two  spaces")
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        text = svg(figure).decode()
    assert text.count("fill: #1d1315") == 1 and text.count("fill: var(--c1d1315)") == 1 and other is not own
    assert "two  spaces" in text and "white-space:pre" in text
