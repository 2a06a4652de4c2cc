"""The rulers against what they must say of known pictures."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from interp.network.vgg import Vgg
from interp.statistics.regions import layer_regions
from stylize.patches import PATCH_PX, SEED, laplacian_pyramid, patch_quantiles
from stylize.rulers import RANDOM_NETWORK, Rulers, edge_strength_hw, random_judge
from tests.helpers import SIDE, disc, smooth, stripes


def rulers(vgg: Vgg, alpha: np.ndarray | None = None) -> Rulers:
    whole = np.ones((SIDE, SIDE), np.float32)
    return Rulers(vgg, smooth(0), whole if alpha is None else alpha, stripes(), judges=random_judge())


def test_photo_and_painting_are_the_ends_of_every_ruler(compact: Vgg) -> None:
    found = rulers(compact)
    own, photo = found.painting, found.photo
    assert own.judges[RANDOM_NETWORK] < 1e-9 and own.patches < 1e-9 and abs(own.edges_kept) < 0.3
    assert max(own.gram.values()) < 1e-9 and photo.content == 0 and own.content > 0.5
    assert photo.judges[RANDOM_NETWORK] > 0.3 and photo.patches > 0.3 and photo.edges_kept == pytest.approx(1)


def test_of_a_flat_photo_no_edges_are_kept_or_lost(compact: Vgg) -> None:
    grey = torch.full((1, 3, SIDE, SIDE), 128 / 255)
    found = Rulers(compact, grey, np.ones((SIDE, SIDE), np.float32), stripes(), judges={})
    assert np.isnan(found.read(stripes()).edges_kept) and np.isnan(found.photo.edges_kept)


def test_distances_grow_as_texture_is_mixed_away(compact: Vgg) -> None:
    found = rulers(compact)
    readings = [found.read((1 - share) * stripes() + share * smooth(0)) for share in (0.0, 0.4, 0.8)]
    for name in ("judges", "gram"):
        means = [np.mean(list(getattr(reading, name).values())) for reading in readings]
        assert means[0] < means[1] < means[2]
    assert readings[0].patches < readings[1].patches < readings[2].patches


def test_only_the_region_counts(compact: Vgg) -> None:
    alpha = disc(radius=0.45)
    found = rulers(compact, alpha)
    inside = torch.from_numpy(alpha) > 0
    pictures = [torch.where(inside, stripes(), torch.rand(1, 3, SIDE, SIDE)) for _ in range(2)]
    first, second = (found.read(picture) for picture in pictures)
    assert first.judges == pytest.approx(second.judges, rel=1e-4)
    eroded = [name for name, region in layer_regions(alpha, list(found.layers)).items() if region.fully_eroded]
    assert {"relu1_1", "relu3_4"} <= set(eroded)
    assert [first.gram[name] for name in eroded] == pytest.approx([second.gram[name] for name in eroded], rel=1e-4)
    assert first.edges_kept == pytest.approx(second.edges_kept, abs=1e-6)
    assert first.patches == pytest.approx(second.patches, rel=1e-3)  # coarse bands blur one pixel across the edge


def test_patch_distance_is_scipys_wasserstein_along_every_direction() -> None:
    """One band, few patches: the same projections through SciPy's exact 1-Wasserstein distance."""
    first, second = smooth(1, 64), smooth(2, 64)

    def projected(picture: Tensor) -> np.ndarray:
        patches = torch.nn.functional.unfold(laplacian_pyramid(picture, 1)[0], PATCH_PX)[0].numpy()
        return directions @ patches

    generator = torch.Generator().manual_seed(SEED)
    directions = torch.randn(128, 3 * PATCH_PX**2, generator=generator).numpy()
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bands = [projected(laplacian_pyramid(picture, 3)[0]) for picture in (first, second)]
    exact = np.mean([stats.wasserstein_distance(a, b) for a, b in zip(*bands, strict=True)])
    ours = [patch_quantiles(picture, torch.ones(64, 64))[0] for picture in (first, second)]
    assert ours[0] is not None and ours[1] is not None
    assert float((ours[0] - ours[1]).abs().mean()) == pytest.approx(exact, rel=0.05)


def test_pyramid_adds_up_and_edges_are_where_they_are() -> None:
    picture = smooth(3)[..., :121, :77]
    fine, middle, rest = laplacian_pyramid(picture, 3)
    back = middle + torch.nn.functional.interpolate(rest, size=middle.shape[-2:], mode="bilinear")
    back = fine + torch.nn.functional.interpolate(back, size=fine.shape[-2:], mode="bilinear")
    torch.testing.assert_close(back, picture)
    step = torch.zeros(1, 3, 40, 40)
    step[..., 20:] = 1
    strength = edge_strength_hw(step)
    assert strength.argmax(1).tolist() == [19] * 40 and strength[:, 0].max() < 1e-6


def test_only_the_painting_s_part_counts(compact: Vgg) -> None:
    learned = torch.zeros(SIDE, SIDE)
    learned[:, :100] = 1
    framed = torch.where(learned > 0, stripes(), torch.zeros(()))
    whole = np.ones((SIDE, SIDE), np.float32)
    one, other = (Rulers(compact, smooth(0), whole, painting, learned).photo for painting in (stripes(), framed))
    assert one.patches == pytest.approx(other.patches, rel=0.02)  # coarse bands blur one pixel across the edge
    assert one.gram["relu1_1"] == pytest.approx(other.gram["relu1_1"], rel=0.02)
    assert one.patches != pytest.approx(Rulers(compact, smooth(0), whole, framed).photo.patches, rel=0.02)


def test_a_region_too_small_for_a_ruler_gives_nan(compact: Vgg) -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[80:83, 80:83] = 1
    reading = rulers(compact, alpha).photo
    assert not reading.gram and np.isnan([reading.judges[RANDOM_NETWORK], reading.patches]).all()
