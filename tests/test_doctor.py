"""`doctor`: what each check says when something is wrong, and what the command returns."""

import json
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from typer.testing import CliRunner

import cli
from commands import doctor, samples
from commands.checks import Check, Status, installation, machine
from interp.network import weights
from stylize import composite, optimise

NMS = "operator torchvision::nms does not exist"
RAISE_NMS = f"raise RuntimeError('{NMS}')"
Versions = Callable[..., None]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Versions:
    """Pretend that exactly these distributions are installed, names with `_` for `-`."""

    def pretend(**found: str) -> None:
        known = {name.replace("_", "-"): version for name, version in found.items()}
        monkeypatch.setattr(installation, "installed", known.get)

    return pretend


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put modules with the given source before the real ones, for processes started from here."""

    def fake(**sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return fake


def run_cli(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, ["doctor", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.stdout


def test_this_environment_has_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = run_cli("--json")
    told = json.loads(text)
    names = [function.__name__.removeprefix("check_").replace("_", "-") for function in doctor.CHECKS]
    assert [check["name"] for check in told["checks"]] == names
    assert [check for check in told["checks"] if check["status"] not in ("ok", "warning")] == []
    assert (code, told["command"], told["ok"]) == (0, "doctor", True)
    assert all(check.keys() == {"name", "status", "finding", "advice"} for check in told["checks"])
    assert not list(tmp_path.iterdir())


def check_broken() -> Check:
    raise OSError("the first line\na hint")


def stub(name: str, status: Status) -> Callable[[], Check]:
    return lambda: Check(name, status, "found", "advised")


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([stub("python", Status.OK), stub("memory", Status.WARNING)], 0),
        ([stub("python", Status.OK), check_broken], 1),
        ([stub("weights", Status.PROBLEM), stub("self-test", Status.PROBLEM)], 5),
        ([stub("torch", Status.PROBLEM), stub("weights", Status.PROBLEM)], 1),
    ],
)
def test_exit_code_is_the_first_problems(
    monkeypatch: pytest.MonkeyPatch, checks: list[Callable[[], Check]], code: int
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", checks)
    found, text = run_cli()
    assert found == code
    assert len(text.splitlines()) == len(checks)
    found, text = run_cli("--json")
    assert (found, json.loads(text)["ok"]) == (code, code == 0)


def test_a_check_that_raises_is_a_problem() -> None:
    found = doctor.run(check_broken)
    assert (found.name, found.status, found.finding) == ("broken", "problem", "OSError: the first line")
    assert "--debug" in found.advice
    assert doctor.line(Check("x", Status.OK, "fine")) == "ok       x          fine"


@pytest.mark.parametrize(
    ("version", "status"), [("3.10.4", "problem"), ("3.11.0", "ok"), ("3.13.9", "ok"), ("3.14.0", "warning")]
)
def test_python(monkeypatch: pytest.MonkeyPatch, version: str, status: str) -> None:
    monkeypatch.setattr(platform, "python_version_tuple", lambda: tuple(version.split(".")))
    assert installation.check_python().status == status


def test_python_of_32_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert installation.check_python().status is Status.PROBLEM


@pytest.fixture
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=2.0", "opencv-python<6,>=4.12.0.88", "torch>=2.6", 'pytest>=9.0; extra == "dev"']
    monkeypatch.setattr(metadata, "requires", lambda name: lines)


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize(
    ("installed", "finding"),
    [
        ({"numpy": "1.26.4", "opencv_python": "4.12.0.88", "torch": "2.6.0"}, "numpy is 1.26.4, >=2.0 is needed"),
        ({"numpy": "2.0", "opencv_python": "6.0", "torch": "2.6"}, "opencv-python is 6.0, <6,>=4.12.0.88 is needed"),
        ({"numpy": "2.0.0", "opencv_python": "5.0.0.93"}, "torch is missing"),
    ],
)
def test_packages_out_of_bounds(versions: Versions, installed: dict[str, str], finding: str) -> None:
    versions(**installed)
    found = installation.check_packages()
    assert (found.status, found.finding) == ("problem", finding)
    assert "./scripts/setup" in found.advice and "pip install " in found.advice


@pytest.mark.usefixtures("required")
def test_packages_in_bounds(versions: Versions) -> None:
    versions(numpy="2.10.1", opencv_python_headless="4.13.0.90", torch="2.14.1+cpu")
    found = installation.check_packages()
    assert (found.status, found.advice) == ("ok", "")
    assert "numpy 2.10.1, opencv-python 4.13.0.90, torch 2.14.1+cpu" in found.finding


def test_packages_of_an_uninstalled_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    checked = {Requirement(name + bounds).name for name, bounds in installation.requirements()}
    assert {"torch", "typer", "opencv-python"} < checked
    assert installation.check_packages().status is Status.OK


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("2.14.1+cpu", ">=2.6", True), ("2.6", ">=2.6.0", True), ("2.6.0a0+git1", ">=2.6", False),
        ("2.15.0.dev20260101", ">=2.6", True), ("6.0", ">=4.12.0.88,<6", False), ("4.12.0.88", "<6,>=4.12.0.88", True),
    ],
)  # fmt: skip
def test_versions_within_bounds(version: str, bounds: str, fits: bool) -> None:
    assert installation.within(version, bounds) is fits


# Pairs as published in torchvision's README, and torch 2.14's.
@pytest.mark.parametrize(("torch", "vision"), [("2.0.1", "0.15.2"), ("2.6.0", "0.21.0"), ("2.14.1", "0.29.2")])
def test_released_pairs_fit(versions: Versions, torch: str, vision: str) -> None:
    versions(torch=torch, torchvision=vision)
    assert installation.misfit() == ""


def test_the_installed_pair_fits() -> None:
    assert installation.misfit() == ""


@pytest.mark.parametrize(
    ("vision", "sources", "status", "words"),
    [
        ("0.21.0", {"torchvision": RAISE_NMS}, "problem", NMS),
        ("0.21.0", {"torchvision": ""}, "warning", "built for different releases"),
        ("0.29.2", {"torchvision": RAISE_NMS}, "problem", "builds of one"),
        ("0.29.2", {"torchvision": "raise OSError('undefined symbol: x')"}, "problem", "undefined symbol"),
        (
            "0.29.2",
            {"torchvision": "import torch", "torch": "raise OSError('libcudart\\nhint')"},
            "problem",
            "torch cannot",
        ),
        ("0.29.2", {"torchvision": "import os; os.abort()"}, "problem", "signal 6"),
        ("0.29.2", {"torchvision": ""}, "ok", "torch 2.14.1+cpu, torchvision 0.29.2"),
    ],
    ids=["releases", "releases but importable", "builds", "symbol", "torch", "crash", "ok"],
)
def test_torch(
    versions: Versions, modules: Callable[..., None], vision: str, sources: dict[str, str], status: str, words: str
) -> None:
    versions(torch="2.14.1+cpu", torchvision=vision)
    modules(**{"torch": "", **sources})
    found = installation.check_torch()
    assert found.status == status and words in found.finding
    assert bool(found.advice) == (status != "ok")
    if vision == "0.21.0":
        assert "torch 2.14 belongs to torchvision 0.29" in found.advice
        assert "pip install 'torch==2.14.*' 'torchvision==0.29.*'" in found.advice


def test_opencv_without_desktop_libraries(versions: Versions, modules: Callable[..., None]) -> None:
    versions(opencv_python="5.0.0.93")
    modules(cv2="raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')")
    found = installation.check_opencv()
    assert found.status is Status.PROBLEM
    assert "libGL.so.1 is missing" in found.finding
    assert "pip uninstall opencv-python; pip install opencv-python-headless==5.0.0.93" in found.advice


def test_opencv_twice(versions: Versions, modules: Callable[..., None]) -> None:
    versions(opencv_python="5.0.0.93", opencv_python_headless="4.12.0.88")
    modules(cv2="")
    found = installation.check_opencv()
    assert found.status is Status.WARNING
    assert "pip uninstall opencv-python opencv-python-headless" in found.advice


def test_opencv_missing_or_broken(versions: Versions, modules: Callable[..., None]) -> None:
    versions()
    modules(cv2="raise ModuleNotFoundError(\"No module named 'cv2'\")")
    found = installation.check_opencv()
    assert found.status is Status.PROBLEM
    assert "not installed" in found.finding and "No module named 'cv2'" in found.finding


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints" / weights.IMAGENET_FILE


def test_weights_bundled_only(hub: Path) -> None:
    found = installation.check_weights()
    assert (found.status, found.finding) == ("ok", "compact is intact, imagenet is not fetched; auto is compact")
    assert "weights fetch" in found.advice


def test_weights_damaged_in_the_cache(hub: Path) -> None:
    hub.parent.mkdir()
    hub.write_bytes(b"half a file")
    found = installation.check_weights()
    assert found.status is Status.PROBLEM
    assert "imagenet is damaged; auto is imagenet" in found.finding and str(hub) in found.advice


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("content", [b"not the weights", None])
def test_bundled_weights_damaged_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    file = tmp_path / "compact.safetensors"
    if content:
        file.write_bytes(content)
    monkeypatch.setattr(weights, "COMPACT_FILE", file)
    assert installation.check_weights().status is Status.PROBLEM
    monkeypatch.setattr(doctor, "CHECKS", [installation.check_weights, machine.check_self_test])
    code, text = run_cli()
    assert code == 5 and str(file) in text


def test_samples_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "PAINTING", tmp_path / "none.png")
    assert "none.png is missing" in installation.check_samples().finding
    monkeypatch.setattr(installation, "SAMPLE_PHOTOS", ("nobody",))
    found = doctor.run(installation.check_samples)
    assert found.status is Status.PROBLEM and "'nobody' is missing" in found.finding


def test_too_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(machine, "usable_cpus", lambda: 2)
    found = machine.check_processor()
    assert found.status is Status.WARNING and "--threads 2" in found.advice


@pytest.mark.parametrize(("processor", "status"), [("x86_64", "warning"), ("arm64", "ok")])
def test_no_vector_instructions(monkeypatch: pytest.MonkeyPatch, processor: str, status: str) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert machine.check_processor().status == status


def test_a_gpu_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def ones(*size: int, device: str) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with TORCH_USE_CUDA_DSA")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", ones)
    found = machine.check_devices()
    assert found.status is Status.PROBLEM
    assert "no kernel image" in found.finding and "--device cpu" in found.advice


def test_a_gpu_that_the_driver_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", hidden)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    found = machine.check_devices()
    assert found.status is Status.WARNING and "driver on your system is too old" in found.finding


@pytest.mark.parametrize(
    ("gigabytes", "status", "words"), [(64, "ok", "up to 8192 px with compact"), (1.2, "warning", "none with imagenet")]
)
def test_memory(monkeypatch: pytest.MonkeyPatch, gigabytes: float, status: str, words: str) -> None:
    monkeypatch.setattr(machine, "available_bytes", lambda: int(gigabytes * 1e9))
    found = machine.check_memory()
    assert found.status == status and words in found.finding


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/", {"memory.max": "5000\n"}, 5000),  # a container's, of version 2
        ("0::/a/b", {"a/memory.max": "7000", "a/b/memory.max": "max"}, 7000),  # the group around it
        ("4:memory:/docker/1", {"memory/memory.limit_in_bytes": "6000"}, 6000),  # a container's, of version 1
        ("2:cpu,memory:/job\n0::/", {"memory/job/memory.limit_in_bytes": "6000", "memory.max": "4000"}, 4000),
        ("2:cpu:/job\n0::/job", {"memory/job/memory.limit_in_bytes": "6000"}, None),  # another process's
        (None, {"memory.max": "5000"}, 5000),
        ("0::/", {"memory.max": "max"}, None),
    ],
)
def test_limits_of_control_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: str | None, limits: dict[str, str], expected: int | None
) -> None:
    monkeypatch.setattr(machine, "PROCESS", tmp_path / "none")
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "none")
    unlimited = machine.total_bytes()
    monkeypatch.setattr(machine, "PROCESS", tmp_path / "process")
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "groups")
    for name, text in {
        **({"process/cgroup": groups} if groups else {}),
        **{f"groups/{n}": t for n, t in limits.items()},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.total_bytes() == (expected or unlimited)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_limit_of_the_shell_counts_what_can_still_be_used() -> None:
    script = (
        "import mmap; from commands.checks import machine; before = machine.total_bytes()\n"
        "idle = mmap.mmap(-1, 2**30); after = machine.total_bytes()\n"
        "assert 0 < before < 2**32 and abs(before - 2**30 - after) < 2**26, (before, after)"
    )
    subprocess.run(["bash", "-c", f'ulimit -v {2**22}; exec "$0" -c "$1"', sys.executable, script], check=True)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").touch()
    assert machine.check_output().status is Status.PROBLEM
    (tmp_path / "out").unlink()

    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = machine.check_output()
    assert found.status is Status.PROBLEM
    assert found.finding == f"cannot write into {tmp_path}: Read-only file system"


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000_000))
    assert machine.check_output().status is Status.WARNING


def test_a_module_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "interp.attribution.sanity", None)
    found = doctor.run(machine.check_modules)
    assert found.status is Status.PROBLEM and "interp.attribution.sanity" in found.finding


@pytest.mark.parametrize("fault", ["outside", "inside"])
def test_self_test_sees_wrong_pixels(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    def wrong(photo_hwc_u8: np.ndarray, *_: object) -> np.ndarray:
        return photo_hwc_u8 ^ np.uint8(1) if fault == "outside" else photo_hwc_u8

    monkeypatch.setattr(composite, "compose", wrong)
    found = machine.check_self_test()
    assert found.status is Status.PROBLEM
    outside = 96 * 32 * 3 if fault == "outside" else 0
    assert f"{outside} values changed outside" in found.finding


def test_self_test_sees_losses_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    real = optimise.stylize

    def spoilt(*arguments: object) -> object:
        for event in real(*arguments):  # pyright: ignore[reportArgumentType]
            event.losses["total"] = float("nan")
            yield event

    monkeypatch.setattr(optimise, "stylize", spoilt)
    assert "not finite" in machine.check_self_test().finding
