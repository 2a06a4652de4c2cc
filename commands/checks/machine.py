"""Checks of the machine: processor, devices, memory, disk, and a small restyling on it."""

import math
import os
import platform
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from commands.checks import Check, Status, first_line

OUT_DIR = Path("out")
FREE_MB = 100  # a run of any command writes less
WIDTHS = {"compact": 0.25, "imagenet": 1.0}
UNTOLD_BYTES = 8 * 1024**3  # assumed where the system's standard library does not tell
PROCESS, GROUPS = Path("/proc/self"), Path("/sys/fs/cgroup")  # what Linux tells of this process, and its control groups
DEFAULT_SIZE_PX = 512


def check_processor() -> Check:
    """Threads and the vector instructions that torch uses."""
    import torch

    from interp.network.precision import resolve_precision

    threads, usable = torch.get_num_threads(), usable_cpus()
    capability = torch.backends.cpu.get_cpu_capability()
    finding = (
        f"{threads} threads on {usable} processors, vector instructions {capability}, "
        f"styles in {resolve_precision('auto', 'cpu')}"
    )
    if threads > usable:
        return Check("processor", Status.WARNING, finding, f"Too many threads are slow: use --threads {usable}.")
    if platform.machine().lower() in ("x86_64", "amd64") and not capability.startswith("AVX"):
        return Check("processor", Status.WARNING, f"{finding}: no AVX2", "Expect several times the usual time.")
    return Check("processor", Status.OK, finding)


def check_devices() -> Check:
    """Accelerators, each tried with one sum."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        devices = usable_devices()
    for device in devices[1:]:
        try:
            torch.ones(2, device=device).sum().item()
        except RuntimeError as error:
            finding = f"{device} is there but fails ({first_line(error)})"
            return Check("devices", Status.PROBLEM, finding, "Update its driver or torch; until then use --device cpu.")
    if caught:
        finding = f"cpu only ({first_line(Warning(caught[0].message))})"
        return Check("devices", Status.WARNING, finding, "For the GPU, update its driver or torch.")
    names = [torch.cuda.get_device_name(0)] if "cuda" in devices else []
    return Check("devices", Status.OK, ", ".join([*devices, *names]))


def check_memory() -> Check:
    """Memory, and the largest working size it is good for."""
    from stylize.forecast import largest_square_px

    available = available_bytes()
    sizes = {name: largest_square_px(width, available) for name, width in WIDTHS.items()}
    limits = ", ".join(f"{f'up to {size} px' if size else 'none'} with {name}" for name, size in sizes.items())
    finding = f"{available / 1e9:.1f} GB available; --size for a square picture: {limits}"
    if sizes["compact"] < DEFAULT_SIZE_PX:
        advice = f"Close other programs, or use --size {max(64, sizes['compact'])}."
        return Check("memory", Status.WARNING, finding, advice)
    return Check("memory", Status.OK, finding)


def check_output() -> Check:
    """The default folder for results writable; it is not made."""
    folder = OUT_DIR.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Check(
            "output", Status.PROBLEM, f"cannot write into {there}: {error.strerror}", "Use --out-dir or another folder."
        )
    free_mb = shutil.disk_usage(there).free / 1e6
    finding = f"{there} is writable, {free_mb / 1e3:.1f} GB free"
    if free_mb < FREE_MB:
        return Check("output", Status.WARNING, finding, "Free some space, or use --out-dir on another disk.")
    return Check("output", Status.OK, finding)


def check_modules() -> Check:
    """Saliency, segmentation and reports can be imported."""
    for name in ("interp.attribution.saliency", "interp.attribution.sanity", "reports.saliency", "reports.html"):
        import_module(name)
    import_module("segment").segment  # noqa: B018 -- loaded on first use
    return Check("modules", Status.OK, "saliency, segmentation and reports can be imported")


def check_self_test() -> Check:
    """Restyle a part of a tiny picture on every device: the rest stays bit-identical, the losses finite."""
    import numpy as np

    from interp.network.weights import load_vgg
    from interp.pictures.images import to_nchw01
    from interp.statistics.layers import fixed_choice
    from stylize import composite, optimise
    from stylize.presets import Settings
    from stylize.region import StyledRegion

    photo_hwc_u8 = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    alpha_hw01 = np.zeros((96, 96), np.float32)
    alpha_hw01[:, :64] = 1
    devices = usable_devices()
    for device in devices:
        photo = to_nchw01(photo_hwc_u8).to(device)
        region = StyledRegion(alpha_hw01, photo.flip(3), fixed_choice())
        settings = Settings(size_px=96, coarsest_px=96, iterations=3)
        events = list(optimise.stylize(load_vgg("compact", device=device), photo, [region], settings))
        result = composite.compose(photo_hwc_u8, [region], events[-1].restyled_rchw)
        changed = result != photo_hwc_u8
        finite = all(math.isfinite(value) for event in events for value in event.losses.values())
        if changed[:, 64:].any() or not changed[:, :64].any() or not finite:
            finding = (
                f"on {device}: {changed[:, 64:].sum()} values changed outside, {changed[:, :64].sum()} inside, "
                f"losses {'finite' if finite else 'not finite'}"
            )
            return Check("self-test", Status.PROBLEM, finding, "Use --device cpu; report this line.")
    return Check("self-test", Status.OK, f"restyled a 96 px picture on {' and '.join(devices)}, outside bit-identical")


def usable_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_devices() -> list[str]:
    """The processor, and what `--device auto` would prefer to it."""
    import torch

    if torch.cuda.is_available():
        return ["cpu", "cuda"]
    return ["cpu", "mps"] if torch.backends.mps.is_available() else ["cpu"]


def available_bytes() -> int:
    """What the system would give without swapping, within a container's limit; all memory where neither is told."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file() and (match := re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text())):
        return min(total_bytes(), int(match[1]) * 1024)
    return total_bytes()


def total_bytes() -> int:
    """The machine's memory, or less where a limit is set: a container's, a batch system's, `ulimit -v`."""
    if not hasattr(os, "sysconf"):  # Windows
        return UNTOLD_BYTES
    amount = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([amount, *_group_limits(), *_address_space()])


def _group_limits() -> Iterator[int]:
    """Of this process's control groups and those around them, of version 2 and 1 (man 7 cgroups).

    In a container their names may be those outside, of which only the outermost folder is there: the container's own.
    """
    lines = _text(PROCESS / "cgroup").splitlines() or ["0::/"]
    for _, controllers, name in (line.split(":", 2) for line in lines):
        if not controllers:
            root, file = GROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, file = GROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / name.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root) and (limit := _text(folder / file).strip()).isdecimal():
                yield int(limit)


def _address_space() -> Iterator[int]:
    """What `ulimit -v` leaves: libraries take much of it that they never use."""
    pages = _text(PROCESS / "statm").split()
    if not pages:
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        mapped, used = (int(count) * resource.getpagesize() for count in pages[:2])
        yield limit - mapped + used


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
