"""Pairs of pictures for a comparison or a sweep, brought to one size with their region; cuts made on a result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.foreground import ForegroundOptions, find_foreground, region_alpha
from commands.options import Region
from commands.run import Run
from commands.work import Work
from interp.errors import MaskError

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from segment.segmentation import Segmentation
    from stylize.pair import Pair


@dataclass(frozen=True)
class PicturePair:
    """Two pictures as loaded, and the pair to compare on."""

    photo: "Picture"
    painting: "Picture"
    pair: "Pair"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.photo.name} after {self.painting.name}"


def prepare(
    run: Run,
    vgg: "Vgg",
    photo: "Picture",
    painting: "Picture",
    region: Region,
    foreground: ForegroundOptions,
    size_px: int,
    *,
    iterations: int | None = None,
    jitters: int = 1,
) -> PicturePair:
    """Find a pair's region and bring everything to the working size."""
    from interp.pictures.sizes import resize_hw01, resize_nchw01, working_size_hw_px
    from stylize.pair import Pair

    segmentation = None
    if region is not Region.ALL:
        segmentation = find_foreground(run, photo, foreground)
    size = working_size_hw_px(photo.size_hw_px, size_px)
    pair = Pair(
        vgg,
        resize_nchw01(photo.image_nchw01, size).to(run.device()),
        painting.image_nchw01.to(run.device()),
        resize_hw01(region_alpha(region, photo, segmentation), size),
        iterations,
        jitters,
        run.options.seed,
        cutter(run, segmentation, size, region) if segmentation else None,
    )
    return PicturePair(photo, painting, pair)


def box_of(mask_hw: "np.ndarray", size_hw_px: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box (x, y, width, height) around a foreground, in pixels of another size.

    Raises:
        MaskError: If nothing of it is left at that size.
    """
    import numpy as np

    from interp.pictures.sizes import resize_hw01

    rows, columns = np.nonzero(resize_hw01(mask_hw.astype(np.float32), size_hw_px) >= 0.5)
    if not len(rows):
        raise MaskError(f"The foreground vanishes at {size_hw_px[1]}x{size_hw_px[0]} px. Use a larger --size.")
    left, top = int(columns.min()), int(rows.min())
    return left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top


def grabcut_within(work: Work, box_xywh_px: tuple[int, int, int, int], rgb_hwc_u8: "np.ndarray") -> "np.ndarray":
    """GrabCut on a result, inside the box that the foreground has in the photo; the foreground's alpha."""
    import numpy as np

    from segment import segment

    try:
        return segment(rgb_hwc_u8, box_xywh_px=box_xywh_px, seed=work.options.seed).alpha_hw01
    except MaskError as error:
        work.warn(f"GrabCut found nothing usable in a result ({error}); the whole box was taken.")
        x, y, width, height = box_xywh_px
        alpha = np.zeros(rgb_hwc_u8.shape[:2], np.float32)
        alpha[y : y + height, x : x + width] = 1
        return alpha


def cutter(
    work: Work, segmentation: "Segmentation", size_hw_px: tuple[int, int], region: Region
) -> "Callable[[np.ndarray], np.ndarray]":
    """What a recipe that cuts its result would have taken for the region."""
    from interp.pictures.images import quantise_hw01

    box = box_of(segmentation.mask_hw, size_hw_px)

    def cut(result_hwc_u8: "np.ndarray") -> "np.ndarray":
        alpha = grabcut_within(work, box, result_hwc_u8)
        return alpha if region is Region.FOREGROUND else quantise_hw01(1 - alpha)

    return cut
