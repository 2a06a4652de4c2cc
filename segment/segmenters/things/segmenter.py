"""The segmenter for things; its weights lie beside it."""

from pathlib import Path

import numpy as np
from safetensors import safe_open

from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from segment.segmenters.things.network import Decoder, marked_hw01

FILE = Path(__file__).parent / "things.safetensors"
NAME = "the network for things"
ORIGIN = "in the package, trained on ECSSD's photos; segment/segmenters/things/MODEL_CARD.md"


class ThingsSegmenter:
    """Marks what a photo is of, whatever kind of thing it is.

    Args:
        vgg: The network whose features it reads; None for compact, the one that it was made for.
        path: Of its weights.

    Attributes:
        name: For messages and reports.
        origin: Likewise.
        last: The last photo and its map, given again when the same is asked for: a prompt and the confidence of its cut
            look at one photo.
    """

    name, origin = NAME, ORIGIN

    def __init__(self, vgg: Vgg | None = None, path: Path = FILE) -> None:
        self.vgg = vgg or load_vgg("compact")
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- no mapping
        self.decoder = Decoder(self.vgg.info.width)
        self.decoder.load_state_dict(tensors)
        self.decoder.eval().requires_grad_(False)
        self.last: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, rgb_hwc_u8: np.ndarray) -> np.ndarray:
        """Look at a photo, stretched to a square.

        Args:
            rgb_hwc_u8: (H, W, 3) uint8 RGB.

        Returns:
            (128, 128) float32 in [0, 1].
        """
        if self.last is None or self.last[0] is not rgb_hwc_u8:
            self.last = rgb_hwc_u8, marked_hw01(self.vgg, self.decoder, rgb_hwc_u8)
        return self.last[1]
