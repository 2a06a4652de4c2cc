"""The recipe of the compact weights on four toy textures: it learns, stops, resumes, and exports the same function."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from commands.progress import Display, Step
from interp.network.known_weights import file_sha256
from interp.network.layer_names import LAYERS, RELU_NAMES
from interp.network.weights import COMPACT_FILE, load_vgg
from interp.pictures.images import load_image
from tools.train_compact import __main__ as command
from tools.train_compact import session
from tools.train_compact.classify import BatchNormVgg, Training
from tools.train_compact.data import Pictures, find_files
from tools.train_compact.export import equalise_channels, folded
from tools.train_compact.recipe import STAGES, WEIGHT_DECAY, Recipe, scaled_stages
from tools.train_compact.views import jittered, one_window, sharp_and_warped

TEXTURES = {  # colour, waves down, waves across
    "blue checks": ((80, 80, 200), 1, 1),
    "green columns": ((80, 180, 80), 0, 1),
    "grey noise": ((130, 130, 130), 0, 0),
    "red rows": ((200, 80, 80), 1, 0),
}
PER_CLASS = 16
OPTIONS = ["--width", "0.0625", "--batch", "16", "--val-share", ".25"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Layers this narrow are slower on more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of 64x64 px pictures: waves of random period, phase and tint over each class's colour."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("textures")
    rows, columns = np.mgrid[:64, :64]
    for name, (rgb, down, across) in TEXTURES.items():
        (folder / name).mkdir()
        for number in range(PER_CLASS):
            pace = 2 * np.pi / rng.uniform(6, 10)
            wave = np.cos(pace * down * rows + rng.uniform(0, 6)) * np.cos(pace * across * columns + rng.uniform(0, 6))
            wave = wave if down or across else rng.standard_normal((64, 64))
            noise = rng.normal(0, 20, 3) + rng.normal(0, 8, (64, 64, 3))
            pixels = np.clip(np.array(rgb) + 40 * wave[..., None] + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(textures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole command on them."""
    output = tmp_path_factory.mktemp("trained")
    names = output / "names.txt"
    names.write_text("red rows\tRoman wall\nzebra\tunused\n", encoding="utf-8")
    images = ["--images", "960", "320", "320"]
    arguments = ["classify", str(textures), *OPTIONS, *images, "--output", str(output), "--names", str(names), "-q"]
    assert command.main(arguments) == 0
    return output


def test_it_learns_and_its_file_loads_with_its_names(trained: Path, textures: Path) -> None:
    vgg = load_vgg(trained / "compact-vgg19.safetensors")
    assert vgg.info.class_names == ("blue checks", "green columns", "grey noise", "Roman wall")
    assert vgg.info.native_size_px == 64 and vgg.info.width == 1 / 16 and "metadata" in vgg.info.note
    files = find_files(textures, 0.25, 0)
    assert len(files.val) == 16 and len(files.train) == 48 and not set(files.val) & set(files.train)
    hits = [int(vgg(load_image(path)).argmax()) == label for path, label in files.val]
    assert np.mean(hits) >= 0.7  # chance is .25
    card = (trained / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{np.mean(hits):.3f} / 1.000" in card and file_sha256(trained / "compact-vgg19.safetensors") in card


def test_the_file_is_laid_out_as_the_bundled_one(trained: Path) -> None:
    with safe_open(trained / "compact-vgg19.safetensors", "pt") as mine, safe_open(COMPACT_FILE, "pt") as bundled:
        assert set(mine.keys()) == set(bundled.keys()) and set(mine.metadata()) == set(bundled.metadata())
        assert mine.get_tensor("features.0.weight").dtype == torch.float16
        same = ("arch", "mean", "std", "range", "head", "native_size")
        assert {key: mine.metadata()[key] for key in same} == {key: bundled.metadata()[key] for key in same}
    classes = json.loads((trained / "classes.json").read_text(encoding="utf-8"))
    assert set(classes[0]) == set(json.loads((COMPACT_FILE.parent / "classes.json").read_text(encoding="utf-8"))[0])


def test_the_file_computes_what_the_network_with_batch_norm_did(trained: Path, textures: Path) -> None:
    model = BatchNormVgg(1 / 16, 4)
    model.load_state_dict(torch.load(trained / "checkpoint.pt", weights_only=True)["model"])
    images = torch.cat([load_image(path) for path, _ in find_files(textures, 0.25, 0).val])
    with torch.no_grad():
        expected = model.eval().logits(images)
        found = load_vgg(trained / "compact-vgg19.safetensors")(images)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.01)  # float16 has 11 bits, 17 layers


