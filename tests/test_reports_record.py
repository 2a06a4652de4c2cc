"""Records: an exact round trip, strict reading, pictures stored once, the size limit."""

import base64
import contextlib
import hashlib
import io
import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interp.errors import InputError, UsageError
from reports import ImageStore, Record, RecordBuilder, from_json, load_record, to_json
from reports.blocks import (
    Code,
    Compare,
    EncodedImage,
    Facts,
    Figure,
    Gallery,
    ImageRef,
    Matrices,
    Paragraph,
    Row,
    Table,
    Values,
    Verdict,
)
from reports.record import SCHEMA_VERSION, Conclusion, Section, image_refs
from reports.store import plain

TEXT = st.text(max_size=12)
DATA = b"not a picture, but bytes"
KEY = hashlib.sha256(DATA).hexdigest()
IMAGE = EncodedImage("image/png", base64.b64encode(DATA).decode())
REFS = st.builds(
    ImageRef, st.just(KEY), st.just("image/png"), st.integers(1, 9), st.integers(1, 9), TEXT.filter(str.strip)
)
FIGURES = st.builds(Figure, REFS, TEXT, st.booleans())
VALUES = st.builds(Values, TEXT, TEXT, st.binary(min_size=3, max_size=3).map(lambda b: base64.b64encode(b).decode()))
MATRICES = st.builds(
    Matrices, st.tuples(FIGURES), st.tuples(TEXT, TEXT), TEXT, st.lists(VALUES, min_size=1, max_size=1).map(tuple)
)
BLOCKS = st.one_of(
    st.builds(Paragraph, TEXT),
    st.builds(Facts, st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple)),
    st.builds(Table, TEXT, st.tuples(TEXT, TEXT), st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple)),
    FIGURES,
    st.builds(Compare, REFS, REFS, st.none() | REFS, TEXT),
    st.builds(Gallery, st.lists(FIGURES, max_size=2).map(tuple)),
    st.builds(Row, st.lists(FIGURES, max_size=2).map(tuple)),
    st.builds(Verdict, TEXT, TEXT, st.sampled_from(["good", "doubt", "bad"])),
    st.builds(Code, TEXT),
    MATRICES,
)
SECTIONS = st.builds(Section, st.just("one"), TEXT, TEXT, st.lists(BLOCKS, max_size=3).map(tuple))
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.builds(
    Record,
    command=TEXT,
    title=TEXT,
    headline=TEXT,
    sections=st.lists(SECTIONS, max_size=1).map(tuple),
    lead=st.lists(BLOCKS, max_size=1).map(tuple),
    conclusion=st.none() | st.builds(Conclusion, TEXT, TEXT, TEXT, st.sampled_from(["good", "doubt", "bad"])),
    warnings=st.lists(TEXT, max_size=2).map(tuple),
    reproduce=st.none() | SECTIONS.map(lambda section: replace(section, id="again")),
    data=st.dictionaries(TEXT, PLAIN, max_size=2),
    images=st.just({KEY: IMAGE}),
)


@given(RECORDS)
@settings(max_examples=150, deadline=None)
def test_round_trip_is_exact(record: Record) -> None:
    text = to_json(record)
    assert from_json(text) == record
    assert to_json(from_json(text)) == text


def test_names_that_are_no_unicode_survive() -> None:
    record = Record("stylize", "photo-\udcff.png", "", ())
    assert from_json(to_json(record)) == record
    assert to_json(record).isascii()


@pytest.mark.parametrize(
    ("codes", "said"), [("AAA=", "2 letters came with .2. values; expected 3"), ("A", "not base64")]
)
def test_values_of_a_matrix_are_as_many_as_its_cells(codes: str, said: str) -> None:
    figure = Figure(ImageRef(KEY, "image/png", 1, 1, "Two."), "")
    with pytest.raises(UsageError, match=said):
        Matrices((figure,), ("a", "b"), "letters", (Values("it", "1", codes),))


