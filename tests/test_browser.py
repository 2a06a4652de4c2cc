"""Pages in a real browser: Chromium, driven by Playwright, with the network refused. `./scripts/test browser`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reports import ImageStore, Record, render_html
from reports.blocks import Figure, Gallery, Matrices, Paragraph, Row, Table
from reports.gram_matrices import values_of
from reports.index import entry_of, render_index
from reports.record import Section
from tests.conftest import chromium
from tests.test_reports_html import HOSTILE, record_with

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page, Request, Route

pytestmark = pytest.mark.browser
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.stylize-background.report.html"
MODES = [("light", 1400), ("dark", 1400), ("light", 400), ("dark", 400)]


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


def told(text: str) -> Record:
    """A record of every block, whose chapters have titles of their own."""
    record = record_with(text)
    sections = tuple(replace(section, title=f"{place} {text}") for place, section in enumerate(record.sections))
    return replace(record, sections=sections)


def shapes() -> Record:
    """A tall and a flat picture, cells, a table of as many columns as a sweep's, many options in a row."""
    store = ImageStore()
    tall, flat, cells = (
        Figure(store.photo(np.full((height, width, 3), shade, np.uint8), "One."), "One", small)
        for height, width, shade, small in ((900, 200, 90, False), (60, 600, 120, False), (6, 6, 9, True))
    )
    header = ("Trial", *(f"weight relu{block}_1" for block in range(1, 6)), *"abcdefg", "learning_rate")
    wide = Table("Wide", header, (("a name that is much longer than any number", *["0.00123"] * 12, "instant"),))
    told = Paragraph(" ".join(["Give --strength or --keep-colour."] * 20))
    blocks = (told, Gallery((cells, replace(cells, image=tall.image))), cells, Row((flat, tall)), wide)
    return Record(
        "sweep", "t", "h", (Section("one", "One", "", blocks),), lead=(Row((tall, flat, cells)),), images=store.images
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every block in a page, in plain words and as hostile as file names come; an index; a real run."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {f"{name}.html": render_html(told(text)) for name, text in (("plain", "Plain words"), ("hostile", HOSTILE))}
    texts["shapes.html"] = render_html(shapes())
    texts["index.html"] = render_index(HOSTILE, [entry_of(HOSTILE, "plain.html", record_with(HOSTILE))])
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return {name.removesuffix(".html"): folder / name for name in texts} | {"example": EXAMPLE}


@contextmanager
def opened(browser: "Browser", path: Path, width: int = 1400, **context: Any) -> "Iterator[Page]":
    """A page that asks for nothing but itself, opens no dialog of its own and says nothing on the console."""
    asked: list[str] = []
    complaints: list[str] = []

    def answer(route: "Route", request: "Request") -> None:
        asked.append(request.url)
        route.continue_() if request.url == path.as_uri() else route.abort()

    def complain(dialog: "Dialog") -> None:
        complaints.append(f"dialog {dialog.message}")
        dialog.dismiss()

    with browser.new_context(viewport={"width": width, "height": 900}, **context) as started:
        page = started.new_page()
        page.route("**/*", answer)
        page.on("dialog", complain)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        yield page
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
        assert complaints == []


@pytest.mark.parametrize("name", ["plain", "hostile", "index", "example"])
@pytest.mark.parametrize(("theme", "width"), MODES)
def test_a_page_is_accessible_and_fits_in_every_mode(
    browser: "Browser", pages: dict[str, Path], name: str, theme: Any, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, pages[name], width, color_scheme=theme) as page:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(251, 250, 248)", "dark": "rgb(23, 24, 26)"}[theme]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.scripts.length") == 1 and page.title()
        found = Axe().run(page).response["violations"]
        assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == []


