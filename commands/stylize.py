"""`stylize`: restyle regions of a photo after paintings, and explain every choice."""

import hashlib
from dataclasses import fields, replace
from pathlib import Path

import typer

from commands.foreground import ForegroundOptions
from commands.loop import LoopOptions
from commands.options import INTERRUPTED, ImageArgument, RunOptions, command
from commands.parts import Part, StyleOptions, read_parts
from commands.restyling import LayerOptions, Restyling, check_parts, fixed_by_recipe, restyle_parts
from commands.run import Run
from commands.series import Series, series_text
from interp.errors import WeightsError
from stylize.ways import Way

# What every way leaves open, beside the options of the run and of finding the foreground.
STYLES = ("style", "style_foreground", "style_background")
ALWAYS_OPEN = (
    "image", *STYLES, "region", "preset", "instant", "size", "iterations", "checkpoint", "resume", "every",
    "timelapse",
)  # fmt: skip
STRENGTHS = ("strength", "strength_foreground", "strength_background")


@command
def stylize(
    context: typer.Context,
    options: RunOptions,
    style: StyleOptions,
    foreground: ForegroundOptions,
    loop: LoopOptions,
    layers: LayerOptions,
    image: ImageArgument = None,
) -> None:
    """Restyle the foreground or the background of a photo after a painting, or each after its own.

    Mask and alpha are written too; whichever side is painted, they mean the foreground, so that --mask reads them back.

    Example: python cli.py stylize photo.jpg --style painting.jpg --region background -o restyled.png
    """
    run = Run(context, options)
    layers.check()
    foreground.check()
    named = loop.named()
    _check_options(run, named)
    photo, parts = run.photo(image, "astronaut"), read_parts(run, style)
    check_parts(named, parts)
    series = style.kept(parts)
    files = {"image": "png", "mask": "png", "alpha": "png"} | ({"series": "json"} if style.series else {})
    files |= {"timelapse": loop.timelapse.value} if loop.timelapse else {}
    run.plan_outputs(photo.stem, files, _name_of(parts))
    pictures = loop.on_the_way(run)

    way = loop.way(named, style.style_scale, options.seed)
    if series and loop.size is None:
        way = replace(way, size_px=series.size_px)
    if way.strength is not None and not any(run.is_given(option) for option in STRENGTHS):
        parts = [replace(part, strength=way.strength) for part in parts]
    done = restyle_parts(
        run, photo, parts, foreground, layers, way, grows=loop.size is None and series is None,
        checkpoint=loop.kept(run), pictures=pictures, series=series,
    )  # fmt: skip
    run.begin("writing", "Writing the pictures.")
    run.resolved = _resolved(done)
    _write_pictures(run, done)
    if loop.timelapse:
        run.write("timelapse", pictures.encoded(loop.timelapse.value))
    if not options.no_report:
        from commands.story import tell_stylize

        told = {**_told_of_series(run, style, series), **_told_of_preset(loop.preset)}
        with run.reporting():
            run.write_report(tell_stylize(done, exact=run.exact), done.vgg, told)
    run.finish()
    if done.job.interrupted:
        raise typer.Exit(INTERRUPTED)
    if done.job.ran_away:
        raise typer.Exit(WeightsError.exit_code)


def _check_options(run: Run, way: Way) -> None:
    """Refuse options that a recipe of other work leaves no room for."""
    shared = {item.name for group in (RunOptions, ForegroundOptions) for item in fields(group)}
    given = [name for name in run.context.params if name not in {*shared, *ALWAYS_OPEN} and run.is_given(name)]
    if way.sources and given:
        raise fixed_by_recipe(way, given)


def _resolved(done: Restyling) -> dict[str, str]:
    """What the options came to that may be left open."""
    way = done.job.way
    return {
        "size": str(max(done.job.last.size_hw_px)),
        "iterations": str(way.iterations),
        "optimizer": str(getattr(way, "optimizer", "the recipe's")),
        "init": way.start,
        "style_scale": f"{way.style_scale:g}",
    }


def _told_of_series(run: Run, style: StyleOptions, series: Series | None) -> dict[str, str]:
    """What a reader should know of the series that a picture belongs to."""
    if series:
        return {"Series": f"layers, recolouring and size are those of {series.photo}, from {style.series_from}"}
    if style.series:
        return {"Series": f"the first: layers, recolouring and size are kept in {run.plan.paths['series'].name}"}
    return {}


def _told_of_preset(preset: str) -> dict[str, str]:
    """The hash of a preset's file, if it is one."""
    if not preset.endswith(".toml"):
        return {}
    return {"Preset file": f"{Path(preset).name}, SHA-256 {hashlib.sha256(Path(preset).read_bytes()).hexdigest()}"}


def _name_of(parts: list[Part]) -> str:
    return parts[0].region.value if len(parts) == 1 else "both"


def _write_pictures(run: Run, done: Restyling) -> None:
    """The result, and mask and alpha, which always mean the foreground, so that --mask can read them back."""
    from interp.pictures.images import encode_png, mask_u8

    run.write_photo("image", done.job.result_hwc, done.job.photo)
    if not run.exact:
        run.warn("JPEG is lossy: pixels outside the region are close to the photo's, not identical. Use .png for that.")
    alpha, found = done.foreground_hw01, done.segmentation
    mask = alpha >= 0.5 if found is None or done.job.way.cut_result else found.mask_hw
    run.write("mask", encode_png(mask_u8(mask)))
    run.write("alpha", encode_png(mask_u8(alpha)))
    if "series" in run.plan.paths:
        run.write("series", series_text(done).encode())
