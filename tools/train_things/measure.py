"""How well a decoder marks the subjects of photos that it has not learned from."""

from collections.abc import Sequence

import cv2
import numpy as np

from interp.network.vgg import Vgg
from segment.segmenters.things.network import Decoder, marked_hw01
from tools.train_things.pictures import Masked


def overlaps(vgg: Vgg, decoder: Decoder, pictures: Sequence[Masked]) -> np.ndarray:
    """Intersection over union of each picture's map at .5 with its mask, (N,) float64."""
    found = []
    for picture in pictures:
        map_hw01 = marked_hw01(vgg, decoder, picture.rgb_hwc_u8)
        large = cv2.resize(map_hw01, picture.mask_hw_u8.shape[::-1], interpolation=cv2.INTER_LINEAR) >= 0.5
        truth = picture.mask_hw_u8 >= 128
        found.append((large & truth).sum() / max(1, (large | truth).sum()))
    return np.array(found)


def measure(vgg: Vgg, decoder: Decoder, pictures: Sequence[Masked]) -> str:
    """The same in words."""
    iou = overlaps(vgg, decoder, pictures)
    return (
        f"{len(iou)} photos held out, uncut maps at .5: mean IoU {iou.mean():.3f}, median {np.median(iou):.3f}, "
        f"under .5 {(iou < 0.5).sum()}"
    )
