"""The deep cut: the best labelling by trying them all, Fisher's direction by its formula, textures of equal colours."""

import itertools

import numpy as np
import pytest

from interp.network.vgg import Vgg
from segment import segment
from segment.deepcut import DeepMap, _whitened, deep_cut
from segment.graphcut import SURE, Links, contrast_links, minimum_cut
from segment.hypercolumns import LAYERS, Hypercolumns


def energy(labels: np.ndarray, odds: np.ndarray, links: Links) -> float:
    flat = labels.ravel()
    parted = links.cost[flat[links.first] != flat[links.second]].sum()
    return float(parted - odds.ravel()[flat].sum())


@pytest.mark.parametrize("seed", range(8))
def test_the_minimum_cut_is_the_best_of_all_labellings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odds = np.round(rng.normal(0, 3, (3, 4)), 2)
    links = contrast_links(rng.normal(size=(3, 4, 3)), 1.5)
    every = (np.array(bits, dtype=bool).reshape(3, 4) for bits in itertools.product((0, 1), repeat=12))
    best = min(energy(labels, odds, links) for labels in every)
    assert energy(minimum_cut(odds, links), odds, links) == pytest.approx(best, abs=0.3)  # capacities in hundredths


def test_sure_cells_stay_and_links_follow_the_formula() -> None:
    image = np.zeros((2, 2, 1))
    image[0, 1] = 3.0
    links = contrast_links(image, 10.0)
    pairs = {(int(a), int(b)): c for a, b, c in zip(links.first, links.second, links.cost, strict=True)}
    mean = (9 + 0 + 0 + 9 + 0 + 9) / 6  # the six pairs' squared differences
    assert pairs[0, 1] == pytest.approx(10 * np.exp(-9 / (2 * mean)))
    assert pairs[0, 3] == pytest.approx(10 / np.sqrt(2))
    odds = np.array([[SURE, -5.0], [-5.0, -SURE]])
    cut = minimum_cut(odds, links)
    assert cut[0, 0] and not cut[1, 1]


def test_the_whitened_difference_of_means_is_fishers_direction(rng: np.random.Generator) -> None:
    features = rng.normal(size=(20, 30, 4)) @ rng.normal(size=(4, 4))
    inside = rng.random((20, 30)) < 0.3
    features[inside] += (1.0, -0.5, 0.0, 2.0)
    looks = _whitened(features, 0.0)
    ours = looks @ (looks[inside].mean(0) - looks[~inside].mean(0))
    flat = (features - features.mean((0, 1))) / (features.std((0, 1)) + 1e-6)
    a, b = flat[inside], flat[~inside]
    within = (np.cov(a.T, bias=True) * len(a) + np.cov(b.T, bias=True) * len(b)) / (len(a) + len(b))
    fisher = flat @ np.linalg.solve(within, a.mean(0) - b.mean(0))
    assert np.corrcoef(ours.ravel(), fisher.ravel())[0, 1] == pytest.approx(1, abs=1e-6)


def textured(height: int = 200, width: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """A disc of fine stripes on coarse ones of the same two colours: the same histogram on both sides."""
    rows, columns = np.mgrid[:height, :width]
    inside = np.hypot(rows - height / 2, columns - width / 2) < 60
    stripes = np.where(inside, rows // 2 % 2, columns // 10 % 2)
    photo = np.where(stripes[..., None] == 1, (150, 130, 110), (90, 100, 120)).astype(float)
    photo += np.random.default_rng(0).normal(0, 6, photo.shape)
    return np.clip(photo, 0, 255).astype(np.uint8), inside


def test_deep_features_see_a_texture_that_colours_do_not(compact: Vgg) -> None:
    photo, truth = textured()
    box = (50, 30, 140, 140)
    ious = []
    for describe in (None, Hypercolumns(compact)):
        mask = segment(photo, box_xywh_px=box, describe=describe).mask_hw
        ious.append(float((mask & truth).sum() / (mask | truth).sum()))
    assert ious[1] > 0.85 > ious[0]


def test_sure_labels_are_kept_and_inputs_not_changed(compact: Vgg) -> None:
    photo, _ = textured()
    trimap = np.zeros(photo.shape[:2], np.uint8)
    trimap[30:170, 50:190] = 3
    trimap[60:80, 60:90], trimap[90:110, 110:130] = 1, 0
    copies = photo.copy(), trimap.copy()
    cut = deep_cut(photo, trimap, Hypercolumns(compact)(photo))
    assert cut[62:78, 62:88].all() and not cut[92:108, 112:128].any() and not cut[:28].any()
    np.testing.assert_array_equal(photo, copies[0])
    np.testing.assert_array_equal(trimap, copies[1])


def test_hypercolumns_lie_where_the_picture_is(compact: Vgg) -> None:
    photo = np.full((160, 240, 3), 128, np.uint8)
    photo[40:80, 160:200] = np.random.default_rng(0).integers(0, 255, (40, 40, 3))
    maps = Hypercolumns(compact)(photo)
    assert [deep.name for deep in maps] == list(LAYERS)
    for deep in maps:
        change = np.abs(deep.values_chw - np.median(deep.values_chw, axis=(1, 2), keepdims=True)).sum(0)
        rows, columns = np.nonzero(change > change.max() / 2)
        cell = np.array([160, 240]) / change.shape
        centre = (np.array([rows.mean(), columns.mean()]) + 0.5) * cell
        np.testing.assert_allclose(centre, (60, 180), atol=10)


def test_a_map_of_one_side_only_changes_nothing() -> None:
    photo, _ = textured(60, 80)
    trimap = np.zeros((60, 80), np.uint8)
    trimap[20:40, 20:60] = 3
    flat = DeepMap("flat", np.ones((3, 15, 20), np.float32))
    np.testing.assert_array_equal(deep_cut(photo, trimap, [flat]), deep_cut(photo, trimap, []))
