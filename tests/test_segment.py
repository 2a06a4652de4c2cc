"""From a photo and a prompt to a region: what `segment.segment` promises."""

import subprocess
import sys

import numpy as np
import pytest

from commands import samples
from interp.errors import MaskError, UsageError
from interp.pictures.images import Picture, load_picture
from reports.foreground import how_found
from segment import Segmentation, segment
from segment.masks import outline_hw
from segment.overlay import overlay
from segment.plausibility import colour_separation, implausible, sharpness_ratio
from segment.trimap import Doubt, Passed


def flower(height: int = 240, width: int = 320) -> tuple[np.ndarray, np.ndarray]:
    """A red disc on noisy grass, and where it is."""
    rows, columns = np.mgrid[:height, :width]
    inside = np.hypot(rows - height / 2, columns - width / 2) < height / 4
    noise = np.random.default_rng(0).normal(0, 10, (height, width, 3))
    photo = np.where(inside[..., None], (200, 50, 60), (70, 120, 60)) + noise
    return np.clip(photo, 0, 255).astype(np.uint8), inside


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_nothing_here_imports_torch() -> None:
    code = (
        "import sys, numpy as np, segment\n"
        "photo = np.zeros((60, 80, 3), np.uint8); photo[20:40, 30:50] = 200\n"
        "segment.segment(photo)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prompt": "contrast"},
        {"box_xywh_px": (80, 40, 160, 160)},
        {
            "prompt": "saliency",
            "saliency_hw": np.exp(-np.add.outer(np.arange(-7, 8) ** 2, np.arange(-9, 10) ** 2) / 15),
        },
    ],
)
def test_every_prompt_finds_the_flower(options: dict) -> None:
    photo, truth = flower()
    region = segment(photo, **options)
    assert iou(region.mask_hw, truth) > 0.97
    assert region.components == 1
    assert region.area_share == pytest.approx(truth.mean(), rel=0.03)
    assert region.soft_px == ((region.alpha_hw01 > 0) & (region.alpha_hw01 < 1)).sum() > 0
    assert how_found(region).startswith(f"Prompt {region.prompt}: ") and how_found(region).endswith(".")


def test_auto_takes_the_face_and_says_so(astronaut: Picture) -> None:
    region = segment(astronaut.rgb_hwc_u8)
    assert region.prompt == "face" and region.facts["faces"] == 1 and "face was found" in how_found(region)
    person, background = region.mask_hw, ~region.mask_hw
    assert person[120, 225] and person[400, 200] and person[330, 60]  # cheek, chest, arm
    assert background[100, 420] and background[50, 330] and background[150, 30]  # shuttle, backdrop, flag


def test_auto_cuts_the_cup_and_says_why_not_otherwise() -> None:
    region = segment(load_picture(samples.photo("coffee")).rgb_hwc_u8)
    assert region.prompt == "contrast"
    not_given, not_found = Doubt.NOT_GIVEN, Doubt.NOT_FOUND
    passed = {"person": not_given, "things": not_given, "face": not_found, "saliency": not_given}
    assert region.passed == tuple(Passed(prompt, why) for prompt, why in passed.items())
    assert "no upright frontal face" in how_found(region) and "no saliency map" in how_found(region)
    assert region.mask_hw[200, 300] and region.mask_hw[300, 200]  # cup, saucer
    assert not region.mask_hw[30, 30] and not region.mask_hw[200, 580]  # table


def test_auto_uses_a_trusted_map_before_contrast_but_not_for_an_implausible_cut() -> None:
    photo, truth = flower()
    assert segment(photo, saliency_hw=truth.astype(np.float32)).prompt == "saliency"
    for y, x in ((20, 20), (20, 280), (200, 20), (200, 280)):
        photo[y : y + 20, x : x + 20] = 255
    region = segment(photo, saliency_hw=(photo.min(axis=2) == 255).astype(np.float32))
    assert region.prompt == "contrast" and region.passed[-1].why is Doubt.SCATTERED
    assert "saliency prompt's cut is scattered" in how_found(region)


def test_a_box_whose_subject_shares_its_colours_is_still_filled(rng: np.random.Generator) -> None:
    photo = rng.integers(90, 130, (200, 240, 3), dtype=np.uint8)
    region = segment(photo, box_xywh_px=(60, 50, 120, 100))
    rows, columns = np.flatnonzero(region.mask_hw.any(1)), np.flatnonzero(region.mask_hw.any(0))
    assert np.ptp(rows) > 40 and np.ptp(columns) > 50
    assert region.mask_hw[100, 120]


