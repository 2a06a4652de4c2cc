"""One stylize job: optimise with a progress display, bring the result into the photo, measure it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.progress import progress
from commands.run import Run

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from stylize.isolate import Isolation
    from stylize.optimise import Step, StepEvent
    from stylize.outcome import Outcome
    from stylize.presets import Settings
    from stylize.region import StyledRegion

SNAPSHOTS_AT = (0.1, 0.3, 0.5, 0.75)  # of the run


@dataclass(frozen=True)
class Job:
    """What the optimisation left behind: every step's figures, the last event with its images, and the measures."""

    photo: "Picture"
    styled: "list[StyledRegion]"
    settings: "Settings"
    steps: "list[Step]"
    last: "StepEvent"
    snapshots: "list[tuple[str, np.ndarray]]"
    result_hwc_u8: "np.ndarray"
    isolation: "Isolation"
    outcomes: "list[Outcome]"
    interrupted: bool


def do_job(
    run: Run, vgg: "Vgg", photo: "Picture", styled: "list[StyledRegion]", settings: "Settings",
    kept_hwc_u8: "np.ndarray | None" = None,
) -> Job:  # fmt: skip
    """Run the loop with a progress display; on Ctrl-C keep the best images so far."""
    from interp.pictures.images import to_hwc_u8, to_nchw01
    from stylize.isolate import compose, measure
    from stylize.optimise import stylize as optimise
    from stylize.outcome import judge

    last: StepEvent | None = None
    steps, snapshots, interrupted, marks = [], [], False, list(SNAPSHOTS_AT)
    image = photo.image_nchw01.to(run.device())
    with progress(run.options.progress, run.options.quiet) as display:
        try:
            for last in optimise(vgg, image, styled, settings):
                steps.append(last.figures)
                display.show(last, f"{last.size_hw_px[1]}x{last.size_hw_px[0]} px  loss {last.losses['total']:.4f}")
                if marks and last.step >= marks[0] * last.total:
                    marks.pop(0)
                    snapshots.append((f"step {last.step}", to_hwc_u8(last.image_nchw01)))
        except KeyboardInterrupt:
            interrupted = True
    if last is None:
        raise KeyboardInterrupt
    if interrupted:
        run.warn(f"Interrupted at step {last.step} of {last.total}: this is the best image until then.")
    result = compose(photo.rgb_hwc_u8, styled, last.restyled_rchw, kept_hwc_u8)
    isolation = measure(vgg, photo.rgb_hwc_u8, result, styled, last.scene, last.restyled_rchw, settings)
    judged = to_nchw01(result).to(run.device())
    outcomes = [judge(vgg, image, judged, region, last.size_hw_px, settings.style_scale) for region in styled]
    return Job(photo, styled, settings, steps, last, snapshots, result, isolation, outcomes, interrupted)
