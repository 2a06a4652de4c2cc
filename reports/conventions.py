"""How a saliency map is turned into a picture: conventions by name, because each shows another side of the same map.

`flashtorch` and `percentile99` are other projects' rules, so that their figures can be compared with ours; `symmetric`
keeps the sign; `shared` keeps the size, for maps of one unit beside each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps

from interp.errors import unknown_name

if TYPE_CHECKING:
    from interp.attribution.saliency import SaliencyMap

CLIPPED_PERCENTILE = 99  # of `percentile99`


@dataclass(frozen=True)
class View:
    """One value a pixel, ready to be coloured.

    Attributes:
        values_hw: (h, w) float32.
        low: Value of the darkest colour, `vmin`; what is below is clipped.
        high: Value of the brightest colour, `vmax`.
        colour_map: Matplotlib's name.
        rule: How the values came about.
    """

    values_hw: np.ndarray = field(repr=False)
    low: float
    high: float
    colour_map: str
    rule: str

    @property
    def unit_hw01(self) -> np.ndarray:
        """The values from 0 (`low`) to 1 (`high`), clipped; a flat map is all 0."""
        span = self.high - self.low
        return np.clip((self.values_hw - self.low) / (span if span > 0 else 1.0), 0, 1)


@dataclass(frozen=True)
class FlashtorchPanels:
    """FlashTorch's four views of a saliency map (github.com/MisaOgura/flashtorch, `Backprop.visualize`).

    Attributes:
        input_hwc01: The picture.
        gradient_hwc01: "Gradients across RGB channels", standardised.
        max_hw01: "Max gradients": the signed maximum over the channels, standardised; drawn in viridis over
            its range.
        overlay_hwc01: `max_hw01` in viridis at alpha 0.5 over the picture.
    """

    input_hwc01: np.ndarray = field(repr=False)
    gradient_hwc01: np.ndarray = field(repr=False)
    max_hw01: np.ndarray = field(repr=False)
    overlay_hwc01: np.ndarray = field(repr=False)


def views(maps: Sequence["SaliencyMap"], convention: str) -> list[View]:
    """Apply a convention to maps that will stand side by side.

    Args:
        maps: The maps; only `shared` lets one depend on the others.
        convention: One of `CONVENTIONS`.

    Returns:
        A view for each.

    Raises:
        UsageError: If the convention is unknown.
    """
    if convention not in CONVENTIONS:
        raise unknown_name("convention", convention, CONVENTIONS)
    if convention != "shared":
        return [CONVENTIONS[convention](entry) for entry in maps]
    each = [_shared(entry) for entry in maps]
    high = max((view.high for view in each), default=0.0)
    return [View(view.values_hw, 0.0, high, view.colour_map, view.rule) for view in each]


def _flashtorch(saliency: "SaliencyMap") -> View:
    values = standardised01(saliency.map_chw.max(axis=0))
    rule = "signed maximum over RGB, (v - mean) / std · 0.1 + 0.5, clipped to 0 … 1, over its own range"
    return View(values, float(values.min()), float(values.max()), "viridis", rule)


def _percentile99(saliency: "SaliencyMap") -> View:
    """Sum of |v| over RGB, up to its 99th percentile (PAIR's `VisualizeImageGrayscale`; Adebayo et al. 2018)."""
    values = np.abs(saliency.map_chw).sum(axis=0)
    low, high = float(values.min()), float(np.percentile(values, CLIPPED_PERCENTILE))
    return View(values, low, high, "gray", "sum of |v| over RGB, clipped at its 99th percentile")


def _symmetric(saliency: "SaliencyMap") -> View:
    """Sum of v over RGB on a scale symmetric about 0 (zennit's `imgify(symmetric=True)`)."""
    values = saliency.map_chw.sum(axis=0)
    limit = float(np.abs(values).max())
    return View(values, -limit, limit, "RdBu_r", "sum over RGB, blue below 0, red above, symmetric about 0")


def _shared(saliency: "SaliencyMap") -> View:
    values = np.abs(saliency.heat_hw)
    return View(values, 0.0, float(values.max()), "inferno", "size of the values as they are, one scale for all maps")


CONVENTIONS = {
    "flashtorch": _flashtorch,
    "percentile99": _percentile99,
    "symmetric": _symmetric,
    "shared": _shared,
}


def flashtorch_panels(saliency: "SaliencyMap") -> FlashtorchPanels:
    """Turn a saliency map into FlashTorch's views: the rule of the views is FlashTorch's, the gradient not.

    FlashTorch multiplies by each ReLU's output where guided backprop multiplies by 0 or 1. It also
    differentiates by the normalised input, which weighs the three channels up to 2 % differently from pixels
    in [0, 1].

    Returns:
        Input, gradients across RGB, signed maximum and overlay, float32 in [0, 1].
    """
    map_chw = np.broadcast_to(saliency.map_chw, saliency.input_chw01.shape)
    input_hwc01 = np.clip(saliency.input_chw01.transpose(1, 2, 0), 0, 1)
    view = _flashtorch(saliency)
    viridis_hwc01 = colormaps["viridis"](view.unit_hw01)[..., :3]
    overlay_hwc01 = (0.5 * input_hwc01 + 0.5 * viridis_hwc01).astype(np.float32)
    return FlashtorchPanels(input_hwc01, standardised01(map_chw).transpose(1, 2, 0), view.values_hw, overlay_hwc01)


def standardised01(values: np.ndarray) -> np.ndarray:
    """(v - mean) / std * 0.1 + 0.5, clipped; std with n - 1, or 1e-7: FlashTorch's `standardize_and_clip`."""
    std = float(values.std(ddof=1, dtype=np.float64)) or 1e-7
    standardised = (values - values.mean(dtype=np.float64)) / std
    return np.clip(standardised * 0.1 + 0.5, 0, 1).astype(np.float32)
