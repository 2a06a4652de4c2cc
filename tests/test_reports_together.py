"""Several runs on one page, and the index of a folder: what is put beside what, and that it links and nothing else."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from PIL import Image

from reports import Record, RecordBuilder, render_html, reproduce_section, to_json
from reports.blocks import Figure, Linked, Row, Table, Verdict
from reports.index import MARK, entry_of, render_index
from reports.record import Conclusion, every
from reports.together import answer_of, together
from tests.helpers import call

RNG = np.random.default_rng(0)
PHOTO, PAINTING = (RNG.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(2))
HOSTILE = '"><script>alert(1)</script> ü#?%.jpg'


def run(
    strength: str, level: str = "good", painting: str = "night.png", seconds: str = "1", folder: str = "out"
) -> Record:
    """A small record like `stylize`'s."""
    builder = RecordBuilder("stylize", f"me.jpg at {strength}", "The background came nearer.")
    result = np.random.default_rng(len(strength)).integers(0, 255, (48, 64, 3), np.uint8)
    pictures = [(PHOTO, "The photo"), (PAINTING, f"The painting: {painting}"), (result, "The result")]
    builder.lead.append(Row(tuple(Figure(builder.images.photo(each, f"{name}."), name) for each, name in pictures)))
    builder.conclusion = Conclusion(f"Found at {strength}.", "Believed.", "more.", level)  # pyright: ignore[reportArgumentType]
    builder.reproduce = reproduce_section(
        command_line="python cli.py stylize",
        options=[("strength", strength, "command line"), ("size", "512", "default"), ("out-dir", folder, "default")],
        versions={"torch": "2.6"},
        inputs=[("photo: me.jpg", "0" * 64), (f"painting: {painting}", "1" * 64)],
        facts={"Seed": "0", "Seconds so far": seconds},
    )
    return builder.build()


def test_answers_stand_beside_the_photo_they_share_and_only_what_differs_is_listed() -> None:
    runs = {"one": run("1", seconds="1"), "two": run("33", "doubt", "day.png", seconds="2")}
    page = together(runs)
    (linked,) = every(page.lead, Linked)
    photo, *answers = linked.figures
    assert photo.caption == "The photo" and [figure.caption[:4] for figure in answers] == ["one.", "two."]
    assert [figure.image for figure in answers] == [
        answer.image for each in runs.values() if (answer := answer_of(each))
    ]
    tables = [table for table in every(page.sections, Table) if table.header == ("Setting", "one", "two")]
    assert tables[0].rows == (("painting", "night.png", "day.png"), ("strength", "1", "33"))
    assert [found.sentence for found in every(page.sections, Verdict)] == [
        "Found at 1. Believed.",
        "Found at 33. Believed.",
    ]
    assert [(found.word, found.level) for found in every(page.sections, Verdict)] == [("one", "good"), ("two", "doubt")]
    assert page.conclusion and page.conclusion.level == "doubt" and "painting and strength" in page.conclusion.found
    assert page == together(runs) and set(page.images) == {ref.image.sha256 for ref in every(page, Figure)}
    assert len(re.findall(r"<img ", render_html(page))) == len(page.images)


def test_the_same_settings_are_said_and_another_shape_is_not_put_beside() -> None:
    page = together({"one": run("1"), "again": run("1")})
    assert page.conclusion and "the same settings" in page.conclusion.found
    tall = RecordBuilder("stylize", "tall")
    tall.lead.append(Row((Figure(tall.images.photo(PHOTO.transpose(1, 0, 2), "Tall."), "Tall"),)))
    (linked,) = every(together({"one": run("1"), "tall": tall.build()}).lead, Linked)
    assert [figure.caption for figure in linked.figures] == ["one. The result", "tall. Tall"]


class Links(HTMLParser):
    """Addresses of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hrefs += [value or "" for name, value in attrs if tag == "a" and name == "href"]


def test_runs_of_one_name_are_told_apart_by_their_folders_and_where_they_went_is_no_difference(tmp_path: Path) -> None:
    paths = []
    for folder, strength in (("first", "1"), ("second", "4")):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "a.report.json")
        paths[-1].write_text(to_json(run(strength, folder=folder)))
    assert call("report", *paths, "-o", tmp_path / "both.html").exit_code == 0
    page = (tmp_path / "both.html").read_text("utf-8")
    assert "first/a" in page and "second/a" in page and str(tmp_path) not in page
    assert "They differ in" in page and "out-dir" not in page


def test_the_index_links_to_pages_whatever_their_names() -> None:
    html = render_index(
        HOSTILE, [entry_of(HOSTILE, f"{HOSTILE}.report.html", run("1")), entry_of("b", "b.html", run("2"))]
    )
    page = Links(html)
    assert [unquote(href) for href in page.hrefs] == ["#main", f"{HOSTILE}.report.html", "b.html"]
    assert page.tags.count("script") == 1 and page.tags.count("img") == 2 and MARK in html[:200]


def test_a_card_says_in_words_whether_to_believe_it_and_carries_its_warnings() -> None:
    good, doubt = (
        replace(run("1"), warnings=("It is small.",)),
        replace(run("2", "doubt"), warnings=("Believed.", "Odd.")),
    )
    first, second = (render_index("t", [entry_of("a", "a.html", each)]) for each in (good, doubt))
    assert "Can be believed." in first and "It is small." in first and "Believed." not in first
    assert "In doubt.</span> Believed." in second and second.count("Believed.") == 1 and "Odd." in second


def test_one_page_of_several_and_the_index_of_a_folder(tmp_path: Path) -> None:
    for name, strength in (("a", "1"), ("b", "4")):
        (tmp_path / f"{name}.report.json").write_text(to_json(run(strength)))
    paths = [tmp_path / f"{name}.report.json" for name in "ab"]
    done = call("report", *paths)
    assert done.stdout.strip() == str(tmp_path / "together.html") and "2 runs of stylize" in (
        (tmp_path / "together.html").read_text("utf-8")
    )
    assert call("report", *paths).exit_code == 4 and call("report", paths[0], paths[0]).exit_code == 2
    assert call("report", *paths, tmp_path).exit_code == 2
    (tmp_path / "broken.report.json").write_text("{}")
    index, other = tmp_path / "index.html", tmp_path / "elsewhere"
    for _ in range(2):  # an index may be written anew
        done = call("report", tmp_path)
        assert done.stdout.strip() == str(index) and "broken.report.json is left out" in done.stderr, done.stderr
    assert Links(index.read_text("utf-8")).hrefs == ["#main", "a.report.html", "b.report.html"]
    other.mkdir()
    assert call("report", other).exit_code == 3
    assert call("report", tmp_path, "-o", other / "all.html").exit_code == 0
    assert "../a.report.html" in Links((other / "all.html").read_text("utf-8")).hrefs
    index.write_text("mine")
    assert call("report", tmp_path).exit_code == 4 and index.read_text() == "mine"


def test_several_photos_end_with_an_index(tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray(RNG.integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / f"{name}.png")
    out = tmp_path / "out"
    done = call("kmeans", tmp_path / "a.png", tmp_path / "b.png", "--out-dir", out, "--json")
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["command"] for line in done.stdout.splitlines()] == ["kmeans"] * 2
    assert "a.kmeans.report.html" in (out / "index.html").read_text("utf-8") and "at a glance" in done.stderr
    (out / "index.html").write_text("mine")
    done = call("kmeans", tmp_path, "--out-dir", out)
    assert done.exit_code == 0 and "no index was written" in done.stderr
