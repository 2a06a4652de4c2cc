"""The files that a command line names, whatever they are for."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from interp.errors import InputError
from interp.pictures.files import as_path


def files_named(params: Mapping[str, Any], more: Iterable[str] = ()) -> Iterator[Path]:
    """Every existing file that an option or argument names, but for the output.

    Args:
        params: Values of options and arguments by name.
        more: Further names.
    """
    texts = list(more)
    for name, value in params.items():
        for text in value if isinstance(value, list) else [value]:
            if name != "output" and isinstance(text, str | Path):
                texts += [str(text), *str(text).split(",")]  # some options take several files
    for text in texts:
        with contextlib.suppress(InputError, OSError, ValueError):
            if as_path(text).is_file():
                yield as_path(text)
