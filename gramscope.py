"""Gramscope from Python: one call for a script or a notebook, on the same road as the command line.

Here, above the packages, because it joins what they keep apart: finding a region, restyling it, telling of it. Their
own functions go by this name too: `gramscope.activations`, `gramscope.saliency_map` (or `gramscope.saliency`).
"""

from collections.abc import Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from commands.foreground import ForegroundOptions, find_foreground
from commands.loop import LoopOptions
from commands.options import MAX_SEED, Device, Region, RunOptions, idle_with_all
from commands.parts import Colour, Part
from commands.restyled import Restyled
from commands.restyling import LayerOptions, Restyling, check_parts, fixed_by_recipe, restyle_parts
from commands.work import Work
from interp.errors import OutOfMemoryError, UsageError, is_out_of_memory, unknown_name
from interp.pictures.files import as_path
from interp.pictures.images import Source
from stylize.ways import way_named

if TYPE_CHECKING:
    from interp import activations as activations
    from interp import choose_layers as choose_layers
    from interp import load_image as load_image
    from interp import load_picture as load_picture
    from interp import load_vgg as load_vgg
    from interp import quick_verdict as quick_verdict
    from interp import saliency_map as saliency_map
    from reports.record import Record
    from segment.segmentation import Segmentation

OTHER_NAMES = {"saliency": "saliency_map"}  # as the command is called
__all__ = [
    "Restyled",
    "activations",
    "choose_layers",
    "load_image",
    "load_picture",
    "load_vgg",
    "quick_verdict",
    "restyle",
    "saliency_map",
    "segment",
]

Choice = TypeVar("Choice", bound=Enum)


