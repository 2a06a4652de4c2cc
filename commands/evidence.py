"""What the layers' statistics carry, for the reports that show it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from interp.network.vgg import Vgg

TEXTURE_PX, TEXTURE_STEPS = 80, 30  # enough to see strokes, two seconds for all layers


def layer_textures(vgg: "Vgg", painting_nchw01: "Tensor") -> "dict[str, np.ndarray]":
    """What each ReLU layer's statistics of a painting carry, as small textures, (h, w, 3) uint8 by layer."""
    from interp.network.layer_names import RELU_NAMES
    from interp.pictures.images import to_hwc_u8
    from stylize.texture import synthesise

    return {name: to_hwc_u8(synthesise(vgg, painting_nchw01, name, TEXTURE_PX, TEXTURE_STEPS)) for name in RELU_NAMES}