def test_a_box_of_the_whole_photo_or_of_a_few_pixels_is_no_region() -> None:
    photo, _ = flower()
    for box in ((0, 0, 320, 240), (10, 10, 3, 3)):
        with pytest.raises(MaskError, match="--box"):
            segment(photo, box_xywh_px=box)


def test_a_given_mask_comes_back_as_it_is() -> None:
    photo, truth = flower()
    mask = np.round(np.linspace(0, 1, 320) * 255)[None].repeat(240, 0).astype(np.float32) / 255
    region = segment(photo, mask_hw01=mask)
    np.testing.assert_array_equal(region.alpha_hw01, mask)
    np.testing.assert_array_equal(region.mask_hw, mask >= 0.5)
    hard = segment(photo, mask_hw01=truth.astype(np.float32))
    assert hard.soft_px == 0 and hard.area_share == pytest.approx(truth.mean())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "boxx"}, "Did you mean 'box'"),
        ({"prompt": "box"}, "needs a box"),
        ({"prompt": "mask"}, "needs a mask"),
        ({"prompt": "face", "box_xywh_px": (1, 1, 50, 50)}, "only one"),
        ({"prompt": "saliency"}, "needs a saliency map"),
        ({"mask_hw01": np.ones((240, 320)), "box_xywh_px": (1, 1, 50, 50)}, "only one"),
        ({"box_xywh_px": (400, 0, 50, 50)}, "320x240"),
        ({"box_xywh_px": (80, 40, 160, 160), "feather_px": -2.0}, "Feather"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    photo, _ = flower()
    with pytest.raises(UsageError, match=message):
        segment(photo, **options)


def test_no_subject_no_mask() -> None:
    with pytest.raises(MaskError, match="No subject was found"):
        segment(np.full((80, 100, 3), 128, dtype=np.uint8))


def test_two_runs_give_the_same_bytes() -> None:
    photo = load_picture(samples.photo("chelsea")).rgb_hwc_u8
    first, second = segment(photo, seed=2), segment(photo, seed=2)
    np.testing.assert_array_equal(first.alpha_hw01, second.alpha_hw01)
    assert first.mask_hw[110, 170] and first.mask_hw[140, 250]  # an eye, the nose's bridge
    assert not first.mask_hw[250, 430]


def test_measures_of_belief_on_known_pictures(rng: np.random.Generator) -> None:
    photo, truth = flower()
    assert colour_separation(photo, truth) > 0.9
    left = np.zeros_like(truth)
    left[:, :160] = True
    assert colour_separation(photo, left) < 0.05  # the picture is symmetric
    textured = np.full((100, 100, 3), 100, dtype=np.uint8)
    textured[30:70, 30:70] += rng.integers(0, 60, (40, 40, 1), dtype=np.uint8)
    square = np.zeros((100, 100), dtype=bool)
    square[30:70, 30:70] = True
    assert sharpness_ratio(textured, square) > 5 > 0.5 > sharpness_ratio(textured, ~square)
    assert implausible(square) is None
    assert implausible(np.ones((50, 50), bool)) is Doubt.AREA
    dots = np.kron(np.eye(5, dtype=bool), np.pad(np.ones((4, 4), dtype=bool), 1))
    assert implausible(dots) is Doubt.SCATTERED


def test_outline_and_overlay_show_the_region() -> None:
    mask = np.zeros((60, 80), dtype=bool)
    mask[20:40, 30:80] = True
    outline = outline_hw(mask)
    expected = np.zeros_like(mask)
    expected[20, 30:], expected[39, 30:], expected[20:40, 30] = True, True, True  # the photo's border is no edge
    np.testing.assert_array_equal(outline, expected)
    photo = np.full((60, 80, 3), 200, dtype=np.uint8)
    alpha = mask.astype(np.float32)
    drawn = overlay(
        photo, Segmentation(np.zeros((60, 80), np.uint8), mask, alpha, "box", {}, (10, 5, 60, 50), 0, 1, 0, 0, 1)
    )
    assert tuple(drawn[30, 50]) == (200, 200, 200) and tuple(drawn[0, 0]) == (80, 80, 80)
    assert tuple(drawn[20, 50]) == (255, 64, 160) and tuple(drawn[5, 10]) == (255, 214, 0)
