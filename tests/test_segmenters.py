"""Networks that mark the subject: read from files of every shape, never trusted, asked by prompts."""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli import app
from interp.errors import MaskError, UsageError, WeightsError
from reports.foreground import doubts, how_found
from segment import segment
from segment.box import box_trimap
from segment.hints import Hints, Stroke
from segment.plausibility import expected_overlap
from segment.prompt import Request
from segment.prompts.box import marked_in_box
from segment.prompts.person import PersonPrompt
from segment.segmenters import selfie
from segment.segmenters.file import FileSegmenter, first_map
from segment.segmenters.graph_input import onnx_input_hw_px, tflite_input_hw_px
from segment.trimap import Doubt, Passed
from tests.tiny_networks import onnx_file, tflite_bytes

RED = np.array([[8.0, -8.0, 0.0]])  # logits: red against green


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red disc on noisy green, and where it is."""
    rows, columns = np.mgrid[:120, :160]
    inside = np.hypot(rows - 60, columns - 70) < 30
    photo = np.where(inside[..., None], (220, 50, 60), (50, 200, 60))
    return np.clip(photo + np.random.default_rng(0).normal(0, 8, photo.shape), 0, 255).astype(np.uint8), inside


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@dataclass
class Marks:
    """A network that answers with a map."""

    map_hw01: np.ndarray
    name: str = "a fake network"
    origin: str = "this test"

    def __call__(self, rgb_hwc_u8: np.ndarray) -> np.ndarray:
        return self.map_hw01


@pytest.mark.parametrize(
    "options",
    [
        {"weights_oc": RED},  # logits
        {"weights_oc": RED, "after": "Sigmoid"},
        {"weights_oc": RED, "after": "Sigmoid", "repeated": True},  # the first of two maps
        {"weights_oc": np.vstack([-RED, RED])},  # background and subject, scores
        {"weights_oc": np.vstack([-RED, RED]), "after": "Softmax"},
        {"weights_oc": np.vstack([-RED, RED, RED])},  # more classes
        {"weights_oc": np.array([[200.0, 0.0, 0.0]])},  # grey levels
        {"weights_oc": RED, "size_hw_px": ("height", "width")},  # any size
        {"weights_oc": RED, "size_hw_px": (24, 40)},
    ],
    ids=["logits", "sigmoid", "several", "two", "softmax", "three", "grey", "open", "oblong"],
)
def test_every_shape_of_network_finds_the_disc(tmp_path: Path, options: dict) -> None:
    photo, truth = scene()
    network = FileSegmenter(onnx_file(tmp_path / "tiny.onnx", **options), (0, 0, 0), (1, 1, 1))
    sides = options.get("size_hw_px", (32, 32))
    assert network.input_hw_px == ((320, 320) if isinstance(sides[0], str) else sides)
    marked = network(photo)
    assert marked.dtype == np.float32 and marked.min() >= 0 and marked.max() <= 1
    region = segment(photo, segmenter=network)
    assert region.prompt == "segmenter" and iou(region.mask_hw, truth) > 0.97
    assert "tiny.onnx marks the subject" in how_found(region)


def test_the_network_sees_the_photo_normalised(tmp_path: Path) -> None:
    flat = np.full((32, 32, 3), (51, 102, 204), np.uint8)
    weights = np.array([[0.1, 0.2, 0.3]])
    path = onnx_file(tmp_path / "tiny.onnx", weights, bias_o=np.array([0.4]))
    colours = np.array([0.2, 0.4, 0.8])
    seen = FileSegmenter(path, (0.1, 0.2, 0.3), (0.5, 1, 2))(flat)
    expected = 0.4 + weights[0] @ ((colours - (0.1, 0.2, 0.3)) / (0.5, 1, 2))
    np.testing.assert_allclose(seen, expected, atol=1e-5)
    usual = 0.4 + weights[0] @ ((colours - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225))
    np.testing.assert_allclose(FileSegmenter(path)(flat), usual, atol=1e-5)


def test_maps_are_recognised_by_their_shapes_and_values() -> None:
    row = np.tile(np.array([-2, 0, 2], np.float32), (3, 1))
    expected = 1 / (1 + np.exp(-row))
    for shaped in (row, row[None], row[None, None], row[None, ..., None]):
        np.testing.assert_allclose(first_map([shaped]), expected, atol=1e-6)
    np.testing.assert_allclose(first_map([100 + 50 * row]), (row + 2) / 4, atol=1e-6)
    np.testing.assert_allclose(first_map([np.stack([-row, row])[None]]), 1 / (1 + np.exp(-2 * row)), atol=1e-6)
    with pytest.raises(ValueError, match="no map"):
        first_map([np.zeros((1, 1000))])
    with pytest.raises(ValueError, match="finite"):
        first_map([np.full((1, 1, 4, 4), np.nan)])


@pytest.mark.parametrize("cause", ["no file", "text", "wrong ending", "cut off", "two channels in", "no map"])
def test_a_file_that_is_no_segmenter_is_one_message(tmp_path: Path, cause: str) -> None:
    path = onnx_file(tmp_path / "bad.onnx", RED, channels=2 if cause == "two channels in" else 3)
    if cause == "no file":
        path.unlink()
    elif cause == "text":
        path.write_text("<html>not found</html>")
    elif cause == "wrong ending":
        path = path.rename(tmp_path / "bad.pth")
    elif cause == "cut off":
        path.write_bytes(path.read_bytes()[:-40])
    elif cause == "no map":
        onnx_file(path, RED, size_hw_px=(1, 1))
    photo = tmp_path / "photo.png"
    Image.fromarray(scene()[0]).save(photo)
    words = [
        "segment",
        str(photo),
        "--segmenter",
        str(path),
        "--features",
        "color",
        "--no-report",
        "--out-dir",
        str(tmp_path),
    ]
    failed = CliRunner().invoke(app, words)
    assert failed.exit_code == 5 and path.name in failed.stderr and failed.stderr.count("Error:") == 1


def test_input_sizes_are_read_from_the_bytes(tmp_path: Path) -> None:
    assert onnx_input_hw_px(onnx_file(tmp_path / "a.onnx", RED, size_hw_px=(24, 40)).read_bytes()) == (24, 40)
    assert onnx_input_hw_px(onnx_file(tmp_path / "a.onnx", RED, size_hw_px=("h", "w")).read_bytes()) is None
    assert tflite_input_hw_px(tflite_bytes((1, 144, 256, 3))) == (144, 256)
    assert tflite_input_hw_px(tflite_bytes((1, -1, -1, 3))) is None
    for wrong in (tflite_bytes((1, 144, 256, 1)), tflite_bytes((1, 9)), b"", b"TFL3" * 9, bytes(64)):
        with pytest.raises(ValueError, match=r"it (is no|has)|its input has"):
            tflite_input_hw_px(wrong)


def test_auto_asks_the_network_for_people_first_and_follows_it_where_it_is_sure() -> None:
    photo, truth = scene()
    sure = Marks(truth.astype(np.float32))
    region = segment(photo, person=sure)
    assert region.prompt == "person" and region.passed == () and iou(region.mask_hw, truth) > 0.97
    assert region.facts["undecided"] == 0 and region.facts["share"] == pytest.approx(truth.mean())
    unsure = segment(photo, person=Marks(np.where(truth, 0.6, 0.3).astype(np.float32)))
    assert unsure.prompt == "contrast" and unsure.passed[0] == Passed("person", Doubt.UNSURE)
    assert "sure of nothing" in how_found(unsure)
    without = segment(photo)
    assert without.passed[0] == Passed("person", Doubt.NOT_GIVEN) and "weights fetch person" in how_found(without)


def test_asked_by_name_the_network_is_followed_and_doubted() -> None:
    photo, truth = scene()
    region = segment(photo, prompt="person", person=Marks(np.where(truth, 0.6, 0.3).astype(np.float32)))
    assert region.prompt == "person" and {Doubt.UNSURE, Doubt.DOUBTFUL} <= {*region.doubts}
    assert all(any(words in said for said in doubts(region)) for words in ("may be wrong", "is not sure"))
    assert Doubt.UNSURE not in segment(photo, prompt="person", person=Marks(truth.astype(np.float32))).doubts
    assert iou(region.mask_hw, truth) > 0.9
    with pytest.raises(MaskError, match=r"marks 0\.0%"):
        segment(photo, prompt="person", person=Marks(np.zeros((8, 8), np.float32)))
    with pytest.raises(UsageError, match="needs a person"):
        segment(photo, prompt="person")
    with pytest.raises(UsageError, match="only one"):
        segment(photo, prompt="person", person=Marks(truth), segmenter=Marks(truth))


def test_confidence_is_the_overlap_that_a_map_lets_expect() -> None:
    rows, columns = np.mgrid[:80, :120]
    one, other = np.hypot(rows - 40, columns - 50) < 25, np.hypot(rows - 40, columns - 60) < 25
    assert expected_overlap(one, other.astype(np.float32)) == pytest.approx(iou(one, other))
    half = columns < 60
    assert expected_overlap(half, np.full((8, 12), 0.5, np.float32)) == pytest.approx(1 / 3)


def test_a_guess_is_doubted_where_the_network_for_things_marks_something_else() -> None:
    photo, truth = scene()
    agreed = segment(photo, prompt="contrast", things=Marks(truth.astype(np.float32)))
    assert agreed.confidence is not None and agreed.confidence > 0.95 and agreed.doubts == ()
    elsewhere = np.zeros(truth.shape, np.float32)
    elsewhere[:, 110:] = 1
    denied = segment(photo, prompt="contrast", things=Marks(elsewhere))
    assert denied.confidence == pytest.approx(0) and Doubt.DOUBTFUL in denied.doubts
    assert "may be wrong" in doubts(denied)[-1]
    assert segment(photo, prompt="contrast").confidence is None


def test_auto_asks_the_network_for_things_where_no_person_is_sure() -> None:
    photo, truth = scene()
    region = segment(photo, person=Marks(np.full((8, 8), 0.4, np.float32)), things=Marks(truth.astype(np.float32)))
    assert region.prompt == "things" and [each.prompt for each in region.passed] == ["person"]
    assert iou(region.mask_hw, truth) > 0.97 and "a fake network marks the subject" in how_found(region)


def test_where_two_networks_agree_the_mean_of_their_maps_is_followed() -> None:
    photo, truth = scene()
    columns = np.nonzero(truth)[1]
    half, other = truth.copy(), truth.copy()
    half[:, columns.min() : columns.min() + np.ptp(columns) // 4] = False  # three quarters of it
    other[:, columns.min() + np.ptp(columns) // 4 :] = False  # the other quarter
    unsure = Marks(np.where(half, 0.6, 0.2).astype(np.float32))
    person = PersonPrompt()
    for things, objection in ((truth, None), (other, Doubt.UNSURE)):
        request = Request(photo, person=unsure, things=Marks(things.astype(np.float32)))
        assert person.objection(request) is objection
    together = person.trimap(Request(photo, person=unsure, things=Marks(truth.astype(np.float32))))
    assert together.facts["network"] == "a fake network with a fake network" and together.marked_hw01 is not None
    expected = (np.where(half, 0.6, 0.2) + truth) / 2
    np.testing.assert_allclose(together.marked_hw01, expected, atol=1e-6)
    np.testing.assert_array_equal(
        together.labels_hw_u8, np.select([expected <= 0.2, expected >= 0.8, half], [0, 1, 3], 3)
    )
    sure = Marks(np.where(half, 0.97, 0.0).astype(np.float32))  # what it rules out stays out
    marked_hw01, _ = person.asked(Request(photo, person=sure, things=Marks(np.full(truth.shape, 0.9) * truth)))
    np.testing.assert_allclose(marked_hw01, np.where(half, 0.935, 0.0), atol=1e-6)


def test_in_a_box_the_network_looks_at_the_box_and_a_quarter_around_it() -> None:
    photo, _ = scene()
    seen = []

    class Watching(Marks):
        def __call__(self, rgb_hwc_u8: np.ndarray) -> np.ndarray:
            seen.append(rgb_hwc_u8)
            return self.map_hw01

    middle = np.zeros((60, 60), np.float32)
    middle[20:40, 20:40] = 1
    network = Watching(middle)
    given = box_trimap((120, 160), (40, 30, 60, 40))
    found = marked_in_box(given, photo, network)
    np.testing.assert_array_equal(seen[0], photo[20:80, 25:115])  # 60x40 px and a quarter of that at each side
    assert found is not None and found.marked_hw01 is not None
    rows, columns = np.nonzero(found.marked_hw01 >= 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 59, 55, 84)
    assert set(np.unique(found.labels_hw_u8[45:55, 60:80])) == {3} and found.labels_hw_u8[32, 42] == 2
    assert found.facts["network"] == "a fake network" and (found.labels_hw_u8[given.labels_hw_u8 == 0] == 0).all()
    assert marked_in_box(given, photo, Marks(np.zeros((9, 9), np.float32))) is None


def test_strokes_overrule_the_network() -> None:
    photo, truth = scene()
    no = Hints(background=(Stroke(((70, 40), (70, 80)), 8),))
    region = segment(photo, prompt="person", person=Marks(truth.astype(np.float32)), hints=no)
    assert region.prompt == "person" and not region.mask_hw[42:78, 68:72].any() and region.mask_hw[60, 90]


def test_the_network_for_people_is_taken_from_a_path_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, other = tmp_path / "mediapipe.whl", tmp_path / "other.whl"
    for path, member in ((wheel, selfie.MEMBER), (other, "else.txt")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, b"bytes")
    folder = tmp_path / "cache"
    with pytest.raises(WeightsError, match="nothing was written"):
        selfie.fetch(folder, wheel)
    monkeypatch.setattr(selfie, "SHA256", hashlib.sha256(b"bytes").hexdigest())
    for bad in (other, tmp_path / "none.whl"):
        with pytest.raises(WeightsError, match="Cannot read"):
            selfie.fetch(folder, bad)
    assert selfie.fetch(folder, wheel).read_bytes() == b"bytes"
    plain = tmp_path / "plain.tflite"
    plain.write_bytes(b"bytes")
    assert selfie.fetch(folder, plain) == folder / selfie.FILE
    assert [path.name for path in folder.iterdir()] == [selfie.FILE]
    with pytest.raises(WeightsError, match="cannot be used"):
        selfie.SelfieSegmenter(folder)
    with pytest.raises(WeightsError, match="weights fetch person"):
        selfie.SelfieSegmenter(tmp_path)


def test_without_an_index_pip_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(WeightsError, match=r"mediapipe.*--from FILE"):
        selfie.fetch(tmp_path)


def test_the_command_fetches_lists_and_explains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(selfie, "SHA256", hashlib.sha256(b"bytes").hexdigest())
    (tmp_path / "file.tflite").write_bytes(b"bytes")
    invoke = CliRunner().invoke
    missing = invoke(app, ["segment", "--prompt", "person", "--no-report", "--out-dir", str(tmp_path)])
    assert missing.exit_code == 5 and "weights fetch person" in missing.stderr
    done = invoke(app, ["weights", "fetch", "person", "--from", str(tmp_path / "file.tflite")])
    assert done.exit_code == 0 and "Apache-2.0" in done.stderr and Path(done.stdout.strip()).read_bytes() == b"bytes"
    rows = json.loads(invoke(app, ["weights", "--json"]).stdout)["weights"]
    assert {row["name"]: row["state"] for row in rows}["person"] == "fetched"
    assert invoke(app, ["weights", "fetch", "--from", "x"]).exit_code == 2


def test_points_and_boxes_in_per_cent_on_the_command_line(tmp_path: Path) -> None:
    photo, truth = scene()
    Image.fromarray(photo).save(tmp_path / "photo.png")
    common = ["--features", "color", "--no-report", "--json", "--out-dir", str(tmp_path)]

    def cut(*words: str) -> tuple[dict, np.ndarray]:
        done = CliRunner().invoke(app, ["segment", str(tmp_path / "photo.png"), *words, *common])
        assert done.exit_code == 0, done.stderr
        outputs = json.loads(done.stdout)["outputs"]
        return json.loads(Path(outputs["measures"]).read_text()), np.asarray(Image.open(outputs["mask"])) > 127

    in_px, in_share = cut("--box", "30,20,80,80"), cut("--box", "18.75%,16.6667%,50%,66.6667%")
    np.testing.assert_array_equal(in_px[1], in_share[1])
    found, mask = cut("--point", "70,60", "--not", "5%,5%", "--not", "95%,95%")
    assert found["prompt"] == "hints" and iou(mask, truth) > 0.95
    marks = found["replay"].split("segment ", 1)[1].split()[1:]
    np.testing.assert_array_equal(cut(*marks[: marks.index("--features")])[1], mask)
    for bad in (("--box", "1,2,3"), ("--box", "1.5,2,3,4"), ("--point", "1,x"), ("--not", "1%"), ("--point", "400,5")):
        assert CliRunner().invoke(app, ["segment", str(tmp_path / "photo.png"), *bad, *common]).exit_code == 2
