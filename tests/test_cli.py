"""The command line as a user meets it: results on stdout, words on stderr, exit codes, nothing half-written."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import samples
from tests.helpers import QUICK, assert_failed, call

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "me.png"
    Image.open(samples.photo("astronaut")).resize((192, 192)).save(path)
    return path


def test_help_and_version_do_not_load_the_heavy_libraries() -> None:
    code = "import sys, cli; print([m for m in ('torch', 'cv2', 'matplotlib', 'numpy') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
    assert "stylize" in call("--help").stdout and "gramscope 0" in call("--version").stdout


def test_inputs_are_checked_before_torch_loads(tmp_path: Path) -> None:
    code = (
        "import sys, cli\n"
        "try: cli.app(['featuremaps', 'missing.png'])\n"
        "except SystemExit as stop: print(stop.code, 'torch' in sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == ["3", "False"], loaded.stderr


HEAVY = (
    "torch", "torchvision", "captum", "sympy", "scipy.ndimage", "scipy.sparse", "scipy.cluster", "skimage", "cv2",
    "matplotlib", "matplotlib.figure", "matplotlib.pyplot", "optuna",
)  # fmt: skip
CHARTS = {"matplotlib", "matplotlib.figure"}
# Old libraries load these themselves where they are used, whatever we do: torch 2.6, scikit-image 0.25.
THEIR_OWN = {"sympy", "scipy.sparse"} if version("torch").startswith("2.6.") else set[str]()


@pytest.mark.parametrize(
    ("arguments", "uses"),
    [
        ("kmeans --no-report", {"cv2", "scipy.sparse"} | CHARTS),
        ("segment --box 10%,10%,80%,80% --features color --no-report", {"cv2", "skimage"}),
        ("segment --no-report", {"cv2", "torch"}),
        ("featuremaps", {"torch", "matplotlib"}),
        ("saliency", {"torch", "scipy.ndimage", "cv2"} | CHARTS),
        ("maximise --iterations 1 --no-report", {"torch"}),
        ("stylize --region background --iterations 1 --size 64 --no-report", {"torch", "cv2", "skimage"}),
        ("stylize --region all --faces free --instant --size 64", {"torch", "cv2", "scipy.ndimage"} | CHARTS),
    ],
)
def test_a_command_loads_what_it_uses_and_nothing_else(arguments: str, uses: set[str], tmp_path: Path) -> None:
    code = (
        f"import sys, cli\n"
        f"try: cli.app({[*arguments.split(), '-q', '--out-dir', str(tmp_path)]})\n"
        f"finally: print('loaded', *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert set(told.stderr.splitlines()[-1].split()[1:]) - THEIR_OWN == uses - THEIR_OWN


@pytest.mark.parametrize("command", ["featuremaps", "saliency", "sanity", "gram", "layers", "maximise"])
def test_bare_commands_work_twice_in_a_row(command: str, tmp_path: Path) -> None:
    size, written = {"saliency": [], "sanity": ["--draws", "1", "--size", "48"]}.get(command, ["--size", "128"]), []
    size = [*size, "--iterations", "2"] if command == "maximise" else size
    for _ in range(2):
        result = call(command, "--out-dir", tmp_path, *size)
        assert result.exit_code == 0, result.stderr
        assert "bundled sample" in result.stderr
        written = [Path(line) for line in result.stdout.splitlines()]
        assert written and all(path.stat().st_size > 0 for path in written)
        assert written[-1].name.endswith(".report.html")
    assert "-2" in written[0].name


def test_stylize_isolates_numbers_and_reports(photo: Path, tmp_path: Path) -> None:
    result = call("stylize", photo, "--region", "background", "--out-dir", tmp_path, "--json", *QUICK)
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["command"] == "stylize" and set(printed["outputs"]) == {"image", "mask", "alpha", "report"}
    restyled, alpha = (np.asarray(Image.open(printed["outputs"][name])) for name in ("image", "alpha"))
    original = np.asarray(Image.open(photo))
    assert restyled.shape == original.shape and 0 < (alpha == 0).mean() < 1
    assert (restyled[alpha == 255] == original[alpha == 255]).all()  # the foreground
    assert np.abs(restyled[alpha == 0].astype(int) - original[alpha == 0]).mean() > 2
    data = json.loads(Path(printed["record"]).read_text())["data"]
    assert data["isolation"]["max_abs_outside"] == 0 and data["exact"] is True
    assert data["isolation"]["outside_pixels"] == int((alpha == 255).sum())
    page = Path(printed["outputs"]["report"])
    again = call("report", printed["record"], "-o", tmp_path / "again.html")
    assert again.exit_code == 0 and (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_foreground_box_mask_and_jpeg(photo: Path, tmp_path: Path) -> None:
    boxed = call(
        "stylize",
        photo,
        "--region",
        "foreground",
        "--box",
        "40,10,120,170",
        "-o",
        tmp_path / "a.jpg",
        "--no-report",
        *QUICK,
    )
    assert boxed.exit_code == 0, boxed.stderr
    assert "lossy" in boxed.stderr and boxed.stdout.split() == [
        str(tmp_path / f"a{end}") for end in (".jpg", ".mask.png", ".alpha.png")
    ]
    masked = call("stylize", photo, "--mask", tmp_path / "a.alpha.png", "-o", tmp_path / "b.png", "--no-report", *QUICK)
    assert masked.exit_code == 0, masked.stderr
    assert (tmp_path / "b.alpha.png").read_bytes() == (tmp_path / "a.alpha.png").read_bytes()  # of the foreground, both
    again = call("stylize", photo, "--mask", tmp_path / "b.mask.png", "-o", tmp_path / "c.png", "--no-report", *QUICK)
    assert again.exit_code == 0 and (tmp_path / "c.mask.png").read_bytes() == (tmp_path / "b.mask.png").read_bytes()


def test_segment_writes_a_cutout(photo: Path, tmp_path: Path) -> None:
    result = call("segment", photo, "--prompt", "face", "--out-dir", tmp_path)
    assert result.exit_code == 0, result.stderr
    cutout = Image.open(tmp_path / "me.segment.cutout.png")
    assert cutout.mode == "RGBA" and cutout.getchannel("A").getextrema() == (0, 255)


BAD_INPUT = {
    "missing": (None, 3, "No such file"),
    "text": (b"not a picture at all", 3, "not a picture"),
    "empty": (b"", 3, "0 bytes"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
@pytest.mark.parametrize("command", ["featuremaps", "saliency", "stylize", "segment", "layers", "gram"])
def test_unreadable_input_is_exit_3(command: str, case: str, tmp_path: Path) -> None:
    content, code, words = BAD_INPUT[case]
    path = tmp_path / f"{case}.jpg"
    if content is not None:
        path.write_bytes(content)
    assert_failed(call(command, path, "--out-dir", tmp_path / "out"), code, words, folder=tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["featuremaps", "--layers", "relu9_9"], 2, "relu9_9"),
        (["stylize", "--style-layers", "relu1_1,conv7"], 2, "conv7"),
        (["stylize", "--preset", "drafty"], 2, "Did you mean 'draft'"),
        (["stylize", "--box", "1,2,3"], 2, "X,Y,W,H"),
        (["stylize", "--box", "900,900,50,50"], 2, "512"),
        (["stylize", "--box", "10,10,0,50"], 2, "10"),
        (["stylize", "--strength", "-1", "--region", "all"], 2, "Strength"),
        (["stylize", "--size", "3"], 2, "size"),
        (["stylize", "--weights", "nowhere.pth", "--region", "all"], 5, "nowhere.pth"),
        (["saliency", "--weights", "random", "--width", "0.1"], 5, "no classifier"),
        (["saliency", "--method", "gradcam"], 2, "Did you mean 'grad-cam'"),
        (["saliency", "--methods", "gradient,gradient"], 2, "each once"),
        (["saliency", "--target", "relu4_1:999"], 2, "0 to 127"),
        (["saliency", "--size", "32", "PANORAMA"], 2, "at least 32 px a side"),
        (["featuremaps", "--channels", "3,x"], 2, "3,17,40-47"),
        (["featuremaps", "--channels", "99"], 2, "no channel 99"),
        (["featuremaps", "--rank", "gradient", "--target", "relu4_1:3"], 2, "needs a class"),
        (["featuremaps", "--layers", " "], 2, "No layer"),
        (["gram", "--layers", "relu1_1,relu7_1"], 2, "relu7_1"),
        (["maximise", "relu4_1:999"], 2, "0 to 127"),
        (["maximise", "goldfihs"], 2, "goldfish"),
        (["segment", "--prompt", "face", "COFFEE"], 7, "face"),
    ],
)
def test_wrong_options_are_said(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    panorama = tmp_path / "panorama.png"
    Image.new("RGB", (400, 100)).save(panorama)
    files = {"COFFEE": str(samples.photo("coffee")), "PANORAMA": str(panorama)}
    named = [files.get(word, word) for word in arguments]
    assert_failed(call(*named, "--out-dir", tmp_path / "out"), code, words, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_outputs_are_protected(photo: Path, tmp_path: Path) -> None:
    copy = shutil.copy(photo, tmp_path / "me.png")
    assert_failed(call("featuremaps", copy, "-o", copy, "--overwrite"), 4, "input")
    (tmp_path / "there.png").touch()
    assert_failed(call("featuremaps", copy, "-o", tmp_path / "there.png"), 4, "--overwrite")
    assert_failed(call("featuremaps", copy, "--out-dir", tmp_path / "me.png"), 4, "me.png")


def test_an_interrupted_run_keeps_its_best_image(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stylize import optimise

    whole = optimise.stylize

    def interrupted(*arguments: object) -> object:
        for event in whole(*arguments):  # pyright: ignore[reportArgumentType]
            yield event
            if event.step == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(optimise, "stylize", interrupted)
    result = call("stylize", photo, "--region", "all", "--out-dir", tmp_path, *QUICK)
    assert result.exit_code == 130 and "Interrupted at step 2" in result.stderr
    assert all(Path(line).is_file() for line in result.stdout.split())
    record = json.loads((tmp_path / "me.stylize-all.report.json").read_text())
    assert record["data"]["interrupted"] is True and any("Interrupted" in warning for warning in record["warnings"])


def test_an_unexpected_error_is_one_message(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interp.network import features

    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(features, "feature_maps_of", broken)
    assert_failed(call("featuremaps", photo, "--out-dir", tmp_path / "out"), 1, "Internal error", "--debug")
    assert "ZeroDivisionError: oh" in call("featuremaps", photo, "--out-dir", tmp_path / "out", "--debug").stderr

    def full(*arguments: object, **options: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(features, "feature_maps_of", full)
    assert_failed(call("featuremaps", photo, "--out-dir", tmp_path / "out"), 6, "smaller --size")


def test_quiet_says_nothing(photo: Path, tmp_path: Path) -> None:
    result = call("featuremaps", photo, "--out-dir", tmp_path, "-q", "--no-report", "--size", "64")
    assert result.exit_code == 0 and result.stderr == "" and len(result.stdout.split()) == 2
