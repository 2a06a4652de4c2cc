"""Enlarging a restyled image: crisp without halos, the photo's detail only where the paint follows it, no leak."""

import numpy as np
import pytest
import torch

from interp.network.vgg import Vgg
from interp.pictures.images import to_hwc_u8, to_nchw01
from interp.pictures.sizes import resize_nchw01
from interp.statistics.layers import fixed_choice
from stylize.composite import compose
from stylize.enlarge import EPSILON, STEEPEST, WINDOW_RADIUS, crisp, enlarge_nchw01, slopes
from stylize.optimise import stylize
from stylize.presets import Settings
from stylize.region import StyledRegion
from tests.helpers import SIDE, disc, smooth, stripes


def grey(values_hw: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values_hw.astype(np.float32)).expand(1, 3, *values_hw.shape)


def test_slopes_are_the_windows_regressions(rng: np.random.Generator) -> None:
    light, restyled = rng.random((9, 12)).astype(np.float32), rng.random((9, 12, 3)).astype(np.float32)
    light[:, 6:] *= 0.05  # nearly flat there: EPSILON matters
    single = np.empty((9, 12, 3))
    around = [[np.s_[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] for x in range(12)] for y in range(9)]
    assert WINDOW_RADIUS == 2
    for y, x, channel in np.ndindex(9, 12, 3):
        window = light[around[y][x]].ravel(), restyled[around[y][x]][..., channel].ravel()
        covariance = np.cov(*window, bias=True)
        slope = covariance[0, 1] / (covariance[0, 0] + EPSILON) * abs(np.corrcoef(*window)[0, 1])
        single[y, x, channel] = np.clip(slope, -STEEPEST, STEEPEST)
    expected = [[single[around[y][x]].mean((0, 1)) for x in range(12)] for y in range(9)]
    np.testing.assert_allclose(slopes(light, restyled), expected, atol=1e-4)


def test_the_photos_detail_comes_back_where_the_paint_follows_it_and_nowhere_else() -> None:
    y, x = np.mgrid[:256, :256]
    coarse = 0.5 + 0.25 * np.sin(2 * np.pi * (x + y) / 40)
    fine = 0.04 * (-1.0) ** (x + y)  # gone at a quarter of the size
    photo = grey(coarse + fine)
    follows = resize_nchw01(photo, (64, 64))
    restyled = torch.where(torch.arange(64) < 32, 0.2 + 0.6 * follows, 0.5)
    found = enlarge_nchw01(restyled, photo)[0, 0].numpy()
    texture = (-1.0) ** (x + y)
    inner = np.s_[32:-32, 32:96]
    # Projected on the checkerboard, which nothing smooth has a part in: 0.04 times the slope.
    assert (found * texture)[inner].mean() / 0.04 == pytest.approx(0.6, rel=0.08)
    assert np.ptp(found[:, 160:]) < 1e-6


def test_strokes_are_crisper_than_interpolated_and_have_no_halo() -> None:
    soft = 0.2 + 0.6 / (1 + np.exp(-(np.arange(48) - 23.5)))
    edge = np.tile(soft, (48, 1))
    found = enlarge_nchw01(grey(edge), torch.full((1, 3, 192, 192), 0.5))[0, 0].numpy()
    plain = resize_nchw01(grey(edge), (192, 192))[0, 0].numpy()
    steepest = [float(np.diff(picture[96]).max()) for picture in (found, plain)]
    assert steepest[0] > 1.5 * steepest[1]
    assert found.min() >= 0.2 - 1e-6 and found.max() <= 0.8 + 1e-6
    assert np.flatnonzero(np.diff(found[96] > 0.5)).tolist() == [95]  # the edge has not moved


def test_at_its_own_size_nothing_changes(rng: np.random.Generator) -> None:
    image = torch.from_numpy(rng.random((1, 3, 33, 47), dtype=np.float32))
    assert torch.equal(enlarge_nchw01(image, torch.rand(1, 3, 33, 47)), image)
    values = rng.random((20, 20, 3)).astype(np.float32)
    assert crisp(values, 1.0) is values


@pytest.mark.parametrize("rows", [7, 64, 1000])
def test_strips_do_not_show(rows: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    image, photo = (torch.from_numpy(rng.random((1, 3, side, side), dtype=np.float32)) for side in (30, 137))
    whole = enlarge_nchw01(image, photo)
    monkeypatch.setattr("stylize.enlarge.STRIP_ROWS", rows)
    torch.testing.assert_close(enlarge_nchw01(image, photo), whole, rtol=0, atol=1e-6)


def test_a_square_wider_than_the_photo_is_brought_to_it() -> None:
    """A recipe stretches both pictures to a square."""
    assert enlarge_nchw01(torch.full((1, 3, 40, 40), 0.5), torch.rand(1, 3, 90, 30)).shape == (1, 3, 90, 30)


def test_nothing_outside_reaches_the_inside_of_an_enlarged_result(compact: Vgg) -> None:
    """From photo to saved bytes, at a third of the photo's size: noise outside changes not one byte inside."""
    photo = resize_nchw01(smooth(0), (3 * SIDE, 3 * SIDE))
    alpha = np.kron(disc(), np.ones((3, 3), np.float32))
    outside = torch.from_numpy(alpha) == 0
    noisy = torch.where(outside, torch.rand(photo.shape), photo)
    region = StyledRegion(alpha, stripes(), fixed_choice())
    results = []
    for picture in (photo, noisy):
        photo_u8 = to_hwc_u8(picture)
        *_, last = stylize(compact, to_nchw01(photo_u8), [region], Settings(size_px=SIDE, iterations=4))
        results.append((photo_u8, compose(photo_u8, [region], last.restyled_rchw)))
    (first_photo, first), (noisy_photo, second) = results
    assert (first[~outside] == second[~outside]).all() and (first[~outside] != first_photo[~outside]).any()
    assert (first[outside] == first_photo[outside]).all() and (second[outside] == noisy_photo[outside]).all()
