"""One run of a command: what it says, the network it loads, the files and the report it leaves behind."""

import gc
import hashlib
import shlex
import sys
import webbrowser
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from commands import samples
from commands.many.manifest import claim
from commands.many.task import Assignment, show_results
from commands.named_files import files_named
from commands.options import INTERRUPTED, SPELLED, Device, RunOptions
from commands.outputs import RECORD, REPORT, OutputPlan, in_format_of, plan_outputs
from commands.reservation import reserve
from commands.streams import as_typed
from commands.work import Work
from interp.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from interp.network.classify import Classifier
    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from reports.store import RecordBuilder


class Run(Work):
    """State of one command's run, from checked inputs to written outputs.

    Args:
        context: Typer's, for the options' origins; carries the task where this picture is one of several.
        options: The shared options.
    """

    def __init__(self, context: typer.Context, options: RunOptions) -> None:
        given: Assignment | None = context.obj
        if given:
            super().__init__(options, given.networks, given.task.share)
        else:
            super().__init__(options)
        self.context, self.given = context, given
        name = context.info_name or "gramscope"
        self.command = SPELLED.get(name, name)
        self.sources: list[str] = []
        self.written: dict[str, Path] = {}
        self.hashes: dict[Path, str] = {}
        self.resolved: dict[str, str] = {}
        self.plan = OutputPlan({})

    def picture(self, role: str, source: str | None, sample: Path) -> "Picture":
        """Load an input picture, or the bundled sample where none was given, and say which."""
        if source is None:
            self.say(f"No {role} given: using the bundled sample {sample.name}.")
        self.sources.append(str(source if source is not None else sample))
        return self.load(role, source if source is not None else sample)

    def photo(self, source: str | None, sample: str) -> "Picture":
        """Load the photo, or a sample photo by name."""
        return self.picture("photo", source, Path() if source else samples.photo(sample))

    def painting(self, source: str | None, role: str = "painting") -> "Picture":
        """Load a painting, or the bundled one."""
        return self.picture(role, source, samples.PAINTING)

    def pictures(
        self, role: str, sources: Sequence[str], most: int, may_fail: Collection[str] = ()
    ) -> "dict[str, Picture]":
        """Load several pictures by name, equal names numbered.

        Args:
            role: What each is.
            sources: Paths, or `-` for standard input.
            most: How many there may be.
            may_fail: Those that are left out with a note where they cannot be read, unless none is left.

        Raises:
            UsageError: If there are more than `most`, or standard input is among them twice.
            InputError: If one cannot be read.
        """
        if len(sources) > most:
            raise UsageError(f"Got {len(sources)} pictures; expected at most {most} at a time.")
        if sources.count("-") > 1:
            raise UsageError("Standard input can be read once; expected at most one `-`.")
        pictures: dict[str, Picture] = {}
        for number, source in enumerate(sources, 1):
            self.sources.append(source)
            try:
                picture = self.load(f"{role} {number}" if len(sources) > 1 else role, source)
            except InputError as error:
                if source not in may_fail or (number == len(sources) and not pictures):
                    raise
                self.warn(f"Left out: {error}")
                continue
            name = picture.name if picture.name not in pictures else f"{picture.name} ({number})"
            pictures[name] = picture
        return pictures

    def is_given(self, option: str) -> bool:
        """Whether the user set an option, by its parameter's name."""
        source = self.context.get_parameter_source(option)
        return source is not None and source.name != "DEFAULT"

    def plan_outputs(self, stem: str, extensions: Mapping[str, str], region: str = "") -> None:
        """Decide where results will go, and hold their names; see `outputs.plan_outputs`.

        The last check before the heavy libraries load, so it also asks whether the device is there.
        """
        options = self.options
        if options.device is not Device.AUTO:
            self.device()
        every = {**extensions, REPORT: "html", RECORD: "json"}
        stem = self.given.task.stem if self.given else stem
        self.plan = plan_outputs(
            self.command, stem, every, region=region, output=options.output, out_dir=options.out_dir,
            overwrite=options.overwrite, inputs=files_named(self.context.params, self.sources),
            own=self.given.task.own if self.given else (),
        )  # fmt: skip
        self.context.call_on_close(self.plan.close)
        if self.given and self.given.claims:
            paths = self.plan.paths.values()
            claim(next(iter(paths)).parent, self.given.task.key, paths)
        self.say("Loading the libraries.")
        if options.threads:
            import cv2

            cv2.setNumThreads(options.threads)

    def network(self) -> "Vgg":
        """Load the network, and torch as a process of its own may; see `Work.network`."""
        _load_torch()
        return super().network()

    def classifier(self, arch: str | None) -> "Classifier":
        """Load a classifier, and torch as a process of its own may; see `Work.classifier`."""
        _load_torch()
        return super().classifier(arch)

    def hold(self, path: Path) -> None:
        """Keep other runs from a file that this one writes to although it was there before.

        Raises:
            OutputError: If another run holds it.
        """
        hold = reserve(path.parent, path.name)
        if hold is None:
            raise OutputError(f"Another run is using {str(path)!r}. Wait for it, or choose another file.")
        self.context.call_on_close(hold.release)

    @property
    def exact(self) -> bool:
        """Whether the main picture's format keeps every pixel."""
        return next(iter(self.plan.paths.values())).suffix.lower() not in (".jpg", ".jpeg")

    def write(self, name: str, data: bytes) -> None:
        """Write one planned output; a picture in the format that its name says."""
        path = self.plan.paths[name]
        data = in_format_of(path, data)
        self.written[name] = self.plan.write(name, data)
        self.hashes[path] = hashlib.sha256(data).hexdigest()

    def write_photo(self, name: str, pixels_hwc: "np.ndarray", photo: "Picture") -> None:
        """Write what became of a photo; say what the format cannot hold.

        Args:
            name: The planned output.
            pixels_hwc: (H, W, 3) RGB, which gets the photo's transparency, or (H, W, 4) RGBA; 8 bits, or of its type.
            photo: The photo.
        """
        import numpy as np

        from interp.pictures.deep import DEEP_SUFFIXES
        from interp.pictures.images import encode_png

        suffix, own = self.plan.paths[name].suffix.lower(), photo.original
        pixels = own.with_alpha(pixels_hwc) if pixels_hwc.shape[2] == 3 else pixels_hwc
        if pixels.dtype == np.uint16 and suffix not in DEEP_SUFFIXES:
            self.warn(f"A {suffix} file holds 8 bits a channel, the photo has 16. Use .png or .tif to keep them.")
            pixels = own.in_8_bits(pixels)
        if pixels.shape[2] == 4 and not self.exact:
            self.warn("JPEG knows no transparency: the picture is on white. Use .png, .webp or .tif to keep it.")
        self.write(name, encode_png(pixels))

    def write_report(
        self, builder: "RecordBuilder", vgg: "Classifier | None", extra: Mapping[str, str] | None = None
    ) -> None:
        """Complete the record with the run's own facts and write record and page."""
        if self.options.no_report:
            return
        from reports.codec import to_json
        from reports.html import render_html

        self.say("Writing the report.")
        line = self.given.task.line if self.given else shlex.join(["python", "cli.py", *sys.argv[1:]])
        outputs = {path.name: digest for path, digest in self.hashes.items()}
        record = self.record(builder, vgg, as_typed(line), self._options_with_origin(), outputs, extra or {})
        self.write(RECORD, to_json(record).encode())
        self.write(REPORT, render_html(record).encode())

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Interrupted in here, the run ends with what is written.

        Raises:
            typer.Exit: With 130, if interrupted.
        """
        try:
            yield
        except KeyboardInterrupt as interrupt:
            self.end_display()
            self.warn("Interrupted: the pictures are written, the report is not.")
            self.finish()
            raise typer.Exit(INTERRUPTED) from interrupt

    def finish(self) -> None:
        """Print the results on stdout, or hand them in where this picture is one of several."""
        self.finish_stages()
        planned = [name for name in self.plan.paths if name in self.written and name != REPORT]  # the main one first
        names = dict.fromkeys([*planned, *self.written])
        outputs = {name: str(self.written[name]) for name in names}
        self._remove_stale_report()
        if self.given:
            self.given.outputs, self.given.notes = outputs, self.warnings
            self.given.hashes = {str(path): digest for path, digest in self.hashes.items()}
        else:
            show_results(self.command, outputs, self.options.json)
        if self.options.open_report and REPORT in self.written:
            webbrowser.open(self.written[REPORT].resolve().as_uri())

    def _remove_stale_report(self) -> None:
        """With --overwrite and --no-report: an earlier report would speak of a picture that is gone."""
        for name in (REPORT, RECORD):
            path = self.plan.paths.get(name)
            if path and name not in self.written and path.is_file():
                path.unlink()
                self.say(f"{path} was removed: it told of the picture that was overwritten.")

    def _options_with_origin(self) -> list[tuple[str, str, str]]:
        from interp.pictures.files import printable

        rows = []
        for name, value in self.context.params.items():
            source = self.context.get_parameter_source(name)
            origin = "default" if source is None or source.name == "DEFAULT" else source.name.lower().replace("_", " ")
            said = self.resolved.get(name) if origin == "default" else None
            rows.append((name.replace("_", "-"), printable(said or plain(value) or self._resolved(name)), origin))
        return rows

    def _resolved(self, name: str) -> str:
        """What an option without a value came to: as the command said, as its help says, or nothing."""
        from_help = {
            option.name: text
            for option in self.context.command.params
            if isinstance(text := getattr(option, "show_default", None), str)
        }
        return self.resolved.get(name) or from_help.get(name) or "none"


def _load_torch() -> None:
    """Load torch, and never look for garbage among its quarter of a million objects, which would take .3 s in all."""
    if "torch" in sys.modules:
        return
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        gc.enable()
        gc.freeze()


def names_of(text: str | None, every: Sequence[str]) -> list[str]:
    """Split a comma-separated option; `all` stands for every name."""
    if text is None:
        return []
    return list(every) if text.strip() == "all" else [name.strip() for name in text.split(",") if name.strip()]


def plain(value: Any) -> str:
    """An option's value as a reader would type it."""
    return "" if value is None else str(getattr(value, "value", value))
