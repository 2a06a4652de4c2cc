"""Gramscope from Python: one call for a script or a notebook, on the same road as the command line.

Here, above the packages, because it joins what they keep apart: finding a region, restyling it, telling of it. Their
own functions go by this name too: `gramscope.activations`, `gramscope.saliency_map`.
"""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from commands.foreground import ForegroundOptions, find_foreground
from commands.options import MAX_SEED, Device, Region, RunOptions, idle_with_all
from commands.outputs import check_replaceable, check_suffix, in_format_of, write_atomically
from commands.parts import Colour, Part
from commands.restyling import LayerOptions, LoopOptions, Restyling, check_parts, fixed_by_recipe, restyle_parts
from commands.work import Work
from interp.errors import OutOfMemoryError, UsageError, is_out_of_memory, unknown_name
from interp.pictures.deep import DEEP_SUFFIXES
from interp.pictures.files import as_path
from interp.pictures.images import Picture, Source, encode_png, encode_webp
from stylize.ways import way_named

if TYPE_CHECKING:
    from reports.record import Record
    from segment.segmentation import Segmentation

FROM = {  # loaded when asked for, as torch is
    "activations": "interp",
    "choose_layers": "interp",
    "load_image": "interp",
    "load_picture": "interp",
    "load_vgg": "interp",
    "quick_verdict": "interp",
    "saliency_map": "interp",
}
__all__ = ["Restyled", "restyle", "segment"]

PREVIEW_PX = 512  # long side of the pictures that a notebook shows
Choice = TypeVar("Choice", bound=Enum)


def __getattr__(name: str) -> Any:
    if name in FROM:
        return getattr(import_module(FROM[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True)
class Restyled:
    """A restyled photo; a notebook shows it beside photo and painting.

    Attributes:
        pixels_hwc: (H, W, 3) RGB, or RGBA where the photo is transparent; the photo's size and type, uint8 or uint16.
        alpha_hw01: (H, W) float32 in [0, 1], what was restyled.
        photo: As it was read.
        painting: As it was read.
        region: `background`, `foreground` or `all`.
        found: How the foreground was found, in a sentence; empty for all of the photo.
        notes: What to know of the result, a sentence each.
        record: The report's facts, if a report was asked for.
        files: What it was made from, never to be written over.
    """

    pixels_hwc: np.ndarray = field(repr=False)
    alpha_hw01: np.ndarray = field(repr=False)
    photo: Picture
    painting: Picture
    region: str
    found: str
    notes: tuple[str, ...]
    record: "Record | None" = field(default=None, repr=False)
    files: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def image(self) -> Image.Image:
        """The picture, in 8 bits."""
        return Image.fromarray(self.photo.original.in_8_bits(self.pixels_hwc))

    @property
    def changed_outside(self) -> int:
        """Number of pixels outside the region that are not the photo's own."""
        outside = self.alpha_hw01 == 0
        return int((self.pixels_hwc[outside, :3] != self.photo.original.rgb_hwc[outside]).any(axis=1).sum())

    def save(self, path: str | Path) -> Path:
        """Write the picture: .png and .tif keep every pixel, .webp too unless it has 16 bits a channel, .jpg does not.

        An existing file is replaced, unless the picture was made from it.

        Raises:
            UsageError: If the name is no picture's.
            OutputError: If it cannot be written, or is one of the inputs.
        """
        path = as_path(path)
        check_suffix(path)
        check_replaceable(path, True, self.files)
        deep = path.suffix.lower() in DEEP_SUFFIXES
        pixels = self.pixels_hwc if deep else self.photo.original.in_8_bits(self.pixels_hwc)
        write_atomically(path, in_format_of(path, encode_png(pixels)))
        return path

    def save_report(self, path: str | Path) -> Path:
        """Write the HTML report, where `restyle(..., report=True)` made one.

        Raises:
            UsageError: If there is none.
            OutputError: If it cannot be written.
        """
        from reports.html import render_html

        if self.record is None:
            raise UsageError("No report was made; call restyle(..., report=True).")
        write_atomically(as_path(path), render_html(self.record).encode())
        return as_path(path)

    def _repr_png_(self) -> bytes:
        return encode_png(self.photo.original.in_8_bits(self.pixels_hwc))

    def _repr_html_(self) -> str:
        shown = {"photo": self.photo.rgb_hwc_u8, "painting": self.painting.rgb_hwc_u8, "result": np.asarray(self.image)}
        figures = "".join(_figure(name, pixels) for name, pixels in shown.items())
        words = " ".join(html.escape(sentence) for sentence in (self.found, self._outside(), *self.notes) if sentence)
        return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div><p>{words}</p>'

    def _outside(self) -> str:
        outside = int((self.alpha_hw01 == 0).sum())
        if not outside:
            return ""
        changed = self.changed_outside
        return f"Of {outside:,} pixels outside the {self.region}, {changed or 'none'} differ{'' if changed else 's'}."


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
        preset: `default`, `draft` (for a first look), a TOML file, or a recipe of other work.
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
    way = LoopOptions(preset, size, iterations).way(named, None, seed)
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
    from commands.seeing import look

    foreground = _foreground(prompt, box, points, not_points, mask, feather)
    _check(foreground, seed)
    work = Work(RunOptions(weights=weights, device=_one_of(Device, device), seed=seed, quiet=quiet))
    picture = work.load("photo", photo)
    findings = look(work, work.network(), picture) if foreground.needs_saliency else None
    given = None if mask is None else work.mask(mask, picture.size_hw_px)
    return find_foreground(work, picture, foreground, findings, given)


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


def _figure(name: str, pixels_hwc_u8: np.ndarray) -> str:
    data = base64.b64encode(encode_webp(pixels_hwc_u8, long_side_px=PREVIEW_PX)).decode()
    return (
        f'<figure style="margin:0;flex:1 1 200px;max-width:{PREVIEW_PX}px"><img alt="{name}" style="width:100%" '
        f'src="data:image/webp;base64,{data}"><figcaption>{name}</figcaption></figure>'
    )
