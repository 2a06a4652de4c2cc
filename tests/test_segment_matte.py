"""The soft edge: the guided filter against its definition, and exactly 0 or 1 away from the edge."""

import cv2
import numpy as np
import pytest

from interp.errors import UsageError
from interp.pictures.guided_filter import guided_coefficients
from segment.matte import matte, outline_distance_px, soften


def guided_by_definition(guide: np.ndarray, target: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """He, Sun & Tang 2013, section 3.1: a ridge regression in every window, then the mean of all fits over a pixel."""
    height, width = target.shape
    fits = np.empty((height, width, 4))
    for y in range(height):
        for x in range(width):
            rows, columns = slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)
            colours, values = guide[rows, columns].reshape(-1, 3), target[rows, columns].ravel()
            covariance = np.cov(colours.T, bias=True) + epsilon * np.eye(3)
            slope = np.linalg.inv(covariance) @ ((colours * values[:, None]).mean(0) - colours.mean(0) * values.mean())
            fits[y, x] = (*slope, values.mean() - slope @ colours.mean(0))
    filtered = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            rows, columns = slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)
            mean = fits[rows, columns].reshape(-1, 4).mean(0)
            filtered[y, x] = mean[:3] @ guide[y, x] + mean[3]
    return filtered


def blurred_disc(size: int = 320) -> tuple[np.ndarray, np.ndarray]:
    """A photo mixed from two textured layers by a soft disc, and that disc: the true alpha."""
    rows, columns = np.mgrid[:size, :size]
    hard = (np.hypot(rows - size / 2, columns - size / 2) < size / 4).astype(np.float32)
    alpha = cv2.GaussianBlur(hard, (0, 0), size / 160)
    ripple = 12 * np.sin(columns / 5)[..., None]
    photo = alpha[..., None] * (200, 90, 60) + (1 - alpha[..., None]) * (50, 100, 130) + ripple
    return np.clip(photo, 0, 255).astype(np.uint8), alpha


def test_the_guided_filter_is_its_definition(rng: np.random.Generator) -> None:
    guide = rng.random((13, 17, 3)).astype(np.float32)
    target = (rng.random((13, 17)) > 0.5).astype(np.float32)
    fits = guided_coefficients(guide, target, 3, 1e-3)
    filtered = (fits[..., :3] * guide).sum(-1) + fits[..., 3]
    np.testing.assert_allclose(filtered, guided_by_definition(guide, target, 3, 1e-3), atol=2e-4)


@pytest.mark.parametrize("size", [320, 1100])
def test_alpha_is_nearer_to_the_truth_than_the_mask(size: int) -> None:
    photo, truth = blurred_disc(size)
    mask = truth > 0.5
    error, hard_error = (np.mean((a - truth) ** 2) for a in (matte(photo, mask), mask))
    assert error < 0.4 * hard_error


@pytest.mark.parametrize("feather_px", [None, 0, 3, 12.5])
def test_alpha_is_whole_bytes_and_exact_away_from_the_edge(feather_px: float | None) -> None:
    photo, truth = blurred_disc()
    mask = truth > 0.5
    alpha = matte(photo, mask, feather_px)
    assert alpha.dtype == np.float32
    np.testing.assert_array_equal(alpha, (np.round(alpha * 255) / 255).astype(np.float32))
    away = outline_distance_px(mask) > 8 + 3 * (feather_px or 0)
    np.testing.assert_array_equal(alpha[away], mask[away])
    assert np.unique(alpha).size > (2 if feather_px != 0 else 1)


def test_distance_is_to_the_other_side() -> None:
    mask = np.zeros((9, 40), dtype=bool)
    mask[:, 20:] = True
    np.testing.assert_allclose(outline_distance_px(mask)[4, 10:30], [*range(10, 0, -1), *range(1, 11)], atol=1e-3)


def test_more_feather_is_a_wider_edge_and_none_is_a_hard_one() -> None:
    photo, truth = blurred_disc()
    soft_px = [int(((a > 0) & (a < 1)).sum()) for a in (matte(photo, truth > 0.5, f) for f in (0, 4, 12, 30))]
    assert soft_px[0] == 0 and soft_px == sorted(set(soft_px))


def test_a_step_becomes_the_gaussians_integral() -> None:
    step = np.zeros((40, 81), dtype=np.float32)
    step[:, 40:] = 1
    profile = soften(step, 10)[20]
    from math import erf

    expected = [0.5 * (1 + erf((x + 0.5 - 40) / (5 * 2**0.5))) for x in range(30, 50)]
    np.testing.assert_allclose(profile[30:50], np.clip(expected, 0, 1), atol=0.03)
    assert profile[10] == 0 and profile[70] == 1


@pytest.mark.parametrize("feather_px", [-1, 1000, float("nan")])
def test_a_feather_that_cannot_be_is_refused(feather_px: float) -> None:
    photo, truth = blurred_disc()
    with pytest.raises(UsageError, match="expected 0 to 80"):
        matte(photo, truth > 0.5, feather_px)
