"""A cut in which colours, deep features and place vote together ("deep GrabCut" without a trained network).

GrabCut alternates between learning what both sides look like and cutting. Here the looks are not only five Gaussians of
colour: features of several layers of a network, each reduced to the one direction that tells the present inside from
the present outside (Fisher's discriminant), vote too. A hypercolumn (Hariharan et al. 2015) is all that they say about
one place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from segment.graphcut import SURE, Links, contrast_links, minimum_cut

GRID_PX = 200  # long side of the grid that is cut
FEATURE_GRID_PX = 100  # of the grid that features are compared on

# Weights of the votes, in log odds; chosen on 100 ECSSD photos with boxes 5 px too wide. A factor of 1.5 in any of them
# moves the mean IoU by about .01.
DEEP_WEIGHT = 3.0  # per standard deviation of the features' score
COLOUR_WEIGHT, COLOUR_LIMIT = 0.5, 10.0
SMOOTHNESS = 12.0
GAUSSIANS = 5  # GrabCut's number
COLOUR_NOISE = 4.0  # variance added to every Gaussian, in squared grey levels
COLOUR_SHRINKAGE = 0.03
MIN_CELLS = 20


@dataclass(frozen=True)
class DeepMap:
    """What one layer says about every place of a picture.

    Attributes:
        name: The layer.
        values_chw: (C, h, w) float32, the picture's shape at any size, values >= 0.
        shrinkage: Share of the identity added to the features' covariance: more for more channels.
    """

    name: str
    values_chw: np.ndarray = field(repr=False)
    shrinkage: float = 1.0


Describe = Callable[[np.ndarray], Sequence[DeepMap]]  # from a small (H, W, 3) uint8 RGB picture


def deep_cut(
    rgb_hwc_u8: np.ndarray,
    labels_hw_u8: np.ndarray,
    maps: Sequence[DeepMap],
    prior_hw: np.ndarray | None = None,
    *,
    seed: int = 0,
    rounds: int = 4,
) -> np.ndarray:
    """Cut the foreground out of a small picture.

    Args:
        rgb_hwc_u8: (H, W, 3) uint8 RGB.
        labels_hw_u8: (H, W) uint8, GrabCut's labels: 0 and 1 sure, 2 and 3 probable background and foreground.
        maps: What the network says about the same picture.
        prior_hw: (h, w) log odds of being foreground by place alone, the picture's shape at any size.
        seed: Of the colours' clustering.
        rounds: Alternations.

    Returns:
        (H, W) bool; everything that is probable stays probable where a side would have no colours left.
    """
    size = _grid(labels_hw_u8.shape, GRID_PX)
    rgb = cv2.resize(rgb_hwc_u8, size[::-1], interpolation=cv2.INTER_AREA)
    labels = _vote(labels_hw_u8, size)
    links = contrast_links(rgb, SMOOTHNESS)
    place = np.zeros(size) if prior_hw is None else _resize(prior_hw, size)
    looks = _looks(rgb_hwc_u8, maps)
    inside = (labels & 1).astype(bool)
    for number in range(rounds):
        if min(inside.sum(), (~inside).sum()) < MIN_CELLS:
            break
        odds = place + DEEP_WEIGHT * _deep_score(looks, inside, labels >= 2, first=number == 0)
        if number:
            odds = odds + COLOUR_WEIGHT * _colour_odds(rgb, inside, seed)
        found = _cut(odds, labels, links)
        if found.sum() < MIN_CELLS:
            break
        inside = found
    return _resize(inside, labels_hw_u8.shape) > 0.5


def _cut(odds_hw: np.ndarray, labels_hw_u8: np.ndarray, links: Links) -> np.ndarray:
    return minimum_cut(np.where(labels_hw_u8 == 0, -SURE, np.where(labels_hw_u8 == 1, SURE, odds_hw)), links)


def _looks(rgb_hwc_u8: np.ndarray, maps: Sequence[DeepMap]) -> list[np.ndarray]:
    """Features of every source on one grid, (h, w, C) each, whitened: their covariance is the identity, nearly.

    Fisher's direction is C⁻¹(m₁ - m₀) whichever sides are compared, with C the total covariance (the one within the
    sides differs by a multiple of (m₁ - m₀)(m₁ - m₀)ᵀ, which leaves the direction as it is): whitened once, a round is
    a difference of means.
    """
    size = _grid(rgb_hwc_u8.shape[:2], FEATURE_GRID_PX)
    small = cv2.resize(rgb_hwc_u8, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    products = [lab[..., i] * lab[..., j] for i in range(3) for j in range(i, 3)]
    looks = [_whitened(np.dstack([lab, *products]), COLOUR_SHRINKAGE)]
    for deep in maps:
        values = np.stack([_resize(channel, size) for channel in deep.values_chw], axis=-1)
        looks.append(_whitened(np.sqrt(np.maximum(values, 0)), deep.shrinkage))  # the root tames long tails
    return looks


def _whitened(features_hwc: np.ndarray, shrinkage: float) -> np.ndarray:
    flat = features_hwc.reshape(-1, features_hwc.shape[-1]).astype(np.float64)
    flat -= flat.mean(axis=0)
    flat /= flat.std(axis=0) + 1e-6
    lower = np.linalg.cholesky(flat.T @ flat / len(flat) + shrinkage * np.eye(flat.shape[1]))
    return np.linalg.solve(lower, flat.T).T.reshape(features_hwc.shape)


def _deep_score(looks: Sequence[np.ndarray], inside_hw: np.ndarray, open_hw: np.ndarray, *, first: bool) -> np.ndarray:
    """How much more each place looks like the inside, (H, W): 0 between the sides, standard deviation 1 where open."""
    size = looks[0].shape[:2]
    member, judged = _resize(inside_hw, size) > 0.5, _resize(open_hw, size) > 0.5
    if not judged.any() or not member.any() or member.all():
        return np.zeros(inside_hw.shape)
    total = np.zeros(size)
    for look in looks:
        score = look @ (look[member].mean(axis=0) - look[~member].mean(axis=0))
        total += score / max(float(score[judged].std()), 1e-9)
    score_hw = _resize(total, inside_hw.shape)
    score_hw = score_hw / max(float(score_hw[open_hw].std()), 1e-9)
    inner, outer = score_hw[inside_hw & open_hw], score_hw[~inside_hw & open_hw]
    if first or not inner.size or not outer.size:
        return score_hw - _otsu(score_hw[open_hw])
    return score_hw - (inner.mean() + outer.mean()) / 2


def _colour_odds(rgb_hwc_u8: np.ndarray, inside_hw: np.ndarray, seed: int) -> np.ndarray:
    """Log likelihood ratio of the colours, five Gaussians a side, limited to what one pixel may claim."""
    colours = rgb_hwc_u8.reshape(-1, 3).astype(np.float64)
    ratio = _log_likelihood(colours, colours[inside_hw.ravel()], seed)
    ratio -= _log_likelihood(colours, colours[~inside_hw.ravel()], seed)
    return np.clip(ratio, -COLOUR_LIMIT, COLOUR_LIMIT).reshape(inside_hw.shape)


def _log_likelihood(colours_nc: np.ndarray, samples_nc: np.ndarray, seed: int) -> np.ndarray:
    count = min(GAUSSIANS, len(samples_nc))
    cv2.setRNGSeed(seed)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 10, 0.1)
    start = np.empty((0, 0), dtype=np.int32)
    _, cluster, _ = cv2.kmeans(samples_nc.astype(np.float32), count, start, stop, 3, cv2.KMEANS_PP_CENTERS)
    parts = []
    for number in range(count):
        members = samples_nc[cluster[:, 0] == number]
        if len(members) < 3:
            continue
        covariance = np.cov(members.T) + COLOUR_NOISE * np.eye(3)
        offset = colours_nc - members.mean(axis=0)
        squares = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset)
        weight = np.log(len(members) / len(samples_nc)) - np.linalg.slogdet(covariance)[1] / 2
        parts.append(weight - squares / 2)
    return np.logaddexp.reduce(parts, axis=0)


def _otsu(values: np.ndarray) -> float:
    low, span = float(values.min()), max(float(np.ptp(values)), 1e-9)
    bytes_n1 = np.clip((values - low) / span * 255, 0, 255).astype(np.uint8).reshape(-1, 1)
    threshold, _ = cv2.threshold(bytes_n1, 0, 255, cv2.THRESH_OTSU)
    return low + threshold / 255 * span


def _grid(size_hw_px: tuple[int, ...], long_side: int) -> tuple[int, int]:
    scale = min(1.0, long_side / max(size_hw_px))
    return max(4, round(size_hw_px[0] * scale)), max(4, round(size_hw_px[1] * scale))


def _resize(values_hw: np.ndarray, size_hw: tuple[int, ...]) -> np.ndarray:
    values = np.ascontiguousarray(values_hw, dtype=np.float32)
    if values.shape == tuple(size_hw):
        return values
    shrinks = values.shape[0] > size_hw[0]
    return cv2.resize(values, size_hw[1::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _vote(labels_hw_u8: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Labels on a coarser grid: the commonest of each cell; sure foreground, maybe a thin stroke, wins any cell."""
    shares = np.stack([_resize(labels_hw_u8 == label, size_hw) for label in range(4)])
    voted = shares.argmax(axis=0).astype(np.uint8)
    voted[shares[1] > 0.1] = 1
    return voted
