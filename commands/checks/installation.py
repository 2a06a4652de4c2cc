"""Checks of what is installed: Python, packages, OpenCV, weights, samples. None needs a working torch but `weights`."""

import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

from commands import samples
from commands.checks import Check, Status

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)  # pyproject.toml's requires-python, and the newest one tested
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
VISION_AHEAD = 15  # torchvision 0.N belongs to torch 2.(N - 15): table in torchvision's README
SAMPLE_PHOTOS = ("astronaut", "chelsea", "coffee")
REINSTALL = "Run ./scripts/setup, or install it again with pip."


def check_python() -> Check:
    """The interpreter's version and word size."""
    version = platform.python_version()
    release = tuple(int(part) for part in platform.python_version_tuple()[:2])
    finding = f"{version} on {platform.system()} {platform.machine()}"
    if release < OLDEST_PYTHON or sys.maxsize < 2**32:
        return Check(
            "python", Status.PROBLEM, finding, "Use a 64-bit Python 3.11 or newer (PYTHON=python3.12 ./scripts/setup)."
        )
    if release > NEWEST_PYTHON:
        return Check("python", Status.WARNING, f"{finding}: newer than any tested", "If something fails, use 3.13.")
    return Check("python", Status.OK, finding)


def check_packages() -> Check:
    """Every declared dependency within its bounds."""
    found, faults, wanted = [], [], []
    for name, bounds in requirements():
        names = OPENCV if name == "opencv-python" else (name,)
        version = next(filter(None, map(installed, names)), None)
        found.append(f"{name} {version}")
        if version is None or not within(version, bounds):
            faults.append(f"{name} is missing" if version is None else f"{name} is {version}, {bounds} is needed")
            wanted.append(shlex.quote(name + bounds))
    if faults:
        return Check(
            "packages", Status.PROBLEM, "; ".join(faults), f"Run ./scripts/setup, or: pip install {' '.join(wanted)}"
        )
    return Check("packages", Status.OK, ", ".join(found))


def check_torch() -> Check:
    """Torch and torchvision importable, and of the releases that belong together."""
    versions = f"torch {installed('torch') or 'missing'}, torchvision {installed('torchvision') or 'missing'}"
    error, pair = import_error("torchvision"), misfit()
    if not error:
        if not pair:
            return Check("torch", Status.OK, versions)
        return Check("torch", Status.WARNING, f"{versions}: built for different releases", pair)
    torch_error = import_error("torch")
    if torch_error:
        finding, advice = f"torch cannot be imported ({torch_error})", REINSTALL
    elif pair:
        finding, advice = f"built for different releases ({error})", pair
    elif "torchvision::nms" in error:
        finding = f"different builds of one release ({error})"
        advice = "One is built for the CPU, the other for CUDA: install both from the same index."
    else:
        finding, advice = f"torchvision cannot be imported ({error})", REINSTALL
    return Check("torch", Status.PROBLEM, f"{versions}: {finding}", advice)


def misfit() -> str:
    """Which torchvision belongs to the installed torch, as advice; empty if it is the installed one."""
    from packaging.version import Version

    release, vision = (Version(installed(name) or "0").release[:2] for name in ("torch", "torchvision"))
    if len(release) < 2 or release[0] != 2 or vision == (0, release[1] + VISION_AHEAD):
        return ""  # no rule is known for torch 3
    torch, belongs = f"2.{release[1]}", f"0.{release[1] + VISION_AHEAD}"
    return f"torch {torch} belongs to torchvision {belongs}: pip install 'torch=={torch}.*' 'torchvision=={belongs}.*'"


def check_opencv() -> Check:
    """OpenCV importable, and installed once."""
    found = {name: version for name in OPENCV if (version := installed(name))}
    finding = ", ".join(f"{name} {version}" for name, version in found.items()) or "not installed"
    error = import_error("cv2")
    library = re.search(r"(lib[^\s:]+): cannot open shared object file", error)
    if library and found:
        advice = (
            f"It needs a desktop's libraries: pip uninstall {' '.join(found)}; "
            f"pip install opencv-python-headless=={next(iter(found.values()))} (./scripts/setup does that)."
        )
        return Check("opencv", Status.PROBLEM, f"{finding}: {library[1]} is missing on this machine", advice)
    if error:
        return Check("opencv", Status.PROBLEM, f"{finding}: cannot be imported ({error})", REINSTALL)
    if len(found) > 1:
        advice = f"They overwrite each other's files: pip uninstall {' '.join(found)}; then install one of them."
        return Check("opencv", Status.WARNING, finding, advice)
    return Check("opencv", Status.OK, finding)


def check_weights() -> Check:
    """The bundled weights whole, ImageNet's whole if they are there."""
    from interp.network.known_weights import COMPACT_SHA256, is_intact
    from interp.network.weights import COMPACT_FILE, auto_name, available, imagenet_path

    if not is_intact(COMPACT_FILE, COMPACT_SHA256):
        finding = f"compact is missing or damaged: {COMPACT_FILE}"
        return Check("weights", Status.PROBLEM, finding, "Check the file out again, or install gramscope again.")
    state = next(entry.state for entry in available() if entry.name == "imagenet")
    finding = f"compact is intact, imagenet is {state}; auto is {auto_name()}"
    if state == "damaged":
        advice = f"Run `python cli.py weights fetch`, or delete {imagenet_path()}."
        return Check("weights", Status.PROBLEM, finding, advice)
    if state == "fetched":
        return Check("weights", Status.OK, finding)
    return Check("weights", Status.OK, finding, "Optional: `python cli.py weights fetch` (575 MB).")


def check_samples() -> Check:
    """The pictures that commands use when none is given."""
    for path in (*map(samples.photo, SAMPLE_PHOTOS), samples.PAINTING):
        if not path.is_file():
            return Check("samples", Status.PROBLEM, f"{path} is missing", REINSTALL)
    return Check("samples", Status.OK, f"{len(SAMPLE_PHOTOS)} photos and a painting")


def requirements() -> list[tuple[str, str]]:
    """Names and bounds of the dependencies: from the installed metadata, else from pyproject.toml."""
    from importlib import metadata

    try:
        lines = metadata.requires("gramscope") or []
    except metadata.PackageNotFoundError:
        import tomllib

        lines = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    split = [re.match(r"([\w.-]+)\s*([^;]*)", text) for text in lines if "extra ==" not in text]
    return [(match[1], match[2].strip()) for match in split if match]


def installed(name: str) -> str | None:
    """Version of an installed distribution."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def within(version: str, bounds: str) -> bool:
    """Whether a version satisfies bounds; a pre-release counts as what it is."""
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(bounds).contains(version, prereleases=True)


def import_error(module: str) -> str:
    """Why a module cannot be imported, empty if it can: in a process of its own, which a broken library may end."""
    done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    if done.returncode < 0:
        return f"the import ends Python with signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (errors or lines or ["no reason given"])[-1] if done.returncode else ""
