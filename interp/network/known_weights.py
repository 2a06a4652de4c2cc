"""Well-known VGG-19 files and how they are recognised: by the SHA-256 of their bytes. No torch.

Never by their keys: Caffe's weights are commonly re-saved under torchvision's keys. Torch hub puts the first eight
digits of the SHA-256 into a file's name; where only those are published, only those are compared.

Sources:
    vgg19-dcbb9e9d: torchvision's `VGG19_Weights.IMAGENET1K_V1`.
    vgg19-d01eb7cb: J. Johnson's `pytorch-vgg`, an exact conversion of Simonyan & Zisserman's release; its full hash is
        not published. neural-style-pt's `download_models.py` renames two layers and saves it again under the same name:
        dd893d44…, 574,679,411 bytes, the same in two public copies.
    vgg19-74e45263: pystiche's model list.
    vgg_normalised: `pytorch-AdaIN`'s release, 80,102,481 bytes, pinned alike by several projects.
    vgg_conv: Gatys' `PytorchNeuralStyleTransfer`; no hash is published.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

COMPACT_SHA256 = "b96ad71637b966518901bb980c1cc30339016e33377f77464134aaccf3e77f7b"
IMAGENET_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
LAYOUTS = ("torchvision", "caffe")


@dataclass(frozen=True)
class KnownFile:
    """A well-known weights file.

    Attributes:
        stem: Its usual name without the extension.
        sha256: Of the file, or the first digits of it; empty where nothing is published.
        layout: `torchvision` (RGB, mean and std) or `caffe` (BGR 0-255, mean subtracted).
        origin: What it is, in a few words.
    """

    stem: str
    sha256: str
    layout: str
    origin: str


KNOWN_FILES = (
    KnownFile("compact-vgg19", COMPACT_SHA256, "torchvision", "the bundled compact VGG-19"),
    KnownFile("vgg19-dcbb9e9d", IMAGENET_SHA256, "torchvision", "torchvision's ImageNet VGG-19"),
    KnownFile("vgg19-d01eb7cb", "d01eb7cb", "caffe", "Simonyan & Zisserman's VGG-19"),
    KnownFile(
        "vgg19-d01eb7cb",
        "dd893d447ece014ad32d71b8d32b1e0b5c09b912a2866990c286fdeebd368d74",
        "caffe",
        "Simonyan & Zisserman's VGG-19 as neural-style-pt saves it",
    ),
    KnownFile("vgg19-74e45263", "74e45263", "caffe", "Simonyan & Zisserman's VGG-19 as pystiche saves it"),
    KnownFile(
        "vgg_normalised",
        "804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
        "caffe",
        "the normalised VGG-19 of AdaIN",
    ),
    KnownFile("vgg_conv", "", "caffe", "the VGG-19 of Gatys' PyTorch code"),
)


def by_sha256(sha256: str) -> KnownFile | None:
    """Find a known file by the SHA-256 of its bytes, in hexadecimal."""
    return next((known for known in KNOWN_FILES if known.sha256 and sha256.startswith(known.sha256)), None)


def by_name(path: Path) -> KnownFile | None:
    """Find a known file by its usual name; a copy saved again has that name and another hash."""
    return next((known for known in KNOWN_FILES if path.stem == known.stem), None)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_intact(path: Path, sha256: str) -> bool:
    """Whether a readable file with these bytes is there."""
    try:
        return path.is_file() and file_sha256(path) == sha256
    except OSError:
        return False
