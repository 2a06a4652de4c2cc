"""A series: layers, recolouring and size of its first picture, kept in a file, so that the others match it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interp.errors import InputError, UsageError
from interp.network.layer_names import layer
from interp.pictures.files import printable, read_text

if TYPE_CHECKING:
    from commands.parts import Part
    from commands.restyling import Restyling
    from interp.pictures.colour import ColourMap
    from interp.statistics.layers import LayerChoice

WHAT = "a .series.json that --series wrote"


@dataclass(frozen=True)
class KeptPart:
    """What is kept for one part of the photo.

    Attributes:
        painting_sha256: Of the painting that it was made with.
        colour: The colour policy likewise.
        style_weights: Weight of each style layer, sum 1.
        content_layer: Name of the content layer.
        matrix: (3, 3), of the recolouring; see `interp.pictures.colour.ColourMap`.
        centre: (3,), likewise.
        target: (3,), likewise.
    """

    painting_sha256: str
    colour: str
    style_weights: dict[str, float]
    content_layer: str
    matrix: list[list[float]]
    centre: list[float]
    target: list[float]

    def choose(self, choice: "LayerChoice") -> "LayerChoice":
        """The kept layers, beside the evidence for this photo's own."""
        from interp.statistics.layers import kept_choice

        return kept_choice(choice, self.style_weights, self.content_layer)

    @property
    def recolouring(self) -> "ColourMap":
        """The kept recolouring."""
        import torch

        from interp.pictures.colour import ColourMap

        return ColourMap(*(torch.tensor(each).double() for each in (self.matrix, self.centre, self.target)))


@dataclass(frozen=True)
class Series:
    """What is kept of a series' first picture.

    Attributes:
        photo: Its name.
        size_px: Working size, the long side.
        parts: By the part's name.
    """

    photo: str
    size_px: int
    parts: Mapping[str, KeptPart]

    def check(self, parts: "Sequence[Part]") -> None:
        """Refuse parts that it was not made with.

        Raises:
            UsageError: If regions, paintings or colour policies differ.
        """
        asked = {part.name: (part.painting.sha256, part.colour.value) for part in parts}
        kept = {name: (part.painting_sha256, part.colour) for name, part in self.parts.items()}
        if asked != kept:
            raise UsageError(
                f"The series of {self.photo} was begun with another region, painting or --keep-colour; expected the "
                f"same: {' and '.join(self.parts)}. Begin another with --series."
            )


def load_series(path: Path) -> Series:
    """Read what is kept.

    Raises:
        InputError: If it is none of ours.
    """
    text = read_text(path, WHAT)
    try:
        told = json.loads(text)
        parts = {name: KeptPart(**part) for name, part in told["parts"].items()}
        for part in parts.values():
            _check_numbers(part)
            for name in (*part.style_weights, part.content_layer):
                layer(name)
        return Series(str(told["photo"]), int(told["size_px"]), parts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError) as error:
        raise InputError(f"{str(path)!r} cannot be read ({error}); expected {WHAT}.") from error


def _check_numbers(part: KeptPart) -> None:
    rows = [*part.matrix, part.centre, part.target]
    weights = part.style_weights.values()
    if [len(row) for row in rows] != [3] * 5 or not weights:
        raise ValueError("a recolouring is nine numbers and twice three")
    if not all(math.isfinite(number) for row in (*rows, weights) for number in row) or min(weights) < 0:
        raise ValueError("a number is none that it could have written")


def series_text(done: "Restyling") -> str:
    """What is to be kept of a picture, for `load_series`."""
    from interp.pictures.images import to_nchw01
    from stylize.canvas import own_photo, pictures_at

    job, kept = done.job, {}
    photo = to_nchw01(job.photo.original.visible_hwc_u8).to(done.work.device())
    for part, region in zip(done.parts, job.last.scene.regions, strict=True):
        own = own_photo(photo, region)
        colours = pictures_at(own, region, job.last.size_hw_px, job.way.style_scale).recolouring
        kept[part.name] = KeptPart(
            part.painting.sha256,
            part.colour.value,
            region.choice.style_weights,
            region.choice.content_layer,
            *(each.tolist() for each in (colours.matrix, colours.centre, colours.target)),
        )
    return json.dumps(asdict(Series(printable(job.photo.name), job.way.size_px, kept)), indent=1)
