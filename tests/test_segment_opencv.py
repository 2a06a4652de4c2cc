"""What cv2.grabCut does, row by row, and what comes of it here: words instead of surprises.

Each test shows OpenCV's own behaviour where that is stable, and then ours on the same input. 120x100 px.
"""

import cv2
import numpy as np
import pytest

from interp.errors import MaskError, UsageError
from reports.foreground import doubts
from segment import segment
from segment.box import box_trimap, clip_box
from segment.grabcut import coarse_cut
from segment.opencv import check_arrays, learn_and_cut
from segment.trimap import Doubt

OBJECT = slice(30, 70), slice(40, 80)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A warm square on a cool ground, both noisy."""
    noise = np.random.default_rng(0).normal(0, 12, (100, 120, 3))
    base = np.full((100, 120, 3), (70, 110, 130), dtype=float)
    base[OBJECT] = (200, 110, 60)
    return np.clip(base + noise, 0, 255).astype(np.uint8)


def plain(photo: np.ndarray, labels: np.ndarray | None, box: object, rounds: int = 3, mode: int = 0) -> np.ndarray:
    """OpenCV's own call."""
    labels = np.zeros(photo.shape[:2], np.uint8) if labels is None else labels.copy()
    cv2.setRNGSeed(0)
    cv2.grabCut(photo, labels, box, np.zeros((1, 65)), np.zeros((1, 65)), rounds, mode)  # type: ignore[arg-type]
    return labels % 2 == 1


@pytest.mark.parametrize("box", [(200, 10, 50, 50), (10, 10, -5, 20), (10, 300, 5, 5)])
def test_a_box_outside_or_of_negative_size(photo: np.ndarray, box: tuple[int, int, int, int]) -> None:
    with pytest.raises(cv2.error):
        plain(photo, None, box)
    with pytest.raises(UsageError, match="120x100 px"):
        segment(photo, box_xywh_px=box)


def test_a_box_partly_outside_on_the_right_is_clipped_and_said(photo: np.ndarray) -> None:
    region = segment(photo, box_xywh_px=(30, 20, 200, 200))
    assert region.box_xywh_px == (30, 20, 90, 80)
    assert Doubt.BOX_CLIPPED in region.doubts and "30,20,90,80 was used" in doubts(region)[0]
    assert region.mask_hw[50, 60] and not region.mask_hw[10, 10]


def test_a_negative_origin_takes_its_part_off_the_size(photo: np.ndarray) -> None:
    everything = np.full((100, 120, 3), 80, np.uint8)
    everything[:90, :100] = np.random.default_rng(1).integers(0, 256, (90, 100, 3))
    moved = plain(everything, None, (-10, -10, 80, 60), rounds=0)
    assert moved[59, 79]  # OpenCV moves the box to 0,0 without shrinking it
    assert clip_box((100, 120), (-10, -10, 80, 60)) == (0, 0, 70, 50)


@pytest.mark.parametrize("box", [(10, 10, 0, 20), (10, 10, 20, 0)])
def test_a_box_without_width_or_height(photo: np.ndarray, box: tuple[int, int, int, int]) -> None:
    with pytest.raises(cv2.error):
        plain(photo, None, box)
    with pytest.raises(UsageError, match="is empty"):
        segment(photo, box_xywh_px=box)


def test_no_box_at_all(photo: np.ndarray) -> None:
    with pytest.raises(UsageError, match="needs a box"):
        segment(photo, prompt="box")


def test_a_box_of_the_whole_image(photo: np.ndarray) -> None:
    with pytest.raises(cv2.error):
        plain(photo, None, (0, 0, 120, 100))
    with pytest.raises(MaskError, match="0 pixels are left as background"):
        segment(photo, box_xywh_px=(0, 0, 120, 100))


@pytest.mark.parametrize("label", [0, 1, 2, 3])
def test_a_trimap_all_of_one_side(photo: np.ndarray, label: int) -> None:
    trimap = np.full((100, 120), label, np.uint8)
    with pytest.raises(cv2.error):
        plain(photo, trimap, None, mode=cv2.GC_INIT_WITH_MASK)
    with pytest.raises(MaskError):
        coarse_cut(photo, trimap)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2)])
def test_a_box_of_a_few_pixels_is_no_silent_empty_mask(photo: np.ndarray, size: tuple[int, int]) -> None:
    with pytest.raises(MaskError, match="are left as foreground"):
        segment(photo, box_xywh_px=(50, 50, *size))


