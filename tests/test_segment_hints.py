"""Strokes and dots: read in words, drawn where they are, obeyed; corrections stay near them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli import app
from interp.errors import UsageError
from reports.foreground import how_found
from segment import segment
from segment.box import box_trimap
from segment.hints import Hints, Stroke, add_hints, changes_at, hints_trimap, read_hints


def scene() -> np.ndarray:
    """Two red discs on noisy green, at (60, 60) and (180, 60), radius 30."""
    rows, columns = np.mgrid[:120, :240]
    inside = np.minimum(np.hypot(rows - 60, columns - 60), np.hypot(rows - 60, columns - 180)) < 30
    photo = np.where(inside[..., None], (200, 60, 50), (70, 130, 80)) + np.random.default_rng(0).normal(
        0, 8, (120, 240, 3)
    )
    return np.clip(photo, 0, 255).astype(np.uint8)


def dot(x: float, y: float, width: float | None = None) -> Stroke:
    return Stroke(((x, y),), width)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "expected an object"),
        ({}, "are empty"),
        ({"fg": []}, "unknown key 'fg'"),
        ({"box": [1, 2, 3]}, "four whole numbers"),
        ({"box": [1, 2, 3, 4.5]}, "four whole numbers"),
        ({"foreground": 3}, "list of strokes"),
        ({"foreground": [[1, 2]]}, "foreground stroke 1"),
        ({"background": [[[1, 2]], [["a", 2]]]}, "background stroke 2"),
        ({"foreground": [{"points": [[1, 2]], "width": 0}]}, "width 0"),
        ({"foreground": [{"points": []}]}, "foreground stroke 1"),
        ({"foreground": [[[float("inf"), 2]]]}, "foreground stroke 1"),
    ],
)
def test_what_is_no_hints_is_said_where(data: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_hints(data)


def test_strokes_are_drawn_with_their_width_and_are_sure() -> None:
    hints = read_hints({"foreground": [{"points": [[20, 50], [100, 50]], "width": 5}], "background": [[[10, 10]]]})
    trimap = add_hints(box_trimap((120, 240), (5, 5, 150, 100)), hints).labels_hw_u8
    assert (trimap[48:53, 20:101] == 1).all() and not (trimap[44, :] == 1).any() and trimap[10, 10] == 0
    assert trimap[80, 80] == 3 and trimap[110, 200] == 0


def test_strokes_outside_or_of_background_only_are_refused() -> None:
    with pytest.raises(UsageError, match="240x120 px"):
        hints_trimap((120, 240), Hints(foreground=(dot(500, 10),)))
    with pytest.raises(UsageError, match="only background"):
        hints_trimap((120, 240), Hints(background=(dot(5, 5),)))


def test_dots_choose_between_two_things_of_one_colour() -> None:
    region = segment(scene(), hints=Hints(foreground=(dot(60, 60),), background=(dot(180, 60, 50), dot(120, 20))))
    assert region.prompt == "hints" and "strokes: 1 of foreground, 2 of background" in how_found(region)
    assert region.mask_hw[60, 60] and region.mask_hw[45, 75]
    assert not region.mask_hw[40:80, 160:200].any()


def test_a_box_beside_strokes_and_a_named_prompt_beside_strokes() -> None:
    photo, no = scene(), Hints(background=(Stroke(((60, 60), (60, 85)), 8),))
    boxed = segment(photo, box_xywh_px=(20, 20, 80, 80), hints=no)
    assert boxed.mask_hw[60, 40] and not boxed.mask_hw[60:84, 58:62].any()
    both = segment(photo, prompt="contrast", hints=no)
    assert both.prompt == "contrast" and both.mask_hw[60, 180] and not both.mask_hw[60:84, 58:62].any()
    with pytest.raises(UsageError, match="only one of them"):
        segment(photo, box_xywh_px=(1, 1, 50, 50), hints=Hints(box_xywh_px=(2, 2, 9, 9)))


def test_an_earlier_mask_changes_only_where_a_stroke_touches_what_is_wrong() -> None:
    photo = scene()
    rows, columns = np.mgrid[:120, :240]
    earlier = np.hypot(rows - 60, columns - 60) < 30  # the right disc is missing
    earlier[100:110, 10:40] = True  # and a piece of ground is too much
    region = segment(photo, mask_hw01=earlier.astype(np.float32), hints=Hints(foreground=(dot(180, 60, 12),)))
    assert region.mask_hw[45:75, 165:195].mean() > 0.95
    np.testing.assert_array_equal(region.mask_hw[:, :120], earlier[:, :120])  # nobody touched that
    again = Hints(background=(Stroke(((15, 105), (35, 105)), 4),))
    second = segment(photo, mask_hw01=region.mask_hw.astype(np.float32), hints=again)
    assert not second.mask_hw[102:108, 12:38].any() and second.mask_hw[60, 60] and second.mask_hw[60, 180]


def test_only_pieces_of_change_that_a_stroke_reaches_are_taken() -> None:
    old, new = np.zeros((50, 100), bool), np.zeros((50, 100), bool)
    new[10:20, 10:20] = new[10:20, 60:70] = True
    taken = changes_at(old, new, Hints(foreground=(dot(15, 15),)))
    assert taken[10:20, 10:20].all() and taken.sum() == 100


def test_hints_and_replay_on_the_command_line(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "two.png")
    (tmp_path / "hints.json").write_text(
        json.dumps({"foreground": [[[60, 60]]], "background": [[[180, 40], [180, 80]]]})
    )
    common = ["--features", "color", "--no-report", "--json", "--out-dir", str(tmp_path)]
    result = CliRunner().invoke(app, ["segment", f"{tmp_path}/two.png", "--hints", f"{tmp_path}/hints.json", *common])
    assert result.exit_code == 0, result.stderr
    outputs = json.loads(result.stdout)["outputs"]
    measures = json.loads(Path(outputs["measures"]).read_text())
    mask = np.asarray(Image.open(outputs["mask"])) > 127
    assert measures["area_px"] == mask.sum() and measures["components"] == 1 and measures["confidence"] is None
    words = measures["replay"].split("segment ", 1)[1].split()
    again = CliRunner().invoke(app, ["segment", *words, "--no-report", "--json", "--out-dir", str(tmp_path)])
    replayed = json.loads(again.stdout)["outputs"]
    assert Path(replayed["alpha"]).read_bytes() == Path(outputs["alpha"]).read_bytes()
    (tmp_path / "bad.json").write_text("{")
    for name, code in (("bad.json", 3), ("none.json", 3)):
        failed = CliRunner().invoke(app, ["segment", f"{tmp_path}/two.png", "--hints", f"{tmp_path}/{name}", *common])
        assert failed.exit_code == code and "JSON" in failed.stderr
