"""A picture's own values, where 8 opaque bits cannot hold them: what is written wherever nothing was painted."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Original:
    """A picture's own values.

    Attributes:
        rgb_hwc: (H, W, 3) uint8 or uint16 RGB, not multiplied by alpha, under full transparency too.
        alpha_hw: (H, W) of the same type, how opaque each pixel is; None if all are.
        white: The value that is white: 255, or up to 65535.
    """

    rgb_hwc: np.ndarray = field(repr=False)
    alpha_hw: np.ndarray | None = field(repr=False, default=None)
    white: int = 255

    @property
    def is_deep(self) -> bool:
        """Whether it has more than 8 bits a channel."""
        return self.rgb_hwc.dtype != np.uint8

    @property
    def hidden_hw(self) -> np.ndarray:
        """Pixels that nobody sees, (H, W) bool: their colours say nothing."""
        shape = self.rgb_hwc.shape[:2]
        return np.zeros(shape, dtype=bool) if self.alpha_hw is None else self.alpha_hw == 0

    @property
    def alpha_white(self) -> int:
        """The value of alpha that is opaque."""
        whole = int(np.iinfo(self.rgb_hwc.dtype).max)
        return whole if self.alpha_hw is None or self.alpha_hw.max() > self.white else self.white

    @property
    def alpha_hw_u8(self) -> np.ndarray | None:
        """Alpha in 8 bits."""
        return None if self.alpha_hw is None else to_8_bits(self.alpha_hw, self.alpha_white)

    @cached_property
    def visible_hwc_u8(self) -> np.ndarray:
        """The colours in 8 bits, white where nobody sees them, (H, W, 3) uint8 RGB."""
        small = self.in_8_bits(self.rgb_hwc)
        return small if self.alpha_hw is None else np.where(self.hidden_hw[..., None], np.uint8(255), small)

    def in_8_bits(self, pixels_hwc: np.ndarray) -> np.ndarray:
        """A picture of these values, (H, W, 3) RGB or (H, W, 4) RGBA, in 8 bits."""
        small = to_8_bits(pixels_hwc[..., :3], self.white)
        return (
            small if pixels_hwc.shape[2] == 3 else np.dstack([small, to_8_bits(pixels_hwc[..., 3], self.alpha_white)])
        )

    def on_white(self, rgb_hwc_u8: np.ndarray) -> np.ndarray:
        """8-bit colours as they are seen on a white page."""
        small = self.alpha_hw_u8
        if small is None:
            return rgb_hwc_u8
        alpha = small[..., None].astype(np.uint16)
        return ((rgb_hwc_u8 * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)

    def as_changed(self, changed_hwc_u8: np.ndarray) -> np.ndarray:
        """The values with the changes that were made to `visible_hwc_u8`, at their own depth."""
        if not self.is_deep:
            return np.where(self.hidden_hw[..., None], self.rgb_hwc, changed_hwc_u8)
        change = (changed_hwc_u8.astype(np.float32) - self.visible_hwc_u8) * (self.white / 255)
        return np.round(np.clip(self.rgb_hwc + change, 0, self.white)).astype(self.rgb_hwc.dtype)

    def with_alpha(self, rgb_hwc: np.ndarray) -> np.ndarray:
        """A picture with this one's transparency, (H, W, 3) or (H, W, 4), in the picture's own depth."""
        alpha = self.alpha_hw if rgb_hwc.dtype == self.rgb_hwc.dtype else self.alpha_hw_u8
        return rgb_hwc if alpha is None else np.dstack([rgb_hwc, alpha])


def to_8_bits(values: np.ndarray, white: float) -> np.ndarray:
    """Values from 0 to white as uint8; what lies above is white."""
    if values.dtype == np.uint8 and white == 255:
        return values
    return np.round(np.minimum(values, white) * (255 / white)).astype(np.uint8)


def white_of(highest: int) -> int:
    """The value that is white: sensors' 10, 12 and 14 bits lie in 16."""
    bits = max(8, int(highest).bit_length())
    return 2 ** (bits if bits > 16 or bits == 8 else bits + bits % 2) - 1
