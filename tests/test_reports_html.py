"""The page: pure, closed to the network and to hostile text, and readable by people and by their tools."""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import reports.html
from reports import ImageStore, Record, from_json, load_record, render_html, to_json
from reports.blocks import (
    Code,
    Compare,
    Facts,
    Figure,
    Gallery,
    Linked,
    Matrices,
    Paragraph,
    Row,
    Table,
    Values,
    Verdict,
)
from reports.glossary import WORDS, words_on
from reports.html import OPTION, content_security_policy
from reports.record import SCHEMA_VERSION, Conclusion, Section

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>{{ 7*7 }}</style></title>&lt;"
STORE = ImageStore()
RNG = np.random.default_rng(0)
PIXELS = [RNG.integers(0, 255, (24, 32, 3), np.uint8) for _ in range(3)]
CODES = base64.b64encode(bytes([255, 1, 128])).decode()  # the largest, its negative, less than a thousandth of it
Tag = tuple[str, dict[str, str]]


def record_with(text: str) -> Record:
    """Every block, every field that holds text filled with it."""
    before, after, third = (STORE.photo(pixels, f"Picture {text}") for pixels in PIXELS)
    outline = STORE.outline(np.tri(24, 32, dtype=np.float32), f"Outline {text}")
    again = Figure(before, text, pixelated=True)
    blocks = (
        Paragraph(text),
        Facts(((text, text),)),
        Table(text, (text, "Number"), ((text, "1.5"), ("second", "12 %"))),
        Figure(third, text),
        Compare(before, after, outline, text),
        Gallery((again, Figure(third, text))),
        Linked((Figure(after, text), Figure(third, text))),
        Matrices((Figure(third, text), again), (text, "second"), text, (Values(text, "2.5", CODES),) * 2),
        Verdict(text, text, "doubt"),
        Code(text),
    )
    sections = (Section("result", text, text, blocks), Section("empty", text, "", ()))
    return Record(
        command=text,
        title=text,
        headline=text,
        sections=sections,
        lead=(Row((Figure(before, text), Table(text, (text, "Words"), ((text, "words"), ("words", text))))),),
        conclusion=Conclusion(text, text, text, "bad"),
        warnings=(text,),
        reproduce=Section("reproduce", text, text, (Code(text),)),
        data={"text": text},
        images=STORE.images,
    )


