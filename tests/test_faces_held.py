"""A face in the region keeps its small shapes, whatever the rest becomes."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from scipy import ndimage
from typer.testing import CliRunner

from cli import app
from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import to_nchw01
from interp.statistics.layers import fixed_choice
from segment.faces import face_map
from stylize import Settings, StyledRegion, stylize
from stylize.losses import HELD_LAYER, HELD_SHARE, ContentLoss

QUICK = Settings(size_px=128, iterations=30, coarse_iterations=30, precision="float32")


@pytest.fixture(scope="module")
def compact() -> Vgg:
    return load_vgg("compact")


@pytest.fixture(scope="module")
def face_hwc_u8() -> np.ndarray:
    return skimage.data.astronaut()[40:200, 140:300]  # the face alone


def painting_nchw01() -> torch.Tensor:
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    return noise.round().repeat_interleave(2, 2)[..., :128, :]


def test_a_face_is_found_where_it_is(face_hwc_u8: np.ndarray) -> None:
    found = face_map(skimage.data.astronaut())
    assert found is not None and found.shape == (512, 512) and 0 <= found.min() <= found.max() <= 1
    assert found[118, 224] == 1  # the nose
    assert not found[300:].any() and not found[:, 350:].any()
    assert face_map(skimage.data.coffee()) is None


def test_held_shapes_stay_nearer_to_the_photo_and_the_rest_does_not(compact: Vgg, face_hwc_u8: np.ndarray) -> None:
    photo = to_nchw01(face_hwc_u8)
    held = np.zeros((160, 160), np.float32)
    held[40:120, 40:120] = 1
    edges = {}
    for name, where in (("free", None), ("held", held)):
        region = StyledRegion(np.ones((160, 160), np.float32), painting_nchw01(), fixed_choice(), held_hw01=where)
        *_, last = stylize(compact, photo, [region], QUICK)
        assert any(term.endswith(", held") for term in last.losses) == (name == "held")
        grey = last.image_nchw01.mean(1)[0].numpy()
        edges[name] = ndimage.gaussian_gradient_magnitude(grey, 1.5)
    small = torch.nn.functional.interpolate(photo, (128, 128), mode="bilinear", antialias=True).mean(1)[0].numpy()
    own, inside = ndimage.gaussian_gradient_magnitude(small, 1.5), np.s_[32:96, 32:96]

    def likeness(found: np.ndarray) -> float:
        return float(np.corrcoef(found[inside].ravel(), own[inside].ravel())[0, 1])

    assert likeness(edges["held"]) > likeness(edges["free"]) + 0.1


def test_the_pull_on_a_pixel_is_the_same_for_a_small_and_a_large_face(compact: Vgg) -> None:
    """The term is a mean over what is held, weighted by its share of the region."""
    generator = torch.Generator().manual_seed(1)
    photo = torch.rand(1, 3, 160, 160, generator=generator)
    weights = []
    for side in (32, 64):
        held = np.zeros((160, 160), np.float32)
        held[16 : 16 + side, 16 : 16 + side] = 1
        region = StyledRegion(np.ones((160, 160), np.float32), painting_nchw01(), fixed_choice(), 2.0, held_hw01=held)
        *_, last = stylize(compact, photo, [region], Settings(size_px=160, iterations=1, coarse_iterations=1))
        (term,) = [each for each in last.scene.canvases[0].loss.terms if each.name.endswith(", held")]  # pyright: ignore[reportAttributeAccessIssue]
        assert isinstance(term, ContentLoss) and term.layer == HELD_LAYER
        weights.append(term.weight)
        assert float(term.mask_hw01.sum()) == pytest.approx(side**2 / layer(HELD_LAYER).stride_px ** 2)
    assert weights == pytest.approx([HELD_SHARE / 2 * (side / 160) ** 2 for side in (32, 64)])


def test_the_command_holds_faces_unless_told_not_to(tmp_path: Path) -> None:
    arguments = ["stylize", "--region", "all", "--size", "96", "--iterations", "2", "--out-dir", str(tmp_path)]
    result = CliRunner().invoke(app, [*arguments, "--json"])  # the bundled astronaut
    assert result.exit_code == 0 and "A face lies in" in result.stderr
    record = json.loads(Path(json.loads(result.stdout)["record"]).read_text())["data"]
    assert [region["faces_held"] for region in record["regions"].values()] == [True]
    behind = CliRunner().invoke(app, ["stylize", "--box", "120,0,300,512", *arguments[3:], "--no-report"])
    assert behind.exit_code == 0 and "A face lies in" not in behind.stderr  # the face is on the other side
    free = CliRunner().invoke(app, [*arguments, "--faces", "free", "--no-report"])
    assert free.exit_code == 0 and "A face lies in" not in free.stderr