def wild_network() -> BatchNormVgg:
    """Random statistics and scales in every batch norm, one channel dead."""
    generator = torch.Generator().manual_seed(0)
    model = BatchNormVgg(1 / 16, 4)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low in (
                (module.weight, 0.5),
                (module.bias, -0.5),
                (module.running_mean, -0.5),
                (module.running_var, 0.5),
            ):
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + low)  # pyright: ignore
    dead = model.features[4]  # conv1_2's batch norm
    dead.weight.data[2], dead.bias.data[2] = 0, -1  # pyright: ignore
    return model.eval()


def test_folding_and_equalising_change_nothing_but_the_scale() -> None:
    model, images = wild_network(), torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model.logits(images)
        vgg = folded(model)
        torch.testing.assert_close(vgg(images), expected, atol=1e-4, rtol=1e-4)
        dead = equalise_channels(vgg, images.split(2))
        torch.testing.assert_close(vgg(images), expected, atol=1e-4, rtol=1e-4)
        assert 2 in dead["relu1_2"]
        value = vgg.normalise(images)
        for name, module in zip(LAYERS, vgg.features, strict=True):
            value = module(value)
            if name in RELU_NAMES:
                alive = [channel for channel in range(value.shape[1]) if channel not in dead.get(name, [])]
                squares = value.square().mean((0, 2, 3))[alive]
                torch.testing.assert_close(squares, torch.ones(len(alive)), atol=1e-3, rtol=0)


class StopAt(Display):
    """Presses Ctrl-C when a step is shown."""

    step: int | None = None

    def show(self, event: Step, text: str) -> None:
        if event.step == StopAt.step and "loss" in text:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> type[StopAt]:
    @contextmanager
    def display(*_: object) -> Iterator[Display]:
        yield StopAt()

    monkeypatch.setattr(session, "progress", display)
    return StopAt


def test_an_interrupted_run_resumes_to_the_same_bytes(
    textures: Path, tmp_path: Path, ctrl_c: type[StopAt], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(folder: str, stop: int | None, *more: str) -> int:
        ctrl_c.step = stop
        images = ["--images", "160", "64", "64"]
        return command.main(["classify", str(textures), *OPTIONS, *images, "--output", str(tmp_path / folder), *more])

    assert run("whole", None) == 0
    before = signal.getsignal(signal.SIGINT)
    assert run("stopped", 4) == 130 and "--resume" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
    assert run("stopped", 14, "--resume") == 130  # the last step of the second stage
    assert run("stopped", 15, "--resume") == 130
    assert run("stopped", None) == 4 and "Add --resume" in capsys.readouterr().err
    assert run("stopped", None, "--resume", "--seed", "1") == 2 and "another seed" in capsys.readouterr().err
    assert run("stopped", None, "--resume") == 0
    whole, stopped = (tmp_path / name / "compact-vgg19.safetensors" for name in ("whole", "stopped"))
    assert whole.read_bytes() == stopped.read_bytes()
    assert torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)["stage_index"] == 3


