"""Weights by name or file: find them, verify them, build the network they belong to."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from interp.errors import UsageError, WeightsError
from interp.network.class_names import class_names
from interp.network.fetch import partial_path
from interp.network.foreign import other_network
from interp.network.known_weights import (
    COMPACT_SHA256,
    IMAGENET_SHA256,
    LAYOUTS,
    by_name,
    by_sha256,
    file_sha256,
    is_intact,
)
from interp.network.layer_names import CHANNELS_PER_BLOCK
from interp.network.state_dict import CONVS, IMAGENET_SIZE_PX, StateFile, read_state_file
from interp.network.vgg import Normalise, Vgg, WeightsInfo, channels_at, fully_connected_head, pooled_linear_head

COMPACT_DIR = Path(__file__).parent / "compact"
COMPACT_FILE = COMPACT_DIR / "compact-vgg19.safetensors"
COMPACT_SIZE_PX = 64
IMAGENET_FILE = "vgg19-dcbb9e9d.pth"  # torchvision VGG19_Weights.IMAGENET1K_V1
NAMES = ("auto", "compact", "imagenet", "random")


def imagenet_path() -> Path:
    """Where torchvision's VGG-19 lies once downloaded: torch hub's cache."""
    return Path(torch.hub.get_dir()) / "checkpoints" / IMAGENET_FILE


def imagenet_url() -> str:
    """Where torchvision publishes its VGG-19."""
    from torchvision.models import VGG19_Weights

    return VGG19_Weights.IMAGENET1K_V1.url


@dataclass(frozen=True)
class Available:
    """One entry of the list of weights.

    Attributes:
        name: What `load_vgg` takes.
        state: `bundled`, `fetched`, `damaged`, `partly fetched`, `not fetched` or `drawn`.
        sha256: Of the file that belongs there; None for `random`.
        size_bytes: Of the file that is there; None without one.
        native_size_px: Side of the squares the classifier was trained on; None without a classifier.
        path: Where the file is, or belongs.
    """

    name: str
    state: str
    sha256: str | None = None
    size_bytes: int | None = None
    native_size_px: int | None = None
    path: Path | None = None


def available() -> list[Available]:
    """List the named weights, and whether their files are there and whole."""
    path = imagenet_path()
    there = next((file for file in (path, partial_path(path)) if file.is_file()), None)
    state = "not fetched"
    if there == path:
        state = "fetched" if is_intact(path, IMAGENET_SHA256) else "damaged"
    elif there:
        state = "partly fetched"
    size = there.stat().st_size if there else None
    compact_size = COMPACT_FILE.stat().st_size
    return [
        Available("compact", "bundled", COMPACT_SHA256, compact_size, COMPACT_SIZE_PX, COMPACT_FILE),
        Available("imagenet", state, IMAGENET_SHA256, size, IMAGENET_SIZE_PX, path),
        Available("random", "drawn"),
    ]


def load_vgg(
    source: str | Path = "auto", *, width: float = 1.0, seed: int = 0, layout: str | None = None, device: str = "cpu"
) -> Vgg:
    """Build a frozen VGG-19 in evaluation mode.

    Args:
        source: `auto` (ImageNet's if already in the cache, else compact), `compact`, `imagenet`, `random`, or a file,
            `.pth` or `.safetensors`; `state_dict.read_state_file` says what it may hold.
        width: Channels as a fraction of VGG-19's, for `random` only; files tell their own.
        seed: Of `random`.
        layout: `torchvision` or `caffe`, for a file that is not recognised by its hash and does not state its own.
        device: Where to put it.

    Returns:
        The network; `vgg.info` says what it carries, and `vgg.info.note` how that was decided.

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


def auto_name() -> str:
    """What `auto` stands for at the moment: `imagenet` if its file is in the cache, else `compact`."""
    return "imagenet" if imagenet_path().is_file() else "compact"


def _resolve(source: str | Path) -> tuple[str | Path, str]:
    if source == "auto":
        if auto_name() == "imagenet":
            return "imagenet", "ImageNet's VGG-19, found in the cache"
        return "compact", "the bundled compact VGG-19, because ImageNet's is not in the cache"
    if source == "imagenet" and not imagenet_path().is_file():
        raise WeightsError(
            f"ImageNet's VGG-19 is not at {str(imagenet_path())!r}. Run `python cli.py weights fetch` (575 MB), or use "
            "--weights compact."
        )
    return source, "as asked"


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
            f"Weights {str(path)!r} have SHA-256 {sha256[:16]}…, expected {expected_sha256[:16]}…: damaged or "
            "replaced. Run `python cli.py weights fetch`, or use --weights compact."
        )
    file = read_state_file(path)
    if not expected_sha256:
        layout, note = _layout(path, sha256, file, layout)
    with torch.device("meta"):  # nothing is drawn only to be overwritten
        width, head, classes = _shape_of(file.tensors, str(path))
        vgg = Vgg(width, head)
    names = class_names(path, classes)
    unread = tuple(sorted(key for key in file.tensors if head is None and not key.startswith("features.")))
    vgg.info = WeightsInfo(name, sha256, layout or "torchvision", width, file.native_size_px, names, note, unread)
    vgg.normalise = Normalise(vgg.info.layout)
    _fill(vgg, file.tensors)
    if not expected_sha256:
        _check_finite(vgg)
    return vgg


