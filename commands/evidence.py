"""What the layers' statistics carry, for the reports that show it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from interp.network.vgg import Vgg

TEXTURE_PX, TEXTURE_STEPS = 64, 20  # enough to see strokes; a twentieth of a run at 512 px, a sixth of a draft


def layer_textures(vgg: "Vgg", painting_nchw01: "Tensor") -> "dict[str, np.ndarray]":
    """What each style layer's statistics of a painting carry, as small textures, (h, w, 3) uint8 by layer."""
    from interp.pictures.images import to_hwc_u8
    from interp.statistics.style_evidence import SCALES
    from stylize.texture import synthesise

    return {name: to_hwc_u8(synthesise(vgg, painting_nchw01, name, TEXTURE_PX, TEXTURE_STEPS)) for name in SCALES}
