"""Clusters of similar pixels: which colours, or which deep features, make up a photo, and where.

Lloyd's k-means with k-means++ starts (Arthur & Vassilvitskii 2007), by OpenCV, learned on a sample of the pixels.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import cv2
import numpy as np

from interp.errors import MaskError, UsageError, unknown_name
from interp.pictures.sizes import working_size_hw_px
from segment.deepcut import Describe
from segment.masks import resize_labels

FEATURES = ("rgb", "lab", "lab+xy", "vgg")
SAMPLE_PX = 20_000  # pixels that the centres are learned from
JUDGED_PX = 1_000  # pixels whose silhouette is computed
K_TRIED = range(2, 9)
MAX_K = 24
PLACE_WEIGHT = 60.0  # Lab units from one side of the picture to the other
DEEP_PX = 400  # long side at which the network looks
FRAME_SHARE = 0.04  # width of the border, of the short side
# The border lies in one cluster, and the middle does not: what a neutral background looks like.
NEUTRAL_BORDER, MIXED_BORDER, MAX_MIDDLE = 0.8, 0.5, 0.4


@dataclass(frozen=True)
class Fit:
    """How well k clusters fit.

    Attributes:
        k: Number of clusters.
        inertia: Mean squared distance to the nearest centre, as a share of the variance.
        silhouette: Mean over a sample of (b - a) / max(a, b): a the mean distance to the own cluster, b to the nearest
            other (Rousseeuw 1987); 1 = well apart, 0 = overlapping.
    """

    k: int
    inertia: float
    silhouette: float


@dataclass(frozen=True)
class Clusters:
    """A photo in clusters, the largest first.

    Attributes:
        labels_hw_u8: (H, W) uint8, 0 to k - 1: which cluster each pixel belongs to.
        colours_k3_u8: Mean colour of each, (k, 3) uint8 sRGB.
        shares: Share of the picture of each.
        border_shares: Share of the picture's border that lies in each.
        features: What was clustered: one of `FEATURES`.
        fits: Numbers of clusters that were tried; empty if k was given.
        elbow: Where the curve of the fits bends; None without a curve.
        background: Index of the cluster that holds most of the border.
        middle_share: Share of the picture's middle that lies in it.
    """

    labels_hw_u8: np.ndarray = field(repr=False)
    colours_k3_u8: np.ndarray
    shares: tuple[float, ...]
    border_shares: tuple[float, ...]
    features: str
    fits: tuple[Fit, ...]
    elbow: int | None
    background: int
    middle_share: float

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.shares)

    @property
    def hex_colours(self) -> tuple[str, ...]:
        """Mean colours as `#rrggbb`."""
        return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in self.colours_k3_u8)

    @property
    def neutral(self) -> Literal["good", "doubt", "bad"]:
        """Whether the background is one cluster that the middle does not share."""
        border = self.border_shares[self.background]
        if border < MIXED_BORDER:
            return "bad"
        return "good" if border >= NEUTRAL_BORDER and self.middle_share <= MAX_MIDDLE else "doubt"

    def facts(self) -> dict[str, Any]:
        """All but the pixels, as plain JSON; clusters counted from 1."""
        legend = zip(self.hex_colours, self.shares, self.border_shares, strict=True)
        return {
            "features": self.features,
            "k": self.k,
            "elbow": self.elbow,
            "clusters": [
                {"number": number, "colour": colour, "share": share, "border_share": border}
                for number, (colour, share, border) in enumerate(legend, 1)
            ],
            "fits": [asdict(fit) for fit in self.fits],
            "background": self.background + 1,
            "middle_share": self.middle_share,
            "neutral": self.neutral,
        }

    @property
    def map_hwc_u8(self) -> np.ndarray:
        """The picture with every pixel in its cluster's mean colour, (H, W, 3) uint8 RGB."""
        return self.colours_k3_u8[self.labels_hw_u8]


