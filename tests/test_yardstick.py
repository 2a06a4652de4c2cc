"""The judges against what they must say of known pictures."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from stylize.yardstick import PATCH_PX, Yardstick, edge_strength_hw, laplacian_pyramid
from tests.test_stylize import disc, smooth, stripes

SIDE = 160


def test_the_painting_itself_is_at_distance_zero_and_the_photo_is_not() -> None:
    judge = Yardstick(smooth(0), stripes())
    own, photo = judge.mark(stripes()), judge.mark(smooth(0))
    assert own.style_gram < 1e-9 and own.patches < 1e-9 and abs(own.edges_kept) < 0.3
    assert photo.style_gram > 0.3 and photo.patches > 0.3 and photo.edges_kept == pytest.approx(1)


def test_marks_grow_as_texture_is_mixed_away() -> None:
    judge = Yardstick(smooth(0), stripes())
    marks = [judge.mark((1 - share) * stripes() + share * smooth(0)) for share in (0.0, 0.4, 0.8)]
    assert marks[0].style_gram < marks[1].style_gram < marks[2].style_gram
    assert marks[0].patches < marks[1].patches < marks[2].patches


def test_only_the_region_counts() -> None:
    alpha = disc(radius=0.45)
    judge = Yardstick(smooth(0), stripes(), alpha)
    inside = torch.from_numpy(alpha) > 0
    pictures = [torch.where(inside, stripes(), torch.rand(1, 3, SIDE, SIDE)) for _ in range(2)]
    first, second = (judge.mark(picture) for picture in pictures)
    assert first.style_gram == pytest.approx(second.style_gram, rel=1e-4)
    assert first.edges_kept == pytest.approx(second.edges_kept, abs=1e-6)
    assert first.patches == pytest.approx(second.patches, rel=1e-3)  # coarse bands blur one pixel across the edge


def test_patch_distance_is_scipys_wasserstein_along_every_direction() -> None:
    """One band, few patches: the same projections through SciPy's exact 1-Wasserstein distance."""
    first, second = smooth(1, 64), smooth(2, 64)

    def projected(picture: Tensor) -> np.ndarray:
        patches = torch.nn.functional.unfold(laplacian_pyramid(picture, 1)[0], PATCH_PX)[0].numpy()
        return directions @ patches

    judge = Yardstick(first, second)
    generator = torch.Generator().manual_seed(judge.seed)
    directions = torch.randn(128, 3 * PATCH_PX**2, generator=generator).numpy()
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bands = [projected(laplacian_pyramid(picture, 3)[0]) for picture in (first, second)]
    exact = np.mean([stats.wasserstein_distance(a, b) for a, b in zip(*bands, strict=True)])
    ours = [judge._patches(picture, np.ones((64, 64), np.float32))[0] for picture in (first, second)]
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


def test_a_region_too_small_for_a_judge_gives_nan() -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[80:83, 80:83] = 1
    marks = Yardstick(smooth(0), stripes(), alpha).mark(smooth(0))
    assert np.isnan(marks.style_gram) and np.isnan(marks.patches)