def _check_finite(vgg: Vgg) -> None:
    """Look at a grey square and at noise: finite weights can still be so large that what they compute is not.

    Raises:
        WeightsError: If a layer's values, or the logits, are not finite.
    """
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = vgg.features(vgg.normalise(torch.cat([torch.full_like(noise, 0.5), noise])))
        seen = features if vgg.head is None else vgg.head(features)
    if not torch.isfinite(seen).all():
        raise WeightsError(
            f"Weights {vgg.info.name!r} compute values that are not finite: numbers in it are far too large. Expected "
            "VGG-19's; a wrong --weights-format does not do that, a damaged or diverged file does."
        )


def _layout(path: Path, sha256: str, file: StateFile, asked: str | None) -> tuple[str, str]:
    """Decide between the layouts, and say why: by hash, else by the file itself, as asked, by name, or assumed."""
    if known := by_sha256(sha256):
        layout, why = known.layout, f"{known.origin}: {known.layout} layout, known by its SHA-256"
    elif file.layout:
        layout, why = file.layout, f"{file.layout} layout, as {file.stated_by} says"
    elif asked:
        return asked, f"{asked} layout, as given"
    elif known := by_name(path):
        layout = known.layout
        why = f"{layout} layout, by the name of {known.origin}; the SHA-256 is not a known one"
    else:
        layout, why = "torchvision", "torchvision layout assumed; use --weights-format caffe for BGR 0-255 weights"
    return layout, why + (f"; --weights-format {asked} does not apply" if asked and asked != layout else "")


def _shape_of(state: Mapping[str, Tensor], path: str) -> tuple[float, nn.Module | None, int]:
    """Tell width and head from the tensors' shapes, and check that all 16 convolutions are there."""
    missing = [key for index in CONVS.values() for key in _conv_keys(index) if key not in state]
    if missing:
        there = f"it has {next(iter(state))!r}" if state else "it has none at all"
        raise WeightsError(
            f"Weights {path!r} lack {len(missing)} of VGG-19's 32 tensors (first: {missing[0]!r}; {there}); expected "
            f"torchvision's keys `features.N.weight` and `features.N.bias`. {other_network(state)}".rstrip()
        )
    rows = {key: len(value) if value.ndim else 0 for key, value in state.items()}
    width = rows["features.0.weight"] / CHANNELS_PER_BLOCK[0]
    last = channels_at(width)[-1]
    if "head.weight" in state:
        classes = rows["head.weight"]
        return width, pooled_linear_head(last, classes), classes
    if "classifier.6.weight" in state and "classifier.0.weight" in state:
        classes = rows["classifier.6.weight"]
        return width, fully_connected_head(last, rows["classifier.0.weight"], classes), classes
    return width, None, 0


def _conv_keys(index: int) -> tuple[str, str]:
    return f"features.{index}.weight", f"features.{index}.bias"


def _fill(vgg: Vgg, state: Mapping[str, Tensor]) -> None:
    """Make the tensors those of the network, which has none yet, checking every shape.

    Not by `to_empty`, which on a network without tensors loads torch's symbolic shapes, and with them SymPy.
    """
    found: dict[str, Tensor] = {}
    for key, target in vgg.state_dict().items():
        source = key.replace("head.linear.", "head.").replace("head.classifier.", "classifier.")
        if source not in state:
            raise WeightsError(
                f"Weights {vgg.info.name!r} lack {source!r}; expected every tensor of the classifier or none."
            )
        if state[source].shape != target.shape:
            raise WeightsError(
                f"Weights {vgg.info.name!r}: {source!r} has shape {tuple(state[source].shape)}, VGG-19 at width "
                f"{vgg.info.width:g} expects {tuple(target.shape)}."
            )
        found[key] = state[source]
    vgg.load_state_dict(found, assign=True)


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
