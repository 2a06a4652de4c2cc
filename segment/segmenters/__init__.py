"""Segmentation networks: one class a file, from a photo to a map of its subject. OpenCV runs those in files."""

from typing import Protocol

import numpy as np


class Segmenter(Protocol):
    """A network that marks the subject.

    Attributes:
        name: What it is called in messages and reports.
        origin: Where it comes from: whose it is and under which licence, or its file's hash.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 -- an attribute

    @property
    def origin(self) -> str: ...  # noqa: D102

    def __call__(self, rgb_hwc_u8: np.ndarray) -> np.ndarray:
        """From (H, W, 3) uint8 RGB to the probability of being the subject, (h, w) float32 in [0, 1], at any size."""
        ...
