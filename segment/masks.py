"""Masks and labels: pieces, holes, outlines, sizes."""

import cv2
import numpy as np

Box = tuple[int, int, int, int]  # left, top, width, height in px

MIN_COMPONENT_SHARE = 0.1  # of the largest component
PINHOLE_SHARE = 0.005  # of the mask


def keep_large_components(mask_hw: np.ndarray, share: float = MIN_COMPONENT_SHARE) -> np.ndarray:
    """Drop the pieces of a mask whose area is under `share` of the largest piece's."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask_hw.copy()
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0  # component 0 is the background
    kept = area >= max(1, share * area.max())
    return kept[np.asarray(labels, dtype=np.intp)]


def fill_pinholes(mask_hw: np.ndarray, keep_hw: np.ndarray) -> np.ndarray:
    """Fill enclosed holes under `PINHOLE_SHARE` of the mask's area, unless a pixel of `keep_hw` lies in them."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask_hw).astype(np.uint8), connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    small = stats[:, cv2.CC_STAT_AREA] < PINHOLE_SHARE * mask_hw.sum()
    small[np.concatenate([[0], border, labels[keep_hw]]).astype(np.intp)] = False  # component 0 is the mask
    return mask_hw | small[np.asarray(labels, dtype=np.intp)]


def count_components(mask_hw: np.ndarray) -> int:
    """Number of connected pieces (8-neighbours)."""
    return cv2.connectedComponents(mask_hw.astype(np.uint8), connectivity=8)[0] - 1


def bounding_box(mask_hw: np.ndarray) -> Box:
    """Left, top, width, height of what is set in a mask that is not empty."""
    rows, columns = np.flatnonzero(mask_hw.any(axis=1)), np.flatnonzero(mask_hw.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def outline_hw(mask_hw: np.ndarray) -> np.ndarray:
    """The pixels inside a mask that touch its outside (the picture's border is no edge), (H, W) bool, 1 px thin."""
    inside = mask_hw.astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return mask_hw & (cv2.erode(inside, cross, borderType=cv2.BORDER_REPLICATE) == 0)


def near_outline(mask_hw: np.ndarray, radius_px: float) -> np.ndarray:
    """The pixels within a distance of a mask's outline, on both sides; the picture's border is no edge."""
    return cv2.morphologyEx(mask_hw.astype(np.uint8), cv2.MORPH_GRADIENT, disc(radius_px)) > 0


def disc(radius_px: float) -> np.ndarray:
    """A filled circle for erosion and dilation, of radius 1 at least."""
    side = 2 * max(1, int(radius_px)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def shrink(pixels_hwc_u8: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    """Resize by area."""
    return cv2.resize(np.ascontiguousarray(pixels_hwc_u8), size_hw_px[::-1], interpolation=cv2.INTER_AREA)


def enlarge(small_hw: np.ndarray, size_hw_px: tuple[int, ...]) -> np.ndarray:
    """Bring a mask to a larger size with a smooth outline, (H, W) bool."""
    if small_hw.shape == tuple(size_hw_px):
        return small_hw
    grey = cv2.resize(small_hw.astype(np.uint8) * 255, size_hw_px[1::-1], interpolation=cv2.INTER_LINEAR)
    return grey > 127


def resize_labels(labels_hw_u8: np.ndarray, size_hw_px: tuple[int, int], *, ties_down: bool = False) -> np.ndarray:
    """Resize a map of labels to the nearest neighbour, in whole numbers.

    cv2's INTER_NEAREST_EXACT rounds otherwise in OpenCV 4 than in 5; a label moved by one pixel moves GrabCut's random
    start, and with it the cut.

    Args:
        labels_hw_u8: (H, W) uint8.
        size_hw_px: Wanted height and width.
        ties_down: Where two cells are equally near, take the upper or left one instead of the other.

    Returns:
        (height, width) uint8, no new values.
    """
    rows, columns = (
        ((2 * np.arange(new) + 1) * old - ties_down) // (2 * new)
        for new, old in zip(size_hw_px, labels_hw_u8.shape, strict=True)
    )
    return labels_hw_u8[np.ix_(rows, columns)]