class Page(HTMLParser):
    """The tags of a page in order, the text between them, and the contents of style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[Tag] = []
        self.text: list[str] = []
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self.inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"doubled attribute in {tag}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in self.raw:
            self.raw[self.inside].append(data)
        else:
            self.text.append(data)

    def named(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_html(record_with("Plain words")))


def shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(sorted(attributes))) for tag, attributes in Page(html).tags]


BENIGN = shape(render_html(record_with("x")))


@given(st.text(min_size=1, max_size=30).filter(str.strip))
@example(HOSTILE)
@example("--></pre><dialog open onclick=alert(1)>")
@example("javascript:alert(1)")
@example("\x00\x0b\ud800\ufffe")
@settings(max_examples=80, deadline=None)
def test_no_text_becomes_an_element_or_an_attribute(text: str) -> None:
    record = record_with(text)
    assume(words_on(record) == words_on(record_with("x")))  # a word of the glossary is explained, and should be
    assume(not OPTION.search(text))  # an option is set apart, and should be
    html = render_html(record)
    html.encode()  # no lone surrogate is left
    assert shape(html) == BENIGN


def test_an_option_is_kept_in_one_piece_and_nothing_else_is_set_apart() -> None:
    text = "Give --box X,Y,W,H or --not-point<b>, not a--b, ---c, -d or the dash -- alone."
    page = Page(render_html(record_with(text)))
    assert text in "".join(page.text)
    found = [place for place, (tag, attributes) in enumerate(page.tags) if attributes.get("class") == "option"]
    assert len(found) % 2 == 0 and len(found) > 10
    assert all([tag for tag, _ in page.tags[place : place + 2]] == ["code", "/code"] for place in found)
    assert not page.named("b") or all(tag != "b" for tag, _ in page.tags if tag not in ("b", "/b"))


def test_hostile_text_is_shown_as_it_is() -> None:
    page = Page(render_html(record_with(HOSTILE)))
    assert "".join(page.text).count(HOSTILE) > 12
    assert all(HOSTILE in picture["alt"] for picture in page.named("img"))


def test_the_page_is_a_pure_function_of_the_record() -> None:
    record = record_with("x")
    assert render_html(record) == render_html(record) == render_html(from_json(to_json(record)))
    assert render_html(record) != render_html(record_with("y"))


def test_pictures_have_alt_and_size_and_are_embedded_once(page: Page) -> None:
    pictures = page.named("img")
    assert len(pictures) == 4
    for picture in pictures:
        assert picture["alt"].strip()
        assert (picture["width"], picture["height"]) == ("32", "24")
        kind, data = re.fullmatch(r"data:image/(webp|png);base64,(.+)", picture["src"]).groups()  # pyright: ignore
        assert {"webp": b"RIFF", "png": b"\x89PNG"}[kind] == base64.b64decode(data)[:4]
    assert len({picture["src"] for picture in pictures}) == 4
    repeats = [link for link in page.named("a") if link.get("class") == "again"]
    anchors = {picture["id"] for picture in pictures}
    assert len(repeats) == 7
    assert all(link["href"].removeprefix("#") in anchors and link["data-alt"] for link in repeats)


def test_anchors_are_unique_and_every_link_lands(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for attributes in page.named("a"):
        assert attributes["href"].removeprefix("#") in ids
    for _, attributes in page.tags:
        assert attributes.get("aria-labelledby", ids[0]) in ids
    start, end = (index for index, (tag, _) in enumerate(page.tags) if tag in ("nav", "/nav"))
    listed = [attributes["href"] for tag, attributes in page.tags[start:end] if tag == "a"]
    assert listed == ["#result", "#empty", "#warnings", "#reproduce"]


def test_nothing_is_loaded_and_nothing_is_inline(page: Page) -> None:
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert name != "style" and not name.startswith("on"), (tag, name)
            assert not re.search(r"(?i)(https?:|//|url\(|javascript:)", value) or name == "src", (
                tag,
                name,
                value,
            )
            if name in ("src", "href"):
                assert value.startswith(("data:", "#"))
    assert not page.named("iframe", "object", "embed", "form", "base")
    assets = "".join(page.raw["style"] + page.raw["script"])
    assert not re.search(r"(?i)https?:|url\(|@import|fetch\(|XMLHttpRequest|import\(", assets)


def test_the_policy_allows_exactly_our_style_and_script(page: Page) -> None:
    assert [tag for tag, _ in page.tags][:3] == ["html", "head", "meta"]
    policy = page.named("meta")[0]
    assert policy["http-equiv"] == "Content-Security-Policy"
    style, script = page.raw["style"], page.raw["script"]
    assert len(page.named("style")) == len(page.named("script")) == 1
    assert policy["content"] == content_security_policy("".join(style), "".join(script))
    rules = dict(rule.strip().split(" ", 1) for rule in policy["content"].split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for name, parts in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256("".join(parts).encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


def test_templates_never_switch_escaping_off() -> None:
    for path in (Path(reports.html.__file__).parent / "templates").glob("*.jinja"):
        assert not re.search(r"\|\s*safe|autoescape|Markup", path.read_text("utf-8"))


def test_style_and_script_stay_small(page: Page) -> None:
    assert 0 < len("".join(page.raw["style"]).encode()) <= 15_000
    assert 0 < len("".join(page.raw["script"]).encode()) <= 12_000


def test_the_page_has_a_language_landmarks_and_ordered_headings(page: Page) -> None:
    assert page.named("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels == [1, 2, 2, 2, 2]
    assert all(len(page.named(tag)) == 1 for tag in ("main", "nav", "title", "footer"))
    assert page.named("a")[0]["href"] == "#main"
    assert all(cell["scope"] in ("col", "row") for cell in page.named("th"))
    assert all(attributes.get("tabindex", "0") in ("0", "-1") for _, attributes in page.tags)


def test_only_what_fits_no_column_is_broken_inside() -> None:
    cells = ("confectionery store", "punching bag, punch bag", "0" * 64, "out/a/very/long/way/to/a/photo.png")
    table = Table("Caption", ("Name", "Value"), tuple((str(place), cell) for place, cell in enumerate(cells)))
    page = Page(render_html(Record("gram", "t", "h", (Section("gram", "Gram", "", (table,)),))))
    assert [cell["class"] for cell in page.named("td")] == ["words", "words", "long", "long"]


def test_columns_of_numbers_are_set_flush_right() -> None:
    rows = (
        ("relu1_1", "1.5", "none"),
        ("relu2_1", "–", "3"),
        ("relu3_1", "< 0.01 %", "4"),
        ("relu4_1", "under 0.1 %", "5"),
    )
    table = Table("Caption", ("Layer", "Number", "Mixed"), rows)
    page = Page(render_html(Record("gram", "t", "h", (Section("gram", "Gram", "", (table,)),))))
    assert [cell.get("class") for cell in page.named("td")] == ["number", "words"] * 4


def test_every_tag_is_closed(page: Page) -> None:
    stack = []
    for tag, _ in page.tags:
        if tag.startswith("/"):
            assert stack.pop() == tag[1:]
        elif tag not in ("meta", "link", "img"):
            stack.append(tag)
    assert stack == []


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "records").iterdir()), ids=lambda path: path.name)
def test_records_of_every_version_still_render(path: Path) -> None:
    """A file in `records/` is what a release wrote, and stays as it is."""
    version = int(path.name.removeprefix("run-").removesuffix(".report.json"))
    assert json.loads(path.read_text("utf-8"))["schema_version"] == version
    record = load_record(path)
    page = Page(render_html(record))
    assert "".join(page.text).count("Plain words") > 12 and len(page.named("img")) == 4
    assert (record.conclusion is None) is (version == 1)


def test_there_is_a_fixture_of_every_version() -> None:
    found = {path.name for path in (Path(__file__).parent / "records").iterdir()}
    assert found == {f"run-{version}.report.json" for version in range(1, SCHEMA_VERSION + 1)}


def test_the_answer_comes_first_and_bookkeeping_last_and_folded() -> None:
    html = render_html(record_with("Plain words"))
    places = [
        html.index(part) for part in ('class="row', 'id="conclusion"', 'id="result"', 'id="reproduce"', "Every option")
    ]
    assert places == sorted(places)
    assert "<details open" not in html
    long = Table("Long", ("Layer", "Value"), tuple((str(row), "1") for row in range(13)))
    short = replace(long, rows=long.rows[:12])
    shown = [render_html(Record("gram", "t", "", (Section("gram", "Gram", "", (table,)),))) for table in (long, short)]
    assert ["<details>" in html for html in shown] == [True, False]


def test_the_glossary_holds_the_words_of_the_page_and_no_others() -> None:
    section = Section("one", "Gram matrices", "Insertion, and a dead channel.", (Code("--alpha loss"),))
    words = [word for word, _ in words_on(Record("gram", "t", "h", (section,)))]
    assert words == ["channel", "dead channel", "Gram matrix", "insertion"]
    assert list(WORDS) == sorted(WORDS, key=str.lower)
    assert 'id="glossary"' not in render_html(Record("gram", "t", "h", ()))


def test_a_record_with_nothing_but_a_title_renders() -> None:
    page = Page(render_html(Record("gram", "Only a title", "", ())))
    assert "Only a title" in "".join(page.text)
    assert not page.named("section")


def test_a_page_can_be_drawn_without_torch_or_matplotlib() -> None:
    code = (
        "import sys, reports; record = reports.Record('gram', 't', 'h', ());"
        "reports.render_html(reports.from_json(reports.to_json(record)));"
        "assert not {'torch', 'matplotlib', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_pictures_of_the_page_can_be_decoded(page: Page) -> None:
    from PIL import Image

    for picture in page.named("img"):
        data = base64.b64decode(picture["src"].split(",")[1])
        assert Image.open(io.BytesIO(data)).size == (32, 24)