def test_one_sure_pixel_is_too_little(photo: np.ndarray) -> None:
    trimap = np.zeros((100, 120), np.uint8)
    trimap[50, 60] = 1
    assert plain(photo, trimap, None, mode=cv2.GC_INIT_WITH_MASK).sum() == 1
    with pytest.raises(MaskError, match="Only 1 pixels"):
        coarse_cut(photo, trimap)


@pytest.mark.parametrize(
    "kind",
    [
        lambda photo: photo[..., 0],
        lambda photo: photo[..., :1],
        lambda photo: np.dstack([photo, photo[..., 0]]),
        lambda photo: photo.astype(np.uint16),
        lambda photo: photo.astype(np.float32),
        lambda photo: photo[:0],
    ],
    ids=["grey", "one channel", "four channels", "uint16", "float32", "empty"],
)
def test_pictures_of_another_kind(photo: np.ndarray, kind) -> None:
    with pytest.raises(TypeError, match="expected uint8"):
        check_arrays(kind(photo), np.zeros(photo.shape[:2], np.uint8))


@pytest.mark.parametrize(
    "trimap",
    [
        np.zeros((100, 120), bool),
        np.zeros((100, 120), np.int32),
        np.zeros((50, 60), np.uint8),
        np.full((100, 120), 255, np.uint8),
        np.full((100, 120), 4, np.uint8),
    ],
    ids=["bool", "int32", "size", "255", "4"],
)
def test_trimaps_of_another_kind(photo: np.ndarray, trimap: np.ndarray) -> None:
    with pytest.raises(cv2.error):
        plain(photo, trimap, None, mode=cv2.GC_INIT_WITH_MASK)
    with pytest.raises(TypeError, match="Trimap"):
        coarse_cut(photo, trimap)


def test_a_box_of_floats_is_refused_and_of_numpy_integers_accepted(photo: np.ndarray) -> None:
    with pytest.raises(UsageError, match="four whole numbers"):
        segment(photo, box_xywh_px=(35.5, 25, 50, 50))  # type: ignore[arg-type]
    as_list = segment(photo, box_xywh_px=[35, 25, 50, 50])  # type: ignore[arg-type]
    as_array = segment(photo, box_xywh_px=tuple(np.array([35, 25, 50, 50])))
    np.testing.assert_array_equal(as_list.mask_hw, as_array.mask_hw)


def test_colour_models_are_made_here_and_always_fit(photo: np.ndarray) -> None:
    _, models = learn_and_cut(photo, box_trimap((100, 120), (35, 25, 50, 50)).labels_hw_u8, 0, 3)
    assert [model.shape for model in models] == [(1, 65)] * 2 and all(model.dtype == np.float64 for model in models)
    for model in models:
        assert model[0, :5].sum() == pytest.approx(1)  # the weights of five Gaussians


@pytest.mark.parametrize("rounds", [0, -1])
def test_no_rounds_still_cut(photo: np.ndarray, rounds: int) -> None:
    box = (30, 20, 60, 60)
    untouched = plain(photo, None, box, rounds=rounds)
    assert untouched.sum() == 3600  # the whole box comes back
    region = segment(photo, box_xywh_px=box, rounds=rounds)
    assert region.mask_hw.sum() < 2000


def test_nothing_is_cut_with_models_that_were_never_learned(photo: np.ndarray) -> None:
    maybe = np.full((100, 120), 3, np.uint8)
    assert plain(photo, maybe, None, mode=cv2.GC_EVAL).all()  # OpenCV: zero models, everything stays
    with pytest.raises(MaskError):
        coarse_cut(photo, maybe)


def test_a_constant_image_is_no_silent_empty_mask() -> None:
    flat = np.full((100, 120, 3), 128, np.uint8)
    assert not plain(flat, None, (30, 20, 60, 60)).any()
    with pytest.raises(MaskError, match="kept"):
        coarse_cut(flat, box_trimap((100, 120), (30, 20, 60, 60)).labels_hw_u8)


def test_a_view_that_is_not_contiguous_is_fine(photo: np.ndarray) -> None:
    flipped = segment(photo[:, ::-1], box_xywh_px=(35, 25, 50, 50)).mask_hw
    assert flipped[OBJECT][:, 5:-5].mean() > 0.9


def test_three_calls_give_the_same_bytes_with_any_number_of_threads(photo: np.ndarray) -> None:
    hard = (photo // 3 + np.random.default_rng(2).integers(0, 170, photo.shape)).astype(np.uint8)
    masks, threads = [], cv2.getNumThreads()
    try:
        for count in (1, 2, 1):
            cv2.setNumThreads(count)
            cv2.setRNGSeed(count * 77)
            masks.append(segment(hard, box_xywh_px=(30, 20, 60, 60), seed=4).alpha_hw01)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])
