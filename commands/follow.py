"""`stylize --preset report-pytorch` and the like: follow a recipe of other work on everything, paste the region."""

import math
from dataclasses import fields
from typing import TYPE_CHECKING

import typer

from commands.contest import box_of, grabcut_within
from commands.foreground import ForegroundOptions
from commands.options import INTERRUPTED, Region, RunOptions
from commands.progress import progress
from commands.run import Run
from interp.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from reports.record import Section
    from reports.store import RecordBuilder
    from segment.segmentation import Segmentation
    from stylize.historical import RecipeEvent
    from stylize.isolate import Isolation
    from stylize.optimise import Step
    from stylize.recipes import Recipe

# What a recipe leaves open; beside these, every option of the run and of finding the foreground.
OPEN = ("image", "style", "style_foreground", "style_background", "region", "preset", "size", "iterations")


def check_options(run: Run, recipe: "Recipe") -> None:
    """Refuse options that a recipe leaves no room for.

    Raises:
        UsageError: If one was given.
    """
    shared = {item.name for group in (RunOptions, ForegroundOptions) for item in fields(group)}
    given = [name for name in run.context.params if name not in {*shared, *OPEN} and run.is_given(name)]
    if given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"{named} cannot be combined with preset {recipe.name!r}, which fixes every constant; of the loop's "
            "options only --size and --iterations go with it."
        )


def follow_recipe(
    run: Run,
    vgg: "Vgg",
    pictures: "tuple[Picture, Picture]",
    recipe: "Recipe",
    alpha_hw01: "np.ndarray",
    segmentation: "Segmentation | None",
    region: Region,
    *,
    size_px: int | None,
    iterations: int | None,
) -> None:
    """Restyle the whole photo, cut or paste, write the pictures and the report."""
    import numpy as np

    from interp.pictures.images import encode_jpeg, encode_png, mask_u8, quantise_hw01, to_hwc_u8
    from stylize.historical import paste

    photo, painting = pictures
    steps, snapshots, last, interrupted = _run(run, vgg, photo, painting, recipe, size_px, iterations)

    def pasted(alpha: np.ndarray) -> np.ndarray:
        return to_hwc_u8(paste(photo.image_nchw01, last.image_nchw01, alpha))

    if recipe.cut_result and segmentation:
        box = box_of(segmentation.mask_hw, photo.size_hw_px)
        cut = grabcut_within(run, box, pasted(np.ones_like(alpha_hw01)))
        alpha_hw01 = cut if region is Region.FOREGROUND else quantise_hw01(1 - cut)
    result = pasted(alpha_hw01)
    exact = run.plan.paths["image"].suffix.lower() == ".png"
    run.write("image", (encode_png if exact else encode_jpeg)(result))
    run.write("mask", encode_png(mask_u8(alpha_hw01 >= 0.5)))
    run.write("alpha", encode_png(mask_u8(alpha_hw01)))
    if not run.options.no_report:
        builder = _tell(run, vgg, pictures, recipe, (alpha_hw01, segmentation, region), result, steps, snapshots, last)
        run.write_report(builder, vgg)
    run.finish()
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _run(
    run: Run, vgg: "Vgg", photo: "Picture", painting: "Picture", recipe: "Recipe", size_px: int | None,
    iterations: int | None,
) -> "tuple[list[Step], list[tuple[str, np.ndarray]], RecipeEvent, bool]":  # fmt: skip
    """Follow the recipe with a progress display; on Ctrl-C keep what there is."""
    from interp.pictures.images import to_hwc_u8
    from stylize.historical import follow

    device, last, interrupted = run.device(), None, False
    steps: list[Step] = []
    snapshots: list[tuple[str, np.ndarray]] = []
    images = photo.image_nchw01.to(device), painting.image_nchw01.to(device)
    with progress(run.options.progress, run.options.quiet) as display:
        try:
            for last in follow(vgg, *images, recipe, size_px=size_px, iterations=iterations):
                steps.append(last.figures)
                display.show(last, f"{recipe.name}  loss {last.losses['total']:.4g}")
                if last.step % recipe.every == 0 and last.step < last.total:
                    snapshots.append((f"step {last.step:,}", to_hwc_u8(last.image_nchw01)))
        except KeyboardInterrupt:
            interrupted = True
    if last is None:
        raise KeyboardInterrupt
    if interrupted:
        run.warn(f"Interrupted at step {last.step} of {last.total}: this is the picture at that step.")
    if not math.isfinite(last.losses["total"]):
        run.warn(f"The loss stopped being finite at step {last.step}.")
    snapshots.append((f"step {last.step:,}, the end", to_hwc_u8(last.image_nchw01)))
    return steps, snapshots, last, interrupted


