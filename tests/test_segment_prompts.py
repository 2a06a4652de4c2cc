"""Prompts: boxes, faces, maps and masks become the trimap they speak of."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import samples
from interp.errors import MaskError, UsageError
from interp.pictures.images import Picture, load_picture
from segment.box import box_trimap, clip_box, with_sure_middle
from segment.contrast import contrast_map, focus_map
from segment.deepcut import DeepMap
from segment.faces import find_faces
from segment.grabcut import Cut
from segment.opencv import BACKGROUND, FOREGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.prompt import Request, around, prompt_named
from segment.prompts.box import likelihood, marked_in_box, settled
from segment.trimap import Doubt, Trimap


def trimap(name: str, photo: np.ndarray, **given: Any) -> Trimap:
    return prompt_named(name).trimap(Request(photo, **given))


def blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


SIDE = st.integers(-40, 140)


@given(x=SIDE, y=SIDE, w=st.integers(1, 150), h=st.integers(1, 150))
def test_a_clipped_box_holds_the_pixels_that_box_and_photo_share(x: int, y: int, w: int, h: int) -> None:
    rows, columns = np.mgrid[:80, :100]
    shared = (rows >= y) & (rows < y + h) & (columns >= x) & (columns < x + w)
    if not shared.any():
        with pytest.raises(UsageError, match="100x80 px"):
            clip_box((80, 100), (x, y, w, h))
        return
    start = box_trimap((80, 100), (x, y, w, h))
    np.testing.assert_array_equal(start.labels_hw_u8, np.where(shared, 3, 0))
    assert (Doubt.BOX_CLIPPED in start.doubts) == (int(shared.sum()) != w * h)


@pytest.mark.parametrize(
    "box",
    [(5, 5, 0, 10), (5, 5, 10, -1), (1, 2, 3), (1.5, 2, 3, 4), ("a", 1, 1, 1), None, (float("nan"), 0, 5, 5)],
)
def test_a_box_that_is_none_is_refused(box: object) -> None:
    with pytest.raises(UsageError, match="100x80 px"):
        clip_box((80, 100), box)  # type: ignore[arg-type]


def test_the_astronauts_face_is_found_where_it_is(astronaut: Picture) -> None:
    (face,) = find_faces(astronaut.rgb_hwc_u8)
    x, y, w, h = face.box_xywh_px
    assert x < 200 and x + w > 250 and y < 100 and y + h > 150  # both eyes and the mouth
    assert 60 < w < 140


def test_a_face_is_found_in_a_mirrored_and_in_a_larger_photo(astronaut: Picture) -> None:
    photo = astronaut.rgb_hwc_u8
    (face,) = find_faces(photo)
    (mirrored,) = find_faces(photo[:, ::-1])
    (doubled,) = find_faces(photo.repeat(2, axis=0).repeat(2, axis=1))
    x, y, w, h = face.box_xywh_px
    np.testing.assert_allclose(mirrored.box_xywh_px, (512 - x - w, y, w, h), atol=8)
    np.testing.assert_allclose(doubled.box_xywh_px, (2 * x, 2 * y, 2 * w, 2 * h), atol=16)


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_a_photo_without_a_face_has_none(name: str) -> None:
    photo = load_picture(samples.photo(name)).rgb_hwc_u8
    assert find_faces(photo) == ()
    with pytest.raises(MaskError, match="--box"):
        trimap("face", photo)


def test_two_people_are_both_the_subject(astronaut: Picture) -> None:
    head = astronaut.rgb_hwc_u8[:256, 60:390]
    start = trimap("face", np.concatenate([head, head[:, ::-1]], axis=1))
    sure = start.labels_hw_u8 == 1
    assert sure[:, :330].any() and sure[:, 330:].any()
    assert start.facts["faces"] == 2


def test_the_most_salient_twentieth_is_sure_and_the_least_salient_third_is_not() -> None:
    rows, columns = np.mgrid[:60, :90]
    hill = np.exp(-((rows - 25) ** 2 + (columns - 50) ** 2) / 200)
    labels = trimap("saliency", blank(240, 360), saliency_hw=hill).labels_hw_u8
    assert labels[100, 200] == 1 and labels[-1, 0] == 0
    assert (labels == 1).mean() == pytest.approx(0.05, abs=0.005)
    assert (labels == 0).mean() == pytest.approx(0.30, abs=0.005)


def test_a_saliency_map_is_checked() -> None:
    with pytest.raises(MaskError, match="constant"):
        trimap("saliency", blank(50, 50), saliency_hw=np.ones((7, 7)))
    for bad in (np.full((7, 7), -1.0), np.full((7, 7), np.nan), np.ones((3, 7, 7)), np.ones((0, 7))):
        with pytest.raises(UsageError, match="expected"):
            trimap("saliency", blank(50, 50), saliency_hw=bad)


def test_contrast_finds_what_differs_from_the_border(rng: np.random.Generator) -> None:
    photo = np.full((150, 200, 3), (90, 110, 80)) + rng.integers(-8, 8, (150, 200, 3))
    photo[50:100, 90:150] = (180, 60, 50)
    photo = photo.astype(np.uint8)
    rating = contrast_map(photo)
    assert rating[60:90, 100:140].min() > rating[:, :60].max()
    labels = trimap("contrast", photo).labels_hw_u8
    assert (labels[55:95, 95:145] % 2 == 1).mean() > 0.9 and not (labels[:20] % 2 == 1).any()
    with pytest.raises(MaskError, match="flat"):
        trimap("contrast", np.full((50, 50, 3), 9, dtype=np.uint8))


def test_focus_finds_the_sharp_part(rng: np.random.Generator) -> None:
    photo = np.full((150, 200, 3), 120, dtype=np.uint8)
    photo[40:110, 60:140] = rng.integers(60, 180, (70, 80, 1), dtype=np.uint8)
    rating = focus_map(photo)
    assert rating[50:100, 70:130].min() > rating[:, :40].max()


def test_a_mask_is_taken_as_it_is() -> None:
    mask = np.zeros((40, 50))
    mask[10:20, 10:30], mask[20, 10:30] = 1, 0.6
    start = trimap("mask", blank(40, 50), mask_hw01=mask)
    np.testing.assert_array_equal(start.labels_hw_u8, np.where(mask == 1, 1, np.where(mask == 0, 0, 3)))
    assert start.box_xywh_px == (10, 10, 20, 11)
    for useless in (np.zeros((40, 50)), np.ones((40, 50)), np.full((40, 50), 0.3)):
        with pytest.raises(MaskError):
            trimap("mask", blank(40, 50), mask_hw01=useless)
    for wrong in (np.ones((50, 40)), np.full((40, 50), 1.5), np.full((40, 50), np.nan)):
        with pytest.raises(UsageError):
            trimap("mask", blank(40, 50), mask_hw01=wrong)


def test_second_tries_keep_to_the_first() -> None:
    first = box_trimap((100, 120), (20, 30, 60, 40))
    core = with_sure_middle(first.labels_hw_u8, (20, 30, 60, 40))
    assert core[50, 50] == 1 and core[30, 20] == 3 and core[0, 0] == 0
    mask = np.zeros((100, 120), dtype=bool)
    mask[40:60, 30:70] = True
    again = around(first, mask)
    assert again.box_xywh_px == (26, 38, 48, 24)
    assert (again.labels_hw_u8[mask] == 3).all() and (again.labels_hw_u8[:38] == 0).all()


@pytest.mark.parametrize("kind", ["white", "red", "noise", "jpeg"])
def test_a_blank_page_has_no_subject_for_any_contrast(kind: str, rng: np.random.Generator) -> None:
    page = np.full((120, 160, 3), (255, 250, 240) if kind != "red" else (200, 10, 20), np.uint8)
    if kind == "noise":
        page = (page.astype(float) - 20 + 4 * rng.standard_normal(page.shape)).clip(0, 255).astype(np.uint8)
    if kind == "jpeg":
        page[::9] -= 3

    def describe(rgb_hwc_u8: np.ndarray) -> tuple[DeepMap, ...]:
        raise AssertionError("a blank page is not looked at")

    for features in (None, describe):
        with pytest.raises(MaskError, match="flat colour"):
            prompt_named("contrast").cut(Request(page, describe=features))
    page[60, 20:140] = 0  # a thin line is a subject
    trimap("contrast", page)


def test_a_box_keeps_the_evidence_of_the_faces_in_it(astronaut: Picture) -> None:
    photo = astronaut.rgb_hwc_u8
    around, (x, y, w, h) = (20, 0, 460, 512), (173, 66, 103, 103)  # the face as `find_faces` has it, within some px
    with_face, without = trimap("box", photo, box_xywh_px=around), box_trimap((512, 512), around)
    sure = with_face.labels_hw_u8 == FOREGROUND
    assert with_face.facts["faces"] == 1 and sure[y + h // 2, x + w // 2]
    assert not (without.labels_hw_u8 == FOREGROUND).any()
    assert not sure[:, :20].any() and not sure[:, 480:].any() and 0.02 < sure.mean() < 0.1
    for elsewhere in ((300, 260, 200, 240), (0, 0, 230, 512)):  # the helmet; a box that cuts the face
        assert "faces" not in trimap("box", photo, box_xywh_px=elsewhere).facts


def test_where_the_map_of_a_box_is_undecided_the_cut_without_it_is_kept() -> None:
    rows, columns = np.mgrid[:100, :120]
    photo = np.full((100, 120, 3), (60, 120, 60), np.uint8)
    head, hair = (rows >= 50) & (rows < 80), (rows >= 20) & (rows < 50)
    middle = (columns >= 40) & (columns < 80)
    photo[head & middle], photo[hair & middle] = (200, 80, 70), (220, 220, 90)

    class Knows:
        name, origin = "knows the head", "this test"

        def __init__(self, hair01: float) -> None:
            self.hair01 = hair01

        def __call__(self, rgb_hwc_u8: np.ndarray) -> np.ndarray:
            part = np.zeros(rgb_hwc_u8.shape[:2], np.float32)
            part[(rgb_hwc_u8 == (200, 80, 70)).all(axis=2)] = 1
            part[(rgb_hwc_u8 == (220, 220, 90)).all(axis=2)] = self.hair01
            return part

    box = (38, 18, 44, 64)
    plain = box_trimap((100, 120), box)
    for hair01, kept in ((0.3, True), (0.02, False)):
        by_map = marked_in_box(plain, photo, Knows(hair01))
        assert by_map is not None
        start = settled(by_map, (head | hair) & middle).labels_hw_u8
        assert (start[55:75, 45:75] == MAYBE_FOREGROUND).all()
        assert (start[25:45, 45:75] == (MAYBE_FOREGROUND if kept else MAYBE_BACKGROUND)).all()
        assert (start[plain.labels_hw_u8 == BACKGROUND] == BACKGROUND).all()


def test_a_lopsided_cut_gives_way_unless_the_map_speaks_against_the_other() -> None:
    plain = box_trimap((100, 120), (20, 20, 60, 60))
    left, whole = (np.zeros((100, 120), bool) for _ in range(2))
    left[20:80, 20:56], whole[20:80, 20:80] = True, True
    none, everywhere = (np.zeros(1), np.zeros(1)), (slice(None), slice(None))
    cuts = [Cut(mask, plain.labels_hw_u8, everywhere, mask, none) for mask in (left, whole)]
    for right01, best in ((0.3, whole), (0.0, left)):  # the map of the other 40 %
        start = replace(plain, marked_hw01=np.where(left, 1, np.where(whole, right01, 0)).astype(np.float32))
        assert max(cuts, key=lambda cut: likelihood(cut, start)).mask_hw is best
    assert likelihood(cuts[0], plain) == pytest.approx(-0.15) and likelihood(cuts[1], plain) == 0
