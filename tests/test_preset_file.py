"""Presets in TOML: what is written is read back, what is wrong is said."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import GramscopeError, InputError, UsageError
from stylize.preset_file import dump_preset, parse_preset, read_preset
from stylize.presets import PRESETS, Preset

positive = st.floats(1e-6, 1e6)
presets = st.builds(
    Preset,
    size_px=st.integers(64, 8192),
    iterations=st.integers(1, 10**6),
    optimizer=st.sampled_from(["lbfgs", "adam"]),
    learning_rate=positive,
    start=st.sampled_from(["photo", "noise"]),
    total_variation=st.floats(0, 10),
    seed=st.integers(0, 2**31),
    strength=st.none() | positive,
    style_layers=st.none() | st.sampled_from([{"relu1_1": 0.25, "relu3_4": 0.75}, {"conv5_4": 1.0}]),
    content_layer=st.none() | st.sampled_from(["relu4_2", "conv3_1"]),
)


@given(presets, st.text(alphabet="ab\n#\"'", max_size=20))
def test_round_trip(content: Preset, comment: str) -> None:
    assert parse_preset(dump_preset(content, comment), content.name) == content


def test_a_base_and_weights_that_do_not_add_up() -> None:
    found = parse_preset('base = "draft"\niterations = 7\nstrength = 2\n[style_layers]\nrelu3_1 = 3\nrelu1_1 = 1\n')
    given = {"strength": 2.0, "style_layers": {"relu1_1": 0.25, "relu3_1": 0.75}}
    assert found == replace(PRESETS["draft"], iterations=7, name="the preset", **given)
    assert found.strength == 2.0 and isinstance(found.strength, float)
    assert list(found.style_layers or {}) == ["relu1_1", "relu3_1"]  # in network order, sum 1
    assert found.style_layers == {"relu1_1": 0.25, "relu3_1": 0.75} and found.content_layer is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strenght = 2", "Did you mean 'strength'"),
        ('optimiser = "adam"', "Did you mean 'optimizer'"),
        ("iterations = 2.5", "expected a whole number"),
        ("iterations = true", "expected a whole number"),
        ("iterations = 0", "at least 1"),
        ('strength = "much"', "expected a number"),
        ("strength = -1", "above 0"),
        ("strength = nan", "above 0"),
        ("learning_rate = inf", "above 0"),
        ('optimizer = "sgd"', "Known: lbfgs, adam"),
        ('base = "drafts"', "Did you mean 'draft'"),
        ('content_layer = "relu6_1"', "Unknown layer"),
        ("[style_layers]\nrelu1_0 = 1", "Unknown layer"),
        ("[style_layers]\nrelu1_1 = -1\nrelu2_1 = 2", "at least 0"),
        ("[style_layers]", "one of them above it"),
        ("style_layers = 1", "expected a table"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_preset(text)


@pytest.mark.parametrize("content", [b"strength = ", b"\xff\xfe\x00", None])
def test_unreadable_files(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="xpected") as caught:
        read_preset(path)
    assert isinstance(caught.value, GramscopeError) and str(path) in str(caught.value)
