"""The introspection commands as a user meets them: what they write, and what they say about it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from commands import samples
from tests.helpers import call


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "me.png"
    Image.open(samples.photo("astronaut")).resize((128, 128)).save(path)
    return path


def outputs(result: Result) -> dict[str, Path]:
    assert result.exit_code == 0, result.stderr
    return {name: Path(path) for name, path in json.loads(result.stdout)["outputs"].items()}


def test_all_layers_have_a_grid_each_and_a_report_of_a_few_megabytes(photo: Path, tmp_path: Path) -> None:
    found = outputs(call("featuremaps", photo, "--layers", "all", "--count", "9", "--json", "--out-dir", tmp_path))
    assert len(found) == 37 + 2 and {"grid:conv1_1", "grid:pool5", "stats", "report"} < set(found)
    assert found["report"].stat().st_size < 3_000_000
    stats = json.loads(found["stats"].read_text())
    assert stats["conv1_1"]["stage"] == "before ReLU" and len(stats["relu5_4"]["dead"]) == 128
    assert stats["relu4_1"]["energy"][3] == pytest.approx(
        stats["relu4_1"]["mean"][3] ** 2 + stats["relu4_1"]["std"][3] ** 2, rel=1e-4
    )


def test_channels_by_class_region_and_number(photo: Path, tmp_path: Path) -> None:
    options = ["--layers", "relu3_1", "--count", "5", "--json", "--out-dir", tmp_path, "--no-report"]
    by_class = call("featuremaps", photo, "--rank", "gradient", "--target", "goldfish", *options)
    stats = json.loads(outputs(by_class)["stats"].read_text())["relu3_1"]
    everything = np.array(stats["gradient x activation"])
    assert stats["shown"] == np.argsort(-everything)[:5].tolist() and "goldfish" in stats["rule"]
    by_region = call("featuremaps", photo, "--rank", "contrast", "--box", "30,10,70,110", *options[:-1])
    assert "contrast between inside and outside" in outputs(by_region)["stats"].read_text()
    assert 'id="region"' in outputs(by_region)["report"].read_text()
    given = call("featuremaps", photo, "--channels", "7,3-5", "--scale", "shared", *options)
    assert json.loads(outputs(given)["stats"].read_text())["relu3_1"]["shown"] == [7, 3, 4, 5]


def test_several_methods_make_one_figure_with_a_verdict_each(photo: Path, tmp_path: Path) -> None:
    methods = ["gradient", "guided-backprop", "grad-cam"]
    options = ["--methods", ",".join(methods), "--size", "48", "--json", "--out-dir", tmp_path]
    result = call("saliency", photo, *options)
    found = outputs(result)
    assert set(found) == {"figure", "stats", "report"}
    stats = json.loads(found["stats"].read_text())
    assert list(stats["maps"]) == methods and stats["convention"] == "percentile99"
    for entry in stats["maps"].values():
        assert entry["vmin"] < entry["vmax"]
        assert entry["verdict"]["word"] in result.stderr
    page = found["report"].read_text()
    assert all(word in page for word in ("Guided backprop", "Springenberg", "Chance, 95 %"))


def test_the_verdict_is_left_out_of_the_terminal_but_not_of_the_report(photo: Path, tmp_path: Path) -> None:
    result = call("saliency", photo, "--no-verdict", "--size", "48", "--out-dir", tmp_path)
    assert result.exit_code == 0 and "random rankings" not in result.stderr
    assert "random rankings" in (tmp_path / "me.saliency.report.html").read_text()
    shown = call("saliency", photo, "--no-report", "--convention", "symmetric", "--size", "48", "--out-dir", tmp_path)
    assert shown.exit_code == 0 and "random rankings" in shown.stderr


def test_a_channel_needs_no_classifier(photo: Path, tmp_path: Path) -> None:
    options = ["--weights", "random", "--width", "0.1", "--size", "64", "--json", "--out-dir", tmp_path]
    result = call("saliency", photo, "--target", "relu3_1:4", *options)
    assert set(outputs(result)) == {"figure", "map", "report"}
    assert "Not tested" in result.stderr and "channel 4 of relu3_1" in result.stderr


def test_all_methods_leave_out_what_cannot_be_used_and_say_so(photo: Path, tmp_path: Path) -> None:
    options = ["--target", "conv1_1:3", "--size", "48", "--samples", "4", "--json", "--out-dir", tmp_path]
    result = call("saliency", photo, "--methods", "all", *options)
    stats = json.loads(outputs(result)["stats"].read_text())
    usable = ["gradient", "input-x-gradient", "smoothgrad", "integrated-gradients", "occlusion"]
    assert list(stats["maps"]) == usable
    assert result.stderr.count("Left out") == 4 and "no ReLU lies between" in result.stderr
    record = json.loads((tmp_path / "me.saliency.report.json").read_text())
    assert len(record["warnings"]) == 4
    alone = call("saliency", photo, "--methods", "guided-backprop", *options)
    assert alone.exit_code == 2 and "no ReLU lies between" in alone.stderr


def test_sanity_writes_the_cascade(photo: Path, tmp_path: Path) -> None:
    options = ["--methods", "guided-backprop,gradient", "--draws", "1", "--size", "48", "--json", "--out-dir", tmp_path]
    found = outputs(call("sanity", photo, *options))
    methods = json.loads(found["stats"].read_text())["methods"]
    guided, plain = (methods[name]["cascade"] for name in ("guided-backprop", "gradient"))
    assert next(iter(guided)) == "head" and list(guided)[-1] == "conv1_1" and len(guided) == 17
    assert guided["head"]["rank"] > plain["head"]["rank"] + 0.1
    assert set(guided["head"]) == {"rank", "ssim", "hog"}
    assert set(methods["gradient"]["edges"]) == {"rank", "ssim", "hog"}
    assert len(methods["gradient"]["other classes"]) == 5


def test_gram_compares_pictures(photo: Path, tmp_path: Path) -> None:
    pictures = [photo, samples.PAINTING, photo]
    result = call("gram", *pictures, "--size", "128", "--json", "--out-dir", tmp_path)
    found = outputs(result)
    stats = json.loads(found["stats"].read_text())
    assert set(stats["pictures"]) == {"me.png", "night_swirl.png", "me.png (3)"}
    first = stats["layers"][0]
    assert first["layer"] == "relu1_1" and first["distances"][0][2] == 0 < first["distances"][0][1]
    assert "tells the pictures apart best" in result.stderr
    assert "Which layers tell the pictures apart" in found["report"].read_text()
    refused = call("gram", *[photo] * 13, "--out-dir", tmp_path)
    assert refused.exit_code == 2 and "at most 12" in refused.stderr


def test_maximise_writes_the_picture(photo: Path, tmp_path: Path) -> None:
    options = ["--size", "48", "--iterations", "5", "--json", "--out-dir", tmp_path]
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "first.png").write_bytes(samples.PAINTING.read_bytes())
    (folder / "second.png").write_bytes(samples.PAINTING.read_bytes())
    (folder / "damaged.png").write_bytes(b"no picture")
    result = call("maximise", "relu3_1:20", folder, photo, *options)
    found = outputs(result)
    assert "Left out: 'damaged.png' is not a picture" in result.stderr
    assert "Left out: second.png is the same picture as first.png." in result.stderr
    assert found["image"].name == "relu3_1-20.maximise.png"
    with Image.open(found["image"]) as picture:
        assert picture.size == (48, 48)
    record = json.loads((tmp_path / "relu3_1-20.maximise.report.json").read_text())
    data = record["data"]
    assert set(data["photos"]) == {"first.png", "me.png"} and data["final"] > data["photos"]["me.png"]
    values = [patch["cell"]["value"] for patch in data["patches"]]
    assert len(values) == 12 and values == sorted(values, reverse=True)
    assert [section["id"] for section in record["sections"]] == ["patches", "photos", "maximise"]
    classes = outputs(call("maximise", "goldfish", photo, *options))
    page = classes["report"].read_text()
    assert "no receptive field to draw" in page and 'id="patches"' not in page
    refused = call("maximise", "relu3_1:20", *[photo] * 49, *options)
    assert refused.exit_code == 2 and "at most 48" in refused.stderr
    assert call("maximise", "relu3_1:20", folder / "damaged.png", photo, *options).exit_code == 3