def __getattr__(name: str) -> Any:
    name = OTHER_NAMES.get(name, name)
    if name in __all__:  # not defined below: of interp, which is loaded when asked for, as torch is
        return getattr(import_module("interp"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def restyle(
    photo: Source,
    painting: Source,
    region: str = "background",
    *,
    size: int | None = None,
    preset: str = "default",
    iterations: int | None = None,
    strength: float | None = None,
    keep_colour: str | None = None,
    prompt: str = "auto",
    box: Sequence[int] | str | None = None,
    points: Sequence[tuple[int, int]] = (),
    not_points: Sequence[tuple[int, int]] = (),
    mask: Source | None = None,
    feather: float | None = None,
    weights: str = "auto",
    device: str = "auto",
    seed: int = 0,
    report: bool = False,
    quiet: bool = False,
) -> Restyled:
    """Restyle a region of a photo after a painting, as `python cli.py stylize` does with the same settings.

    Args:
        photo: File, Pillow picture, or array: (H, W, 3) RGB or (H, W, 4) RGBA, uint8, uint16 or float in [0, 1].
        painting: Likewise.
        region: `background`, `foreground` or `all`.
        size: Long side to work at, in px; the result has the photo's size anyway. None for the
            preset's; the default one's grows with the photo.
        preset: `default`, `draft` (for a first look), `instant` (one pass), a TOML file, or a recipe of other work.
        iterations: Steps at the finest scale; None for the preset's.
        strength: Painting against photo; None for the preset's, else 1, which is balanced.
        keep_colour: `luminance` or `match` keep the photo's colours; None or `none` takes the painting's.
        prompt: How to find the foreground; see `segment.segment`.
        box: Left, top, width, height around it in px, or such a text, which may be in per cent.
        points: Places (x, y) in it, in px.
        not_points: Places outside it.
        mask: The foreground itself, white inside: file, Pillow picture or (H, W) array.
        feather: Width of the region's soft edge in px; None follows the photo.
        weights: As `interp.load_vgg`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        seed: Of everything random.
        report: Whether to make the report too, which takes longer; `save_report` writes it.
        quiet: Whether to keep silent on standard error.

    Returns:
        The result; interrupted, the picture until then.

    Raises:
        GramscopeError: As the command line's messages; see `interp.errors`.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> photo, painting = (rng.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _ in range(2))
        >>> done = restyle(photo, painting, box=(8, 8, 48, 80), size=96, iterations=2, quiet=True)
        >>> done.image.size, done.changed_outside
        ((96, 96), 0)
    """
    call = {name: value for name, value in locals().items() if value is not None}
    options = RunOptions(weights=weights, device=_one_of(Device, device), seed=seed, no_report=not report, quiet=quiet)
    foreground = _foreground(prompt, box, points, not_points, mask, feather)
    side, colour, named = _one_of(Region, region), _one_of(Colour, keep_colour or "none"), way_named(preset)
    _check(foreground, seed)
    if side is Region.ALL and foreground.given:
        raise idle_with_all(foreground.given[0])
    if named.sources and (strength is not None or keep_colour is not None):
        raise fixed_by_recipe(named, [name for name in ("strength", "keep_colour") if name in call])
    work = Work(options)
    way = LoopOptions(preset, size=size, iterations=iterations).way(named, None, seed)
    strength = next((each for each in (strength, way.strength) if each is not None), 1.0)
    try:
        picture, learnt = work.load("photo", photo), work.load("painting", painting)
        parts = [Part(side, learnt, None, strength, colour)]
        check_parts(named, parts)
        given = None if mask is None else work.mask(mask, picture.size_hw_px)
        done = restyle_parts(work, picture, parts, foreground, LayerOptions(), way, given, grows=size is None)
        record = _record(work, done, call) if report else None
    except Exception as error:
        if not is_out_of_memory(error) or isinstance(error, OutOfMemoryError):
            raise
        raise OutOfMemoryError("Out of memory. Use a smaller size.") from error
    finally:
        work.end_display()
    return _restyled(work, done, record, [each for each in (photo, painting, mask) if isinstance(each, str | Path)])


def segment(
    photo: Source,
    *,
    prompt: str = "auto",
    box: Sequence[int] | str | None = None,
    points: Sequence[tuple[int, int]] = (),
    not_points: Sequence[tuple[int, int]] = (),
    mask: Source | None = None,
    feather: float | None = None,
    weights: str = "auto",
    device: str = "auto",
    seed: int = 0,
    quiet: bool = False,
) -> "Segmentation":
    """Cut the foreground of a photo, as `python cli.py segment` does; `segment.segment` is the cut by itself.

    Args:
        photo: As `restyle` takes it.
        prompt: How to find the foreground; see `segment.segment`.
        box: As `restyle` takes it.
        points: Places (x, y) in it, in px.
        not_points: Places outside it.
        mask: An earlier cut to correct, white inside.
        feather: Width of the soft edge in px; None follows the photo.
        weights: As `interp.load_vgg`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        seed: Of everything random.
        quiet: Whether to keep silent on standard error.

    Returns:
        The cut: `alpha_hw01` is soft, `mask_hw` hard.

    Raises:
        GramscopeError: As the command line's messages; see `interp.errors`.
    """
    foreground = _foreground(prompt, box, points, not_points, mask, feather)
    _check(foreground, seed)
    work = Work(RunOptions(weights=weights, device=_one_of(Device, device), seed=seed, quiet=quiet))
    picture = work.load("photo", photo)
    given = None if mask is None else work.mask(mask, picture.size_hw_px)
    return find_foreground(work, picture, foreground, mask_hw01=given)


def _foreground(
    prompt: str,
    box: Sequence[int] | str | None,
    points: Sequence[tuple[int, int]],
    not_points: Sequence[tuple[int, int]],
    mask: Source | None,
    feather: float | None,
) -> ForegroundOptions:
    """The command line's options."""
    return ForegroundOptions(
        prompt="mask" if mask is not None and prompt == "auto" else prompt,
        box=box if isinstance(box, str) or box is None else ",".join(str(length) for length in box),
        point=[f"{x},{y}" for x, y in points] or None,
        not_point=[f"{x},{y}" for x, y in not_points] or None,
        feather=feather,
    )


def _check(foreground: ForegroundOptions, seed: int) -> None:
    foreground.check()
    if not 0 <= seed < MAX_SEED:
        raise UsageError(f"Seed {seed}; expected 0 … {MAX_SEED - 1}.")


def _restyled(work: Work, done: Restyling, record: "Record | None", files: "list[str | Path]") -> Restyled:
    from reports.foreground import how_found

    part = done.parts[0]
    return Restyled(
        pixels_hwc=done.job.photo.original.with_alpha(done.job.result_hwc),
        alpha_hw01=done.job.last.scene.regions[0].alpha_hw01,
        photo=done.job.photo,
        painting=part.painting,
        region=part.region.value,
        found=how_found(done.segmentation) if done.segmentation else "",
        notes=tuple(work.warnings),
        record=record,
        files=tuple(as_path(file) for file in files),
    )


def _record(work: Work, done: Restyling, call: dict[str, Any]) -> "Record":
    """The report's facts, with the call in the place of a command line."""
    from commands.story import tell_stylize

    texts = {name: _text_of(value) for name, value in call.items()}
    line = f"restyle({', '.join(f'{name}={text!r}' for name, text in texts.items())})"
    rows = [(name, str(text), "call") for name, text in texts.items()]
    return work.record(tell_stylize(done, exact=True), done.vgg, line, rows, {}, {})


def _text_of(value: Any) -> Any:
    """An argument as a reader would type it; of a picture in memory, no more than that there was one."""
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, str | int | float | tuple | list) else "…"


def _one_of(kind: type[Choice], name: str) -> Choice:
    """A member by its value.

    Raises:
        UsageError: If there is none.
    """
    values = [each.value for each in kind]
    if name not in values:
        raise unknown_name(kind.__name__.lower(), name, values)
    return kind(name)
