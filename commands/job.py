"""One stylize job: restyle with a progress display, bring the result into the photo, say what must be known of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from commands.checkpoint import Checkpoint, Kept, made_with
from commands.on_the_way import OnTheWay
from commands.work import Work
from interp.errors import OutputError

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from stylize.forecast import Forecast
    from stylize.optimise import Step, StepEvent
    from stylize.region import StyledRegion
    from stylize.ways import Way


@dataclass(frozen=True)
class Job:
    """What a run left behind: every step's figures, the last event with its scene and images, and the result."""

    photo: "Picture"
    way: "Way"
    steps: "list[Step]"
    last: "StepEvent"
    snapshots: "list[tuple[str, np.ndarray]]"
    result_hwc: "np.ndarray"
    interrupted: bool
    enlarged: bool  # from the working size, guided by the photo

    @property
    def ran_away(self) -> bool:
        """Whether the optimiser had to be ended."""
        return self.last.step < self.last.total and not self.interrupted

    @property
    def in_tiles(self) -> bool:
        """Whether a canvas was worked on by tiles."""
        from stylize.tiled import TiledLoss

        return any(isinstance(canvas.loss, TiledLoss) for canvas in self.last.scene.canvases)

    @cached_property
    def result_hwc_u8(self) -> "np.ndarray":
        """The result in 8 bits, white where the photo is hidden, (H, W, 3) uint8 RGB."""
        return replace(self.photo.original, rgb_hwc=self.result_hwc).visible_hwc_u8


def do_job(
    work: Work,
    vgg: "Vgg",
    photo: "Picture",
    regions: "list[StyledRegion]",
    way: "Way",
    foreseen: "Forecast",
    *,
    kept_hwc_u8: "np.ndarray | None" = None,
    cut: "Callable[[np.ndarray], np.ndarray] | None" = None,
    checkpoint: Checkpoint | None = None,
    pictures: OnTheWay | None = None,
) -> Job:
    """Restyle; on Ctrl-C keep the images so far.

    Args:
        work: Inputs and words.
        vgg: The network.
        photo: The photo.
        regions: What to restyle.
        way: How.
        foreseen: What it will take.
        kept_hwc_u8: The kept side's own colours; see `compose`.
        cut: What cuts the region out of the result, for a way that does.
        checkpoint: Where the run is kept on the way, if anywhere.
        pictures: What is kept of the pictures on the way.
    """
    from stylize.composite import compose, enlarged_rchw
    from stylize.optimise import cut_out

    way = way.resolved(work.device())
    steps, snapshots, last, interrupted = _run(work, vgg, photo, regions, way, foreseen, checkpoint, pictures)
    if last.step < last.total:
        work.end_early()
    if interrupted:
        work.warn(f"Interrupted at step {last.step} of {last.total}: this is the picture until then.")
        if checkpoint and checkpoint.exists:
            work.say(f"With --resume the same command goes on from {str(checkpoint.path)!r}.")
    _warn_of_losses(work, way, steps, last, interrupted)
    for region, canvas in zip(last.scene.regions, last.scene.canvases, strict=True):
        for name, reason in canvas.dropped.items():
            work.warn(f"Layer {name} was left out of the {region.name} at the finest scale: {reason}.")
    if cut:
        last = cut_out(last, photo.original.visible_hwc_u8, cut)
    own, restyled = photo.original, last.restyled_rchw
    enlarged = last.size_hw_px != photo.size_hw_px
    if enlarged:
        work.begin("enlarging", "Enlarging what was painted, guided by the photo.")
        watch = partial(work.at, "enlarging")
        restyled = enlarged_rchw(own.rgb_hwc, last.scene.regions, restyled, own.white, watch)
    work.begin("composing", "Bringing it into the photo.")
    kept = None if kept_hwc_u8 is None else own.as_changed(kept_hwc_u8)
    result = compose(own.rgb_hwc, last.scene.regions, restyled, kept, own.white)
    return Job(photo, way, steps, last, snapshots, result, interrupted, enlarged)


def _warn_of_losses(work: Work, way: "Way", steps: "list[Step]", last: "Step", interrupted: bool) -> None:
    """Where the optimiser ran away: see `descend`, which goes on once with our own way and never with others'."""
    ended = last.step < last.total and not interrupted
    if ended and way.sources:
        work.warn(
            f"The loss stopped being finite at step {last.step} of {last.total}: this is the last picture before."
        )
        return
    for step in steps[:-1] if ended else steps:
        if not math.isfinite(step.losses["total"]):
            work.warn(
                f"The loss stopped being finite at step {step.step}: it was gone on from the best picture before."
            )
    if ended:
        work.warn(
            f"The optimiser ran away twice, the second time with a tenth of the step, and was ended at step "
            f"{last.step} of {last.total}: this is the best picture before. The weights of the network or of "
            "the loss are too large: use others."
        )


def _run(
    work: Work, vgg: "Vgg", photo: "Picture", regions: "list[StyledRegion]", way: "Way", foreseen: "Forecast",
    checkpoint: Checkpoint | None, pictures: OnTheWay | None,
) -> "tuple[list[Step], list[tuple[str, np.ndarray]], StepEvent, bool]":  # fmt: skip
    """Every step's figures, pictures on the way, the last event, and whether Ctrl-C ended it."""
    from interp.pictures.images import to_hwc_u8, to_nchw01
    from stylize.optimise import stylize as optimise

    last: StepEvent | None = None
    made = made_with(vgg, photo, regions, way) if checkpoint else {}
    kept = checkpoint.load(made) if checkpoint and checkpoint.resumes else Kept(None, [], [])
    steps, snapshots = kept.steps, kept.snapshots
    if pictures:
        pictures.frames = kept.frames
    if steps and checkpoint:
        work.say(f"Going on after step {len(steps)}, with {str(checkpoint.path)!r}.")
    begun, saved_s = len(steps), 0.0
    work.begin("preparing", "Taking each region out of the photo, and matching colours.")
    image, shares = to_nchw01(photo.original.visible_hwc_u8).to(work.device()), foreseen.shares
    try:
        for last in optimise(vgg, image, regions, way, kept.position):
            if len(steps) == begun:
                work.begin("painting", "Painting.")
            steps.append(last.figures)
            words = f"{last.size_hw_px[1]}x{last.size_hw_px[0]} px  loss {last.losses['total']:.4g}"
            work.at("painting", shares[last.step - 1], words)
            if way.shows(last.step, last.total):
                snapshots.append((f"step {last.step:,}", to_hwc_u8(last.image_nchw01)))
            if pictures:
                pictures.see(last)
            if checkpoint and checkpoint.due(last, saved_s):
                saved_s = last.elapsed_s
                frames = pictures.frames if pictures else []
                checkpoint = _keep(work, checkpoint, Kept(last.position(), steps, snapshots, frames), made)
    except KeyboardInterrupt:
        if last is None:
            raise
        return steps, snapshots, last, True
    assert last is not None
    return steps, snapshots, last, False


def _keep(work: Work, checkpoint: Checkpoint, kept: Kept, made_with: dict[str, str]) -> Checkpoint | None:
    """Write the checkpoint; a disk that is full costs the checkpoint, not the run."""
    try:
        checkpoint.save(kept, made_with)
    except OutputError as error:
        work.warn(f"The run is not kept any more: {error}")
        return None
    return checkpoint
