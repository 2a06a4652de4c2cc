"""Pictures compared by Gram matrices: against NumPy, and on pictures of which the answer is known."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.statistics.gram import gram_stats, region_gram
from interp.statistics.gram_compare import GramComparison, compare_grams, top_pairs
from interp.statistics.tiles import unit
from reports.blocks import Matrices
from reports.conclusions.style import gram_conclusion, layers_conclusion
from reports.gram_matrices import channel_order, matrices_section
from reports.store import ImageStore

LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
FEATURES = hnp.arrays(np.float32, (4, 3, 5), elements=st.floats(-3, 3, width=32))


def stripes(period_px: int, seed: int, side: int = 192) -> Tensor:
    """Stripes at a random phase, with a little noise; odd periods look the same to every pool."""
    rng = np.random.default_rng(seed)
    columns = (np.arange(side) + rng.integers(period_px)) % period_px < period_px / 2
    picture = np.where(columns[None, None, :], 0.8, 0.2) + rng.normal(0, 0.02, (3, side, side))
    return torch.from_numpy(picture.clip(0, 1)).float()[None]


@pytest.fixture(scope="module")
def compared(compact: Vgg) -> GramComparison:
    """Fine stripes, fine stripes, coarse stripes."""
    return compare_grams(compact, [stripes(7, 0), stripes(7, 1), stripes(45, 2)], LAYERS)


def test_distances_are_those_of_unit_matrices(compact: Vgg, compared: GramComparison) -> None:
    pictures = [stripes(7, 0), stripes(7, 1), stripes(45, 2)]
    for place, layer in enumerate(LAYERS):
        flat = [compact.activations(picture, [layer])[layer][0].flatten(1).double().numpy() for picture in pictures]
        grams = [values @ values.T for values in flat]
        units = [gram / np.sqrt((gram**2).sum()) for gram in grams]
        expected = [[np.sqrt(((a - b) ** 2).sum()) for b in units] for a in units]
        np.testing.assert_allclose(compared.layers[place].distances, expected, atol=1e-5)
        shares = np.sort(np.linalg.eigvalsh(grams[0]))[::-1] / np.trace(grams[0])
        np.testing.assert_allclose(compared.styles[0][place].stats.spectrum, shares, atol=1e-6)


def test_equal_styles_are_near_and_other_styles_far(compared: GramComparison) -> None:
    for entry in compared.layers:
        distances = np.array(entry.distances)
        assert distances[0, 1] < distances[0, 2] and distances[0, 1] < distances[1, 2]
        assert entry.farthest in ((0, 2), (1, 2))
    best = next(entry for entry in compared.layers if entry.layer == compared.best)
    assert best.separations[0][2] > best.chances[0][2]
    assert best.separations[0][2] > best.separations[0][1]
    assert 1 <= best.beyond_chance <= 3


def test_a_picture_is_not_told_from_itself(compact: Vgg) -> None:
    picture = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    comparison = compare_grams(compact, [picture, picture], LAYERS)
    for entry in comparison.layers:
        assert entry.distances == ((0.0, 0.0), (0.0, 0.0))
        assert entry.separation <= max(entry.chances[0][1], 0.02)
        assert entry.pairs == ()


def test_conclusions_follow_from_what_was_compared(compact: Vgg, compared: GramComparison) -> None:
    """Of itself, of two, of three, of one layer, of a flat picture: each case has sentences of its own."""
    noise = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    same = gram_conclusion(compare_grams(compact, [noise, noise], LAYERS), ["a", "b"])
    assert "the same Gram matrix" in same.found and "best" not in same.found and same.level == "doubt"
    two = gram_conclusion(compare_grams(compact, [stripes(7, 0), stripes(45, 2)], LAYERS), ["a", "b"])
    assert (
        "tells these pictures apart best." in two.found
        and two.belief.startswith("They differ")
        and "pair" not in two.belief
    )
    three = gram_conclusion(compared, ["a", "b", "c"])
    assert "farthest apart" in three.found and "pieces of" in three.found
    alike = gram_conclusion(compare_grams(compact, [stripes(7, 0), stripes(7, 1)], LAYERS), ["a", "b"])
    assert ("No layer tells" in alike.found) is ("alike" in alike.belief) is (alike.level == "doubt")
    one = gram_conclusion(compare_grams(compact, [stripes(7, 0)], LAYERS), ["a"])
    assert "pieces of" in one.found and "changes most" in one.found
    assert "changes most" not in gram_conclusion(compare_grams(compact, [stripes(7, 0)], LAYERS[:1]), ["a"]).found
    assert "flat" in gram_conclusion(compare_grams(compact, [torch.zeros(1, 3, 160, 160)], LAYERS), ["a"], ["a"]).found


def _evidence(*ratios: float) -> Any:
    rows = [
        SimpleNamespace(layer=name, ratio=ratio, beyond_chance=not 0.5 < ratio < 2)
        for name, ratio in zip(LAYERS, ratios, strict=False)
    ]
    return SimpleNamespace(style_evidence=rows, mode="fixed")


def test_the_evidence_for_layers_is_told_only_where_it_is_beyond_chance() -> None:
    """The strongest that counts is named, not a stronger one within chance; nothing is named where none counts."""
    found = layers_conclusion(_evidence(1.9, 2.1, 230.4))
    assert "relu3_1" in found.found and "230 times the photo's detail" in found.found and "2 of 3" in found.belief
    assert "only 0.0100 times" in layers_conclusion(_evidence(0.01, 2.1)).found
    none = layers_conclusion(_evidence(1.0, 1.0))
    assert "At no scale" in none.found and "relu" not in none.found and none.level == "doubt"
    assert "too small" in layers_conclusion(_evidence(float("nan"))).found


def test_matrices_are_symmetric_and_do_not_depend_on_the_pictures_order(compact: Vgg) -> None:
    pictures = [stripes(8, 0, 96), stripes(16, 1, 96), stripes(48, 2, 96)]
    forward, backward = (compare_grams(compact, order, ["relu2_1"]).layers[0] for order in (pictures, pictures[::-1]))
    distances, flipped = np.array(forward.distances), np.array(backward.distances)
    np.testing.assert_array_equal(distances, distances.T)
    np.testing.assert_array_equal(np.diag(distances), 0)
    np.testing.assert_allclose(distances, flipped[::-1, ::-1], atol=1e-9)
    for a, b, c in itertools.permutations(range(3)):
        assert distances[a, c] <= distances[a, b] + distances[b, c] + 1e-12


def test_stationarity_falls_where_half_the_picture_is_different(compact: Vgg) -> None:
    uniform = stripes(8, 0)
    halves = torch.cat([stripes(8, 0)[..., :96], torch.full((1, 3, 192, 96), 0.4)], dim=-1)
    same, mixed = (compare_grams(compact, [picture], ["relu2_1"]).styles[0][0] for picture in (uniform, halves))
    assert same.stationarity > mixed.stationarity + 0.1
    assert 0 <= mixed.stationarity <= 1


def test_layers_with_few_cells_are_not_measured_and_the_rest_share_a_number(compact: Vgg) -> None:
    comparison = compare_grams(compact, [stripes(8, 0, 96), stripes(16, 1, 96)], ["relu1_1", "relu3_1", "relu5_1"])
    measured = [entry.separation == entry.separation for entry in comparison.layers]
    assert measured == [True, True, False]
    assert comparison.cells == 36  # relu3_1 has 24x24 cells: 6x6 a tile
    assert comparison.best in ("relu1_1", "relu3_1")
    assert comparison.styles[0][2].stationarity != comparison.styles[0][2].stationarity
    tiny = compare_grams(compact, [stripes(8, 0, 32)], ["relu5_1"])
    assert tiny.cells == 0 and tiny.best == "" and tiny.layers == ()


def test_same_seed_same_comparison(compact: Vgg) -> None:
    pictures = [stripes(8, 0, 96), stripes(16, 1, 96)]
    first, again, other = (compare_grams(compact, pictures, ["relu2_1"], seed) for seed in (0, 0, 1))
    assert first == again
    assert first.layers[0].separations != other.layers[0].separations


@given(FEATURES)
@settings(deadline=None, max_examples=50)
def test_top_pairs_are_numpys_largest_entries(features: np.ndarray) -> None:
    gram = region_gram(torch.from_numpy(features)[None]).double()
    pairs = top_pairs(gram, 4)
    matrix = gram.numpy()
    total = (matrix**2).sum()
    shares = sorted(
        (matrix[i, j] ** 2 * (1 if i == j else 2) / total for i in range(4) for j in range(i, 4)) if total else [],
        reverse=True,
    )
    found = [pair.share for pair in pairs]
    np.testing.assert_allclose(found, [share for share in shares[:4] if share > 0][: len(found)], atol=1e-9)
    assert len(found) == min(4, sum(share > 0 for share in shares))
    assert all(pair.first <= pair.second and pair.value == matrix[pair.first, pair.second] for pair in pairs)


@given(FEATURES, st.permutations(range(15)), st.floats(0.25, 4))
@settings(deadline=None, max_examples=50)
def test_statistics_ignore_where_and_unit_matrices_ignore_contrast(
    features: np.ndarray, order: list[int], contrast: float
) -> None:
    maps = torch.from_numpy(features)[None].double()
    moved = maps.flatten(2)[..., order].view_as(maps)
    gram = region_gram(maps)
    stats, other = gram_stats("relu1_1", gram), gram_stats("relu1_1", region_gram(moved))
    assert other.energy == pytest.approx(stats.energy) and stats.energy == pytest.approx(
        np.square(features, dtype=np.float64).mean(), rel=1e-6
    )
    np.testing.assert_allclose(other.spectrum, stats.spectrum, atol=1e-6)
    assert min(stats.spectrum) >= 0 and (sum(stats.spectrum) == pytest.approx(1) or stats.energy == 0)
    torch.testing.assert_close(unit(region_gram(contrast * maps)), unit(gram), atol=1e-6, rtol=1e-5)


def test_nothing_to_compare(compact: Vgg) -> None:
    with pytest.raises(UsageError, match="at least one"):
        compare_grams(compact, [], LAYERS)


def test_channels_that_fire_alike_are_drawn_side_by_side() -> None:
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat([0, 1, 2], 5))
    cells = rng.random((3, 400))[groups] + 0.01 * rng.random((15, 400))
    ordered = groups[channel_order(cells @ cells.T)]
    assert (np.diff(ordered) != 0).sum() == 2  # three runs: every group in one piece
    assert channel_order(np.zeros((4, 4))).tolist() != [] and channel_order(np.eye(1)).tolist() == [0]


def test_matrices_of_every_picture_are_shown_in_one_scale(compared: GramComparison) -> None:
    names = [f"picture {number}" for number in range(len(compared.styles))]
    section = matrices_section(ImageStore(), compared, names)
    for block in section.blocks:
        assert isinstance(block, Matrices) and len(block.figures) == len(names)
        assert len({figure.caption.split(": 0 (dark)")[1] for figure in block.figures}) == 1
