"""Torchvision's classifiers behind the face that VGG-19 has here: a finding on one network must be checked on another.

Nothing is downloaded: weights come from a file, or from torch hub's cache if torchvision has put them there before.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interp.errors import UsageError, WeightsError, unknown_name
from interp.network.known_weights import file_sha256
from interp.network.state_dict import read_tensors
from interp.network.vgg import Normalise, WeightsInfo

POOLING = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Dropout, nn.Dropout2d, nn.Identity
)  # fmt: skip


class TorchvisionClassifier(nn.Module):
    """One of torchvision's networks, taking RGB in [0, 1].

    Args:
        net: The network, on normalised input.
        info: Which weights it carries.
        mean: Of its preprocessing, RGB for input in [0, 1].
        std: Likewise.

    Attributes:
        head: The last layer with parameters: the logits'.
        only_squares: Whether it takes nothing but squares of its native size.
        cam_layer: Path of the last module whose output still is a grid, or empty.
    """

    def __init__(self, net: nn.Module, info: WeightsInfo, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.info = info
        self.normalise = Normalise("torchvision")
        self.normalise.mean.copy_(torch.tensor(mean).view(1, 3, 1, 1))
        self.normalise.std.copy_(torch.tensor(std).view(1, 3, 1, 1))
        self.net = net.eval().requires_grad_(False)
        self.only_squares = not _accepts(self, info.native_size_px - 32)
        self.cam_layer = _last_grid(self)

    @property
    def head(self) -> nn.Module | None:
        """The last module with parameters of its own."""
        return next((module for module in reversed(list(self.net.modules())) if list(module.parameters(False))), None)

    def forward(self, image_nchw01: Tensor) -> Tensor:
        """Classify (N, 3, H, W) float RGB in [0, 1]: (N, classes) logits."""
        return self.net(self.normalise(image_nchw01))

    def layer_module(self, name: str) -> nn.Module:
        """A module by its path.

        Raises:
            UsageError: If there is none of that name.
        """
        modules = dict(self.net.named_modules())
        if not name or name not in modules:
            raise unknown_name(f"layer of {self.info.name}", name, [path for path in modules if path])
        return modules[name]

    def has_layer(self, name: str) -> bool:
        """Whether `name` is a module's path."""
        return bool(name) and name in dict(self.net.named_modules())

    def layer_values(self, image_nchw01: Tensor, name: str) -> Tensor:
        """Output of one module, (N, C, h, w), copied before an in-place ReLU can rewrite it.

        A module that is called more than once gives its last call's.

        Raises:
            UsageError: If there is no such module, or its output is no grid of channels.
        """
        captured: list[Any] = []
        handle = self.layer_module(name).register_forward_hook(lambda _, __, output: captured.append(_copied(output)))
        try:
            self(image_nchw01)
        finally:
            handle.remove()
        if not captured or not isinstance(captured[-1], Tensor) or captured[-1].ndim != 4:
            raise UsageError(f"Layer {name!r} of {self.info.name} gives no grid of channels; expected one that does.")
        return captured[-1]

    def label(self, path: str) -> str:
        """A module's path as the user knows it."""
        return path.removeprefix("net.")


def architectures() -> list[str]:
    """Names of torchvision's classifiers."""
    from torchvision import models

    return models.list_models(module=models)


def load_classifier(
    arch: str, source: str | Path = "auto", *, seed: int = 0, device: str = "cpu"
) -> TorchvisionClassifier:
    """Build one of torchvision's classifiers, frozen, in evaluation mode.

    Args:
        arch: Such as `resnet18`; `architectures()` lists them.
        source: `auto` or `imagenet` for torchvision's default weights if they are in torch hub's cache, `random`
            for a control, or a file, `.pth` or `.safetensors`, with the network's state dict.
        seed: Of `random`.
        device: Where to put it.

    Returns:
        The classifier; its class names are ImageNet's where it has 1000 classes, else numbers.

    Raises:
        UsageError: If there is no such architecture.
        WeightsError: If the weights are not there, damaged, or of another network.

    Example:
        >>> load_classifier("resnet18", "random").info.native_size_px
        224
    """
    from torchvision import models

    known = architectures()
    if arch not in known:
        raise unknown_name("architecture", arch, known)
    entry: Any = models.get_model_weights(arch).DEFAULT  # pyright: ignore[reportAttributeAccessIssue]
    if source == "compact":
        raise UsageError(f"Weights 'compact' are a VGG-19's, not {arch}'s; expected imagenet, random, or a file.")
    if source == "random":
        net, digest, note = _random(arch, seed), "", f"drawn with seed {seed}"
    else:
        path = cached_path(entry.url, arch) if source in ("auto", "imagenet") else Path(source)
        net, digest = _from_file(arch, path)
        note = "found in torch's cache" if source in ("auto", "imagenet") else "as given"
    recipe = entry.transforms()
    names = _class_names(net, entry.meta["categories"])
    name = arch if source in ("auto", "imagenet", "random") else f"{arch} ({Path(source).name})"
    info = WeightsInfo(name, digest, native_size_px=recipe.crop_size[0], class_names=names, note=note)
    return TorchvisionClassifier(net, info, list(recipe.mean), list(recipe.std)).to(device).requires_grad_(False)


