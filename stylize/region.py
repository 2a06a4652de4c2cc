"""What to restyle, and how: one region, its painting, and the pictures that both are learned from."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from interp.errors import MaskError, UsageError, unknown_name
from interp.pictures.colour import ColourMap, colour_map
from interp.pictures.sizes import fit_painting_nchw01, resize_hw01
from interp.statistics.layers import LayerChoice
from stylize.fill import continue_outside, with_border
from stylize.presets import COLOURS


@dataclass(frozen=True)
class StyledRegion:
    """What to restyle, and how.

    Attributes:
        alpha_hw01: (H, W) float32, the region at the photo's size, multiples of 1/255.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], any size.
        choice: Style and content layers.
        strength: Weight of style against content; 1 is balanced, larger is more painting.
        colour: `none` takes the painting's colours: the photo is recoloured to them first; `match` recolours the
            painting to the photo's region instead; `luminance` does too, and takes only light and dark from the result.
        painting_alpha_hw01: (h, w) float32, the part of the painting to learn from; None for all of it.
        name: What the region is called in figures and messages.
        held_hw01: (H, W) float32, where the photo's small shapes are held too, as a face's; None for nowhere.
        recolouring: That of another photo, to be kept; None makes one for this photo.
    """

    alpha_hw01: np.ndarray = field(repr=False)
    painting_nchw01: Tensor = field(repr=False)
    choice: LayerChoice
    strength: float = 1.0
    colour: str = "none"
    painting_alpha_hw01: np.ndarray | None = field(default=None, repr=False)
    name: str = "region"
    held_hw01: np.ndarray | None = field(default=None, repr=False)
    recolouring: ColourMap | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.strength) and self.strength > 0):
            raise UsageError(f"Strength {self.strength}; expected a number above 0.")
        if self.colour not in COLOURS:
            raise unknown_name("colour policy", self.colour, COLOURS)
        if not (self.alpha_hw01 > 0).any():
            raise MaskError(f"The {self.name} is empty: no pixel to restyle. Give another prompt, box or mask.")
        part, whole = self.painting_alpha_hw01, self.painting_nchw01.shape[-2:]
        if part is not None and part.shape != tuple(whole):
            raise UsageError(
                f"The painting's mask is {part.shape[1]}x{part.shape[0]} px, the painting {whole[1]}x{whole[0]}; "
                "expected the same size."
            )
        if part is not None and not (part > 0).any():
            raise MaskError("The painting's mask is empty: nothing to learn from. White is the part to learn.")

    def pictures(
        self, photo_nchw01: Tensor, alpha_hw01: Tensor, photo_hw_px: tuple[int, int], style_scale: float
    ) -> tuple[Tensor, Tensor, Tensor, ColourMap]:
        """The picture to start from and to keep the content of, and the painting to learn the style of.

        Args:
            photo_nchw01: (1, 3, H, W) at the working size, or the part of it around the region; pixels outside the
                region do not count.
            alpha_hw01: (H, W), the region there.
            photo_hw_px: Height and width of the whole photo at the working size: they set the painting's.
            style_scale: Size of the strokes.

        Returns:
            Draft (1, 3, H, W) in [0, 1]; painting and the part of it to learn from, as `lesson` returns them, the
            painting recoloured where the colour policy says so; how the one or the other was recoloured.
        """
        painting, learned = self.lesson(photo_hw_px, style_scale)
        painting, learned = painting.to(photo_nchw01), learned.to(photo_nchw01)
        recolouring = self.recolouring or self._own_recolouring(photo_nchw01, alpha_hw01, painting, learned)
        if self.colour == "none":
            return recolouring.of(photo_nchw01), painting, learned, recolouring
        return photo_nchw01, recolouring.of(painting), learned, recolouring

    def _own_recolouring(
        self, photo_nchw01: Tensor, alpha_hw01: Tensor, painting_nchw01: Tensor, learned_hw01: Tensor
    ) -> ColourMap:
        """How this photo takes the painting's colours, or the painting this photo's."""
        if self.colour == "none":
            return colour_map(photo_nchw01, painting_nchw01, alpha_hw01, learned_hw01)
        return colour_map(painting_nchw01, photo_nchw01, learned_hw01, alpha_hw01)

    def lesson(self, photo_hw_px: tuple[int, int], style_scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """The painting beside a photo of a size, with a border, and the part of it to learn from.

        Nothing outside the painting's mask is in it: it is continued smoothly from what is inside.

        Returns:
            Painting (1, 3, h, w) in [0, 1]; (h, w) in [0, 1].
        """
        painting = fit_painting_nchw01(self.painting_nchw01, photo_hw_px, style_scale)
        size = painting.shape[-2], painting.shape[-1]
        learned = torch.ones(size).to(painting)
        if self.painting_alpha_hw01 is not None:
            learned = torch.from_numpy(resize_hw01(self.painting_alpha_hw01, size)).to(painting)
            painting = continue_outside(painting, learned)
        return with_border(painting), with_border(learned, "constant")
