"""Trimap -> mask: GrabCut (Rother, Kolmogorov & Blake 2004), joined by deep features where there are any.

The cut is made on a small copy of the part that matters, checked, and then brought to the photo's size.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from interp.errors import MaskError
from interp.pictures.sizes import working_size_hw_px
from segment.banded import BAND_PX, recut_bands
from segment.deepcut import Describe, deep_cut
from segment.masks import enlarge, fill_pinholes, keep_large_components, near_outline, resize_labels, shrink
from segment.opencv import BACKGROUND, FOREGROUND, WHAT_TO_TRY, Models, check_arrays, learn_and_cut

WORK_PX = 400  # long side of the first cut: at 800 px IoU .92 against .93 unscaled, in a third of the time
FINE_PX = 1600  # long side up to which the outline is cut again; beyond, it is enlarged and the matte follows the photo
MARGIN_SHARE = 0.4  # background kept around the undecided region, in its own sides
DEEP_BAND_PX, DEEP_BAND_ROUNDS = 6, 2  # half width of what colours alone may then change of a deep cut
MIN_CUT_SHARE, MAX_CUT_SHARE = 0.01, 0.95


@dataclass(frozen=True)
class Cut:
    """A cut made on a small copy.

    Attributes:
        mask_hw: (H, W) bool at the photo's size, with the small copy's coarse outline.
        trimap_hw_u8: What it started from, at the photo's size.
        window: The part of the photo that was cut.
        small_hw: The cut of the window at the size it was made.
        models: Colour models of background and foreground.
    """

    mask_hw: np.ndarray = field(repr=False)
    trimap_hw_u8: np.ndarray = field(repr=False)
    window: tuple[slice, slice]
    small_hw: np.ndarray = field(repr=False)
    models: Models = field(repr=False)


def coarse_cut(
    rgb_hwc_u8: np.ndarray,
    trimap_hw_u8: np.ndarray,
    *,
    seed: int = 0,
    rounds: int = 5,
    describe: Describe | None = None,
    prior_hw: np.ndarray | None = None,
) -> Cut:
    """Cut the foreground out of a photo, at no more than 400 px; `fine_mask` does the rest.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        trimap_hw_u8: (H, W) uint8: 0 sure background, 1 sure foreground, 2 probable background, 3 probable
            foreground.
        seed: Of everything random; the same seed gives the same mask.
        rounds: Alternations of colour models and graph cut.
        describe: What a network says about a small picture; None to cut by colours alone.
        prior_hw: (h, w), the photo's shape at any size: log odds of being foreground by place alone, for a deep cut.

    Returns:
        The cut, without specks under a tenth of the largest piece and pinholes under half a percent of the mask.

    Raises:
        MaskError: If one side has too few pixels to learn its colours from, or the cut is nearly empty or everything.
        TypeError: If an array has another type or shape.
    """
    check_arrays(rgb_hwc_u8, trimap_hw_u8)
    window = _window(trimap_hw_u8)
    labels = trimap_hw_u8[window]
    size_hw_px = working_size_hw_px((labels.shape[0], labels.shape[1]), WORK_PX)
    photo, trimap = shrink(rgb_hwc_u8[window], size_hw_px), resize_labels(labels, size_hw_px, ties_down=True)
    if describe:
        prior = None if prior_hw is None else _view(prior_hw, trimap_hw_u8.shape, window, size_hw_px)
        mask = deep_cut(photo, trimap, describe(photo), prior, seed=seed, rounds=rounds)
        trimap, rounds = _only_near(mask, trimap), DEEP_BAND_ROUNDS
    small, models = learn_and_cut(photo, trimap, seed, rounds)
    small = _clean(small, resize_labels(labels, size_hw_px, ties_down=True))
    mask = _placed(enlarge(small, labels.shape), window, trimap_hw_u8.shape)
    _check_cut(mask, trimap_hw_u8)
    return Cut(mask, trimap_hw_u8, window, small, models)


def fine_mask(rgb_hwc_u8: np.ndarray, cut: Cut) -> np.ndarray:
    """Bring a cut to the photo's size, (H, W) bool."""
    labels = cut.trimap_hw_u8[cut.window]
    if cut.small_hw.shape == labels.shape:
        return cut.mask_hw
    size_hw_px = working_size_hw_px((labels.shape[0], labels.shape[1]), FINE_PX)
    trimap = resize_labels(labels, size_hw_px, ties_down=True)
    mask = recut_bands(shrink(rgb_hwc_u8[cut.window], size_hw_px), trimap, cut.small_hw, cut.models)
    mask = enlarge(_clean(mask, trimap), labels.shape)
    if size_hw_px != labels.shape:
        mask = (mask & (labels != BACKGROUND)) | (labels == FOREGROUND)
    return _placed(mask, cut.window, cut.mask_hw.shape)


