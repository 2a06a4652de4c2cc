"""What a report says: frozen dataclasses that hold text, numbers as text, and references to pictures.

A record is the whole truth of a report; the HTML page is a pure function of it. Pictures lie once each in
`Record.images`, keyed by the SHA-256 of their bytes; blocks point at them through `ImageRef`.

Version 2 of the layout added the lead and the conclusion; `codec` reads version 1 as a record without them. Version 3
added pictures magnified in step (`Linked`) and tables drawn as pictures (`Matrices`), version 4 the values of these.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Literal, TypeVar, get_args

from interp.errors import UsageError

SCHEMA_VERSION = 4
ImageType = Literal["image/webp", "image/png", "image/svg+xml"]
Level = Literal["good", "doubt", "bad"]
LEVELS: tuple[Level, ...] = ("good", "doubt", "bad")
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
class ImageRef:
    """A picture of the record, where it is shown.

    Attributes:
        sha256: Key in `Record.images`.
        mime: Type of the encoded bytes.
        width_px: Width of the encoded picture.
        height_px: Height of the encoded picture.
        alt: What the picture shows, in words, for a reader who cannot see it; never empty.
    """

    sha256: str
    mime: ImageType
    width_px: int
    height_px: int
    alt: str

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise UsageError("A picture came with an empty alt text; expected words that say what it shows.")
        if self.mime not in get_args(ImageType) or min(self.width_px, self.height_px) < 1:
            raise UsageError(
                f"A picture came as {self.mime!r}, {self.width_px}x{self.height_px} px; "
                f"expected {' or '.join(get_args(ImageType))} of at least 1x1 px."
            )


@dataclass(frozen=True)
class EncodedImage:
    """A picture's bytes, base64 without line breaks, and their type."""

    mime: ImageType
    base64: str = field(repr=False)


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Facts:
    """Short facts, each (label, value)."""

    kind: ClassVar[str] = "facts"
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names the row."""

    kind: ClassVar[str] = "table"
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise UsageError(f"Table {self.caption!r} has a row of {len(row)} cells; expected {len(self.header)}.")


@dataclass(frozen=True)
class Figure:
    """A picture with a caption; `pixelated` enlarges it in hard squares, for maps of few cells."""

    kind: ClassVar[str] = "figure"
    image: ImageRef
    caption: str
    pixelated: bool = False


@dataclass(frozen=True)
class Compare:
    """Two pictures of one size to slide between, with an optional transparent outline to lay over both."""

    kind: ClassVar[str] = "compare"
    before: ImageRef
    after: ImageRef
    outline: ImageRef | None
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Figures side by side."""

    kind: ClassVar[str] = "gallery"
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Row:
    """Figures, or a figure and its table, in one row as wide as the page.

    On a narrow screen the last figure, the answer, stands first.
    """

    kind: ClassVar[str] = "row"
    figures: tuple[Figure | Table, ...]


@dataclass(frozen=True)
class Linked:
    """Pictures that show the same thing, side by side and large; magnified in step with each other."""

    kind: ClassVar[str] = "linked"
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Values:
    """The values of a symmetric table, to three per cent and a thousandth of the largest.

    Attributes:
        name: Of what it is.
        largest: The largest absolute value, as text.
        codes: A byte a cell, base64, of the upper triangle row by row, the diagonal in it: 128 + s level, s the sign.
            Level 127 is the largest absolute value, each level less is 1000^(1/126) times smaller, 0 is less than 1.
    """

    name: str
    largest: str
    codes: str = field(repr=False)


@dataclass(frozen=True)
class Matrices:
    """Square tables drawn as pictures, side by side; pointing at a cell says which row and column meet, and its value.

    Attributes:
        figures: Of one size in cells; a cell may be less than a pixel.
        names: Of the rows from the top, and of the columns from the left, the same for all.
        unit: What they name, in the plural ("channels").
        values: Of each figure; none where only names are known.
    """

    kind: ClassVar[str] = "matrices"
    figures: tuple[Figure, ...]
    names: tuple[str, ...]
    unit: str
    values: tuple[Values, ...] = ()

    def __post_init__(self) -> None:
        try:
            counts = [len(base64.b64decode(each.codes, validate=True)) for each in self.values]
        except ValueError as error:
            raise UsageError(f"Values of a matrix are not base64 ({error}); expected a byte a cell.") from error
        side = len(self.names)
        if counts and counts != [side * (side + 1) // 2] * len(self.figures):
            raise UsageError(
                f"{len(self.figures)} matrices of {side} {self.unit} came with {counts} values; expected "
                f"{side * (side + 1) // 2} each."
            )


@dataclass(frozen=True)
class Verdict:
    """A judgement: one word or phrase, the sentence that explains it, and how good the news is."""

    kind: ClassVar[str] = "verdict"
    word: str
    sentence: str
    level: Level


@dataclass(frozen=True)
class Code:
    """Text to copy: a command, a configuration."""

    kind: ClassVar[str] = "code"
    text: str


Block = Paragraph | Facts | Table | Figure | Compare | Gallery | Row | Linked | Matrices | Verdict | Code


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
