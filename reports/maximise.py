"""What a channel wants to see: the picture made for it, and what it answers to in a photo."""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from reports.canvas import line_chart, viridis
from reports.features import scale_of
from reports.record import Block, Facts, Figure, Gallery, Section
from reports.store import ImageStore
from reports.wording import number, score_of

if TYPE_CHECKING:
    from interp.attribution.maximise import Maximised, Response

MAP_PX, PATCH_PX = 512, 160  # shown at least that large


def maximise_section(store: ImageStore, found: "Maximised", response: "Response", photo: str) -> Section:
    """The picture that was made, and the same target in a photo.

    Args:
        store: Where pictures go.
        found: The picture.
        response: What the target makes of the photo.
        photo: The photo's name.

    Returns:
        Section `maximise`.
    """
    name = found.target.name
    made = _u8(found.image_nchw01[0].permute(1, 2, 0).cpu().numpy())
    raised = score_of(found.raised)
    caption = f"Made for {name}: {raised} is {number(found.final)}."
    pictures = [Figure(store.photo(_enlarged(made, MAP_PX), f"Picture made to raise {name}."), caption)]
    shown = store.photo(_u8(response.input_hwc01), f"The photo {photo}.")
    pictures.append(Figure(shown, f"{photo}: the same number is {number(response.value)}."))
    if response.map_hw is not None:
        norm = scale_of(response.map_hw)[0]
        coloured = _enlarged(viridis(np.asarray(norm(response.map_hw))), MAP_PX)
        height, width = response.map_hw.shape
        caption = f"Where {name} answers in {photo}: {norm.vmin:.3g} (dark) … {norm.vmax:.3g}, {width}×{height} cells."
        pictures.append(Figure(store.photo(coloured, f"Map of {name} on {photo}."), caption))
    blocks: list[Block] = [Gallery(tuple(pictures))]
    if response.patches:
        patches = tuple(
            Figure(
                store.photo(_enlarged(_u8(patch), PATCH_PX), f"Patch {place} of {photo}."),
                f"{place}, {patch.shape[1]}×{patch.shape[0]} px",
            )
            for place, patch in enumerate(response.patches, 1)
        )
        blocks.append(Gallery(patches))
    steps = tuple(range(1, len(found.values) + 1))
    curve = line_chart.svg({name: (steps, found.values)}, x_label="step", y_label="value on the shaken picture")
    first, last = number(found.values[0]), number(found.values[-1])
    alt = f"Value of {name} over {len(steps)} steps: from {first} to {last}."
    blocks.append(
        Figure(store.chart(curve, alt), "The picture is shifted, turned and scaled a little before every step.")
    )
    blocks.append(Facts((("Raised", raised), ("Steps", f"{len(steps):,}"), ("Final", number(found.final)))))
    intro = (
        "A feature map says where a channel answers; the picture made for it says to what. It was optimised from grey "
        "noise (Erhan et al. 2009) as Fourier coefficients in decorrelated colours (Olah et al. 2017)."
        + (" Below: the parts of the photo that the strongest cells see." if response.patches else "")
    )
    return Section("maximise", f"What {name} wants to see", intro, tuple(blocks))


def _u8(image_hwc01: np.ndarray) -> np.ndarray:
    return np.round(np.clip(image_hwc01, 0, 1) * 255).astype(np.uint8)


def _enlarged(rgb_hwc_u8: np.ndarray, side_px: int) -> np.ndarray:
    """Enlarge in hard squares until the longer side is about that long."""
    factor = max(1, side_px // max(rgb_hwc_u8.shape[:2]))
    height, width = rgb_hwc_u8.shape[:2]
    return np.asarray(Image.fromarray(rgb_hwc_u8).resize((width * factor, height * factor), Image.Resampling.NEAREST))