def test_the_slider_moves_by_keyboard(browser: "Browser", pages: dict[str, Path]) -> None:
    with opened(browser, pages["plain"]) as page:
        page.focus(".slide")
        clips = []
        for key in ("Home", "ArrowRight", "End"):
            page.keyboard.press(key)
            clips.append(page.eval_on_selector(".after img", "image => getComputedStyle(image).clipPath"))
        assert clips == ["inset(0px 0px 0px 0%)", "inset(0px 0px 0px 0.5%)", "inset(0px 0px 0px 100%)"]
        assert page.get_attribute(".slide", "aria-valuetext") == "100 % before, 0 % after"
        outline = page.locator(".side.outline")
        assert not outline.is_visible()
        page.get_by_label("Outline of the region").press("Space")
        assert outline.is_visible()


def test_a_picture_opens_large_and_the_focus_comes_back(browser: "Browser", pages: dict[str, Path]) -> None:
    with opened(browser, pages["example"]) as page:
        opener = page.locator("button.zoom").first
        source = opener.locator("img").get_attribute("src")
        small = opener.locator("img").bounding_box()
        opener.press("Enter")
        shown = page.locator("dialog[open] .view img")
        large = shown.bounding_box()
        assert shown.get_attribute("src") == source and small and large and large["width"] > 1.5 * small["width"]
        number = page.locator("dialog p").inner_text().split(":")[0]
        page.keyboard.press("ArrowRight")
        assert shown.get_attribute("src") != source and page.locator("dialog p").inner_text().split(":")[0] != number
        page.keyboard.press("ArrowLeft")
        assert shown.get_attribute("src") == source
        page.get_by_role("button", name="Actual size").press("Enter")
        natural = shown.evaluate("image => [image.naturalWidth, image.getBoundingClientRect().width]")
        assert natural[0] == natural[1]
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        assert opener.evaluate("element => element === document.activeElement")


def test_linked_pictures_move_in_step(browser: "Browser", pages: dict[str, Path]) -> None:
    with opened(browser, pages["plain"]) as page:
        page.locator(".pane").first.focus()

        def transforms() -> list[str]:
            return page.eval_on_selector_all(".pane img", "all => all.map(image => getComputedStyle(image).transform)")

        seen = [transforms()]
        for key in ("ArrowRight", "+", "ArrowRight", "-", "-"):
            page.keyboard.press(key)
            seen.append(transforms())
        assert all(one == other for one, other in seen)
        still, unmoved, magnified, moved, *_, last = [one for one, _ in seen]
        assert still == unmoved == last == "matrix(1, 0, 0, 1, 0, 0)"
        assert magnified.startswith("matrix(1.5") and moved.startswith("matrix(1.5") and moved != magnified


def test_a_cell_of_a_matrix_is_named_by_pointer_and_keyboard(browser: "Browser", pages: dict[str, Path]) -> None:
    """Of two names: the lower left cell is the second's row and the first's column, and holds minus the largest."""
    with opened(browser, pages["plain"]) as page:
        image = page.locator(".matrices img").first
        said = page.locator(".cell")
        image.scroll_into_view_if_needed()
        box = image.bounding_box()
        assert box
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"])
        value = "-2.5 in Plain words"
        assert said.inner_text() == f"Plain words second and Plain words: {value}, {value}"
        assert said.get_attribute("aria-live") == "polite"
        page.locator(".matrices button").last.focus()
        heard = []
        for key in ("ArrowUp", "ArrowUp", "ArrowRight", "Shift+ArrowDown"):
            page.keyboard.press(key)
            heard.append(said.inner_text().removeprefix("Plain words ").split(" in ")[0])
        first, second = "Plain words and Plain words: 2.5", "Plain words and second: -2.5"
        assert heard == [first, first, second, "second and second: under 0.003"]
        spots = [spot.bounding_box() for spot in page.locator(".spot").all()]
        assert spots[0] and abs(spots[0]["x"] + spots[0]["width"] / 2 - box["x"] - 0.75 * box["width"]) < 1