def test_learning_rates_and_sides_follow_the_table() -> None:
    crops = STAGES[0]
    steps = crops.steps(128)
    rates = [crops.learning_rate_at(step, steps, 128) for step in range(steps)]
    peak = int(np.argmax(rates))
    assert 0.02 * steps < peak < 0.04 * steps and 0.199 < rates[peak] <= 0.2 and rates[0] < 1e-3 and rates[-1] < 1e-6
    assert rates[steps // 2] == pytest.approx(0.1, rel=1e-3)  # half a cosine
    sides = np.array([crops.side_px(step, steps, 64) for step in range(steps)])
    seen = {side: round(float((sides == side).sum() * 128 / 1e6), 2) for side in (32, 48, 64)}
    assert seen == {32: 2.6, 48: 0.7, 64: 0.35} and (np.diff(sides) >= 0).all()
    assert [stage.images for stage in scaled_stages([10, 20, 30])] == [10, 20, 30]


def test_only_weights_decay_and_stage_one_averages() -> None:
    pictures = Pictures(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.arange(4) % 2)
    training = Training(pictures, 2, Recipe(width=1 / 16, side_px=32, batch=4, stages=scaled_stages([400, 4, 4])))
    decayed, spared = training.optimiser.param_groups
    assert decayed["weight_decay"] == WEIGHT_DECAY and {value.ndim for value in decayed["params"]} == {2, 4}
    assert spared["weight_decay"] == 0 and {value.ndim for value in spared["params"]} == {1}
    assert training.average is not None and len(list(training.run_stage())) == 100
    for name, value in training.average.module.state_dict().items() if training.average else ():
        torch.testing.assert_close(value, training.model.state_dict()[name])
    assert training.average is None and training.stage_index == 1


def test_sharp_views_are_whole_pixel_shifts_and_zooms_are_zooms() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(8, 3, 64, 64, generator=generator)
    stage = replace(STAGES[1], sharp_share=0.5, zoom=(2.0, 2.0))
    views = sharp_and_warped(images, stage, generator)
    for number, (view, image) in enumerate(zip(views, images, strict=True)):
        inner = view[:, 8:56, 8:56]
        places = [(y, x) for y in range(4, 13) for x in range(4, 13)]
        shifts = [
            place for place in places if torch.allclose(image[:, place[0] :, place[1] :][:, :48, :48], inner, atol=1e-4)
        ]
        assert len(shifts) == (1 if number < 4 else 0)
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    zoomed = sharp_and_warped(ramp, replace(stage, sharp_share=0), generator)
    torch.testing.assert_close(zoomed[0, 0, 0].diff(), torch.full((63,), 0.5 / 63), atol=1e-4, rtol=0)


def test_windows_and_jitter_keep_to_their_ranges() -> None:
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 1, 64).expand(2, 3, 64, 64)
    spans = []
    for _ in range(200):
        window = one_window(ramp, (0.35, 1.0), 32, generator)
        assert window.shape == (2, 3, 32, 32) and torch.equal(window[0], window[1])
        spans.append(float(window.max() - window.min()))
    assert 0.5 < min(spans) < 0.62 and 0.93 < max(spans) <= 1.0  # of the side: sqrt(.35) to 1
    jitter = jittered(ramp[:1].expand(4000, 3, 64, 64)[..., :2, :], generator)
    slope = (jitter[..., -1] - jitter[..., 0])[:, :, 0]
    assert abs(float((slope < 0).float().mean()) - 0.5) < 0.05  # mirrored
    assert float(slope.abs().mean()) == pytest.approx(1, abs=0.02) and float(slope.abs().std()) == pytest.approx(
        0.2, abs=0.02
    )
    assert float(jitter.mean((2, 3)).sub(0.5 * slope.abs()).std()) == pytest.approx(0.2, abs=0.02)


def test_refusals_say_what_to_do(textures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(code: int, pattern: str, *arguments: str) -> None:
        assert command.main(["classify", *arguments, "--output", str(tmp_path / "out"), "-q"]) == code
        assert re.search(pattern, capsys.readouterr().err)

    refused(3, "Cannot read", str(tmp_path / "none"))
    refused(3, "0 folders with pictures", str(tmp_path))
    refused(2, "expected 3 positive numbers", str(textures), "--images", "1", "0", "1")
    refused(2, "--batch 1", str(textures), "--batch", "1")
    refused(5, "without --resume", str(textures), "--resume")
    for folder in ("train/a", "train/b", "val/a", "val/c"):
        (tmp_path / "split" / folder).mkdir(parents=True)
        (tmp_path / "split" / folder / "x.png").write_bytes(b"no picture")
    refused(3, r"val'.* has 'c'", str(tmp_path / "split"))
    (tmp_path / "split" / "val" / "c" / "x.png").unlink()
    refused(3, r"Cannot decode .*x\.png", str(tmp_path / "split"))
