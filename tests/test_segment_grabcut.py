"""GrabCut, made predictable: the same as OpenCV's where both apply, words where OpenCV surprises."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import MaskError
from segment.grabcut import coarse_cut, fine_mask
from segment.masks import count_components, fill_pinholes, keep_large_components


def scene(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An orange disc with a notch before a noisy green ground, and its mask."""
    rows, columns = np.mgrid[:height, :width]
    inside = np.hypot((rows / height - 0.5) / 0.3, (columns / width - 0.45) / 0.25) < 1
    inside &= ~((columns / width > 0.5) & (abs(rows / height - 0.5) < 0.06))
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    photo = np.where(inside[..., None], (210, 120, 40), (60, 110, 70)) + noise
    return np.clip(photo, 0, 255).astype(np.uint8), inside


def boxed(height: int, width: int) -> np.ndarray:
    trimap = np.zeros((height, width), dtype=np.uint8)
    trimap[int(0.15 * height) : int(0.85 * height), int(0.15 * width) : int(0.75 * width)] = 3
    return trimap


def grabcut(photo: np.ndarray, trimap: np.ndarray, seed: int = 0) -> np.ndarray:
    """Cut and finish."""
    return fine_mask(photo, coarse_cut(photo, trimap, seed=seed))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_it_is_opencvs_cut_where_nothing_is_scaled() -> None:
    photo, _ = scene(150, 200)
    trimap = np.full((150, 200), 2, dtype=np.uint8)  # everything undecided: the window is the photo
    trimap[40:110, 50:140] = 3
    trimap[0], trimap[75, 80:90] = 0, 1
    labels = trimap.copy()
    cv2.setRNGSeed(3)
    cv2.grabCut(photo[..., ::-1].copy(), labels, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 5, 1)
    np.testing.assert_array_equal(coarse_cut(photo, trimap, seed=3).small_hw, labels % 2 == 1)


@pytest.mark.parametrize("size", [(120, 160), (433, 577), (1300, 900)])
def test_a_known_shape_is_cut_to_the_pixel(size: tuple[int, int]) -> None:
    photo, truth = scene(*size)
    assert iou(grabcut(photo, boxed(*size)), truth) > 0.99


def test_refining_brings_the_outline_nearer() -> None:
    photo, truth = scene(1300, 900)
    cut = coarse_cut(photo, boxed(1300, 900))
    wrong_before, wrong_after = (cut.mask_hw != truth).sum(), (fine_mask(photo, cut) != truth).sum()
    assert wrong_after < 0.5 * wrong_before


def test_sure_labels_are_kept_at_every_size() -> None:
    photo, _ = scene(900, 700)
    trimap = boxed(900, 700)
    trimap[400:440, 130:180], trimap[350:380, 250:350] = 1, 0  # against the colours, joined to the disc
    mask = grabcut(photo, trimap)
    assert mask[402:438, 132:178].all() and not mask[352:378, 252:348].any()
    assert not mask[trimap == 0].any()


def test_the_same_seed_gives_the_same_mask_whatever_ran_before() -> None:
    photo, _ = scene(500, 420)
    noisy = np.random.default_rng(1).integers(0, 256, photo.shape, dtype=np.uint8) // 2 + photo // 2
    first = grabcut(noisy, boxed(500, 420), seed=5)
    cv2.setRNGSeed(99)
    cv2.randu(np.zeros((9, 9)), np.zeros(1), np.ones(1))
    np.testing.assert_array_equal(grabcut(noisy, boxed(500, 420), seed=5), first)


def test_inputs_are_not_changed_and_views_are_accepted() -> None:
    photo, truth = scene(120, 160)
    trimap = boxed(120, 160)
    copies = photo.copy(), trimap.copy()
    flipped = grabcut(photo[:, ::-1], trimap[:, ::-1])
    np.testing.assert_array_equal(photo, copies[0])
    np.testing.assert_array_equal(trimap, copies[1])
    assert iou(flipped[:, ::-1], truth) > 0.99


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(16, 90), st.integers(16, 90)),
    box=st.tuples(*[st.floats(0, 1)] * 4),
    colours=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_never_a_silent_empty_mask(
    size: tuple[int, int], box: tuple[float, float, float, float], colours: int, seed: int
) -> None:
    height, width = size
    photo = np.random.default_rng(seed).integers(0, colours, (height, width, 3), dtype=np.uint8) * 50
    trimap = np.zeros((height, width), dtype=np.uint8)
    rows, columns = sorted(int(v * height) for v in box[:2]), sorted(int(v * width) for v in box[2:])
    trimap[slice(*rows), slice(*columns)] = 3
    try:
        mask = grabcut(photo, trimap)
    except MaskError as error:
        assert "--box" in str(error) or "--mask" in str(error)
        return
    assert 0.01 * (trimap > 0).sum() <= mask.sum() <= 0.95 * mask.size
    assert not mask[trimap == 0].any()


def test_what_cannot_be_cut_is_said() -> None:
    photo, _ = scene(60, 80)
    with pytest.raises(MaskError, match="background"):
        grabcut(photo, np.zeros((60, 80), dtype=np.uint8))
    with pytest.raises(MaskError, match="0 pixels are left as background"):
        grabcut(photo, np.full((60, 80), 3, dtype=np.uint8))
    with pytest.raises(MaskError, match="The cut kept"):
        grabcut(np.full((60, 80, 3), 7, dtype=np.uint8), boxed(60, 80))


@pytest.mark.parametrize(
    ("photo", "trimap"),
    [
        (np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)),
        (np.zeros((9, 9, 3), np.float32), np.zeros((9, 9), np.uint8)),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 8), np.uint8)),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), bool)),
        (np.zeros((9, 9, 3), np.uint8), np.full((9, 9), 4, np.uint8)),
    ],
)
def test_arrays_of_another_kind_are_refused(photo: np.ndarray, trimap: np.ndarray) -> None:
    with pytest.raises(TypeError, match="expected"):
        grabcut(photo, trimap)


def test_specks_are_dropped_and_pinholes_filled() -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[5:45, 5:45] = True  # 1600 px
    mask[50:55, 50:55] = True  # 25 px, a speck
    mask[10:12, 10:12] = False  # 4 px, a pinhole
    mask[20:30, 20:30] = False  # 100 px, a hole
    mask[40:42, 5] = False  # a notch
    kept = keep_large_components(mask)
    assert count_components(mask) == 2 and count_components(kept) == 1
    nowhere = np.zeros_like(mask)
    filled = fill_pinholes(kept, keep_hw=nowhere)
    assert filled[10, 10] and not filled[25, 25] and not filled[40, 5] and filled.sum() == kept.sum() + 4
    nowhere[10, 10] = True
    assert not fill_pinholes(kept, keep_hw=nowhere)[10, 10]
