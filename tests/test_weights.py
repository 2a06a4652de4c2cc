"""Loading: right nets load, wrong files are refused with a reason, nothing in a pickle runs."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor
from typer.testing import CliRunner

import interp.network.known_weights
from cli import app
from commands import samples
from interp.errors import UsageError, WeightsError
from interp.network.class_names import class_names
from interp.network.known_weights import KNOWN_FILES, KnownFile
from interp.network.layer_names import LAYERS
from interp.network.vgg import CAFFE_MEAN_BGR, IMAGENET_MEAN, IMAGENET_STD, Vgg
from interp.network.weights import COMPACT_FILE, COMPACT_SHA256, file_sha256, load_vgg

ROOT = Path(__file__).parent.parent
CONVS = {name: place.index for name, place in LAYERS.items() if name.startswith("conv")}


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


def same_features(first: Vgg, second: Vgg) -> bool:
    pairs = zip(first.features.parameters(), second.features.parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def test_known_files_are_recognised_by_hash_and_nothing_else(
    narrow_state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pth"
    torch.save(narrow_state, path)
    assumed = load_vgg(path).info
    assert assumed.layout == "torchvision" and "assumed" in assumed.note and "--weights-format caffe" in assumed.note
    given = load_vgg(path, layout="caffe").info
    assert given.layout == "caffe" and "as given" in given.note
    for digits in (64, 8):  # a full hash, and what torch hub puts into a name
        known = KnownFile("other", file_sha256(path)[:digits], "caffe", "a test's net")
        monkeypatch.setattr(interp.network.known_weights, "KNOWN_FILES", (*KNOWN_FILES, known))
        info = load_vgg(path, layout="torchvision").info
        assert info.layout == "caffe" and "SHA-256" in info.note and "does not apply" in info.note
    torch.save({**narrow_state, "features.0.bias": narrow_state["features.0.bias"] + 1}, path)
    assert load_vgg(path).info.layout == "torchvision"


def test_a_resaved_copy_goes_by_its_name_unless_told_otherwise(narrow_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "vgg19-d01eb7cb.pth"
    torch.save(narrow_state, path)
    info = load_vgg(path).info
    assert info.layout == "caffe" and "by the name" in info.note and "not a known one" in info.note
    assert load_vgg(path, layout="torchvision").info.layout == "torchvision"


def test_the_table_of_known_files_is_sound() -> None:
    """Hashes are hexadecimal, no one shadows another, and names made by torch hub carry theirs."""
    hashes = [known.sha256 for known in KNOWN_FILES if known.sha256]
    assert all(len(value) in (8, 64) and int(value, 16) for value in hashes)
    assert not any(one is not other and one.startswith(other) for one in hashes for other in hashes)
    for stem in ("vgg19-dcbb9e9d", "vgg19-d01eb7cb", "vgg19-74e45263"):
        assert any(known.stem == stem and known.sha256.startswith(stem[-8:]) for known in KNOWN_FILES)
    info = load_vgg(COMPACT_FILE).info
    assert "known by its SHA-256" in info.note and info.layout == "torchvision" and info.native_size_px == 64


def test_wrapped_and_renamed_state_dicts_are_the_same_net(narrow_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(narrow_state, path)
    plain = load_vgg(path)
    parallel = {f"module.{key}": value for key, value in narrow_state.items()}
    numbered = {key.removeprefix("features."): value for key, value in narrow_state.items()}
    parts = ("weight", "bias")
    gatys = {f"{n}.{part}": narrow_state[f"features.{i}.{part}"] for n, i in CONVS.items() for part in parts}
    for saved in ({"state_dict": narrow_state, "epoch": 3}, {"state_dict": parallel}, parallel, numbered, gatys):
        torch.save(saved, path)
        assert same_features(load_vgg(path), plain)


def test_adains_encoder_states_its_own_preprocessing(narrow_state: dict[str, Tensor], tmp_path: Path) -> None:
    """Its first convolution, run as a convolution, must give what the Caffe layout feeds to conv1_1."""
    first = {"0.weight": 255 * torch.eye(3).flip(1).view(3, 3, 1, 1), "0.bias": -torch.tensor(CAFFE_MEAN_BGR)}
    after_padding = [2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51]  # of its Sequential's convolutions
    convs = zip(after_padding, CONVS.values(), strict=True)
    rest = {
        f"{new}.{part}": narrow_state[f"features.{old}.{part}"] for new, old in convs for part in ("weight", "bias")
    }
    path = tmp_path / "encoder.pth"
    torch.save({**first, **rest}, path)
    vgg, image = load_vgg(path, layout="torchvision"), torch.rand(1, 3, 8, 8)
    assert vgg.info.layout == "caffe" and "first convolution" in vgg.info.note and "does not apply" in vgg.info.note
    theirs = torch.nn.functional.conv2d(image, first["0.weight"], first["0.bias"])
    torch.testing.assert_close(vgg.normalise(image), theirs, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(vgg.features[34].bias, narrow_state["features.34.bias"])
    torch.save({**first, **rest, "0.bias": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="not Caffe's preprocessing"):
        load_vgg(path)


def test_classifier_numbered_as_before_torchvision_02(tmp_path: Path, narrow_state: dict[str, Tensor]) -> None:
    head = {"0": torch.rand(8, 64 * 49), "3": torch.rand(8, 8), "6": torch.rand(5, 8)}
    new = {f"classifier.{n}.{k}": v for n, w in head.items() for k, v in (("weight", w), ("bias", w[:, 0].clone()))}
    old = {key.replace("classifier.3", "classifier.4").replace("classifier.0", "classifier.1"): new[key] for key in new}
    image = torch.rand(1, 3, 32, 32)
    logits = []
    for number, classifier in enumerate((new, old)):
        torch.save({**narrow_state, **classifier}, tmp_path / f"{number}.pth")
        logits.append(load_vgg(tmp_path / f"{number}.pth")(image))
    torch.testing.assert_close(*logits)


def test_metadata_gives_native_size_and_layout(narrow_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(narrow_state, path, {"native_size": "48", "mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225"})
    info = load_vgg(path, layout="caffe").info
    assert info.native_size_px == 48 and info.layout == "torchvision" and "metadata" in info.note
    save_file(narrow_state, path)
    assert load_vgg(path).info.native_size_px == 224
    save_file(narrow_state, path, {"native_size": "large"})
    with pytest.raises(WeightsError, match="'large'"):
        load_vgg(path)


def test_class_names_lie_beside_the_file(narrow_state: dict[str, Tensor], tmp_path: Path) -> None:
    path, names = tmp_path / "net.safetensors", tmp_path / "classes.json"
    save_file({**narrow_state, "head.weight": torch.zeros(2, 64), "head.bias": torch.zeros(2)}, path)
    assert load_vgg(path).info.class_names == ("class 0", "class 1")
    names.write_text('[{"name": "cat"}, {"name": "dog"}]', encoding="utf-8")
    assert load_vgg(path).info.class_names == ("cat", "dog")
    names.write_text('{"cat": 0}', encoding="utf-8")  # some other program's
    assert load_vgg(path).info.class_names == ("class 0", "class 1")


def test_imagenets_class_names_are_torchvisions_and_do_not_load_it() -> None:
    expected = torchvision.models.VGG19_Weights.IMAGENET1K_V1.meta["categories"]
    assert class_names(Path("nowhere.pth"), 1000) == tuple(expected)
    code = (
        "import sys; from pathlib import Path; from interp.network.class_names import class_names\n"
        "print(class_names(Path('nowhere.pth'), 1000)[0], 'torchvision' in sys.modules, 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["tench", "False", "False"]


@pytest.fixture(params=["full width, features only", "eighth width with a classifier"])
def random_file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool]:
    """A file of random weights, and whether it can classify."""
    classified = request.param != "full width, features only"
    vgg = load_vgg("random", seed=5, width=0.125 if classified else 1.0)
    state = {key: value.clone() for key, value in vgg.state_dict().items()}
    if classified:
        generator = torch.Generator().manual_seed(6)
        for number, shape in ((0, (8, 64 * 49)), (3, (8, 8)), (6, (5, 8))):
            state[f"classifier.{number}.weight"] = torch.randn(shape, generator=generator) / shape[1] ** 0.5
            state[f"classifier.{number}.bias"] = torch.zeros(shape[0])
    path = tmp_path / "mine.safetensors"
    save_file(state, path, {"native_size": "32"})
    return path, classified


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Pictures this small are slower on more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_the_whole_command_line_runs_with_a_file(random_file: tuple[Path, bool], tmp_path: Path) -> None:
    path, classified = random_file
    photo = str(samples.photo("astronaut"))
    shared = ["--weights", str(path), "--out-dir", str(tmp_path), "--weights-format", "torchvision", "--no-report"]
    runs = {
        "featuremaps": ["--layers", "conv1_1,relu5_1", "--size", "64"],
        "layers": ["--size", "64"],
        "stylize": ["--preset", "draft", "--size", "64", "--iterations", "3", "--box", "120,40,300,420"],
    }
    for command, options in runs.items():
        result = CliRunner().invoke(app, [command, photo, *options, *shared])
        assert result.exit_code == 0, result.stderr
        assert "Network: mine.safetensors (torchvision layout, as given)" in result.stderr
        assert all(Path(line).stat().st_size > 0 for line in result.stdout.splitlines())
    saliency = CliRunner().invoke(app, ["saliency", photo, *shared])
    assert saliency.exit_code == (0 if classified else 5), saliency.stderr
    assert classified or "no classifier" in saliency.stderr
