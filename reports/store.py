"""Collecting a record while a command runs: pictures in, each stored once; one frozen record out.

Photos become WebP (quality 82, long side 1280 px), masks 8-bit PNG. A record over the size limit has its
pictures re-encoded smaller, step by step, and says so in its warnings.
"""

import base64
import dataclasses
import hashlib
import io
import math
import re
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from interp.errors import UsageError
from interp.pictures.images import encode_png, encode_webp, mask_u8
from interp.pictures.sizes import resize_hw01
from reports.blocks import Block, EncodedImage, ImageRef, ImageType
from reports.codec import to_json
from reports.record import Conclusion, Record, Section, image_refs

LONG_SIDE_PX = 1280
QUALITY = 82
MAX_BYTES = 20_000_000  # above this, browsers and mail struggle (pytest-html #552, fmriprep #478)
LOSSLESS_BYTES = 1_000_000  # a PNG above this is a grid of detailed maps: stored as WebP of photo quality
SHRINK_STEPS = ((1280, 70), (960, 70), (640, 65), (480, 60), (320, 50), (160, 50))  # long side px, quality
_POINTS = re.compile(r'(?:width|height)="([\d.]+)pt"')
MAX_LISTED = 4096  # longer arrays are described by their shape, not listed


class ImageStore:
    """Pictures of a record, each stored once by the SHA-256 of its encoded bytes.

    Every method takes `alt`, words that say what the picture shows, and returns the reference for a block.
    """

    def __init__(self) -> None:
        self.images: dict[str, EncodedImage] = {}

    def photo(self, rgb_hwc_u8: np.ndarray, alt: str) -> ImageRef:
        """Store (H, W, 3) uint8 RGB as WebP, scaled down to 1280 px."""
        return self._add(encode_webp(rgb_hwc_u8, QUALITY, LONG_SIDE_PX), alt)

    def sprite(self, rgb_hwc_u8: np.ndarray, alt: str, quality: int = QUALITY) -> ImageRef:
        """Store (H, W, 3) uint8 RGB, many small pictures in one, as WebP at its own size."""
        return self._add(encode_webp(rgb_hwc_u8, quality, max(rgb_hwc_u8.shape)), alt)

    def mask(self, alpha_hw01: np.ndarray, alt: str) -> ImageRef:
        """Store an (H, W) mask in [0, 1] as 8-bit grey PNG, white = inside, scaled down to 1280 px."""
        return self._add(encode_png(mask_u8(resize_hw01(alpha_hw01, _fitted(alpha_hw01.shape[:2])))), alt)

    def labels(self, labels_hw_u8: np.ndarray, alt: str) -> ImageRef:
        """Store an (H, W) uint8 map of distinct greys as PNG, scaled down to 1280 px without mixing them."""
        height, width = _fitted(labels_hw_u8.shape[:2])
        image = Image.fromarray(labels_hw_u8).resize((width, height), Image.Resampling.NEAREST)
        return self._add(encode_png(np.asarray(image)), alt)

    def outline(self, alpha_hw01: np.ndarray, alt: str) -> ImageRef:
        """Store the contour alpha = 1/2 of an (H, W) mask as transparent PNG: white inside, black outside."""
        inside = resize_hw01(alpha_hw01, _fitted(alpha_hw01.shape[:2])) >= 0.5
        near_inside, near_outside = _grown(inside), _grown(~inside)
        line = np.zeros((*inside.shape, 4), np.uint8)
        line[inside & near_outside] = (255, 255, 255, 255)
        line[~inside & near_inside] = (0, 0, 0, 255)
        return self._add(encode_png(line), alt)

    def png(self, data: bytes, alt: str) -> ImageRef:
        """Store a figure: losslessly as PNG or WebP, whichever is smaller; over 1 MB as lossy WebP."""
        image = Image.open(io.BytesIO(data), formats=["PNG"]).convert("RGB")
        buffer = io.BytesIO()
        if len(data) > LOSSLESS_BYTES:
            image.save(buffer, "WEBP", quality=QUALITY, method=4)
        else:
            image.save(buffer, "WEBP", lossless=True, quality=50, method=4)
        return self._add(min(data, buffer.getvalue(), key=len), alt)

    def chart(self, svg: bytes, alt: str) -> ImageRef:
        """Store a chart as SVG, from `canvas.Drawing.svg`."""
        width, height = (round(float(side) * 4 / 3) for side in _POINTS.findall(svg[:400].decode())[:2])
        return self._keep(svg, "image/svg+xml", width, height, alt)

    def _add(self, data: bytes, alt: str) -> ImageRef:
        image = Image.open(io.BytesIO(data))
        mime = cast(ImageType, f"image/{(image.format or '').lower()}")
        return self._keep(data, mime, image.width, image.height, alt)

    def _keep(self, data: bytes, mime: ImageType, width_px: int, height_px: int, alt: str) -> ImageRef:
        key = hashlib.sha256(data).hexdigest()
        ref = ImageRef(key, mime, width_px, height_px, alt)
        self.images.setdefault(key, EncodedImage(mime, base64.b64encode(data).decode("ascii")))
        return ref


