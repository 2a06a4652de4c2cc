"""A folder of results at a glance: a small picture of each with a link to its page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from PIL import Image

from interp.pictures.images import encode_webp
from reports.blocks import EncodedImage
from reports.html import render_template
from reports.record import Record
from reports.together import answer_of

THUMBNAIL_PX, QUALITY = 480, 75
MARK = "<!-- gramscope: index -->"  # in the template: such a page may be written anew


@dataclass(frozen=True)
class Entry:
    """One result.

    Attributes:
        name: What to call it.
        href: Relative address of its page.
        record: Its facts, without pictures.
        thumbnail: Its answer, small; None where it has none.
        alt: What that shows.
    """

    name: str
    href: str
    record: Record
    thumbnail: EncodedImage | None
    alt: str


def entry_of(name: str, page: str, record: Record) -> Entry:
    """An entry of the index.

    Args:
        name: What to call the result.
        page: Where its page lies from the index, with slashes.
        record: Of the result.
    """
    answer = answer_of(record)
    thumbnail = _small(record.images[answer.image.sha256]) if answer else None
    slim = Record(
        record.command, record.title, record.headline, (), conclusion=record.conclusion, warnings=record.warnings
    )
    return Entry(name, quote(page), slim, thumbnail, answer.image.alt if answer else "")


def render_index(title: str, entries: Sequence[Entry], failed: Sequence[tuple[str, str]] = ()) -> str:
    """Render the page.

    Args:
        title: Its heading.
        entries: In the order to show.
        failed: Name of each picture that has no result, and why.

    Returns:
        HTML, to be written as UTF-8; the same entries give the same text.
    """
    return render_template("index.html.jinja", title=title, entries=entries, failed=failed)


def _small(image: EncodedImage) -> EncodedImage:
    """Scaled down; a chart stays as it is."""
    if image.mime == "image/svg+xml":
        return image
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image.base64))).convert("RGB"))
    return EncodedImage("image/webp", base64.b64encode(encode_webp(pixels, QUALITY, THUMBNAIL_PX)).decode("ascii"))
