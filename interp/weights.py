"""Weights by name or file: find them, verify them, build the network they belong to.

A file is recognised by its SHA-256 where it is well known, never by its keys: the well-known re-saved Caffe files carry
torchvision's keys. Only tensors are ever loaded; a pickle with code in it is refused.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from interp.errors import UsageError, WeightsError
from interp.layer_names import CHANNELS_PER_BLOCK, LAYERS
from interp.vgg import Vgg, WeightsInfo, channels_at, fully_connected_head, pooled_linear_head

COMPACT_DIR = Path(__file__).parent / "compact"
COMPACT_FILE = COMPACT_DIR / "compact-vgg19.safetensors"
COMPACT_SHA256 = "717da7326d1a36c81e91748b85256dd2e7a2c8fb085e7ec0937b07cf84c73168"
IMAGENET_FILE = "vgg19-dcbb9e9d.pth"  # torchvision VGG19_Weights.IMAGENET1K_V1
IMAGENET_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
LAYOUTS = ("torchvision", "caffe")
NAMES = ("auto", "compact", "imagenet", "random")


def imagenet_path() -> Path:
    """Where torchvision's VGG-19 lies once downloaded: torch hub's cache."""
    return Path(torch.hub.get_dir()) / "checkpoints" / IMAGENET_FILE


def load_vgg(
    source: str | Path = "auto", *, width: float = 1.0, seed: int = 0, layout: str | None = None, device: str = "cpu"
) -> Vgg:
    """Build a frozen VGG-19 in evaluation mode.

    Args:
        source: `auto` (ImageNet's if already in the cache, else compact), `compact`, `imagenet`, `random`, or a file:
            `.pth` or `.safetensors` with torchvision's keys.
        width: Channels as a fraction of VGG-19's, for `random` only; files tell their own.
        seed: Of `random`.
        layout: `torchvision` or `caffe`, for a file that is not recognised by its hash.
        device: Where to put it.

    Returns:
        The network; `vgg.info` says what it carries.

    Raises:
        WeightsError: If the weights are missing, damaged, of another network, or not plain tensors.
        UsageError: If `layout` is unknown.

    Example:
        >>> load_vgg("compact").info.width
        0.25
    """
    if layout not in (None, *LAYOUTS):
        raise UsageError(f"Unknown weights format {layout!r}; expected {' or '.join(LAYOUTS)}.")
    source, note = _resolve(source)
    if source == "random":
        vgg = _random(width, seed)
    elif source == "compact":
        vgg = _from_file(COMPACT_FILE, "compact", COMPACT_SHA256, layout="torchvision", note=note)
    elif source == "imagenet":
        vgg = _from_file(imagenet_path(), "imagenet", IMAGENET_SHA256, layout="torchvision", note=note)
    else:
        vgg = _from_file(Path(source), Path(source).name, None, layout=layout, note=note)
    return vgg.eval().requires_grad_(False).to(device)


def _resolve(source: str | Path) -> tuple[str | Path, str]:
    if source == "auto":
        if imagenet_path().is_file():
            return "imagenet", "ImageNet's VGG-19, found in the cache"
        return "compact", "the bundled compact VGG-19, because ImageNet's is not in the cache"
    if source == "imagenet" and not imagenet_path().is_file():
        raise WeightsError(
            f"ImageNet's VGG-19 is not at {imagenet_path()}. Run `python cli.py weights fetch` (548 MB), or use --weights compact."
        )
    return source, "as asked"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_file(path: Path, name: str, expected_sha256: str | None, layout: str | None, note: str) -> Vgg:
    try:
        sha256 = file_sha256(path)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"Cannot read weights {str(path)!r} ({getattr(error, 'strerror', None) or error}); expected "
            f"{', '.join(NAMES)}, or a .pth or .safetensors file."
        ) from error
    if expected_sha256 and sha256 != expected_sha256:
        raise WeightsError(
            f"Weights {str(path)!r} have SHA-256 {sha256[:16]}…, expected {expected_sha256[:16]}…: damaged or replaced. "
            "Delete the file and fetch it again."
        )
    state, metadata = _read_state(path)
    width, head, classes = _shape_of(state, str(path))
    native_px = int(metadata.get("native_size", 224))
    names = _class_names(path, classes)
    info = WeightsInfo(name, sha256, layout or "torchvision", width, native_px, names, note)
    vgg = Vgg(width, head, info)
    _fill(vgg, state)
    return vgg


def _read_state(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Read a state dict and the safetensors metadata, if any."""
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key).float() for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds on damaged or foreign files
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"Cannot load weights {str(path)!r}; expected a state dict of plain tensors (.pth) or .safetensors: {first_line[:160]}"
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"Weights {str(path)!r} hold {type(loaded).__name__}; expected a state dict of tensors.")
    return {key: value.float() for key, value in loaded.items()}, {}


