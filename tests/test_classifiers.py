"""Torchvision's networks: built from files and from the cache, never downloaded, and refused where they must be."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models
from typer.testing import CliRunner, Result

from cli import app
from interp.attribution.methods import attribute
from interp.attribution.saliency import saliency_map
from interp.attribution.sanity import quick_verdict
from interp.attribution.targets import Scored, class_target, parse_target
from interp.errors import UsageError, WeightsError
from interp.network.classifiers import TorchvisionClassifier, load_classifier
from interp.network.classify import classify, native_size_hw_px
from tests.helpers import GuidedReLU


@pytest.fixture(scope="module")
def resnet() -> TorchvisionClassifier:
    return load_classifier("resnet18", "random", seed=1)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, resnet: TorchvisionClassifier) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(resnet.net.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def image() -> Tensor:
    noise = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(5))
    return F.interpolate(noise, size=(96, 144), mode="bicubic").clamp(0, 1)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_file_gives_torchvisions_own_logits(saved: Path, resnet: TorchvisionClassifier, image: Tensor) -> None:
    loaded = load_classifier("resnet18", saved)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    theirs = models.resnet18(weights=None)
    theirs.load_state_dict(torch.load(saved, weights_only=True))
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), theirs.eval()((image - mean) / std), atol=1e-5, rtol=1e-4)
    assert loaded.info.sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert loaded.info.class_names[1] == "goldfish" and parse_target(loaded, "goldfish").index == 1
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    height, width = native_size_hw_px(loaded, image)
    assert height * width == pytest.approx(224 * 224, rel=0.02) and width / height == pytest.approx(1.5, rel=0.01)


def test_another_number_of_classes_is_told_by_the_file(tmp_path: Path) -> None:
    net = models.resnet18(weights=None, num_classes=7)
    path = tmp_path / "seven.safetensors"
    save_file({f"module.{key}": value for key, value in net.state_dict().items()}, path)
    loaded = load_classifier("resnet18", path)
    assert loaded.info.class_names == tuple(f"class {number}" for number in range(7))
    assert loaded(torch.rand(1, 3, 64, 64)).shape == (1, 7)


def test_files_of_other_networks_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="are not resnet34's"):
        load_classifier("resnet34", saved)
    with pytest.raises(WeightsError, match="are missing"):
        load_classifier("alexnet", saved)
    state = torch.load(saved, weights_only=True)
    state["conv1.weight"] = state["conv1.weight"][:, :1]
    torch.save(state, tmp_path / "grey.pth")
    with pytest.raises(WeightsError, match="weight' has shape"):
        load_classifier("resnet18", tmp_path / "grey.pth")
    with pytest.raises(WeightsError, match=r"nowhere\.pth"):
        load_classifier("resnet18", tmp_path / "nowhere.pth")


def test_the_cache_is_looked_up_and_its_hash_verified(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError, match="--weights FILE"):
        load_classifier("resnet18")
    url = models.ResNet18_Weights.IMAGENET1K_V1.url
    cached = tmp_path / "checkpoints" / Path(url).name
    cached.parent.mkdir()
    cached.write_bytes(saved.read_bytes())
    with pytest.raises(WeightsError, match="damaged"):
        load_classifier("resnet18")
    digits = hashlib.sha256(saved.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr("interp.network.classifiers.cached_path", _looking_for(tmp_path, f"resnet18-{digits}.pth"))
    cached.rename(cached.with_name(f"resnet18-{digits}.pth"))
    assert load_classifier("resnet18").info.note == "found in torch's cache"


def _looking_for(folder: Path, name: str):
    from interp.network.classifiers import cached_path

    return lambda url, arch: cached_path(f"https://example.org/{name}", arch)


def test_random_weights_are_seeded_and_leave_the_global_generator_alone() -> None:
    state = torch.random.get_rng_state()
    one, same, other = (load_classifier("squeezenet1_1", "random", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [next(net.parameters()) for net in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_unknown_architectures_and_foreign_weights() -> None:
    with pytest.raises(UsageError, match="resnet18"):
        load_classifier("resnet81", "random")
    with pytest.raises(UsageError, match="VGG-19's"):
        load_classifier("resnet18", "compact")


def test_guided_backprop_is_right_on_resnet(
    resnet: TorchvisionClassifier, image: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ResNet calls each block's in-place ReLU twice; the oracle replaces the function that all of them call."""
    ours = attribute(Scored(resnet, class_target(resnet, 3)), image, "guided-backprop")
    pixels = image.clone().requires_grad_()
    monkeypatch.setattr(F, "relu", lambda value, inplace=False: GuidedReLU.apply(value))
    resnet(pixels)[0, 3].backward()
    assert pixels.grad is not None
    scale = float(pixels.grad.abs().max())
    assert scale > 0
    torch.testing.assert_close(ours / scale, pixels.grad / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arch", "words"),
    [("densenet121", "functions, not modules"), ("mobilenet_v2", "ReLU6"), ("efficientnet_b0", "SiLU")],
)
def test_networks_that_captum_cannot_guide_are_refused(arch: str, words: str, image: Tensor) -> None:
    net = load_classifier(arch, "random")
    with pytest.raises(UsageError, match=words):
        attribute(Scored(net, class_target(net, 0)), image, "guided-backprop")
    assert float(attribute(Scored(net, class_target(net, 0)), image, "grad-cam").abs().sum()) >= 0


