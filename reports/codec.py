"""The record as JSON and back: deterministic to write, strict to read, an exact round trip."""

import base64
import binascii
import hashlib
import json
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from interp.errors import InputError, UsageError
from interp.pictures.files import read_text
from reports.blocks import Block
from reports.record import SCHEMA_VERSION, Record

_KINDS = {block: block.kind for block in get_args(Block)}
_EXPECTED = "a .report.json of this program"


def to_json(record: Record) -> str:
    """Write a record as JSON: ASCII, keys sorted; equal records give equal text.

    Args:
        record: The record; `data` holds plain JSON values (finite numbers, no tuples).

    Returns:
        The text, ending in a line break.
    """
    return json.dumps(_encoded(record), sort_keys=True, allow_nan=False, indent=1) + "\n"


def from_json(text: str) -> Record:
    """Read a record, trusting nothing.

    Args:
        text: What `to_json` wrote.

    Returns:
        A record equal to the one written.

    Raises:
        InputError: If the text is no JSON, of another schema version, has a missing, unknown, doubled or
            wrongly typed field, base64 that cannot be decoded, or a picture that does not match its SHA-256.
    """
    try:
        value = json.loads(text, object_pairs_hook=_no_doubles, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The record is not readable JSON ({error}); expected {_EXPECTED}.") from error
    if not isinstance(value, dict) or type(version := value.get("schema_version")) is not int:
        _fail("the record", "an object with a schema_version", value)
    if version == 1:
        value = {"lead": [], "conclusion": None, **value}
    if version == 3:
        value = _with_values(value)
    if version not in range(1, SCHEMA_VERSION + 1):
        raise InputError(
            f"The record has schema version {version}; this program reads versions 1 to {SCHEMA_VERSION}. "
            "Use the release that wrote it, or run the command again."
        )
    try:
        record = _decoded(value | {"schema_version": SCHEMA_VERSION}, Record, "record")
    except UsageError as error:
        raise InputError(f"The record contradicts itself: {error}") from error
    _check_images(record)
    return record


def load_record(path: str | Path) -> Record:
    """Read a record's file.

    Args:
        path: A `.report.json`.

    Raises:
        InputError: If the file cannot be read, or as `from_json`.
    """
    return from_json(read_text(path, _EXPECTED))


def _with_values(value: Any) -> Any:
    """A record of version 3: its matrices have no values."""
    if isinstance(value, list):
        return [_with_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    added = {"values": []} if value.get("kind") == "matrices" else {}
    return added | {key: _with_values(item) for key, item in value.items()}


def _encoded(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        tag = {"kind": _KINDS[type(value)]} if type(value) in _KINDS else {}
        return tag | {item.name: _encoded(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [_encoded(item) for item in value]
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in value.items()}
    return value


def _decoded(value: Any, hint: Any, where: str) -> Any:
    """Build what the type hint asks for from a JSON value, or say where it does not fit."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if hint in (str, int, bool):
        return value if type(value) is hint else _fail(where, hint.__name__, value)
    if is_dataclass(hint):
        return _decoded_dataclass(value, hint, where)
    if origin is Literal:
        known = type(value) is str and value in args
        return value if known else _fail(where, f"one of {', '.join(args)}", value)
    if origin is UnionType:
        return _decoded_union(value, args, where)
    if origin is dict:
        items = _expected(value, dict, where).items()
        return {key: _decoded(item, args[1], f"{where}.{key}") for key, item in items}
    items = _expected(value, list, where)
    hints = [args[0]] * len(items) if args[-1] is Ellipsis else list(args)
    if len(items) != len(hints):
        _fail(where, f"a list of {len(hints)}", value)
    pairs = enumerate(zip(items, hints, strict=True))
    return tuple(_decoded(item, item_hint, f"{where}[{index}]") for index, (item, item_hint) in pairs)


def _decoded_union(value: Any, args: tuple[Any, ...], where: str) -> Any:
    """Either `Something | None` or one of the blocks, told apart by its kind."""
    if NoneType in args:
        something = next(arg for arg in args if arg is not NoneType)
        return None if value is None else _decoded(value, something, where)
    kind, known = _expected(value, dict, where).get("kind"), {block.kind: block for block in args}
    if not isinstance(kind, str) or kind not in known:
        _fail(f"{where}.kind", f"one of {', '.join(known)}", kind)
    return _decoded_dataclass(value, known[kind], where)


def _decoded_dataclass(value: Any, hint: Any, where: str) -> Any:
    hints = _hints(hint)
    given = dict(_expected(value, dict, where))
    if hint in _KINDS and given.pop("kind", None) != _KINDS[hint]:
        _fail(f"{where}.kind", repr(_KINDS[hint]), value.get("kind"))
    for problem, names in (("unknown", given.keys() - hints), ("missing", hints.keys() - given)):
        if names:
            listed = ", ".join(sorted(names))
            raise InputError(f"{where}: {problem} field {listed}; expected {', '.join(hints)}.")
    return hint(**{name: _decoded(given[name], hints[name], f"{where}.{name}") for name in hints})


@cache
def _hints(hint: Any) -> dict[str, Any]:
    hints = get_type_hints(hint)
    return {item.name: hints[item.name] for item in fields(hint)}


def _check_images(record: Record) -> None:
    for key, image in record.images.items():
        try:
            data = base64.b64decode(image.base64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError(f"record.images.{key}: not base64 ({error}). The record is damaged.") from error
        found = hashlib.sha256(data).hexdigest()
        if found != key:
            raise InputError(f"record.images.{key}: its bytes have SHA-256 {found}. It was changed.")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field appears twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _expected(value: Any, kind: type, where: str) -> Any:
    words = {dict: "an object", list: "a list"}
    return value if isinstance(value, kind) else _fail(where, words[kind], value)


def _fail(where: str, expected: str, value: object) -> NoReturn:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    raise InputError(f"{where}: got {shown}, expected {expected}. The record is damaged.")
