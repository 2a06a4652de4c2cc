"""What a report's chapters are made of: frozen dataclasses of text, numbers as text, and pictures by their hash."""

import base64
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from interp.errors import UsageError

ImageType = Literal["image/webp", "image/png", "image/svg+xml"]
Level = Literal["good", "doubt", "bad"]
LEVELS: tuple[Level, ...] = ("good", "doubt", "bad")


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