def sample() -> Record:
    builder = RecordBuilder("segment", "A title", "A headline")
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    photo = builder.images.photo(noise, "Noise.")
    builder.sections = [Section("result", "Result", "", (Figure(photo, "As it is"), Paragraph("Words.")))]
    return builder.build()


def changed(path: list[Any], value: Any) -> str:
    """The sample as JSON with one value replaced, or removed where it is `...`."""
    content = json.loads(to_json(sample()))
    place = content
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(content)


KEY_OF_SAMPLE = next(iter(sample().images))
FIRST_BLOCK = ["sections", 0, "blocks", 0]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["schema_version"], SCHEMA_VERSION + 1, f"schema version {SCHEMA_VERSION + 1}"),
        (["schema_version"], 0, "schema version 0"),
        (["schema_version"], True, "schema_version"),
        (["schema_version"], ..., "schema_version"),
        (["title"], ..., "missing field title"),
        (["colour"], "red", "unknown field colour"),
        (["title"], 3, "expected str"),
        (["warnings"], "one", "expected a list"),
        ([*FIRST_BLOCK, "kind"], "video", "expected one of paragraph"),
        ([*FIRST_BLOCK, "kind"], "code", "unknown field"),
        ([*FIRST_BLOCK, "pixelated"], 1, "expected bool"),
        ([*FIRST_BLOCK, "image", "alt"], " ", "empty alt text"),
        ([*FIRST_BLOCK, "image", "width_px"], 0, "at least 1x1"),
        ([*FIRST_BLOCK, "image", "mime"], "image/gif", "expected one of image/webp, image/png"),
        ([*FIRST_BLOCK, "image", "sha256"], "0" * 64, "not among the images"),
        (["sections", 0, "id"], "<script>", "cannot be an anchor"),
        (["images", KEY_OF_SAMPLE, "base64"], "a#b", "not base64"),
        (["images", KEY_OF_SAMPLE, "base64"], "AAAA", "It was changed"),
        (["images", KEY_OF_SAMPLE, "base64"], "é", "not base64"),
    ],
)
def test_reading_is_strict(path: list[Any], value: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_json(changed(path, value))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema_version": 1, "schema_version": 1}', '{"a": NaN}', "[" * 100_000]
)
def test_text_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        from_json(text)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_damage_never_ends_in_anything_but_an_input_error(data: st.DataObject) -> None:
    text = to_json(sample())
    place = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:place] + data.draw(st.sampled_from(["", "x", "0", '"', "null", "}"])) + text[place + 1 :]
    with contextlib.suppress(InputError):
        from_json(damaged)  # a change inside a text is still a record


def test_load_record_says_what_it_could_not_read(tmp_path: Any) -> None:
    path = tmp_path / "run.report.json"
    with pytest.raises(InputError, match=r"run\.report\.json.*No such file"):
        load_record(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"expected a \.report\.json"):
        load_record(path)
    path.write_text(to_json(sample()))
    assert load_record(path) == sample()


def test_equal_pictures_are_stored_once_and_alt_is_required() -> None:
    store = ImageStore()
    pixels = np.full((20, 30, 3), 90, np.uint8)
    first, second = store.photo(pixels, "Grey."), store.photo(pixels.copy(), "Grey again.")
    assert len(store.images) == 1
    assert (first.sha256, first.width_px, first.height_px) == (second.sha256, 30, 20)
    assert second.alt == "Grey again."
    with pytest.raises(UsageError, match="alt"):
        store.photo(pixels, "  ")


