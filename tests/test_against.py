"""One class against another: the difference of the maps against the gradient of the difference, and what is said."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from interp.attribution.contrast import Contrast
from interp.attribution.saliency import SaliencyMap, saliency_map
from interp.attribution.targets import Target, class_target, parse_target
from interp.attribution.verdict import SaliencyVerdict, VerdictWord
from interp.errors import UsageError
from interp.network.classify import Prediction
from interp.network.vgg import Vgg
from interp.pictures.images import to_hwc_u8
from interp.pictures.sizes import resize_nchw01
from reports import ImageStore
from reports.against import BRIGHTEST, contrast_conclusion, contrast_row, contrast_section, contrast_views
from reports.blocks import Figure, Table
from reports.record import Conclusion
from reports.verdict import verdict_table
from tests.helpers import assert_failed, call, smooth


def contrast(vgg: Vgg, method: str, one: int = 3, other: int = 7) -> Contrast:
    maps = [saliency_map(vgg, smooth(0, 64), method, class_target(vgg, index)) for index in (one, other)]
    return Contrast(*maps)


def test_the_difference_of_contributions_is_that_of_the_scores(compact: Vgg) -> None:
    """Input times the gradient of one score minus the other, by autograd."""
    image = smooth(0, 64).requires_grad_()
    scores = compact(image)[0]
    (gradient,) = torch.autograd.grad(scores[3] - scores[7], image)
    expected = (image * gradient)[0].sum(0).detach().numpy()
    np.testing.assert_allclose(contrast(compact, "input-x-gradient").difference_hw, expected, atol=1e-4)


def test_all_three_maps_have_one_scale(compact: Vgg) -> None:
    found = contrast(compact, "gradient")
    values = np.stack([found.one.heat_hw, found.other.heat_hw, found.difference_hw])
    limit = np.percentile(np.abs(values), BRIGHTEST)
    for view, value in zip(contrast_views(found), values, strict=True):
        assert (view.low, view.high) == pytest.approx((-limit, limit))
        np.testing.assert_allclose(view.unit_hw01, np.clip(value / limit, -1, 1) / 2 + 0.5, atol=1e-5)


def test_coarse_maps_are_enlarged_as_such_and_each_verdict_names_its_class(compact: Vgg) -> None:
    found = contrast(compact, "grad-cam")
    cells = found.difference_cells
    assert cells and found.one.cells and found.other.cells
    np.testing.assert_array_equal(cells.values_hw, found.one.cells.values_hw - found.other.cells.values_hw)
    photo = to_hwc_u8(smooth(0, 64))
    _, over, said = contrast_row(ImageStore(), photo, found, (0.5, 0.25)).figures
    assert isinstance(said, Table)
    given = {found.one.target.name: "50.0 %", found.other.target.name: "25.0 %"}
    assert given.items() <= {row[0]: row[1] for row in said.rows}.items() and len(said.rows) in (5, 6, 7)
    assert isinstance(over, Figure) and "the network saw only these 4×4 cells" in over.caption
    _, smoothly, _ = contrast_row(ImageStore(), photo, contrast(compact, "gradient"), (0, 0)).figures
    assert isinstance(smoothly, Figure) and "enlarged smoothly" in smoothly.caption
    verdicts = SaliencyVerdict(VerdictWord.CLASS), SaliencyVerdict(VerdictWord.RANDOM)
    table = contrast_section(ImageStore(), [found], [verdicts]).blocks[-1]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == [f"Grad-CAM, {each.target.name}" for each in (found.one, found.other)]


def test_what_speaks_against_a_class_is_blue_and_what_speaks_for_it_red() -> None:
    """Enlarged smoothly: left for the one class, right for the other, on a grey photo."""
    picture = np.linspace(0, 1, 3 * 64, dtype=np.float32).reshape(3, 8, 8)
    pushed, pulled = np.zeros((2, 3, 8, 8), np.float32)
    pushed[..., :4], pulled[..., 4:] = 1, 1
    prediction = Prediction(("cat", "dog"), (0.6, 0.3), (0, 1), (8, 8))
    maps = [
        SaliencyMap("gradient", Target(name, place), values, picture, prediction)
        for place, (name, values) in enumerate((("cat", pushed), ("dog", pulled)))
    ]
    store = ImageStore()
    _, over, _ = contrast_row(store, np.full((64, 64, 3), 128, np.uint8), Contrast(*maps), (0.6, 0.3)).figures
    assert isinstance(over, Figure)
    stored = base64.b64decode(store.images[over.image.sha256].base64)
    red, _, blue = np.asarray(Image.open(io.BytesIO(stored)).convert("RGB"), np.float32).transpose(2, 0, 1)
    assert (red - blue)[:, :24].min() > 30 and (blue - red)[:, 40:].min() > 30


def test_only_two_classes_by_one_method_can_be_subtracted(compact: Vgg) -> None:
    one, other = contrast(compact, "gradient").one, contrast(compact, "input-x-gradient").other
    for pair in ((one, one), (one, other)):
        with pytest.raises(UsageError, match="expected"):
            Contrast(*pair)


def concluded(
    words: tuple[VerdictWord, VerdictWord],
    best: str = "cat",
    probability: float = 0.9,
    chances: tuple[float, float] = (0.15, 0.05),
) -> Conclusion:
    """On a cat against a dog, where the classifier sees this."""
    picture = np.zeros((3, 2, 2), np.float32)
    pushed = picture.copy()
    pushed[:, 0, 0] = 1  # heat 1 for the one; the other has 0.5 elsewhere
    pulled = picture.copy()
    pulled[:, 1, 1] = 0.5
    maps = [
        SaliencyMap("gradient", Target(name, index), values, picture, Prediction((best,), (probability,), (0,), (2, 2)))
        for name, index, values in (("cat", 0, pushed), ("dog", 1, pulled))
    ]
    verdicts = SaliencyVerdict(words[0]), SaliencyVerdict(words[1])
    return contrast_conclusion([Contrast(*maps)], [verdicts], chances)


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ((VerdictWord.CLASS, VerdictWord.CLASS), "good"),
        ((VerdictWord.CLASS, VerdictWord.RANDOM), "bad"),
    ],
)
def test_a_difference_is_believed_as_far_as_both_maps(words: tuple[VerdictWord, VerdictWord], level: str) -> None:
    said = concluded(words)
    assert said.level == level and "66.7 % speaks for 'cat'" in said.found
    assert "'cat' it gives 15.0 %, to 'dog' 5.0 %" in said.found and "unsure" not in said.found


def test_a_choice_that_the_network_did_not_make_is_doubted() -> None:
    believed = VerdictWord.CLASS, VerdictWord.CLASS
    unsure, third = concluded(believed, "dog", 0.19), concluded(believed, "cup, mug", 0.9)
    assert unsure.level == third.level == "doubt"
    assert "The network is unsure" in unsure.found and "one large subject" in unsure.advice
    assert "sees 'cup'" in third.found and "neither of the two" in third.belief and "'cup'" in third.advice
    assert concluded((VerdictWord.CLASS, VerdictWord.RANDOM), "cup").level == "bad"


def test_a_class_that_fits_nothing_is_called_so() -> None:
    believed = SaliencyVerdict(VerdictWord.CLASS), SaliencyVerdict(VerdictWord.CLASS)
    said = concluded((VerdictWord.CLASS, VerdictWord.CLASS), chances=(0.9, 0.0001))
    assert said.level == "doubt" and "does not see 'dog' here" in said.belief and "Each map can be" not in said.belief
    picture = np.ones((3, 2, 2), np.float32)
    maps = [SaliencyMap("gradient", Target(name, 0), picture, picture, Prediction((), (), (), (2, 2))) for name in "ab"]
    judged = [
        replace(believed[0], insertion_auc=4e-5, deletion_auc=7e-5),
        replace(believed[0], insertion_auc=0.5, deletion_auc=0.25),
    ]
    assert [row[2] for row in verdict_table(maps, judged).rows] == [
        "-3.00e-05",
        "0.500 - 0.250 = 0.250",
    ]


def test_the_command(compact: Vgg, tmp_path: Path) -> None:
    path = tmp_path / "me.png"
    Image.fromarray(to_hwc_u8(smooth(0, 96))).save(path)
    options = ("--out-dir", tmp_path / "out", "--samples", "4", "--target", "teapot", "--weights", "compact")
    result = call("saliency", path, *options, "--against", "espresso", "--json")
    assert result.exit_code == 0, result.output
    outputs = json.loads(result.stdout)["outputs"]
    stats = json.loads(Path(outputs["stats"]).read_text())
    seen_nchw01 = resize_nchw01(smooth(0, 96), (compact.info.native_size_px, compact.info.native_size_px))
    every = torch.softmax(compact(seen_nchw01)[0], 0).tolist()
    chances = [every[parse_target(compact, name).index] for name in ("teapot", "espresso")]
    assert (stats["target"], stats["against"], list(stats["maps"])) == ("teapot", "espresso", ["integrated-gradients"])
    np.testing.assert_allclose(stats["probabilities"], chances, rtol=1e-3)
    record = json.dumps(json.loads(Path(json.loads(result.stdout)["record"]).read_text()))
    assert '["methods", "integrated-gradients", "default"]' in record
    page = Path(outputs["report"]).read_text("utf-8")
    assert "teapot against espresso" in page and "teapot less espresso" in page
    for against in ("teapot", "relu4_1", "no such class"):
        again = call("saliency", path, *options, "--against", against)
        assert_failed(again, 2, "against" if against != "no such class" else "class")
    assert_failed(
        call("saliency", path, *options, "--against", "espresso", "--convention", "shared"), 2, "--convention"
    )