def cached_path(url: str, arch: str) -> Path:
    """Where torchvision's weights lie in torch hub's cache, checked against the hash in their name.

    Raises:
        WeightsError: If they are not there, or damaged.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not path.is_file():
        raise WeightsError(
            f"No weights of {arch} at {str(path)!r}, where torchvision keeps them. Give --weights FILE, or --weights "
            f"random for a control, or download {url} there by hand."
        )
    digits = path.stem.rpartition("-")[2]
    if not file_sha256(path).startswith(digits):
        raise WeightsError(
            f"Weights {str(path)!r} are damaged: their SHA-256 does not begin with {digits}. Replace them."
        )
    return path


def _random(arch: str, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # torchvision draws from the global generator, restored afterwards
        return _build(arch)


def _build(arch: str, **options: Any) -> nn.Module:
    from torchvision import models

    slow = {"init_weights": False} if arch in ("googlenet", "inception_v3") else {}  # a minute of truncated normals
    return models.get_model_builder(arch)(weights=None, **slow, **options)


def _from_file(arch: str, path: Path) -> tuple[nn.Module, str]:
    """Build the network that the file's tensors fit; the logits' layer alone may have another number of rows."""
    tensors = read_tensors(path)
    net = _random(arch, 0)  # not on the meta device: some buffers are computed, and not in the file
    if rows := _rows_of_head(net, tensors):
        net = _build(arch, num_classes=rows)
    problem = _mismatch(net, tensors)
    if problem:
        raise WeightsError(f"Weights {str(path)!r} are not {arch}'s: {problem}. Give the --arch they were saved from.")
    net.load_state_dict(dict(tensors), strict=False)  # checked above; counters of batches may be missing
    return net, file_sha256(path)


def _rows_of_head(net: nn.Module, tensors: Mapping[str, Tensor]) -> int:
    """Classes in the file if they are not the architecture's default, else 0."""
    last = list(net.state_dict())[-1]
    rows = tensors[last].shape[0] if last in tensors and tensors[last].ndim else 0
    return rows if rows != net.state_dict()[last].shape[0] else 0


def _mismatch(net: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    wanted = {key: value for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    missing = [key for key in wanted if key not in tensors]
    if missing:
        return f"{len(missing)} of its {len(wanted)} tensors are missing, first {missing[0]!r}"
    foreign = [key for key in tensors if key not in net.state_dict()]
    if foreign:
        return f"it has no tensor {foreign[0]!r}"
    wrong = [key for key, value in wanted.items() if tensors[key].shape != value.shape]
    if wrong:
        shapes = tuple(tensors[wrong[0]].shape), tuple(wanted[wrong[0]].shape)
        return f"{wrong[0]!r} has shape {shapes[0]}, expected {shapes[1]}"
    return ""


def _class_names(net: nn.Module, imagenet: list[str]) -> tuple[str, ...]:
    classes = list(net.state_dict().values())[-1].shape[0]
    return tuple(imagenet) if classes == len(imagenet) else tuple(f"class {number}" for number in range(classes))


def _accepts(classifier: TorchvisionClassifier, width_px: int) -> bool:
    """Whether it takes a picture that is not its native square."""
    height_px = classifier.info.native_size_px
    with torch.no_grad(), contextlib.suppress(RuntimeError, AssertionError, ValueError):
        classifier(torch.zeros(1, 3, height_px, width_px))
        return True
    return False


def _last_grid(classifier: TorchvisionClassifier) -> str:
    """Path of the last module called whose output is a grid of more than one cell; pools and dropout left out."""
    seen: list[str] = []

    def watch(path: str) -> Callable[..., None]:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            grid = isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[-2:]) > 1
            if grid and path and not isinstance(module, POOLING):
                seen.append(path)

        return note

    modules = list(classifier.net.named_modules())
    handles = [module.register_forward_hook(watch(path)) for path, module in modules]
    try:
        with torch.no_grad():
            side_px = classifier.info.native_size_px
            classifier(torch.zeros(1, 3, side_px, side_px))
    finally:
        for handle in handles:
            handle.remove()
    return seen[-1] if seen else ""


def _copied(output: Any) -> Any:
    return output.clone() if isinstance(output, Tensor) else output