def _tell(
    run: Run,
    vgg: "Vgg",
    pictures: "tuple[Picture, Picture]",
    recipe: "Recipe",
    area: "tuple[np.ndarray, Segmentation | None, Region]",
    result_hwc_u8: "np.ndarray",
    steps: "list[Step]",
    snapshots: "list[tuple[str, np.ndarray]]",
    last: "RecipeEvent",
) -> "RecordBuilder":
    """Put the run into a record."""
    from reports import optimisation_section, region_section, result_section, study
    from reports.store import RecordBuilder
    from stylize.historical import RecipeLoss, recipe_notes

    (photo, painting), (alpha, segmentation, region) = pictures, area
    loss = RecipeLoss(vgg, photo.image_nchw01.to(run.device()), painting.image_nchw01, recipe, max(last.size_hw_px))
    run.warnings += recipe_notes(
        recipe, vgg, max(last.size_hw_px), last.total, loss.first_style_gradient_norm()
    )  # fmt: skip
    title = f"{photo.name} after {painting.name}, by {recipe.title}"
    builder = RecordBuilder("stylize", title, f"{recipe.name}: {last.step:,} steps in {last.elapsed_s:.0f} s.")
    store, add = builder.images, builder.sections.append
    whole = region is Region.ALL
    add(
        result_section(
            store, photo.rgb_hwc_u8, result_hwc_u8, None if whole else alpha, region=region.value,
            paintings={painting.name: painting.rgb_hwc_u8},
        )
    )  # fmt: skip
    if segmentation:
        isolation = _isolation(photo.rgb_hwc_u8, result_hwc_u8, alpha)
        add(region_section(store, photo.rgb_hwc_u8, segmentation, alpha, isolation, region=region.value))
    add(optimisation_section(store, steps, snapshots, seconds=last.elapsed_s))
    add(_outcome_section(run, vgg, pictures, alpha, result_hwc_u8, recipe))
    add(study.constants_section([recipe]))
    builder.data = {"recipe": recipe, "losses": last.losses, "steps": last.step}
    return builder


def _isolation(photo_hwc_u8: "np.ndarray", result_hwc_u8: "np.ndarray", alpha_hw01: "np.ndarray") -> "Isolation":
    """Pixels outside; no leak is measured, because a recipe sees the whole picture by design."""
    import numpy as np

    from stylize.isolate import Isolation

    outside = alpha_hw01 == 0
    change = np.abs(result_hwc_u8.astype(np.int16) - photo_hwc_u8)[outside]
    return Isolation(int(outside.sum()), int(change.max()) if change.size else 0, (), 0, 0.0)


def _outcome_section(
    run: Run, vgg: "Vgg", pictures: "tuple[Picture, Picture]", alpha_hw01: "np.ndarray", result_hwc_u8: "np.ndarray",
    recipe: "Recipe",
) -> "Section":  # fmt: skip
    """The common yardstick before and after, at the recipe's size."""
    from interp.pictures.images import to_nchw01
    from interp.pictures.sizes import resize_hw01, resize_nchw01, working_size_hw_px
    from reports.restyling import outcome_section
    from stylize.judge import Judge

    photo, painting = pictures
    size = working_size_hw_px(photo.size_hw_px, recipe.size_px)
    device = run.device()
    small = resize_nchw01(photo.image_nchw01, size).to(device)
    judge = Judge(vgg, small, painting.image_nchw01.to(device), resize_hw01(alpha_hw01, size))
    result = resize_nchw01(to_nchw01(result_hwc_u8), size).to(device)
    before, after = judge.read(small, 0, 0.0), judge.read(result, 1, 0.0)
    used = {*recipe.style_layers, recipe.content_layer}
    unseen = [name for name in judge.layers if name not in used]
    pairs = {
        "mean Gram distance to the painting, layers in the loss": [
            reading.mean_style(recipe.style_layers) for reading in (before, after)
        ],
        "mean Gram distance to the painting, layers not in the loss": [
            reading.mean_style(unseen) for reading in (before, after)
        ],
        "random-network distance to the painting": [reading.marks.style_gram for reading in (before, after)],
        "patch distance to the painting": [reading.marks.patches for reading in (before, after)],
    }
    rows = [
        (name, f"{then:.3f}", f"{now:.3f}", "closer to the painting" if now < then else "no closer")
        for name, (then, now) in pairs.items()
    ]
    rows.append((f"distance to the photo at {recipe.content_layer}", "0", f"{after.content:.2f}", "0 is the photo"))
    rows.append(("edges kept", "1", f"{after.marks.edges_kept:.2f}", "1 is the photo"))
    return outcome_section(rows)
