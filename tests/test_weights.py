"""Loading: right nets load, wrong files are refused with a reason, nothing in a pickle runs."""

import os
import pickle
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from interp.errors import UsageError, WeightsError
from interp.vgg import CAFFE_MEAN_BGR, IMAGENET_MEAN, IMAGENET_STD, Vgg
from interp.weights import COMPACT_FILE, COMPACT_SHA256, file_sha256, load_vgg


@pytest.fixture(scope="module")
def full_state() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return torchvision.models.vgg19(weights=None, num_classes=7).state_dict()


@pytest.fixture
def narrow_state() -> dict[str, Tensor]:
    torch.manual_seed(2)
    return {key: value.clone() for key, value in Vgg(width=1 / 8).state_dict().items()}


def test_compact_is_what_its_card_says(compact: Vgg) -> None:
    assert file_sha256(COMPACT_FILE) == COMPACT_SHA256
    assert sum(parameter.numel() for parameter in compact.parameters()) == 1_278_938
    assert compact.info.width == 0.25 and compact.info.native_size_px == 64 and len(compact.info.class_names) == 202
    assert not any(parameter.requires_grad for parameter in compact.parameters()) and not compact.training


def test_full_net_file_gives_torchvisions_logits(full_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(full_state, path)
    theirs = torchvision.models.vgg19(weights=None, num_classes=7).eval()
    theirs.load_state_dict(full_state)
    image = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        torch.testing.assert_close(load_vgg(path)(image), theirs((image - mean) / std))


def test_features_only_file_loads_without_a_head(narrow_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    save_file(narrow_state, path)
    vgg = load_vgg(path)
    assert vgg.head is None and vgg.info.width == 1 / 8
    torch.testing.assert_close(vgg.features[0].weight, narrow_state["features.0.weight"])


def test_caffe_layout_of_one_net_gives_the_same_features(narrow_state: dict[str, Tensor], tmp_path: Path) -> None:
    """Fold torchvision's normalisation into BGR 0-255 weights: both layouts must see the same inside the border."""
    caffe = dict(narrow_state)
    weight, bias = narrow_state["features.0.weight"], narrow_state["features.0.bias"]
    std, mean = torch.tensor(IMAGENET_STD), torch.tensor(IMAGENET_MEAN)
    rgb = weight / (255 * std.view(1, 3, 1, 1))
    caffe["features.0.weight"] = rgb.flip(1).contiguous()
    shift = (torch.tensor(CAFFE_MEAN_BGR).flip(0) / 255 - mean) / std
    caffe["features.0.bias"] = bias + (weight.sum((2, 3)) * shift).sum(1)
    torch.save(narrow_state, tmp_path / "torch.pth")
    torch.save(caffe, tmp_path / "caffe.pth")
    image = torch.rand(1, 3, 40, 40)
    first = load_vgg(tmp_path / "torch.pth").activations(image, ["relu2_1"])["relu2_1"]
    second = load_vgg(tmp_path / "caffe.pth", layout="caffe").activations(image, ["relu2_1"])["relu2_1"]
    torch.testing.assert_close(first[..., 3:-3, 3:-3], second[..., 3:-3, 3:-3], atol=1e-4, rtol=1e-3)


def test_random_is_seeded_and_keeps_its_energy() -> None:
    first, again, other = (load_vgg("random", width=0.25, seed=seed) for seed in (0, 0, 1))
    assert first.info.sha256 == again.info.sha256 != other.info.sha256
    maps = first.activations(torch.rand(1, 3, 64, 64), ["relu1_1", "relu5_1"])
    assert 0.1 < float(maps["relu5_1"].std() / maps["relu1_1"].std()) < 10  # He et al. 2015: neither dies nor explodes


class Payload:
    """A pickle that would write a file when loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    path, target = tmp_path / "evil.pth", tmp_path / "made"
    path.write_bytes(pickle.dumps(Payload(target)))
    with pytest.raises(WeightsError, match=r"evil\.pth"):
        load_vgg(path)
    torch.save({"features.0.weight": Payload(target)}, path)
    with pytest.raises(WeightsError):
        load_vgg(path)
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"PK\x03\x04 torn"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_files_are_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="net"):
        load_vgg(path)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(COMPACT_FILE.read_bytes()[:100_000])
    with pytest.raises(WeightsError):
        load_vgg(path)


def test_missing_keys_and_wrong_shapes_are_named(narrow_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({key: value for key, value in narrow_state.items() if "features.34" not in key}, path)
    with pytest.raises(WeightsError, match=r"lack 2 .*features\.34\.weight"):
        load_vgg(path)
    torch.save({**narrow_state, "features.5.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(WeightsError, match=r"'features\.5\.weight' has shape \(3, 3\)"):
        load_vgg(path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="list"):
        load_vgg(path)


def test_unknown_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="compact"):
        load_vgg(tmp_path / "none.pth")
    with pytest.raises(UsageError, match="caffe"):
        load_vgg("compact", layout="keras")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="weights fetch"):
        load_vgg("imagenet")
    assert load_vgg("auto").info.name == "compact"


def test_a_replaced_imagenet_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="SHA-256"):
        load_vgg("auto")
