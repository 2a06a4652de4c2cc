"""Presets as TOML files: settings of our own loop, written by a sweep or by hand, read by `stylize --preset FILE`."""

import json
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from interp.errors import InputError, UsageError, unknown_name
from interp.network.layer_names import layer
from interp.pictures.files import read_text
from stylize.presets import PRESETS, Preset, Settings

OWN_KEYS = ("base", "strength", "content_layer", "style_layers")
SETTINGS = {item.name: type(item.default) for item in fields(Settings)}
KEYS = (*OWN_KEYS, *SETTINGS)


def read_preset(path: str | Path) -> Preset:
    """Read a preset file.

    Args:
        path: A TOML file; its keys are the fields of `Settings`, `strength`, `content_layer`, a table `style_layers` of
            weights, and `base`, the named preset to start from.

    Returns:
        What it says.

    Raises:
        InputError: If the file cannot be read or is no TOML.
        UsageError: If a key is unknown, with the nearest known one, or a value is of the wrong kind or out of range.
    """
    return parse_preset(read_text(path, "a TOML file"), str(path))


def parse_preset(text: str, where: str = "the preset") -> Preset:
    """Read a preset from TOML text; see `read_preset`.

    Example:
        >>> parse_preset('base = "draft"').size_px
        256
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where} is not readable TOML ({error}); expected lines such as `strength = 2.0`.") from error
    for key in table:
        if key not in KEYS:
            raise unknown_name(f"key in {where}:", key, KEYS)
    base = _typed(table.get("base", "default"), str, "base", where)
    if base not in PRESETS:
        raise unknown_name("preset", base, PRESETS)
    given = {name: _typed(table[name], kind, name, where) for name, kind in SETTINGS.items() if name in table}
    strength = table.get("strength")
    content = table.get("content_layer")
    return replace(
        PRESETS[base],
        **given,
        strength=None if strength is None else _strength(_typed(strength, float, "strength", where), where),
        style_layers=_style_layers(table.get("style_layers"), where),
        content_layer=None if content is None else layer(_typed(content, str, "content_layer", where)).name,
        name=where,
    )


def dump_preset(content: Preset, comment: str = "") -> str:
    """Write a preset as TOML; `parse_preset` reads the same back.

    Args:
        content: What to write; every setting is written.
        comment: Put above, line by line.

    Returns:
        The text.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for name in ("strength", "content_layer"):
        if getattr(content, name) is not None:
            lines.append(f"{name} = {_toml(getattr(content, name))}")
    lines += [f"{name} = {_toml(getattr(content, name))}" for name in SETTINGS]
    if content.style_layers is not None:
        lines += ["", "[style_layers]", *(f"{name} = {_toml(value)}" for name, value in content.style_layers.items())]
    return "\n".join(lines) + "\n"


def _style_layers(value: Any, where: str) -> dict[str, float] | None:
    if value is None:
        return None
    table = _typed(value, dict, "style_layers", where)
    weights = {layer(name).name: _typed(weight, float, f"style_layers.{name}", where) for name, weight in table.items()}
    if not weights or min(weights.values()) < 0 or not 0 < sum(weights.values()) < float("inf"):
        raise UsageError(f"style_layers in {where} is {value!r}; expected weights of at least 0, one of them above it.")
    total = sum(weights.values())
    ordered = sorted(weights.items(), key=lambda item: layer(item[0]).index)
    return {name: weight / total for name, weight in ordered if weight > 0}


def _strength(value: float, where: str) -> float:
    if not 0 < value < float("inf"):
        raise UsageError(f"strength in {where} is {value}; expected a number above 0.")
    return value


def _typed(value: Any, kind: type, key: str, where: str) -> Any:
    """The value if it is of a kind; whole numbers pass for fractions, truth values for neither."""
    fits = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
    if not fits or isinstance(value, bool):
        words = {int: "a whole number", float: "a number", str: "a text in quotes", dict: "a table"}[kind]
        raise UsageError(f"{key} in {where} is {value!r}; expected {words}.")
    return float(value) if kind is float else value


def _toml(value: str | float) -> str:
    """A TOML value; JSON's strings are TOML's, and Python's shortest floats read back exactly."""
    return json.dumps(value) if isinstance(value, str) else repr(value)
