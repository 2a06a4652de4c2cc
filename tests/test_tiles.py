"""A region's loss by tiles against the same at once, and the memory that tiles are for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.network.frozen_pass import FrozenPass
from interp.network.layer_names import RELU_NAMES, layer
from interp.network.weights import load_vgg
from interp.statistics.gram import merged_moments, moment_sums, region_moments
from interp.statistics.layers import FIXED_STYLE, fixed_choice
from stylize.canvas import build_canvas, own_photo
from stylize.feedforward.painting import instant
from stylize.presets import Settings
from stylize.region import StyledRegion
from stylize.survey import survey
from stylize.tiled import TiledLoss
from stylize.tiles import tiles_of, worth_tiles


@settings(deadline=None, max_examples=30)
@given(st.integers(65, 400), st.integers(65, 400), st.integers(64, 200), st.sampled_from(RELU_NAMES))
def test_every_cell_of_every_layer_belongs_to_one_tile(height: int, width: int, side_px: int, name: str) -> None:
    stride = layer(name).stride_px
    seen = np.zeros((height // stride, width // stride), int)
    for tile in tiles_of((height, width), side_px, layer("relu5_1").inset_px):
        own, here = tile.cells(layer(name))
        outer = np.zeros((height, width))[tile.outer.here]
        cells = np.zeros((outer.shape[0] // stride, outer.shape[1] // stride))
        assert cells[own].shape == seen[here].shape  # what the tile has is what the picture lacks
        seen[here] += 1
        assert max(tile.core.bottom - tile.core.top, tile.core.right - tile.core.left) <= side_px + 15
    assert (seen == 1).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_sums_of_parts_make_the_moments_of_the_whole(first: int, second: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    features = torch.rand(1, 5, 1, first + second, generator=random, dtype=torch.float64)
    mask = torch.rand(1, first + second, generator=random, dtype=torch.float64)
    about = torch.rand(5, generator=random, dtype=torch.float64)
    parts = [moment_sums(features[..., part], mask[:, part], about) for part in (slice(first), slice(first, None))]
    sums = parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]
    mean, covariance = merged_moments(sums, float(mask.sum()), about)
    known = features[0, :, 0].numpy()
    torch.testing.assert_close(mean, torch.from_numpy(np.average(known, axis=1, weights=mask[0])))
    wanted = np.atleast_2d(np.cov(known, aweights=mask[0].numpy(), ddof=0))
    torch.testing.assert_close(covariance, torch.from_numpy(wanted), atol=1e-12, rtol=1e-7)


def test_a_survey_by_tiles_finds_what_one_look_finds() -> None:
    network = FrozenPass(load_vgg("compact"), [*FIXED_STYLE, "relu4_2"], "average")
    random = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 187, 290, generator=random)
    assert worth_tiles((187, 290), 64)
    maps = network(image)
    masks = {name: torch.rand(maps[name].shape[2:], generator=random) for name in FIXED_STYLE}
    found = survey(network, image, masks, ["relu4_2"], tile_px=64)
    for name in FIXED_STYLE:
        for own, wanted in zip(found.moments[name], region_moments(maps[name], masks[name]), strict=True):
            torch.testing.assert_close(own, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))
        assert found.energies[name] == pytest.approx(float(maps[name].square().sum()), rel=1e-5)
    torch.testing.assert_close(found.maps["relu4_2"], maps["relu4_2"], rtol=1e-4, atol=1e-4)


def test_value_and_gradient_of_a_region_do_not_depend_on_tiles() -> None:
    random = torch.Generator().manual_seed(0)
    photo = torch.rand(1, 3, 190, 260, generator=random)
    y, x = np.mgrid[:190, :260]
    alpha = (((y - 90) / 85) ** 2 + ((x - 130) / 120) ** 2 < 1).astype(np.float32)
    region = StyledRegion(
        alpha, torch.rand(1, 3, 180, 200, generator=random), fixed_choice(), held_hw01=alpha * (x < 90)
    )
    vgg, way, own = load_vgg("compact"), Settings(size_px=260, precision="float32"), own_photo(photo, region)
    whole, tiled = (build_canvas(vgg, own, region, (190, 260), replace(way, tile_px=side)) for side in (0, 64))
    assert isinstance(tiled.loss, TiledLoss) and not isinstance(whole.loss, TiledLoss)
    image = torch.rand(whole.start_nchw01.shape, generator=random).requires_grad_()
    found = []
    for canvas in (whole, tiled):
        value, figures = canvas.loss(image)
        found.append((torch.autograd.grad(value, image)[0], figures))
    (wanted, known), (own, figures) = found
    torch.testing.assert_close(own, wanted, rtol=1e-3, atol=1e-5 * float(wanted.abs().max()))
    assert list(figures) == list(known) and figures == pytest.approx(known, rel=1e-4)


def test_the_instant_way_paints_tiles_as_it_paints_the_whole() -> None:
    random = torch.Generator().manual_seed(0)
    photo, painting = (  # without the colour of noise, whose statistics are moved so far that rounding shows
        torch.nn.functional.interpolate(torch.rand(1, 3, *coarse, generator=random), size, mode="bilinear")
        for coarse, size in (((20, 30), (218, 333)), ((38, 38), (150, 150)))
    )
    region = StyledRegion(np.ones((218, 333), np.float32), painting, fixed_choice())
    whole, tiled = (instant(photo, [region], 333, precision="float32", tile_px=side) for side in (0, 64))
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-3)
