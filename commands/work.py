"""What every job here needs, whether a command or a Python call asked for it: pictures, the network, words."""

import contextlib
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from commands.networks import Networks
from commands.options import Device, RunOptions
from commands.progress import Stages, open_display
from commands.streams import DISPLAY, tell
from interp.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from interp.network.classify import Classifier
    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture, Source
    from reports.record import Record
    from reports.store import RecordBuilder

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PACKAGES = (
    "gramscope", "torch", "torchvision", "captum", "opencv-python", "opencv-python-headless", "numpy", "scipy",
    "Pillow", "scikit-image", "matplotlib", "safetensors", "Jinja2", "typer", "optuna",
)  # fmt: skip

Rows = Sequence[tuple[str, str, str]]  # name, value and origin of options


class Work:
    """A job's inputs, what it says, and the network it loads.

    Args:
        options: The shared options.
        networks: Those that are loaded already.
        memory_share: Of the machine's, that the job may take.
    """

    def __init__(self, options: RunOptions, networks: Networks | None = None, memory_share: float = 1.0) -> None:
        self.options, self.networks, self.memory_share = options, networks or Networks(), memory_share
        self.started = time.monotonic()
        self.inputs: dict[str, Picture] = {}
        self.warnings: list[str] = []
        self._vgg: Vgg | None = None
        self._stages: Stages | None = None
        if options.threads:  # NumPy's and SciPy's BLAS read it when they load, which is later
            os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(options.threads)))

    def say(self, message: str) -> None:
        """Tell the user something on stderr."""
        if not self.options.quiet:
            stamp = f"[{time.monotonic() - self.started:6.1f} s] " if self.options.verbose else ""
            tell(stamp + message)

    def warn(self, message: str) -> None:
        """Tell the user something that the report must repeat."""
        self.warnings.append(message)
        self.say(f"Note: {message}")

    def foresee(self, costs: Mapping[str, float]) -> None:
        """Show how much is done of all the work: the seconds of each stage from here on, by name, in order.

        Again, it changes what was foreseen; the stage before ends where it is.
        """
        if self._stages:
            self._stages.foresee(costs)
        else:
            self._stages = Stages(costs, open_display(self.options.progress, self.options.quiet))
        self.at(next(iter(costs)))

    def begin(self, stage: str, sentence: str) -> None:
        """Say what is done next, and show all before it as done."""
        self.say(sentence)
        self.at(stage)

    def at(self, stage: str, share: float = 0.0, words: str = "") -> None:
        """Show that a share of a stage is done; nothing where no work was foreseen."""
        if self._stages:
            self._stages.at(stage, share, words)

    def end_early(self) -> None:
        """The rest of the present stage is left out of what is shown."""
        if self._stages:
            self._stages.end_early()

    def finish_stages(self) -> None:
        """Show that all that was foreseen is done."""
        if self._stages:
            self._stages.finish()
        self.end_display()

    def end_display(self) -> None:
        """Take the progress display away; again does no harm."""
        DISPLAY.close()
        self._stages = None

    def load(self, role: str, source: "Source") -> "Picture":
        """Load an input picture; say what was converted."""
        from interp.pictures.images import load_picture

        picture = load_picture(source, role)
        for note in picture.notes:
            self.warn(f"{picture.name}: {note}.")
        self.inputs[role] = picture
        return picture

    def mask(self, source: "Source", size_hw_px: tuple[int, int]) -> "np.ndarray":
        """Load a mask for a picture of a size, (H, W) in [0, 1]; say what was done to read it."""
        from interp.pictures.images import display_name, load_mask

        notes: list[str] = []
        mask = load_mask(source, size_hw_px, notes, {picture.sha256 for picture in self.inputs.values()})
        name = display_name(source) if isinstance(source, str | Path) else "mask"
        for note in notes:
            self.warn(f"{name}: {note}.")
        return mask

    def network(self) -> "Vgg":
        """Load the network as the options say, once, and say which."""
        if self._vgg:
            return self._vgg
        import torch

        from interp.network.weights import load_vgg

        options, device = self.options, self.device()
        self._prepare_torch()

        def load() -> "Vgg":
            vgg = load_vgg(
                options.weights, width=options.width, seed=options.seed, layout=options.weights_format, device=device
            )
            return vgg.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] -- not in torch's stub

        asked = options.weights, options.width, options.seed, options.weights_format, device
        vgg: Vgg = self.networks.get(asked, load)
        self.say(f"Network: {vgg.info.name} ({vgg.info.note}).")
        self._vgg = vgg
        return vgg

    def classifier(self, arch: str | None) -> "Classifier":
        """Load one of torchvision's classifiers, or VGG-19 where none is named.

        Raises:
            UsageError: If an option is given that only VGG-19 has.
        """
        if arch is None:
            return self.network()
        if self.options.weights_format is not None:
            raise UsageError(f"--weights-format is VGG-19's; leave it out with --arch {arch}.")
        from interp.network.classifiers import load_classifier

        self._prepare_torch()
        weights, seed, device = self.options.weights, self.options.seed, self.device()
        loaded: Classifier = self.networks.get(
            (arch, weights, seed, device), lambda: load_classifier(arch, weights, seed=seed, device=device)
        )
        self.say(f"Network: {loaded.info.name} ({loaded.info.note}).")
        return loaded

    def _prepare_torch(self) -> None:
        """Set what torch leaves to chance or to the machine."""
        import numpy as np
        import torch

        for kind in (np.float32, np.float64):
            np.finfo(kind)  # kept by NumPy, whose 2.0 warns where it first looks with denormals flushed
        torch.set_flush_denormal(True)  # near-dead channels otherwise run twenty times slower
        if self.options.threads:
            torch.set_num_threads(self.options.threads)
        torch.backends.cuda.matmul.allow_tf32 = False  # ten bits of mantissa are too few for Gram matrices
        torch.backends.cudnn.allow_tf32 = False  # torch's default is True
        torch.backends.cudnn.benchmark = False  # it chooses algorithms by their time
        torch.backends.cudnn.deterministic = True

    def device(self) -> str:
        """Name of the device to compute on.

        Raises:
            UsageError: If the one asked for is not there.
        """
        asked = self.options.device
        if asked is Device.CPU:
            return asked.value
        from commands.checks.machine import usable_devices

        there = usable_devices()
        if asked is Device.AUTO:
            return there[-1]
        if asked.value not in there:
            raise UsageError(f"--device {asked.value}: there is none that torch can use. Here: {', '.join(there)}.")
        return asked.value

    def record(
        self, builder: "RecordBuilder", vgg: "Classifier | None", command_line: str, options: Rows,
        outputs: Mapping[str, str], extra: Mapping[str, str],
    ) -> "Record":  # fmt: skip
        """Complete a record with the job's own facts: what was read and written, by which software, on what."""
        from interp.pictures.files import printable
        from reports.reproduce import reproduce_section

        builder.warnings.extend(self.warnings)
        builder.data["weights"] = vgg.info if vgg else None
        builder.reproduce = reproduce_section(
            command_line=printable(command_line),
            options=options,
            versions=versions(),
            weights=vgg.info if vgg else None,
            inputs=[(f"{role}: {picture.name}", picture.sha256) for role, picture in self.inputs.items()],
            outputs=[(printable(name), digest) for name, digest in outputs.items()],
            facts={"Seed": str(self.options.seed), **self._machine(), **extra},
        )
        return builder.build()

    def _machine(self) -> dict[str, str]:
        facts = {"Processor": platform.machine(), "Seconds so far": f"{time.monotonic() - self.started:.1f}"}
        if "torch" in sys.modules:
            import torch

            return facts | {"Threads": str(torch.get_num_threads()), "Device": self.device()}
        return facts | {"Threads": str(self.options.threads or "OpenCV's choice"), "Device": "cpu"}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that touch the result, read without importing them."""
    from importlib import metadata

    found = {"Python": platform.python_version(), "Platform": platform.system()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
