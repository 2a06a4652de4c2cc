"""What is measured of a restyled photo, region by region."""

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from interp.network.layer_names import layer

if TYPE_CHECKING:
    from commands.job import Job
    from commands.work import Work
    from interp.network.vgg import Vgg
    from stylize.canvas import Canvas
    from stylize.optimise import StepEvent
    from stylize.region import StyledRegion
    from stylize.rulers import Reading

LARGEST_READ_PX = 1024  # networks' maps of a whole larger picture take gigabytes
CLEARLY = 0.7  # of the photo's distance: a painting that is nearer
COARSE_BLOCK = 3


@dataclass(frozen=True)
class Measured:
    """One region of the finest scale, and what the rulers say of it."""

    region: "StyledRegion"
    canvas: "Canvas"
    photo: "Reading"
    result: "Reading"
    painting: "Reading"

    @property
    def style_share(self) -> float:
        """Share of the way from the photo to the painting, at layers not in the loss if there are any.

        Finer ones than block 3 see little but colours. Where the painting, laid over the photo, is hardly nearer to its
        own statistics than the photo is, a layer says nothing. The median layer's: where channels seldom fire,
        distances are several times the painting's energy, and in a mean outweigh all others.
        """
        able = [name for name, far in self.photo.gram.items() if self.painting.gram[name] < CLEARLY * far]
        coarse = [name for name in able if layer(name).block >= COARSE_BLOCK]
        unseen = [name for name in coarse or able if name not in self.canvas.loss.layers]
        if not (layers := unseen or coarse or able):
            return math.nan
        photo, result, painting = (each.gram for each in (self.photo, self.result, self.painting))
        return median((photo[name] - result[name]) / (photo[name] - painting[name]) for name in layers)


def at_reading_size(work: "Work", vgg: "Vgg", job: "Job") -> "StepEvent":
    """The last event, where it is large at a size at which the networks' maps of the whole picture fit into memory."""
    from interp.pictures.images import to_nchw01
    from stylize.optimise import reduced

    if max(job.last.size_hw_px) <= LARGEST_READ_PX:
        return job.last
    worked = max(job.last.size_hw_px)
    work.warn(
        f"What a network measures for the report is measured at {LARGEST_READ_PX} px, not at {worked}; pixels are "
        "compared at the photo's own size."
    )
    photo = to_nchw01(job.photo.original.visible_hwc_u8).to(job.last.scene.photo_nchw01)
    return reduced(vgg, photo, job.last, job.way, LARGEST_READ_PX)


def read(vgg: "Vgg", job: "Job", last: "StepEvent") -> list[Measured]:
    """Read the saved result on the rulers, region by region."""
    from interp.pictures.images import to_nchw01
    from interp.pictures.sizes import resize_nchw01
    from stylize.rulers import rulers_of

    scene, found = last.scene, []
    result = resize_nchw01(to_nchw01(job.result_hwc_u8).to(scene.photo_nchw01), last.size_hw_px)
    for number, (region, canvas) in enumerate(zip(scene.regions, scene.canvases, strict=True)):
        rulers = rulers_of(vgg, scene, number)
        found.append(Measured(region, canvas, rulers.photo, rulers.read(result), rulers.painting))
    return found