def _window(trimap_hw_u8: np.ndarray) -> tuple[slice, slice]:
    """The part of the picture that matters: all that is not surely background, and a margin around it."""
    undecided = trimap_hw_u8 != BACKGROUND
    if not undecided.any():
        raise MaskError(f"Every pixel is marked as background; expected a region to cut from. {WHAT_TO_TRY}")
    slices = []
    for axis in (1, 0):
        used = np.flatnonzero(undecided.any(axis=axis))
        margin = int(MARGIN_SHARE * (used[-1] + 1 - used[0])) + 2 * BAND_PX
        slices.append(slice(max(0, used[0] - margin), used[-1] + 1 + margin))
    return slices[0], slices[1]


def _only_near(mask_hw: np.ndarray, trimap_hw_u8: np.ndarray) -> np.ndarray:
    """The trimap that leaves only a band around a mask's outline to be decided."""
    undecided = near_outline(mask_hw, DEEP_BAND_PX) & (trimap_hw_u8 != BACKGROUND) & (trimap_hw_u8 != FOREGROUND)
    return mask_hw + np.uint8(2) * undecided


def _view(
    map_hw: np.ndarray, size_hw_px: tuple[int, ...], window: tuple[slice, slice], wanted_hw_px: tuple[int, int]
) -> np.ndarray:
    """A window of the photo, in a map of the photo's shape but another size, resampled linearly."""
    rows, columns = (
        (part.start + (np.arange(wanted) + 0.5) / wanted * (min(part.stop, side) - part.start)) * cells / side
        for wanted, part, side, cells in zip(wanted_hw_px, window, size_hw_px, map_hw.shape, strict=True)
    )
    x, y = np.meshgrid((columns - 0.5).astype(np.float32), (rows - 0.5).astype(np.float32))
    return cv2.remap(map_hw.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _clean(mask_hw: np.ndarray, trimap_hw_u8: np.ndarray) -> np.ndarray:
    """A cut without specks and pinholes."""
    return fill_pinholes(keep_large_components(mask_hw), keep_hw=trimap_hw_u8 == BACKGROUND)


def _placed(mask_hw: np.ndarray, window: tuple[slice, slice], size_hw_px: tuple[int, ...]) -> np.ndarray:
    """A window's cut in the whole picture."""
    full = np.zeros(size_hw_px, dtype=bool)
    full[window] = mask_hw
    return full


def _check_cut(mask_hw: np.ndarray, trimap_hw_u8: np.ndarray) -> None:
    asked = int((trimap_hw_u8 != BACKGROUND).sum())
    share_of_asked = mask_hw.sum() / asked
    if share_of_asked < MIN_CUT_SHARE:
        raise MaskError(
            f"The cut kept {share_of_asked:.1%} of the region it was given; expected at least {MIN_CUT_SHARE:.0%}. "
            f"Subject and background may have the same colours. {WHAT_TO_TRY}"
        )
    if mask_hw.mean() > MAX_CUT_SHARE:
        raise MaskError(
            f"The cut covers {mask_hw.mean():.1%} of the picture; expected at most {MAX_CUT_SHARE:.0%}, "
            f"so that something is left as background. {WHAT_TO_TRY}"
        )
