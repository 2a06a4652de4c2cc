"""Weights that are not what they should be: refused or read, and named for what they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from typer.testing import CliRunner, Result

from cli import app
from interp.attribution.saliency import guided_backprop
from interp.attribution.sanity import quick_verdict
from interp.attribution.verdict import word_for
from interp.errors import UsageError, WeightsError
from interp.network.classify import Prediction, classify
from interp.network.layer_names import layer
from interp.network.vgg import Vgg, WeightsInfo, pooled_linear_head
from interp.network.weights import load_vgg
from reports.conventions import flashtorch_panels

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A tiny VGG-19's tensors under torchvision's keys, with a pooled head of three classes."""
    vgg = load_vgg("random", width=1 / 16)
    tensors = {key: value.clone() for key, value in vgg.state_dict().items() if key.startswith("features")}
    generator = torch.Generator().manual_seed(0)
    return {**tensors, "head.weight": torch.randn(3, 32, generator=generator), "head.bias": torch.zeros(3)}


def message(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_vgg(path)
    text = str(caught.value)
    assert "weights_only" not in text and "pickle_module" not in text and "torch.load" not in text
    return text


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("key", ["features.10.weight", "features.34.bias", "head.weight"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_numbers_that_are_not_finite_are_refused(
    state: dict[str, Tensor], key: str, value: float, suffix: str, tmp_path: Path
) -> None:
    tensors = {**state, key: state[key].clone()}
    tensors[key].view(-1)[0] = value
    path = tmp_path / f"nan{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    assert key in message(path) and "not finite" in message(path)


def test_doubles_that_single_precision_cannot_hold_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({**state, "features.0.bias": torch.full((4,), 1e300, dtype=torch.float64)}, path)
    assert "features.0.bias" in message(path)


def test_finite_numbers_that_compute_none_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({**state, "features.5.weight": state["features.5.weight"] * 1e38}, path)
    assert "compute values that are not finite" in message(path)
    result: Result = CliRunner().invoke(app, ["saliency", "--weights", str(path), "--out-dir", str(tmp_path / "o")])
    assert result.exit_code == 5 and "follows" not in result.stderr.lower() and not list((tmp_path / "o").glob("*"))


def test_every_not_a_number_ends_untested() -> None:
    for numbers in ((NAN, 0.1, 0.2, 0.2), (0.3, NAN, 0.2, 0.2), (0.3, 0.1, NAN, 0.2), (0.3, 0.1, 0.2, NAN)):
        assert word_for(*numbers) == "not tested"
    assert word_for(0.3, 0.1, None, NAN) == word_for(INF, 0.1, 0.2, 0.2) == "not tested"
    assert word_for(0.3, 0.1, 0.2, 0.2) == "follows the class" and word_for(0.3, 0.1, None, 0.95).startswith(
        "follows edges"
    )
    assert Prediction(("a",), (NAN,), (0,), (9, 9)).unsure


def test_a_map_or_a_network_that_is_not_finite_is_untested() -> None:
    vgg = Vgg(1 / 16, pooled_linear_head(32, 3), WeightsInfo("w", "", width=1 / 16, native_size_px=32)).eval()
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    attribution = guided_backprop(vgg, image)
    attribution.map_chw[0, 3, 4] = NAN
    verdict = quick_verdict(vgg, image, attribution)
    assert verdict.word == "not tested" and verdict.margin is None and not verdict.finite
    attribution.map_chw[0, 3, 4] = 0
    torch.nn.init.constant_(vgg.head.linear.bias, NAN)  # pyright: ignore[reportOptionalMemberAccess, reportArgumentType, reportAttributeAccessIssue]
    with pytest.raises(WeightsError, match="not finite"):
        classify(vgg, image)
    assert quick_verdict(vgg, image, attribution).word == "not tested"
    assert np.isfinite(flashtorch_panels(attribution).max_hw01).all()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.pth", b"<!DOCTYPE html><html>Access denied</html>", "web page"),
        ("page.safetensors", b"\n<HTML><body>404</body></HTML>", "web page"),
        ("lfs.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS"),
        ("keras.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        ("vgg.onnx", b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(50), "ONNX"),
        ("vgg.bin", b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(50), "ONNX"),
        ("VGG.caffemodel", b"\n\x14VGG_ILSVRC_19_layers" + bytes(50), "Caffe"),
        ("index.json", b'{"weight_map": {}}', "JSON"),
        ("cut.pth", b"PK\x03\x04" + bytes(30), "damaged"),
        ("noise.pth", bytes(range(256)), "damaged"),
        ("short.safetensors", b"\xff\0\0\0\0\0\0\0{}", "damaged"),
    ],
)
def test_files_of_other_kinds_are_named(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert words in message(path)


def test_a_whole_model_is_told_from_a_state_dict(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "whole.pth"
    torch.save(Vgg(1 / 16), path)
    assert "state_dict()" in message(path)


@pytest.mark.parametrize("prefix", ["model.", "module.", "net.vgg.", "module.model."])
def test_one_common_prefix_is_taken_off(state: dict[str, Tensor], prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "lightning.ckpt"
    torch.save({"state_dict": {prefix + key: value for key, value in state.items()}, "epoch": 3}, path)
    vgg = load_vgg(path)
    assert torch.equal(vgg.features[0].weight, state["features.0.weight"])  # pyright: ignore[reportArgumentType]
    assert vgg.head is not None


def test_other_networks_are_named_with_a_key_that_is_there(state: dict[str, Tensor], tmp_path: Path) -> None:
    from torchvision.models import resnet18, vgg16

    path = tmp_path / "a.pth"
    torch.save({**state, "features.1.running_mean": torch.zeros(4)}, path)
    bn = {"features.0.weight": torch.zeros(4, 3, 3, 3), "features.1.running_mean": torch.zeros(4)}
    torch.save(bn, path)
    assert "VGG19-BN" in message(path) and "it has 'features.0.weight'" in message(path)
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in vgg16().state_dict().items() if key.startswith("features")}
        other = list(resnet18().state_dict())[:5]
    torch.save({key: torch.zeros(shape[:1]) for key, shape in shapes.items()}, path)
    assert "VGG-16" in message(path)
    torch.save({key: torch.zeros(2) for key in other}, path)
    assert f"it has {other[0]!r}" in message(path) and "another network" in message(path)


def test_a_classifier_that_was_not_understood_is_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "twolayers.pth"
    tensors = {key: value for key, value in state.items() if key.startswith("features")}
    torch.save({**tensors, "classifier.0.weight": torch.zeros(8, 32), "classifier.3.weight": torch.zeros(2, 8)}, path)
    vgg = load_vgg(path)
    assert vgg.head is None
    with pytest.raises(WeightsError, match=r"not understood \(classifier.0.weight, classifier.3.weight\)"):
        guided_backprop(vgg, torch.zeros(1, 3, 64, 64))
    torch.save(tensors, path)
    with pytest.raises(WeightsError, match="have no classifier"):
        guided_backprop(load_vgg(path), torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ('["cat", "dog", "eel"]', ("cat", "dog", "eel")),
        ('﻿[{"name": "cat"}, {"name": "dog"}, {"name": "eel"}]', ("cat", "dog", "eel")),
        ('["cat", "dog"]', ("class 0", "class 1", "class 2")),
        ('{"0": "cat", "1": "dog", "2": "eel"}', ("class 0", "class 1", "class 2")),
        ('[{"label": "cat"}, 1, null]', ("class 0", "class 1", "class 2")),
        ("not JSON", ("class 0", "class 1", "class 2")),
        ("[" * 5000, ("class 0", "class 1", "class 2")),
    ],
)
def test_class_names_of_any_form_stop_nothing(
    state: dict[str, Tensor], content: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "a.pth")
    (tmp_path / "classes.json").write_text(content, "utf-8")
    assert load_vgg(tmp_path / "a.pth").info.class_names == names


def test_memory_that_runs_out_while_reading_is_no_fault_of_the_weights(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 40 bytes.")

    save_file(state, tmp_path / "sound.safetensors")
    monkeypatch.setattr(Tensor, "float", full)
    with pytest.raises(RuntimeError, match="not enough memory"):
        load_vgg(str(tmp_path / "sound.safetensors"))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_tensors_of_other_kinds(state: dict[str, Tensor], tmp_path: Path) -> None:
    path, key = tmp_path / "a.pth", "features.0.weight"
    torch.save({**state, key: state[key].to_sparse()}, path)
    assert torch.equal(load_vgg(path).features[0].weight, state[key])  # pyright: ignore[reportArgumentType]
    quantised = torch.quantize_per_tensor(state[key], 0.01, 0, torch.qint8)
    torch.save({**state, key: quantised}, path)
    assert torch.equal(load_vgg(path).features[0].weight, quantised.dequantize())  # pyright: ignore[reportArgumentType]
    torch.save({**state, key: state[key].half()}, path)
    assert load_vgg(path).features[0].weight.dtype is torch.float32
    torch.save({**state, key: state[key].to(torch.complex64)}, path)
    assert key in message(path)
    upper = tmp_path / "A.SAFETENSORS"
    save_file(state, upper)
    assert load_vgg(upper).head is not None
    save_file(state, tmp_path / "a.bin")
    assert load_vgg(tmp_path / "a.bin").head is not None


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("RELU4_1", "relu4_1"), ("block4_conv2", "conv4_2"), ("features.21", "conv4_2"), ("features[20]", "relu4_1"),
        ("block5_pool", "pool5"), ("r41", "relu4_1"), ("conv4-2", "conv4_2"), ("Conv3_1", "conv3_1"), ("21", "conv4_2"),
        ("relu42", "relu4_2"),
    ],
)  # fmt: skip
def test_layers_called_as_elsewhere_are_hinted(given: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean '{meant}'"):
        layer(given)
