"""What torchvision's segmentation networks say about a picture, for the deep cut, when their weights are on the disk.

Chen et al. 2017 (DeepLabV3) and Howard et al. 2019 (LR-ASPP): 20 kinds of things of Pascal VOC, and background. Nothing
is downloaded here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import segmentation

from interp.errors import WeightsError
from interp.network.known_weights import file_sha256
from interp.network.vgg import IMAGENET_MEAN, IMAGENET_STD
from interp.pictures.images import to_nchw01
from segment.deepcut import DeepMap

CLASSES = 21
SHRINKAGE = 0.1  # of the classes' covariance: few channels, far from independent


@dataclass(frozen=True)
class Segmenter:
    """A network of torchvision and the file it keeps its weights in.

    Attributes:
        name: torchvision's name.
        file: Name in torch's cache; ends in the first eight digits of the file's SHA-256.
        build: Makes the network without weights.
    """

    name: str
    file: str
    build: Callable[[], nn.Module]


def _maker(function: Callable[..., nn.Module], **options: bool) -> Callable[[], nn.Module]:
    return lambda: function(weights=None, weights_backbone=None, num_classes=CLASSES, **options)


SEGMENTERS = (  # the best first
    Segmenter(
        "deeplabv3_resnet101",
        "deeplabv3_resnet101_coco-586e9e4e.pth",
        _maker(segmentation.deeplabv3_resnet101, aux_loss=True),
    ),
    Segmenter(
        "deeplabv3_resnet50",
        "deeplabv3_resnet50_coco-cd0a2569.pth",
        _maker(segmentation.deeplabv3_resnet50, aux_loss=True),
    ),
    Segmenter(
        "deeplabv3_mobilenet_v3_large",
        "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        _maker(segmentation.deeplabv3_mobilenet_v3_large, aux_loss=True),
    ),
    Segmenter(
        "lraspp_mobilenet_v3_large",
        "lraspp_mobilenet_v3_large-d234d4ea.pth",
        _maker(segmentation.lraspp_mobilenet_v3_large),
    ),
)


def find_segmenter(folder: Path) -> tuple[Segmenter, Path]:
    """The best of torchvision's segmentation networks whose weights lie in a folder.

    Raises:
        WeightsError: If there are none; the message says which files are looked for.
    """
    for segmenter in SEGMENTERS:
        if (folder / segmenter.file).is_file():
            return segmenter, folder / segmenter.file
    files = ", ".join(segmenter.file for segmenter in SEGMENTERS)
    raise WeightsError(
        f"No segmentation weights in {str(folder)!r}; looked for {files}. Put one of torchvision's files there, "
        "or use --features vgg."
    )


def load_segmenter(segmenter: Segmenter, path: Path, device: str = "cpu") -> nn.Module:
    """Build a network and load its weights.

    Raises:
        WeightsError: If the file is damaged, or another network's.
    """
    digest = file_sha256(path)
    expected = path.stem.rsplit("-", 1)[-1]
    if not digest.startswith(expected):
        raise WeightsError(f"{str(path)!r} has SHA-256 {digest[:8]}…; expected {expected}…. Download it again.")
    network = segmenter.build()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises whatever its reader does
        raise WeightsError(f"{str(path)!r} does not fit {segmenter.name} ({error}). Download it again.") from error
    return network.eval().to(device)


def class_maps(network: nn.Module) -> Callable[[np.ndarray], tuple[DeepMap, ...]]:
    """Make the function that describes a picture to the deep cut by the classes' probabilities.

    Args:
        network: One of torchvision's, from (N, 3, H, W) normalised to {"out": (N, 21, H, W)}.

    Returns:
        A function from (H, W, 3) uint8 RGB, small, to one map of 21 channels.
    """

    @torch.no_grad()
    def describe(rgb_hwc_u8: np.ndarray) -> tuple[DeepMap, ...]:
        device = next(network.parameters()).device
        mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        normalised = (to_nchw01(rgb_hwc_u8).to(device) - mean) / std
        probabilities = F.softmax(network(normalised)["out"].float(), dim=1)[0]
        return (DeepMap("classes", probabilities.cpu().numpy(), SHRINKAGE),)

    return describe
