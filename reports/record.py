"""What a report says: frozen dataclasses that hold text, numbers as text, and references to pictures.

A record is the whole truth of a report; the HTML page is a pure function of it. Pictures lie once each in
`Record.images`, keyed by the SHA-256 of their bytes; blocks point at them through `ImageRef`.

Version 2 of the layout added the lead and the conclusion; `codec` reads version 1 as a record without them. Version 3
added pictures magnified in step (`Linked`) and tables drawn as pictures (`Matrices`), version 4 the values of these.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

from interp.errors import UsageError
from reports.blocks import LEVELS, Block, EncodedImage, ImageRef, Level

SCHEMA_VERSION = 4
Kind = TypeVar("Kind")
_SECTION_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PAGE_IDS = (
    "conclusion",
    "glossary",
    "main",
    "top",
    "warnings",
    "zoom",
)  # anchors the page makes itself, beside image-… and …-title


@dataclass(frozen=True)
class Section:
    """A chapter of the report.

    Attributes:
        id: Its anchor, stable from run to run: lower-case words joined by hyphens.
        title: Heading.
        intro: One line: what is shown here and how it was made.
        blocks: The content, in order.
    """

    id: str
    title: str
    intro: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        taken = self.id in _PAGE_IDS or self.id.startswith("image-") or self.id.endswith("-title")
        if taken or not _SECTION_ID.fullmatch(self.id):
            raise UsageError(
                f"Section id {self.id!r} cannot be an anchor; expected lower-case words joined by hyphens, "
                f"none of {', '.join(_PAGE_IDS)}, image-…, …-title. Choose another."
            )


@dataclass(frozen=True)
class Conclusion:
    """What a reader should take away, in plain words.

    Attributes:
        found: What was found.
        belief: Whether to believe it, and why.
        advice: What to try next.
        level: How good the news about believing it is.
    """

    found: str
    belief: str
    advice: str
    level: Level


@dataclass(frozen=True)
class Record:
    """One run, to read and to keep.

    Attributes:
        command: The command that ran ("stylize").
        title: Heading of the page.
        headline: The run in one sentence, for lists; on the page only where there is no conclusion.
        sections: Chapters in reading order.
        lead: The picture or figure that is the answer; the page opens with it.
        conclusion: What follows from it.
        warnings: What the reader should know before trusting the result, a sentence each.
        reproduce: How to get the same result again; the last chapter.
        data: The same facts for machines, plain JSON.
        images: Every picture once, by the SHA-256 of its bytes.
        schema_version: Of this layout.
    """

    command: str
    title: str
    headline: str
    sections: tuple[Section, ...]
    lead: tuple[Block, ...] = ()
    conclusion: Conclusion | None = None
    warnings: tuple[str, ...] = ()
    reproduce: Section | None = None
    data: dict[str, Any] = field(default_factory=dict)
    images: dict[str, EncodedImage] = field(default_factory=dict, repr=False)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        ids = [section.id for section in self.chapters]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise UsageError(f"Section ids {', '.join(twice)} appear more than once; expected each once.")
        for ref in image_refs((self.lead, self.chapters)):
            image = self.images.get(ref.sha256)
            if image is None or image.mime != ref.mime:
                raise UsageError(
                    f"Picture {ref.sha256[:12]}… ({ref.alt!r}) is not among the images as {ref.mime}; "
                    "expected every picture shown to be stored. Take it from the record's ImageStore."
                )

    @property
    def chapters(self) -> tuple[Section, ...]:
        """All sections, with the one on reproduction at the end."""
        return self.sections if self.reproduce is None else (*self.sections, self.reproduce)


def worse(one: Level, other: Level) -> Level:
    """The worse news of two."""
    return one if LEVELS.index(one) > LEVELS.index(other) else other


def image_refs(value: object) -> Iterator[ImageRef]:
    """Yield every picture reference in a dataclass or tuple of them, in reading order."""
    return every(value, ImageRef)


def every(value: object, kind: type[Kind], without: tuple[type, ...] = ()) -> Iterator[Kind]:
    """Yield everything of a kind in a dataclass or tuple of them, in reading order, but for what lies in `without`."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from every(item, kind, without)
    elif is_dataclass(value) and not isinstance(value, without):
        for item in fields(value):
            yield from every(getattr(value, item.name), kind, without)
