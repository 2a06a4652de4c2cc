"""Where a photo differs from its own border: maps of what is probably the subject, without a network.

`contrast_map` adds two cues: the distance of a pixel's colour to the border's colours, and how far its channels must
rise or fall on every path to the border (the barrier distance). `focus_map` looks for what is sharp before a blurred
background. Both maps are weighted by a prior for the middle of the picture and smoothed, so that a subject of several
colours becomes one blob.
"""

import cv2
import numpy as np

WORK_PX = 240
FRAME_SHARE = 0.04  # width of the border, of the short side
CLUSTERS = 3
LAB_NOISE = 2.0  # standard deviation added to every cluster, in Lab units; a difference of 2 is just visible
CENTRE_SIGMA = 0.35  # of each side
SMOOTH_SHARE = 0.02  # of the long side
DETAIL_SIGMA_PX = 1.2


def contrast_map(rgb_hwc_u8: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Rate how much each place stands out from the border's colours.

    Border colours: `CLUSTERS` Gaussians in CIE Lab, Mahalanobis distance to the nearest. Barrier distance: Zhang
    et al. 2015, "Minimum barrier salient object detection at 80 fps", here by morphological reconstruction from the
    border in each Lab channel. The middle of the lower border is left out: subjects leave a picture there.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        seed: Of the clustering.

    Returns:
        (h, w) float32 in [0, 1] at a long side of at most 240 px.
    """
    lab = small_lab(rgb_hwc_u8)
    stands_out = unit(_colour_distance(lab, seed)) + unit(_barrier_distance(lab))
    return smooth(stands_out * centre_prior(lab.shape[:2]))


def focus_map(rgb_hwc_u8: np.ndarray) -> np.ndarray:
    """Rate how sharp each place is, rather in the middle; (h, w) float32 in [0, 1] at a long side of at most 240 px."""
    sharpness = sharpness_map(rgb_hwc_u8)
    return smooth(smooth(sharpness) * np.sqrt(centre_prior(sharpness.shape)))


def sharpness_map(rgb_hwc_u8: np.ndarray) -> np.ndarray:
    """Fine detail, |L - blurred L| of CIE Lab's lightness; (h, w) float32 at a long side of at most 240 px."""
    lightness = small_lab(rgb_hwc_u8)[..., 0]
    return np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), DETAIL_SIGMA_PX))


def small_lab(rgb_hwc_u8: np.ndarray) -> np.ndarray:
    """The photo in CIE Lab, (h, w, 3) float32, scaled down to a long side of at most 240 px."""
    scale = min(1.0, WORK_PX / max(rgb_hwc_u8.shape[:2]))
    width, height = (max(8, round(side * scale)) for side in rgb_hwc_u8.shape[1::-1])
    small = cv2.resize(rgb_hwc_u8, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def smooth(map_hw: np.ndarray) -> np.ndarray:
    """Blur a map by 2 % of its long side and scale it to [0, 1]."""
    sigma = SMOOTH_SHARE * max(map_hw.shape)
    return unit(cv2.GaussianBlur(map_hw.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def unit(map_hw: np.ndarray) -> np.ndarray:
    """Scale a map to [0, 1]; a constant one becomes 0."""
    low, high = float(map_hw.min()), float(map_hw.max())
    return ((map_hw - low) / max(high - low, 1e-9)).astype(np.float32)


def centre_prior(size_hw_px: tuple[int, ...]) -> np.ndarray:
    """A Gaussian hill in the middle of the picture, (H, W) float32, 1 at the top."""
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in size_hw_px)
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * CENTRE_SIGMA**2)).astype(np.float32)


def border(size_hw_px: tuple[int, ...], width_px: int) -> np.ndarray:
    """The frame of a picture without the middle half of its lower side, (H, W) bool."""
    height, width = size_hw_px
    frame = np.ones((height, width), dtype=bool)
    frame[width_px : height - width_px, width_px : width - width_px] = False
    frame[height - width_px :, width // 4 : width - width // 4] = False
    return frame


def _colour_distance(lab_hwc: np.ndarray, seed: int) -> np.ndarray:
    """Mahalanobis distance of every pixel to the nearest cluster of the border's colours."""
    width_px = max(2, round(FRAME_SHARE * min(lab_hwc.shape[:2])))
    colours = lab_hwc[border(lab_hwc.shape[:2], width_px)]
    cv2.setRNGSeed(seed)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    start = np.empty((0, 0), dtype=np.int32)
    _, cluster, _ = cv2.kmeans(colours, CLUSTERS, start, stop, 3, cv2.KMEANS_PP_CENTERS)
    distances = []
    for number in np.unique(cluster):
        members = colours[cluster[:, 0] == number]
        if len(members) < 10:
            continue
        precision = np.linalg.inv(np.cov(members.T) + LAB_NOISE**2 * np.eye(3))
        offset = lab_hwc - members.mean(axis=0)
        distances.append(np.sqrt(np.einsum("hwi,ij,hwj->hw", offset, precision, offset)))
    return np.min(distances, axis=0)


def _barrier_distance(lab_hwc: np.ndarray) -> np.ndarray:
    """How far a Lab channel must rise or fall on the best path to the border, summed over the channels."""
    from skimage.morphology import reconstruction

    frame = border(lab_hwc.shape[:2], 1)
    total = np.zeros(lab_hwc.shape[:2])
    for channel in cv2.split(cv2.GaussianBlur(lab_hwc, (0, 0), 1)):
        filled = reconstruction(np.where(frame, channel, channel.max()), channel, method="erosion")
        levelled = reconstruction(np.where(frame, channel, channel.min()), channel, method="dilation")
        total += filled - levelled  # valleys filled plus hills levelled
    return total