def cluster(
    rgb_hwc_u8: np.ndarray,
    *,
    features: str = "lab",
    k: int | None = None,
    describe: Describe | None = None,
    hidden_hw: np.ndarray | None = None,
    seed: int = 0,
) -> Clusters:
    """Group the pixels of a photo.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        features: "rgb", "lab" (CIE Lab: distances as seen), "lab+xy" (near pixels together) or "vgg".
        k: Number of clusters, 2 to 24; None to choose 2 to 8 by elbow and silhouette.
        describe: What a network says about a small picture; needed for "vgg".
        hidden_hw: (H, W) bool, pixels that nobody sees: they belong to a cluster like all others, but count nowhere.
        seed: Of sample and starts.

    Raises:
        UsageError: If an option is unknown or out of range.
        MaskError: If the photo has fewer distinct colours than clusters.

    Example:
        >>> photo = np.full((40, 60, 3), 200, np.uint8)
        >>> photo[10:30, 20:40] = (200, 30, 20)
        >>> found = cluster(photo, k=2)
        >>> found.colours_k3_u8.tolist(), [round(share, 2) for share in found.shares]
        ([[200, 200, 200], [200, 30, 20]], [0.83, 0.17])
    """
    if features not in FEATURES:
        raise unknown_name("features", features, FEATURES)
    if k is not None and not 2 <= k <= MAX_K:
        raise UsageError(f"{k} clusters; expected 2 to {MAX_K}.")
    if features == "vgg" and describe is None:
        raise UsageError("Features 'vgg' need a network; none was given. Use rgb, lab or lab+xy.")
    points_hwc = _deep_points(rgb_hwc_u8, describe) if describe and features == "vgg" else _points(rgb_hwc_u8, features)
    seen_hw = np.ones(rgb_hwc_u8.shape[:2], dtype=bool) if hidden_hw is None else ~hidden_hw
    if not seen_hw.any():
        raise MaskError("The photo is transparent everywhere: there is nothing to group.")
    flat = points_hwc[resize_labels(seen_hw.astype(np.uint8), points_hwc.shape[:2]) > 0]
    sample = flat[np.sort(np.random.default_rng(seed).permutation(len(flat))[:SAMPLE_PX])]
    distinct = len(np.unique(sample, axis=0))
    if distinct < (k or 2):
        raise MaskError(f"The photo has {distinct} distinct colours; expected at least {k or 2}, one for each cluster.")
    fits = () if k else tuple(_fit(sample, number, seed) for number in K_TRIED if number <= distinct)
    chosen, elbow = (k, None) if k else choose_k(fits)
    labels = _assign(points_hwc, _centres(sample, chosen, seed), (rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]))
    return _summary(rgb_hwc_u8, labels, seen_hw, features, fits, elbow)


def blackout(rgb_hwc: np.ndarray, clusters: Clusters, numbers: Sequence[int]) -> np.ndarray:
    """Paint clusters black.

    Args:
        rgb_hwc: Photo, (H, W, 3) RGB.
        clusters: Of that photo.
        numbers: Which, counted from 1 (the largest).

    Returns:
        (H, W, 3), the photo's type.

    Raises:
        UsageError: If there is no such cluster.
    """
    for number in numbers:
        if not 1 <= number <= clusters.k:
            raise UsageError(f"No cluster {number}; there are {clusters.k}, counted from 1, the largest.")
    chosen = np.isin(clusters.labels_hw_u8, [number - 1 for number in numbers])
    return np.where(chosen[..., None], rgb_hwc.dtype.type(0), rgb_hwc)


def choose_k(fits: Sequence[Fit]) -> tuple[int, int | None]:
    """Choose the number of clusters: the elbow, or a neighbour of it whose clusters lie farther apart.

    The elbow is the point of the inertia's curve farthest from its chord, both axes scaled to [0, 1] (Satopää et al.
    2011, "Finding a kneedle in a haystack"); the silhouette decides among it and its two neighbours.

    Returns:
        k, and k at the elbow; None for that if only one number was tried.
    """
    if len(fits) == 1:
        return fits[0].k, None
    k = np.array([fit.k for fit in fits], dtype=float)
    inertia = np.array([fit.inertia for fit in fits])
    across = (k - k[0]) / (k[-1] - k[0])
    down = (inertia - inertia.min()) / max(float(np.ptp(inertia)), 1e-12)
    elbow = int(np.argmax(1 - across - down))
    near = fits[max(0, elbow - 1) : elbow + 2]
    best = max(near, key=lambda fit: fit.silhouette)
    return best.k, fits[elbow].k


def mean_silhouette(points_nc: np.ndarray, labels_n: np.ndarray) -> float:
    """Mean silhouette of clustered points (Rousseeuw 1987); a cluster of one point counts 0."""
    from scipy.spatial.distance import cdist

    distances = cdist(points_nc, points_nc)
    numbers = np.unique(labels_n)
    member = labels_n[:, None] == numbers  # (n, k)
    size = member.sum(axis=0)
    total = distances @ member
    own = total[member] / np.maximum(size[member.argmax(axis=1)] - 1, 1)
    other = np.where(member, np.inf, total / size).min(axis=1)
    widths = (other - own) / np.maximum(np.maximum(own, other), 1e-12)
    return float(np.where(size[member.argmax(axis=1)] > 1, widths, 0).mean())


def _points(rgb_hwc_u8: np.ndarray, features: str) -> np.ndarray:
    if features == "rgb":
        return rgb_hwc_u8.astype(np.float32)
    lab = cv2.cvtColor(rgb_hwc_u8.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    if features == "lab":
        return lab
    height, width = lab.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32) * (PLACE_WEIGHT / max(height, width))
    return np.dstack([lab, columns, rows])