def test_pictures_keep_what_matters() -> None:
    store = ImageStore()
    alpha = np.zeros((40, 50), np.float32)
    alpha[10:30, 10:40] = 1
    alpha[20, 20] = 100 / 255
    mask = decoded(store, store.mask(alpha, "A mask."))
    assert np.array_equal(mask, np.round(alpha * 255))
    labels = np.random.default_rng(0).choice(np.array([0, 85, 170, 255], np.uint8), (3000, 40))
    reduced = decoded(store, store.labels(labels, "Labels."))
    assert max(reduced.shape) == 1280
    assert set(np.unique(reduced)) == {0, 85, 170, 255}
    outline = decoded(store, store.outline(alpha, "An outline."))
    assert outline[0, 0, 3] == 0  # far from the edge: see-through
    assert tuple(outline[10, 15]) == (255, 255, 255, 255)  # just inside: white
    assert tuple(outline[9, 15]) == (0, 0, 0, 255)  # just outside: black


def decoded(store: ImageStore, ref: ImageRef) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(store.images[ref.sha256].base64))))


def test_a_picture_that_nothing_shows_is_left_out() -> None:
    builder = RecordBuilder("segment", "A title")
    builder.images.photo(np.zeros((20, 20, 3), np.uint8), "Unused.")
    assert builder.build().images == {}


def test_too_large_a_record_is_shrunk_and_says_so() -> None:
    rng = np.random.default_rng(0)
    builder = RecordBuilder("compare", "Many pictures")
    refs = [builder.images.photo(rng.integers(0, 255, (500, 700, 3), np.uint8), f"Noise {i}.") for i in range(4)]
    mask = builder.images.outline(np.tri(500, 700, dtype=np.float32), "An outline.")
    blocks = (Compare(refs[0], refs[1], mask, "Both"), Gallery(tuple(Figure(ref, "One") for ref in refs)))
    builder.sections = [Section("result", "Result", "", blocks)]
    whole = builder.build()
    assert whole.warnings == ()
    small = builder.build(max_bytes=200_000)
    assert len(to_json(small)) <= 200_000 < len(to_json(whole))
    assert len(small.warnings) == 1 and "0.2 MB" in small.warnings[0]
    shown = list(image_refs(small.sections))
    assert [ref.alt for ref in shown] == [ref.alt for ref in image_refs(whole.sections)]
    for ref in shown:
        data = base64.b64decode(small.images[ref.sha256].base64)
        assert hashlib.sha256(data).hexdigest() == ref.sha256
        image = Image.open(io.BytesIO(data))
        assert image.size == (ref.width_px, ref.height_px)
        assert abs(image.width / image.height - 1.4) < 0.02
    assert builder.build(max_bytes=200_000) == small
    assert from_json(to_json(small)) == small


def test_a_record_that_cannot_be_made_small_enough_still_comes_out() -> None:
    builder = RecordBuilder("segment", "Too long", data={"text": "x" * 5000})
    assert "still larger" in builder.build(max_bytes=1000).warnings[0]


def test_plain_turns_results_into_json_values() -> None:
    @dataclass(frozen=True)
    class Result:
        name: str
        curve: tuple[float, ...]
        pixels: np.ndarray = field(repr=False)
        mean_c: np.ndarray = field(repr=False)

    result = Result("a", (1.0, float("nan")), np.zeros((2, 3), np.float32), np.array([1, 2], np.int64))
    assert plain({"result": result, "count": np.int64(3), "ok": np.bool_(True)}) == {
        "result": {"name": "a", "curve": [1.0, None], "mean_c": [1, 2]},
        "count": 3,
        "ok": True,
    }
    assert plain(np.zeros((2, 3), np.float32)) == {"array": "float32", "shape": [2, 3]}
    with pytest.raises(UsageError, match="object"):
        plain(object())


def test_a_record_refuses_doubled_anchors_and_uneven_tables() -> None:
    section = Section("one", "One", "", ())
    with pytest.raises(UsageError, match="more than once"):
        Record("c", "t", "h", (section, section))
    with pytest.raises(UsageError, match="row of 1 cells"):
        Table("Caption", ("a", "b"), (("1",),))
    for taken in ("main", "image-0", "my-title", "Upper", "", "a b"):
        with pytest.raises(UsageError, match="anchor"):
            Section(taken, "One", "", ())
