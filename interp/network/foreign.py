"""What a weights file is that is no VGG-19 in torchvision's keys: said by its content, never by a library's advice."""

from collections.abc import Iterable
from pathlib import Path

# Positions of the convolutions in torchvision's `vgg16().features` and `vgg19_bn().features`, as far as they tell.
VGG16_LAST, VGG19_BN_LAST = 28, 49


def kind_of_file(path: Path, error: BaseException) -> str:
    """What a file that torch cannot read is, a clause to follow "Weights 'x' are".

    Args:
        path: The file.
        error: Torch's or safetensors' error, of which the kind tells something.
    """
    with path.open("rb") as file:
        start = file.read(512)
    head, suffix = start.lstrip().lower(), path.suffix.lower()
    if head.startswith((b"<!doctype", b"<html")) or b"<html" in head[:200]:
        return "a web page, probably a download that was refused: fetch the file itself"
    if b"git-lfs.github.com" in head:
        return "a Git LFS pointer of a few bytes: run `git lfs pull` to get the file itself"
    if start.startswith(b"\x89HDF\r\n"):
        return "an HDF5 file, as Keras writes: convert it to a PyTorch state dict"
    if suffix == ".onnx" or b"onnx" in start[:64] or (start.startswith(b"\x08") and b"pytorch" in start[:64]):
        return "an ONNX model: convert it to a PyTorch state dict"
    if suffix in (".caffemodel", ".prototxt") or b"vgg_ilsvrc" in head[:64]:
        return "a Caffe model: convert it to a PyTorch state dict"
    if suffix in (".pb", ".tflite", ".ckpt-1", ".index", ".npz", ".npy", ".mat") or start.startswith(b"\x93NUMPY"):
        return f"of another framework ({suffix}): convert it to a PyTorch state dict"
    if head.startswith((b"{", b"[")):
        return "a text (JSON): expected the file of tensors"
    return _kind_of_pickle(str(error))


def _kind_of_pickle(words: str) -> str:
    if "TorchScript" in words:
        return "a TorchScript program: save `model.state_dict()` instead"
    if "Unsupported global" in words or "Unsupported class" in words:
        return (
            "a pickle with Python objects in it, a whole model perhaps, which would run code when it is loaded: save "
            "`model.state_dict()` instead"
        )
    return "damaged, cut off, or no file of tensors"


def common_prefix(keys: Iterable[str]) -> str:
    """What a wrapper such as Lightning put before every key that speaks of the network; empty if nothing.

    Example:
        >>> common_prefix(["net.features.0.weight", "net.features.0.bias", "net.classifier.0.bias", "epoch"])
        'net.'
    """
    prefixes = {key[: key.index("features.")] for key in keys if "features." in key}
    return prefixes.pop() if len(prefixes) == 1 else ""


def other_network(keys: Iterable[str]) -> str:
    """Which network the keys belong to if it is not VGG-19, a sentence; empty if they do not tell."""
    keys = set(keys)
    if any(key.startswith("features.") and key.endswith("running_mean") for key in keys):
        return "It has batch normalisation (VGG19-BN perhaps), which this VGG-19 does not have: fold it in first."
    numbers = sorted(int(key.split(".")[1]) for key in keys if key.startswith("features.") and key.endswith(".weight"))
    if numbers and numbers[-1] == VGG16_LAST and len(numbers) == 13:
        return "It is a VGG-16: expected VGG-19, with 16 convolutions."
    if any(key.startswith(("layer1.", "conv1.weight", "blocks.", "encoder.")) for key in keys):
        return "It is another network's."
    return ""
