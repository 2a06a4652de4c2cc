"""What the logits of a weights file are called. No torch."""

import contextlib
import importlib.util
import json
import runpy
from pathlib import Path

from interp.errors import InputError
from interp.pictures.files import read_text


def class_names(path: Path, classes: int) -> tuple[str, ...]:
    """Names of the logits: a `classes.json` beside the file, torchvision's 1000, or numbers.

    The JSON is a list of names, or of objects with a `name`; one of another form or length is some other program's.
    """
    beside = path.with_name("classes.json")
    if classes and beside.is_file():
        with contextlib.suppress(InputError, ValueError, RecursionError):
            names = _listed_names(json.loads(read_text(beside, "a list of class names")))
            if len(names) == classes:
                return names
    return imagenet_names() if classes == 1000 else tuple(f"class {number}" for number in range(classes))


def imagenet_names() -> tuple[str, ...]:
    """The 1000 classes' names in torchvision's order, from the file that holds them: importing it takes a second."""
    spec = importlib.util.find_spec("torchvision")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        with contextlib.suppress(OSError, KeyError):
            return tuple(runpy.run_path(str(Path(folder) / "models" / "_meta.py"))["_IMAGENET_CATEGORIES"])
    from torchvision.models import VGG19_Weights

    return tuple(VGG19_Weights.IMAGENET1K_V1.meta["categories"])


def _listed_names(entries: object) -> tuple[str, ...]:
    if not isinstance(entries, list):
        return ()
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in entries]
    known = tuple(name for name in names if isinstance(name, str))
    return known if len(known) == len(names) else ()
