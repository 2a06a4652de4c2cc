"""Where a photo differs from its border in what a network says about it: the prior where colours are unclear."""

import cv2
import numpy as np

from interp.pictures.sizes import working_size_hw_px
from segment.contrast import FRAME_SHARE, border, centre_prior, contrast_map, smooth, unit
from segment.deepcut import FEATURE_GRID_PX, Describe

LOOK_PX = 400  # long side at which the network looks
SEPARATION_SHRINKAGE, DISTANCE_SHRINKAGE = 2.0, 0.5  # share of the identity in the features' covariances
CENTRE_WEIGHT = 0.5


def deep_contrast_map(rgb_hwc_u8: np.ndarray, describe: Describe, *, seed: int = 0) -> np.ndarray:
    """Rate how much each place stands out from the border, in deep features and in colour.

    For each layer two measures, standardised and added: the score along Fisher's direction between the border and the
    rest, and the Mahalanobis distance to the border's features. To their sum come `contrast_map`, standardised too, and
    half as much of the middle's log odds.

    Args:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        describe: What a network says about a small picture.
        seed: Of the clustering of the border's colours.

    Returns:
        (h, w) float32 in [0, 1] at a long side of at most 100 px.
    """
    photo_hw_px = rgb_hwc_u8.shape[0], rgb_hwc_u8.shape[1]
    look_hw_px = working_size_hw_px(photo_hw_px, LOOK_PX)
    size = working_size_hw_px(photo_hw_px, FEATURE_GRID_PX)
    frame = border(size, max(1, round(FRAME_SHARE * min(size)))).ravel()
    deep = np.zeros(frame.size)
    for layer in describe(cv2.resize(rgb_hwc_u8, look_hw_px[::-1], interpolation=cv2.INTER_AREA)):
        channels = [cv2.resize(channel, size[::-1]).ravel() for channel in layer.values_chw]
        features = np.sqrt(np.maximum(np.stack(channels, axis=-1), 0)).astype(np.float64)  # the root tames long tails
        features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
        deep += _standard(_separation(features, ~frame)) + _standard(_distance(features, frame))
    colour = cv2.resize(contrast_map(rgb_hwc_u8, seed=seed), size[::-1]).ravel()
    middle = CENTRE_WEIGHT * _standard(np.log(centre_prior(size)).ravel())
    return smooth(unit((_standard(deep) + _standard(colour) + middle).reshape(size)))


def _separation(features_nc: np.ndarray, inside_n: np.ndarray) -> np.ndarray:
    """Score along Fisher's direction between two sides."""
    a, b = features_nc[inside_n], features_nc[~inside_n]
    within = (np.cov(a.T) + np.cov(b.T)) / 2 + SEPARATION_SHRINKAGE * np.eye(features_nc.shape[1])
    return features_nc @ np.linalg.solve(within, a.mean(axis=0) - b.mean(axis=0))


def _distance(features_nc: np.ndarray, border_n: np.ndarray) -> np.ndarray:
    """Mahalanobis distance to the border's features."""
    known = features_nc[border_n]
    offset = features_nc - known.mean(axis=0)
    covariance = np.cov(known.T) + DISTANCE_SHRINKAGE * np.eye(features_nc.shape[1])
    return np.sqrt(np.maximum((offset * np.linalg.solve(covariance, offset.T).T).sum(axis=1), 0))


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / (values.std() + 1e-9)
