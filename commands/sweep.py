"""`sweep`: search strength, layer weights, optimiser, learning rate and start; leave the best as a preset."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.foreground import ForegroundOptions
from commands.options import INTERRUPTED, ImageArgument, Region, RegionOption, RunOptions, StyleOption, command
from commands.pairs import PicturePair, prepare
from commands.run import Run
from interp.errors import UsageError
from stylize.preset_file import SETTINGS
from stylize.ways import preset_named

if TYPE_CHECKING:
    import optuna

    from reports.store import RecordBuilder
    from stylize.presets import Preset
    from stylize.sweep import Attempt

TrialsOption = Annotated[int, typer.Option("--trials", min=2, help="Finished trials wanted, earlier ones included.")]
ResumeOption = Annotated[
    Path | None, typer.Option("--resume", metavar="FILE", help="Go on with an earlier sweep's .sqlite3 file.")
]
SizeOption = Annotated[int, typer.Option("--size", min=64, max=2048, help="Long side of the trials, in px.")]
IterationsOption = Annotated[int, typer.Option("--iterations", min=1, help="Steps of a trial at its finest scale.")]
PresetOption = Annotated[str, typer.Option("--preset", help="What is not searched: a preset or a TOML file.")]


@command
def sweep(
    context: typer.Context,
    options: RunOptions,
    foreground: ForegroundOptions,
    image: ImageArgument = None,
    style: StyleOption = None,
    trials: TrialsOption = 40,
    resume: ResumeOption = None,
    preset: PresetOption = "default",
    region: RegionOption = Region.ALL,
    size: SizeOption = 128,
    iterations: IterationsOption = 60,
) -> None:
    """Search the settings that restyle one pair of pictures best, and leave them as a preset file.

    Example: python cli.py sweep photo.jpg --style painting.jpg --trials 60
    """
    run = Run(context, options)
    _check_optuna()
    base = preset_named(preset)
    foreground.check()
    photo, painting = run.photo(image, "astronaut"), run.painting(style)
    extensions = {"figure": "png", "preset": "toml"}
    run.plan_outputs(photo.stem, extensions if resume else {**extensions, "study": "sqlite3"})
    store = resume or run.plan.paths["study"]
    if resume and os.path.isfile(resume):  # noqa: PTH113 -- Path's raises for a name that is too long
        run.hold(resume)
    if not resume:
        store.unlink(missing_ok=True)  # there is one only where --overwrite was given

    import optuna

    from stylize.sweep import choose, finished, importances, open_study, preset_of

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    vgg = run.network()
    pair = prepare(run, vgg, photo, painting, region, foreground, size)
    tried = replace(base, iterations=iterations, coarse_iterations=min(iterations, base.coarse_iterations))
    identity = _identity(run, pair, vgg.info.sha256, tried, size)
    with open_study(store, identity, options.seed, resume=resume is not None) as study:
        earlier = len(finished(study))
        run.say(f"{earlier} trials finished earlier." if resume else f"Trials are kept in {store}: --resume goes on.")
        run.foresee({"trials": _trial_s(pair, tried) * max(1, trials - earlier), "report": 8.0})
        interrupted = _search(run, study, pair, tried, trials)
        attempts, shares = finished(study), importances(study)
    if not attempts:
        raise KeyboardInterrupt
    best = choose(attempts)
    chosen = preset_of(best.values, base)
    run.begin("report", "Drawing the results.")
    from reports.sweep import pareto_front

    run.write("figure", pareto_front(attempts, best))
    run.write("preset", _toml(chosen, best, attempts, pair, size).encode())
    run.written["study"] = store
    if not options.no_report:
        run.write_report(_tell(run, pair, attempts, best, shares, run.plan.paths["preset"], tried), vgg)
    run.finish()
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _check_optuna() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("optuna", "sklearn") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"sweep needs {' and '.join(missing)}, not installed here. Run: pip install 'gramscope[sweep]'"
        )


def _identity(run: Run, pair: PicturePair, weights_sha256: str, tried: "Preset", size_px: int) -> dict[str, str]:
    """What the trials are about; a study may only go on with the same."""
    import hashlib

    alpha = hashlib.sha256(pair.pair.alpha_hw01.tobytes()).hexdigest()
    return {
        "photo": pair.photo.sha256,
        "painting": pair.painting.sha256,
        "weights": weights_sha256,
        "region": alpha,
        "size": str(size_px),
        "base settings": str({name: getattr(tried, name) for name in SETTINGS}),
        "seed": str(run.options.seed),
    }


def _trial_s(pair: PicturePair, tried: "Preset") -> float:
    """Foreseen seconds of a trial: a run, and another from a jittered photo."""
    from stylize.forecast import Extent, forecast

    shared = pair.pair
    return 2 * forecast(shared.as_run(tried), [Extent.of(shared.alpha_hw01)], shared.vgg.info.width, 1).painting_s


def _search(run: Run, study: "optuna.Study", pair: PicturePair, base: "Preset", trials: int) -> bool:
    """Run the trials; True if interrupted."""
    from stylize.sweep import finished, sweep

    earlier = len(finished(study))
    try:
        for number, attempt in enumerate(sweep(study, pair.pair, base, trials), start=1):
            words = ", ".join(f"{value:.3g}" for value in attempt.objectives)
            run.at("trials", number / max(1, trials - earlier), f"trial {earlier + number}: {words}")
    except KeyboardInterrupt:
        run.warn("Interrupted: --resume goes on from here.")
        return True
    return False


def _toml(chosen: "Preset", best: "Attempt", attempts: "list[Attempt]", pair: PicturePair, size_px: int) -> str:
    from stylize.preset_file import dump_preset
    from stylize.sweep import OBJECTIVES

    figures = ", ".join(f"{name} {value:.3g}" for name, value in zip(OBJECTIVES, best.objectives, strict=True))
    comment = (
        f"Found by `sweep` for {pair.name} at {size_px} px: trial {best.number} of {len(attempts)} finished.\n"
        f"{figures}.\nUse: python cli.py stylize PHOTO --style PAINTING --preset THIS_FILE"
    )
    return dump_preset(chosen, comment)


def _tell(
    run: Run, pair: PicturePair, attempts: "list[Attempt]", best: "Attempt", shares: dict[str, dict[str, float]],
    preset_path: Path, tried: "Preset",
) -> "RecordBuilder":  # fmt: skip
    """Put a sweep into a record."""
    from reports.conclusions.restyling import sweep_conclusion
    from reports.restyling import restyled_row, result_section
    from reports.store import RecordBuilder
    from reports.sweep import sweep_sections
    from stylize.sweep import OBJECTIVES, preset_of, result_of

    shared = pair.pair
    result = result_of(shared, preset_of(best.values, tried))
    front = sum(attempt.on_front for attempt in attempts)
    headline = f"{len(attempts)} trials, {front} of them on the Pareto front; trial {best.number} was chosen."
    builder = RecordBuilder("sweep", f"Sweep: {pair.name}", headline)
    everywhere = bool((shared.alpha_hw01 == 1).all())
    builder.sections.append(
        result_section(
            builder.images, shared.photo_hwc_u8, result, None if everywhere else shared.alpha_hw01,
        )
    )  # fmt: skip
    paintings = {pair.painting.name: pair.painting.rgb_hwc_u8}
    builder.lead.append(restyled_row(builder.images, shared.photo_hwc_u8, paintings, result))
    builder.conclusion = sweep_conclusion(attempts, best, preset_path.name)
    preset_text = preset_path.read_text("utf-8")
    builder.sections += sweep_sections(builder.images, attempts, best, shares, OBJECTIVES, preset_text)
    builder.data = {"attempts": attempts, "best": best, "importances": shares, "objectives": OBJECTIVES}
    return builder
