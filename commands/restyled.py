"""A restyled photo as Python gives it: to look at in a notebook, to save."""

import base64
import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from commands.outputs import check_replaceable, check_suffix, in_format_of, write_atomically
from interp.errors import UsageError
from interp.pictures.deep import DEEP_SUFFIXES
from interp.pictures.files import as_path
from interp.pictures.images import Picture, encode_png, encode_webp

if TYPE_CHECKING:
    from reports.record import Record

PREVIEW_PX = 512  # long side of the pictures that a notebook shows


@dataclass(frozen=True, repr=False)
class Restyled:
    """A restyled photo; a notebook shows it beside photo and painting.

    Attributes:
        pixels_hwc: (H, W, 3) RGB, or RGBA where the photo is transparent; the photo's size and type, uint8 or uint16.
        alpha_hw01: (H, W) float32 in [0, 1], what was restyled.
        photo: As it was read.
        painting: As it was read.
        region: `background`, `foreground` or `all`.
        found: How the foreground was found, in a sentence; empty for all of the photo.
        notes: What to know of the result, a sentence each.
        record: The report's facts, if a report was asked for.
        files: What it was made from, never to be written over.
    """

    pixels_hwc: np.ndarray
    alpha_hw01: np.ndarray
    photo: Picture
    painting: Picture
    region: str
    found: str
    notes: tuple[str, ...]
    record: "Record | None" = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        height, width = self.photo.size_hw_px
        return f"<{self.photo.name}, {width}x{height}: {self.region} after {self.painting.name}>"

    @property
    def image(self) -> Image.Image:
        """The picture, in 8 bits."""
        return Image.fromarray(self.photo.original.in_8_bits(self.pixels_hwc))

    @property
    def changed_outside(self) -> int:
        """Number of pixels outside the region that are not the photo's own."""
        outside = self.alpha_hw01 == 0
        return int((self.pixels_hwc[outside, :3] != self.photo.original.rgb_hwc[outside]).any(axis=1).sum())

    def save(self, path: str | Path) -> Path:
        """Write the picture: .png and .tif keep every pixel, .webp too unless it has 16 bits a channel, .jpg does not.

        An existing file is replaced, unless the picture was made from it.

        Raises:
            UsageError: If the name is no picture's.
            OutputError: If it cannot be written, or is one of the inputs.
        """
        path = as_path(path)
        check_suffix(path)
        check_replaceable(path, True, self.files)
        deep = path.suffix.lower() in DEEP_SUFFIXES
        pixels = self.pixels_hwc if deep else self.photo.original.in_8_bits(self.pixels_hwc)
        write_atomically(path, in_format_of(path, encode_png(pixels)))
        return path

    def save_report(self, path: str | Path) -> Path:
        """Write the HTML report, where `restyle(..., report=True)` made one.

        Raises:
            UsageError: If there is none.
            OutputError: If it cannot be written.
        """
        from reports.html import render_html

        if self.record is None:
            raise UsageError("No report was made; call restyle(..., report=True).")
        write_atomically(as_path(path), render_html(self.record).encode())
        return as_path(path)

    def _repr_png_(self) -> bytes:
        return encode_png(self.photo.original.in_8_bits(self.pixels_hwc))

    def _repr_html_(self) -> str:
        shown = {"photo": self.photo.rgb_hwc_u8, "painting": self.painting.rgb_hwc_u8, "result": np.asarray(self.image)}
        figures = "".join(_figure(name, pixels) for name, pixels in shown.items())
        words = " ".join(html.escape(sentence) for sentence in (self.found, self._outside(), *self.notes) if sentence)
        return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div><p>{words}</p>'

    def _outside(self) -> str:
        outside = int((self.alpha_hw01 == 0).sum())
        if not outside:
            return ""
        changed = self.changed_outside
        return f"Of {outside:,} pixels outside the {self.region}, {changed or 'none'} differ{'' if changed else 's'}."


def _figure(name: str, pixels_hwc_u8: np.ndarray) -> str:
    data = base64.b64encode(encode_webp(pixels_hwc_u8, long_side_px=PREVIEW_PX)).decode()
    return (
        f'<figure style="margin:0;flex:1 1 200px;max-width:{PREVIEW_PX}px"><img alt="{name}" style="width:100%" '
        f'src="data:image/webp;base64,{data}"><figcaption>{name}</figcaption></figure>'
    )