@dataclass
class RecordBuilder:
    """A record in the making; fill the lists, then `build`.

    Attributes:
        command: The command that runs.
        title: Heading of the page.
        headline: The run in one sentence.
        sections: Chapters in reading order.
        lead: The picture or figure that is the answer.
        conclusion: What follows from it.
        warnings: A sentence each.
        reproduce: The last chapter.
        data: Facts for machines; any result type may be put in, `build` turns it into plain JSON.
        images: Where sections put their pictures.
    """

    command: str
    title: str
    headline: str = ""
    sections: list[Section] = field(default_factory=list)
    lead: list[Block] = field(default_factory=list)
    conclusion: Conclusion | None = None
    warnings: list[str] = field(default_factory=list)
    reproduce: Section | None = None
    data: dict[str, Any] = field(default_factory=dict)
    images: ImageStore = field(default_factory=ImageStore)

    def build(self, max_bytes: int = MAX_BYTES) -> Record:
        """Freeze the record, with the pictures its sections show and no others.

        Args:
            max_bytes: Size of the JSON above which pictures are re-encoded smaller, with a warning.

        Returns:
            The record.
        """
        chapters = (*self.sections, *([self.reproduce] if self.reproduce else []))
        used = {ref.sha256 for ref in image_refs((*self.lead, *chapters))}
        record = Record(
            command=self.command,
            title=self.title,
            headline=self.headline,
            sections=tuple(self.sections),
            lead=tuple(self.lead),
            conclusion=self.conclusion,
            warnings=tuple(self.warnings),
            reproduce=self.reproduce,
            data=plain(self.data),
            images={key: image for key, image in self.images.images.items() if key in used},
        )
        return _within(record, max_bytes)


def plain(value: Any) -> Any:
    """Turn results into plain JSON values.

    Dataclasses become objects without the fields they hide from their repr (pixels, tensors), unless that is
    a one-dimensional array. Arrays of one dimension and at most 4096 values are listed, others described by
    type and shape. Paths become text, numbers that are not finite null.

    Args:
        value: A result type, a container of them, or a plain value.

    Returns:
        The same facts as dict, list, str, int, float, bool or None.

    Raises:
        UsageError: If a value has no plain form.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value) if _told(value, item)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (value if isinstance(value, (list, tuple)) else sorted(value))]
    return _plain_leaf(value)


def _told(value: Any, item: dataclasses.Field[Any]) -> bool:
    content = getattr(value, item.name)
    return item.repr or (isinstance(content, np.ndarray) and content.ndim == 1)


def _plain_leaf(value: Any) -> Any:
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= MAX_LISTED:
        return plain(value.tolist())
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return {
            "array": str(value.dtype).removeprefix("torch."),
            "shape": [int(side) for side in value.shape],
        }
    raise UsageError(f"A {type(value).__name__} cannot be written to a record; expected plain values or result types.")


def _within(record: Record, max_bytes: int) -> Record:
    before = size = len(to_json(record))
    for long_side_px, quality in SHRINK_STEPS:
        if size <= max_bytes:
            break
        record = _shrunk(record, long_side_px, quality)
        size = len(to_json(record))
    if size == before and size <= max_bytes:
        return record
    fit = "" if size <= max_bytes else " It is still larger than that: look at fewer pictures at a time."
    sentence = (
        f"The pictures in this report are smaller than usual: it would have had {before / 1e6:.1f} MB, over "
        f"the limit of {max_bytes / 1e6:.1f} MB, and now has {size / 1e6:.1f} MB. "
        f"The result files are untouched.{fit}"
    )
    return replace(record, warnings=(*record.warnings, sentence))


def _shrunk(record: Record, long_side_px: int, quality: int) -> Record:
    """Re-encode every picture as lossy WebP at most `long_side_px` long, where that makes it smaller."""
    store = ImageStore()
    new: dict[str, ImageRef] = {}
    for ref in image_refs((record.lead, record.chapters)):
        if ref.sha256 not in new:
            new[ref.sha256] = _reencoded(store, record, ref, long_side_px, quality)
    lead, sections, reproduce = (_swapped(part, new) for part in (record.lead, record.sections, record.reproduce))
    return replace(record, lead=lead, sections=sections, reproduce=reproduce, images=store.images)


def _reencoded(store: ImageStore, record: Record, ref: ImageRef, long_side_px: int, quality: int) -> ImageRef:
    old = base64.b64decode(record.images[ref.sha256].base64)
    if ref.mime == "image/svg+xml":
        return store._keep(old, ref.mime, ref.width_px, ref.height_px, ref.alt)
    image = Image.open(io.BytesIO(old))
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((long_side_px, long_side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return store._add(min(old, buffer.getvalue(), key=len), ref.alt)


def _swapped(value: Any, new: dict[str, ImageRef]) -> Any:
    """Replace every picture reference, keeping the words of the place where it is shown."""
    if isinstance(value, ImageRef):
        return replace(new[value.sha256], alt=value.alt)
    if isinstance(value, tuple):
        return tuple(_swapped(item, new) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: _swapped(getattr(value, item.name), new) for item in fields(value)})
    return value


def _fitted(size_hw_px: tuple[int, ...]) -> tuple[int, int]:
    height, width = size_hw_px
    scale = min(1.0, LONG_SIDE_PX / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _grown(inside: np.ndarray) -> np.ndarray:
    """Dilate a boolean (H, W) map by two pixels, chessboard distance; beyond the border is nothing."""
    padded = np.pad(inside, 2)
    height, width = inside.shape
    shifts = [(y, x) for y in range(5) for x in range(5)]
    return np.any([padded[y : y + height, x : x + width] for y, x in shifts], axis=0)
