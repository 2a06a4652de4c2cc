"""Coarse maps: the cells are the network's own, and an enlargement says no more than they do."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from interp.attribution.cells import Cells, enlarged_hw
from interp.attribution.methods import MethodOptions
from interp.attribution.saliency import saliency_map
from interp.attribution.targets import class_target
from interp.network.vgg import Vgg
from interp.pictures.images import Picture
from reports import ImageStore
from reports.blocks import Gallery
from reports.coarse import coarse_sections


def middle_means(enlarged_hw: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means over the middle halves of cells whose sides are multiples of four pixels."""
    height, width = (size // count for size, count in zip(enlarged_hw.shape, (rows, columns), strict=True))
    blocks = enlarged_hw.reshape(rows, height, columns, width).astype(np.float64)
    return blocks[:, height // 4 : -height // 4, :, width // 4 : -width // 4].mean(axis=(1, 3))


@given(
    st.integers(1, 6), st.integers(1, 6), st.sampled_from([4, 8, 12]), st.sampled_from([4, 8, 20]), st.integers(0, 999)
)
@settings(max_examples=40, deadline=None)
def test_the_middle_of_every_cell_keeps_its_value(rows: int, columns: int, tall: int, wide: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns)) * 10.0 ** rng.integers(-3, 3)
    photo = rng.integers(0, 256, (rows * tall, columns * wide, 3), np.uint8)
    enlarged = enlarged_hw(Cells(values, values.shape), photo)
    assert enlarged.shape == photo.shape[:2] and enlarged.dtype == np.float32
    spread = float(np.abs(values).max())
    np.testing.assert_allclose(middle_means(enlarged, rows, columns), values, atol=1e-5 * spread)
    constant = enlarged_hw(Cells(np.full((rows, columns), values[0, 0]), values.shape), photo)
    np.testing.assert_allclose(constant, values[0, 0], atol=1e-5 * spread)


def test_a_last_cell_that_is_cut_off_keeps_its_value_too() -> None:
    """Two and a half cells of 40 px down, three across: the last row's middle is that of the 20 px it has."""
    values = np.random.default_rng(0).normal(size=(3, 3))
    photo = np.random.default_rng(1).integers(0, 256, (100, 120, 3), np.uint8)
    enlarged = enlarged_hw(Cells(values, (2.5, 3.0)), photo)
    for row, (top, bottom) in enumerate(((10, 30), (50, 70), (85, 95))):
        for column in range(3):
            part = enlarged[top:bottom, 40 * column + 10 : 40 * column + 30]
            assert float(part.mean(dtype=np.float64)) == pytest.approx(values[row, column], abs=1e-5)


def test_a_step_moves_to_the_photos_edge() -> None:
    """Two cells of 100 px; the photo's edge is 15 px beyond their border."""
    photo = np.full((100, 200, 3), 30, np.uint8)
    photo[:, 115:] = 220
    enlarged = enlarged_hw(Cells(np.array([[0.0, 1.0]]), (1, 2)), photo)
    steps = np.abs(np.diff(enlarged, axis=1)).mean(axis=0)
    assert steps.argmax() == 114 and steps[114] > 5 * np.sort(steps)[-2]


def test_cells_are_grad_cams_grid_and_occlusions_squares(compact: Vgg, astronaut: Picture) -> None:
    image, target = astronaut.image_nchw01[..., :300, :], class_target(compact, 17)
    cam = saliency_map(compact, image, "grad-cam", target)
    assert cam.cells is not None
    small = torch.from_numpy(cam.input_chw01)[None].requires_grad_()
    captums = LayerGradCam(compact, compact.layer_module("relu5_4"))
    grid = captums.attribute(small, target=17, relu_attributions=True)
    assert isinstance(grid, torch.Tensor)
    np.testing.assert_allclose(cam.cells.values_hw, grid[0, 0].detach().numpy(), rtol=1e-4)
    assert cam.cells.across_hw == cam.cells.values_hw.shape
    shown = F.interpolate(torch.from_numpy(cam.cells.values_hw)[None, None], size=small.shape[-2:], mode="bilinear")
    np.testing.assert_allclose(cam.map_chw, shown[0].numpy(), rtol=1e-4, atol=1e-7)

    map_hw = (occlusion := saliency_map(compact, image, "occlusion", target)).map_chw[0]
    assert occlusion.cells is not None
    step = round(map_hw.shape[0] / occlusion.cells.across_hw[0])
    squares = np.kron(occlusion.cells.values_hw, np.ones((step, step)))[: map_hw.shape[0], : map_hw.shape[1]]
    np.testing.assert_allclose(map_hw, squares, atol=1e-6)
    assert saliency_map(compact, image, "gradient", target).cells is None


def test_the_enlargement_is_marked(compact: Vgg, astronaut: Picture) -> None:
    maps = [
        saliency_map(compact, astronaut.image_nchw01, method, options=MethodOptions())
        for method in ("gradient", "grad-cam")
    ]
    store = ImageStore()
    (section,) = coarse_sections(store, astronaut.rgb_hwc_u8, maps)
    (gallery,) = section.blocks
    assert isinstance(gallery, Gallery)
    raw, large = gallery.figures
    assert (raw.image.width_px, raw.image.height_px) == (512, 512) and "4×4 cells" in raw.caption
    assert (large.image.width_px, large.image.height_px) == (512, 512)
    assert (
        "the network saw only these 4×4 cells" in large.caption and "enlarged along the photo's edges" in large.caption
    )
    assert coarse_sections(store, astronaut.rgb_hwc_u8, maps[:1]) == []