def test_values_read_from_the_page_are_the_matrixs_own(browser: "Browser", tmp_path: Path) -> None:
    """Of both signs and over four orders of magnitude: to two digits, or less than a thousandth of the largest."""
    rng = np.random.default_rng(0)
    values = rng.choice([-1, 1], (6, 6)) * 10.0 ** rng.uniform(-4, 0, (6, 6))
    values = np.triu(values) + np.triu(values, 1).T
    store = ImageStore()
    figure = Figure(store.photo(np.zeros((90, 90, 3), np.uint8), "Six by six."), "Six")
    matrices = Matrices((figure,), tuple("abcdef"), "letters", (values_of(values, "it"),))
    path = tmp_path / "six.html"
    record = Record("gram", "t", "h", (Section("one", "One", "", (matrices,)),), images=store.images)
    path.write_text(render_html(record), "utf-8")
    snake = [(row, column if row % 2 == 0 else 5 - column) for row in range(6) for column in range(6)]
    small = np.abs(values) < np.abs(values).max() / 1000
    assert 3 < small.sum() < 18
    with opened(browser, path) as page:
        page.locator(".matrices button").focus()
        page.keyboard.press("ArrowUp")
        for (row, column), (down, right) in zip(snake, [*snake[1:], (9, 9)], strict=True):
            pair, said = page.locator(".cell").inner_text().removesuffix(" in it").split(": ")
            assert pair == f"letters {'abcdef'[row]} and {'abcdef'[column]}"
            if not small[row, column]:
                assert float(said) == pytest.approx(values[row, column], rel=0.08)
            else:
                assert said.startswith("under")
            page.keyboard.press("ArrowDown" if down > row else "ArrowRight" if right > column else "ArrowLeft")


@pytest.mark.parametrize("name", ["plain", "hostile", "example"])
def test_without_a_script_everything_is_there(browser: "Browser", pages: dict[str, Path], name: str) -> None:
    with opened(browser, pages[name], java_script_enabled=False) as page:
        assert all(image.is_visible() for image in page.locator("main img").all())
        assert all(heading.is_visible() for heading in page.locator("h2").all())
        before, after = (side.bounding_box() for side in page.locator(".side :is(img, a)").all()[:2])
        assert before and after and before["x"] != after["x"]


@pytest.mark.parametrize("name", ["shapes", "example"])
def test_on_paper_no_picture_is_stretched(browser: "Browser", pages: dict[str, Path], name: str) -> None:
    """A box of other proportions than its picture's must leave room beside it."""
    with opened(browser, pages[name], width=718) as page:
        page.emulate_media(media="print")
        pictures = page.eval_on_selector_all(
            "main img",
            """all => all.filter(e => e.getClientRects().length).map(e => [getComputedStyle(e).objectFit,
                e.clientWidth / e.clientHeight, e.naturalWidth / e.naturalHeight])""",
        )
        assert len(pictures) > 3
        for fit, shown, natural in pictures:
            assert fit == "contain" or shown == pytest.approx(natural, rel=0.03)


def test_an_option_does_not_break_at_the_end_of_a_line(browser: "Browser", pages: dict[str, Path]) -> None:
    for width in range(360, 460, 7):
        with opened(browser, pages["shapes"], width) as page:
            lines = page.eval_on_selector_all(".option", "all => all.map(e => e.getClientRects().length)")
            assert len(lines) == 40 and set(lines) == {1}


def test_a_long_name_of_a_row_is_not_crushed(browser: "Browser", pages: dict[str, Path]) -> None:
    with opened(browser, pages["shapes"]) as page:
        assert page.locator("th.named").bounding_box()["height"] < 120  # pyright: ignore[reportOptionalSubscript]


@pytest.mark.parametrize("name", ["plain", "hostile", "example", "shapes"])
def test_on_paper_no_column_is_lost_and_a_restyling_takes_eight_pages(
    browser: "Browser", pages: dict[str, Path], name: str
) -> None:
    with opened(browser, pages[name], width=718) as page:  # A4 less margins of 1 cm, at 96 px an inch
        page.emulate_media(media="print")
        wider = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML)"
        lost = page.eval_on_selector_all(".scroll, .chart, pre, dl", wider)
        assert [html[:200] for html in lost] == []
        cm = "1cm"
        paper = page.pdf(format="A4", margin={"top": cm, "left": cm, "bottom": cm, "right": cm})
        assert len(re.findall(rb"/Type\s*/Page\b", paper)) <= 8