def _deep_points(rgb_hwc_u8: np.ndarray, describe: Describe) -> np.ndarray:
    """All layers on the network's own coarse grid, each with the same say."""
    size = working_size_hw_px((rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]), DEEP_PX)
    maps = describe(cv2.resize(rgb_hwc_u8, size[::-1], interpolation=cv2.INTER_AREA))
    grid = max((deep.values_chw.shape[1:] for deep in maps), key=lambda shape: shape[0])
    layers = []
    for deep in maps:
        values = np.stack([cv2.resize(channel, grid[::-1]) for channel in deep.values_chw], axis=-1)
        values = np.sqrt(np.maximum(values, 0))  # tames long tails
        values = values - values.mean(axis=(0, 1))
        layers.append(values / max(float(np.sqrt((values**2).sum(axis=-1).mean())), 1e-9))
    return np.concatenate(layers, axis=-1).astype(np.float32)


def _centres(sample_nc: np.ndarray, k: int, seed: int) -> np.ndarray:
    cv2.setRNGSeed(seed)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
    start = np.empty((0, 0), dtype=np.int32)
    return cv2.kmeans(np.ascontiguousarray(sample_nc), k, start, stop, 4, cv2.KMEANS_PP_CENTERS)[2]


def _squares(points_nc: np.ndarray, centres_kc: np.ndarray) -> np.ndarray:
    return (points_nc**2).sum(axis=1)[:, None] - 2 * points_nc @ centres_kc.T + (centres_kc**2).sum(axis=1)


def _fit(sample_nc: np.ndarray, k: int, seed: int) -> Fit:
    squares = _squares(sample_nc, _centres(sample_nc, k, seed))
    inertia = float(np.maximum(squares.min(axis=1), 0).mean() / max(float(sample_nc.var(axis=0).sum()), 1e-12))
    judged = np.random.default_rng(seed).permutation(len(sample_nc))[:JUDGED_PX]
    labels = squares[judged].argmin(axis=1)
    return Fit(k, inertia, mean_silhouette(sample_nc[judged], labels) if np.ptp(labels) else 0.0)


def _assign(points_hwc: np.ndarray, centres_kc: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
    """The nearest centre of every pixel, a row at a time; distances on a coarser grid are interpolated."""
    labels = np.empty(size_hw_px, dtype=np.uint8)
    if points_hwc.shape[:2] == size_hw_px:
        for row, points in enumerate(points_hwc):
            labels[row] = _squares(points, centres_kc).argmin(axis=1)
        return labels
    squares = _squares(points_hwc.reshape(-1, points_hwc.shape[-1]), centres_kc)
    nearest = np.full(size_hw_px, np.inf, dtype=np.float32)
    for number, column in enumerate(squares.T):
        small = np.ascontiguousarray(column.reshape(points_hwc.shape[:2]), dtype=np.float32)
        here = cv2.resize(small, size_hw_px[::-1], interpolation=cv2.INTER_LINEAR)
        labels[here < nearest] = number
        nearest = np.minimum(nearest, here)
    return labels


def _summary(
    rgb_hwc_u8: np.ndarray, labels_hw: np.ndarray, seen_hw: np.ndarray, features: str, fits: tuple[Fit, ...],
    elbow: int | None,
) -> Clusters:  # fmt: skip
    areas = np.bincount(labels_hw[seen_hw])
    order = [int(number) for number in np.argsort(-areas, kind="stable") if areas[number]]
    renumbered = np.zeros(MAX_K, dtype=np.uint8)  # a cluster of hidden pixels alone becomes the first one's
    renumbered[order] = range(len(order))
    labels = renumbered[labels_hw]
    flat, k = labels[seen_hw], len(order)
    sums = [np.bincount(flat, rgb_hwc_u8[..., channel][seen_hw], k) for channel in range(3)]
    shares = np.bincount(flat, minlength=k) / flat.size
    colours = np.round(np.stack(sums, axis=-1) / (shares * flat.size)[:, None]).astype(np.uint8)
    border, middle = _border_and_middle(labels, seen_hw)
    border_shares = np.bincount(border, minlength=k) / border.size
    background = int(border_shares.argmax())
    middle_share = float((middle == background).mean())
    return Clusters(
        labels, colours, tuple(shares.tolist()), tuple(border_shares.tolist()), features, fits, elbow, background,
        middle_share,
    )  # fmt: skip


def _border_and_middle(labels_hw: np.ndarray, seen_hw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frame's labels, and those of an ellipse of half the picture's sides in the middle, where anything is seen."""
    height, width = labels_hw.shape
    px = max(1, round(FRAME_SHARE * min(height, width)))
    frame = np.ones((height, width), dtype=bool)
    frame[px : height - px, px : width - px] = False
    rows, columns = np.mgrid[:height, :width]
    middle = ((rows + 0.5) / height - 0.5) ** 2 + ((columns + 0.5) / width - 0.5) ** 2 <= 0.25**2
    frame, middle = (part & seen_hw if (part & seen_hw).any() else seen_hw for part in (frame, middle))
    return labels_hw[frame], labels_hw[middle]