def test_a_vision_transformer_looks_at_squares_only(image: Tensor) -> None:
    from torchvision.models.vision_transformer import VisionTransformer

    from interp.network.vgg import WeightsInfo

    net = VisionTransformer(64, 16, 1, 2, 32, 64, num_classes=5)
    small = TorchvisionClassifier(net, WeightsInfo("vit", "", native_size_px=64), [0.5] * 3, [0.5] * 3)
    assert small.only_squares and native_size_hw_px(small, image) == (64, 64)
    assert classify(small, image).size_hw_px == (64, 64)
    with pytest.raises(UsageError, match="GELU"):
        saliency_map(small, image, "guided-backprop")
    assert saliency_map(small, image, "gradient").map_chw.shape == (3, 64, 64)


def test_a_verdict_on_another_network(resnet: TorchvisionClassifier, image: Tensor) -> None:
    small = F.interpolate(image, size=(48, 64))
    saliency = saliency_map(resnet, small, "gradient", size_hw_px=(48, 64))
    verdict = quick_verdict(resnet, small, saliency, steps=2)
    assert verdict.word in ("no better than random", "follows edges, not the class", "follows the class")
    assert verdict.random_head_correlation is not None and verdict.random_head_correlation < 1
    assert isinstance(resnet.head, nn.Linear) and resnet.cam_layer.startswith("layer4")


def test_the_command_takes_another_network(saved: Path, tmp_path: Path) -> None:
    options = ["--arch", "resnet18", "--weights", saved, "--size", "64", "--out-dir", tmp_path]
    result = call("saliency", "--methods", "gradient,grad-cam", *options)
    assert result.exit_code == 0, result.stderr
    stats = json.loads((tmp_path / "coffee.saliency.stats.json").read_text())
    assert set(stats["maps"]) == {"gradient", "grad-cam"}
    assert np.isfinite(stats["maps"]["gradient"]["vmax"])
    assert "resnet18 (mine.pth)" in (tmp_path / "coffee.saliency.report.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--arch", "resnet81", "--weights", "random"], 2, "Did you mean"),
        (["--arch", "resnet18", "--weights", "random", "--weights-format", "caffe"], 2, "--weights-format"),
        (["--arch", "densenet121", "--weights", "random"], 2, "functions, not modules"),
        (["--arch", "resnet18", "--weights", "random", "--target", "layer9:1"], 2, "layer9"),
        (["--arch", "resnet18", "--weights", "random", "--target", "goldfihs"], 2, "goldfish"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    result = call("saliency", *arguments, "--out-dir", tmp_path / "out")
    assert result.exit_code == code, result.stderr
    assert words in result.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()