def _shape_of(state: Mapping[str, Tensor], path: str) -> tuple[float, nn.Module | None, int]:
    """Tell width and head from the tensors' shapes, and check that all 16 convolutions are there."""
    convs = [place.index for name, place in LAYERS.items() if name.startswith("conv")]
    missing = [key for index in convs for key in _conv_keys(index) if key not in state]
    if missing:
        raise WeightsError(
            f"Weights {path!r} lack {len(missing)} of VGG-19's 32 tensors (first: {missing[0]!r}); "
            "expected torchvision's keys `features.N.weight` and `features.N.bias`."
        )
    width = state["features.0.weight"].shape[0] / CHANNELS_PER_BLOCK[0]
    last = channels_at(width)[-1]
    if "head.weight" in state:
        classes = state["head.weight"].shape[0]
        return width, pooled_linear_head(last, classes), classes
    if "classifier.6.weight" in state and "classifier.0.weight" in state:
        classes = state["classifier.6.weight"].shape[0]
        return width, fully_connected_head(last, state["classifier.0.weight"].shape[0], classes), classes
    return width, None, 0


def _conv_keys(index: int) -> tuple[str, str]:
    return f"features.{index}.weight", f"features.{index}.bias"


def _fill(vgg: Vgg, state: Mapping[str, Tensor]) -> None:
    """Copy the tensors into the network, checking every shape."""
    for key, target in vgg.state_dict().items():
        source = key.replace("head.linear.", "head.").replace("head.classifier.", "classifier.")
        if source not in state:
            raise WeightsError(f"Weights {vgg.info.name!r} lack {source!r}; expected every tensor of the classifier or none.")
        if state[source].shape != target.shape:
            raise WeightsError(
                f"Weights {vgg.info.name!r}: {source!r} has shape {tuple(state[source].shape)}, VGG-19 at width "
                f"{vgg.info.width:g} expects {tuple(target.shape)}."
            )
        target.copy_(state[source])


def _class_names(path: Path, classes: int) -> tuple[str, ...]:
    """Names of the logits: a `classes.json` beside the file, torchvision's 1000, or numbers."""
    beside = path.with_name("classes.json")
    if classes and beside.is_file():
        names = tuple(entry["name"] for entry in json.loads(beside.read_text(encoding="utf-8")))
        if len(names) == classes:
            return names
    if classes == 1000:
        from torchvision.models import VGG19_Weights

        return tuple(VGG19_Weights.IMAGENET1K_V1.meta["categories"])
    return tuple(f"class {number}" for number in range(classes))


def _random(width: float, seed: int) -> Vgg:
    """Kaiming-normal weights from a CPU generator (He et al. 2015, eq. 10), zero biases, no head."""
    if not 0 < width <= 4:
        raise UsageError(f"--width {width:g} is out of range; expected 0 < width <= 4.")
    generator = torch.Generator().manual_seed(seed)
    vgg = Vgg(width)
    digest = hashlib.sha256()
    for module in vgg.features:
        if isinstance(module, nn.Conv2d):
            fan_in = module.in_channels * 9
            weight = torch.randn(module.weight.shape, generator=generator) * math.sqrt(2 / fan_in)
            module.weight.data.copy_(weight)
            module.bias.data.zero_()  # pyright: ignore[reportOptionalMemberAccess] -- built with a bias
            digest.update(weight.numpy().tobytes())
    vgg.info = WeightsInfo("random", digest.hexdigest(), width=width, note=f"drawn with seed {seed}")
    return vgg
