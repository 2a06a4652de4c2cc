"""One picture to be worked on, as the words that a user would type for it alone, and what came of it."""

import hashlib
import itertools
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.many.sources import names_apart
from commands.options import SPELLED
from commands.streams import show
from interp.pictures.files import display_name

if TYPE_CHECKING:
    from typer import Context

    from commands.networks import Networks

# Options that change how a run speaks or where it writes, not what it makes.
MANNER = ("out_dir", "output", "overwrite", "open_report", "json", "progress", "quiet", "verbose", "debug", "threads")
DROPPED = ("open_report", "json")  # one page is opened in the end, and results are printed by who has them all
SERIES, FROM = "--series", "--series-from"


@dataclass(frozen=True)
class Task:
    """One picture.

    Attributes:
        command: What is done with it.
        words: What follows the command's name.
        photo: The picture.
        painting: What it is painted after, where each photo is painted after several.
        stem: What its results' names begin with.
        key: The same for the same picture and painting under options that make the same.
        folder: Where relative names begin.
        share: Of the machine's memory that it may take.
        own: Names of the files in the results' folder that it made earlier, and may write over.
    """

    command: str
    words: tuple[str, ...]
    photo: str
    painting: str | None
    stem: str
    key: str
    folder: str = field(default_factory=lambda: str(Path.cwd()))
    share: float = 1.0
    own: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call it."""
        return name_of(self.photo, self.painting)

    @property
    def line(self) -> str:
        """The command line that does it alone."""
        return shlex.join(["python", "cli.py", self.command, *self.words])

    @property
    def begins_series(self) -> bool:
        """Whether it is one of a series, and none has been begun that it is to match."""
        return SERIES in self.words

    @property
    def series_from(self) -> str | None:
        """The file of the series that it is to match."""
        return self.words[self.words.index(FROM) + 1] if FROM in self.words else None

    def matching(self, series: str) -> "Task":
        """The same, made to match the first of its series."""
        words = [(FROM, series) if word == SERIES else (word,) for word in self.words]
        return replace(self, words=tuple(itertools.chain(*words)))

    def on(self, threads: int) -> "Task":
        """The same with so many threads, unless it says how many."""
        return self if "--threads" in self.words else replace(self, words=("--threads", str(threads), *self.words))


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes:
        code: The command's exit code.
        message: Why it failed; empty where it did not.
        inputs: SHA-256 of each file that it was told to read; None for one that could not be read.
        outputs: Path of each result by name, the main one first.
        hashes: SHA-256 of each result's file, by path.
        notes: What to know of the result, a sentence each.
        seconds: How long it took.
        lost: Whether the process that worked on it died.
    """

    code: int
    message: str = ""
    inputs: dict[str, str | None] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    lost: bool = False


@dataclass
class Assignment:
    """A task as the command that does it gets it, in its context: what to keep to, and where to leave what came of it.

    Attributes:
        task: The task.
        networks: Those that are loaded already.
        claims: Whether to write down which files it is about to write, so that those of a killed run can be removed.
        outputs: See `Outcome`; left here by the command, as is the rest.
        hashes: Likewise.
        notes: Likewise.
    """

    task: Task
    networks: "Networks"
    claims: bool = False
    outputs: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def name_of(photo: str, painting: str | None) -> str:
    """What to call a photo after a painting, where it is painted after several."""
    return photo if painting is None else f"{photo} after {display_name(painting)}"


def show_results(command: str, outputs: dict[str, str], as_json: bool) -> None:
    """Print a run's results on stdout: the paths, or one JSON object."""
    paths = {name: path for name, path in outputs.items() if name != "record"}
    if as_json:
        show(json.dumps({"command": command, "outputs": paths, "record": outputs.get("record")}))
        return
    for path in paths.values():
        show(path)


def tasks_of(context: "Context", photos: Sequence[str], paintings: Sequence[str] = ()) -> list[Task]:
    """The tasks that a command line stands for: every photo, after every painting where there are several.

    Args:
        context: Of the command, parsed.
        photos: The pictures.
        paintings: What each is painted after; none leaves that to the options.
    """
    name, tasks = str(context.info_name), {}
    command = SPELLED.get(name, name)
    of_photo, of_painting = names_apart(photos), names_apart(paintings) if paintings else {}
    for photo, painting in itertools.product(photos, paintings or [None]):
        words = tuple(_words(context, photo, painting, DROPPED))
        kept = _words(context, photo, painting, MANNER)
        key = hashlib.sha256(json.dumps([command, *kept]).encode()).hexdigest()[:16]
        stem = of_photo[photo] if painting is None else f"{of_photo[photo]}-{of_painting[painting]}"
        tasks[key] = Task(command, words, photo, painting, stem, key)  # the same one named twice is done once
    return list(tasks.values())


def _words(context: "Context", photo: str, painting: str | None, without: Sequence[str]) -> Iterator[str]:
    """What a user types after the command's name for one photo."""
    given: dict[str, Any] = {**context.params}
    for option in context.command.params:
        name, source = str(option.name), context.get_parameter_source(str(option.name))
        if option.param_type_name == "argument" or name in without:
            continue
        if name == "style" and painting is not None:
            yield from _option("--style", painting)
        elif source is not None and source.name != "DEFAULT":
            spelled = next(spelling for spelling in option.opts if spelling.startswith("--"))
            if getattr(option, "is_flag", False):
                yield spelled
                continue
            for value in given[name] if isinstance(given[name], list) else [given[name]]:
                yield from _option(spelled, str(getattr(value, "value", value)))
    yield from ["--", photo] if photo.startswith("-") and photo != "-" else [photo]


def _option(name: str, value: str) -> list[str]:
    return [f"{name}={value}"] if value.startswith("-") else [name, value]
