"""The record as one HTML page: pure, deterministic, no network.

Every text of the record passes through Jinja2's autoescape; only our own style sheet and script are marked as
safe, and a Content-Security-Policy with their hashes lets nothing else run. It reads without JavaScript.
"""

import base64
import hashlib
import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.blocks import ImageRef, Table
from reports.glossary import words_on
from reports.record import Record

# Not allowed in HTML: control characters, lone surrogates (file names that are no UTF-8), non-characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
LONGEST_WORD = 24
_NUMBER = re.compile(r"(under |over |[-+−±<>≤≥≈]?\s?)[\d.,]*\d(e[-+]?\d+)?\s?(%|px|s|×)?|–|")
OPTION = re.compile(r"((?<![\w-])--[a-z][a-z-]*)")


def render_html(record: Record) -> str:
    """Render a record as a page that stands alone.

    Args:
        record: What to show.

    Returns:
        HTML, to be written as UTF-8; the same record gives the same text.
    """
    return render_template(
        "report.html.jinja",
        record=record,
        pictures=_Pictures(record),
        is_numeric=_is_numeric,
        is_long=_is_long,
        pieces=_pieces,
        glossary=words_on(record),
    )


def render_template(name: str, **values: object) -> str:
    """Render one of our templates with our style sheet, script and their policy."""
    style, script = _asset("report.css"), _asset("report.js")
    policy = content_security_policy(style, script)
    template = _environment().get_template(name)
    return template.render(policy=policy, style=Markup(style), script=Markup(script), **values)


def content_security_policy(style: str, script: str) -> str:
    """Policy that allows exactly this style sheet and script, and pictures inside the page."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_source_hash(style)}'; "
        f"script-src '{_source_hash(script)}'; base-uri 'none'; form-action 'none'"
    )


class _Pictures:
    """Knows, while one page is rendered, which pictures it already holds."""

    def __init__(self, record: Record) -> None:
        self._images = record.images
        self._shown: set[str] = set()

    def is_first(self, ref: ImageRef) -> bool:
        """True the first time a picture is asked for."""
        first = ref.sha256 not in self._shown
        self._shown.add(ref.sha256)
        return first

    def source(self, ref: ImageRef) -> str:
        """The picture as a data: address."""
        image = self._images[ref.sha256]
        return f"data:{image.mime};base64,{image.base64}"


def _is_numeric(table: Table, column: int) -> bool:
    """Whether a column holds numbers only, to be set flush right."""
    return bool(table.rows) and all(_NUMBER.fullmatch(row[column]) for row in table.rows)


def _pieces(text: str) -> list[tuple[bool, str]]:
    """A text cut where our options begin and end, and which pieces are options: a browser would break `--size` in two.

    Example:
        >>> _pieces("Give --box X,Y,W,H.")
        [(False, 'Give '), (True, '--box'), (False, ' X,Y,W,H.')]
    """
    return [(place % 2 == 1, piece) for place, piece in enumerate(OPTION.split(text)) if piece]


def _is_long(cell: str) -> bool:
    """Whether a cell holds what no column can take unbroken: a hash, a path."""
    return any(len(word) > LONGEST_WORD for word in cell.split())


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _asset(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _printable(value: object) -> object:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value) if type(value) is str else value


def _source_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
