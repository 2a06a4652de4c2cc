"""The foreground's colours at a soft edge: nearer to the true ones than the photo, and no halo on a new ground."""

import cv2
import numpy as np
import pytest

from interp.pictures.images import Picture
from interp.pictures.original import Original
from segment.edge_colours import cutout, foreground_colours


def composed(astronaut: Picture, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A warm textured subject over a blue ground through a soft disc: photo, true foreground, alpha."""
    rows, columns = np.mgrid[:size, :size]
    hard = (np.hypot(rows - size / 2, columns - size / 2) < size / 3).astype(np.float32)
    alpha = np.round(cv2.GaussianBlur(hard, (0, 0), size / 80) * 255) / 255
    front = cv2.resize(astronaut.rgb_hwc_u8[200:400, 100:300], (size, size)).astype(np.float32)
    back = np.empty_like(front)
    back[:] = (20, 60, 200)
    photo = alpha[..., None] * front + (1 - alpha[..., None]) * back
    return np.round(photo).astype(np.uint8), front, alpha.astype(np.float32)


@pytest.mark.parametrize("size", [256, 1500])
def test_estimated_colours_are_nearer_to_the_true_ones(astronaut: Picture, size: int) -> None:
    photo, front, alpha = composed(astronaut, size)
    soft = (alpha > 0.05) & (alpha < 0.95)
    estimated = foreground_colours(photo, alpha)
    before, after = (np.abs(colours[soft] - front[soft]).mean() for colours in (photo.astype(float), estimated))
    assert after < 0.5 * before
    np.testing.assert_array_equal(estimated[(alpha == 0) | (alpha == 1)], photo[(alpha == 0) | (alpha == 1)])


def test_a_composite_on_white_has_no_blue_halo(astronaut: Picture) -> None:
    photo, front, alpha = composed(astronaut, 256)
    share = alpha[..., None]
    truth = share * front + (1 - share) * 255
    edge = (alpha > 0) & (alpha < 1)
    errors = []
    for colours in (photo, cutout(Original(photo), alpha)[..., :3]):
        errors.append(np.abs(share * colours + (1 - share) * 255 - truth)[edge].mean())
    assert errors[1] < 0.5 * errors[0]


def test_the_cutout_holds_alpha_and_nothing_of_the_outside(astronaut: Picture) -> None:
    photo, _, alpha = composed(astronaut, 128)
    rgba = cutout(Original(photo), alpha)
    np.testing.assert_array_equal(rgba[..., 3], np.round(alpha * 255))
    assert not rgba[alpha == 0].any()
    hard = cutout(Original(photo), (alpha > 0.5).astype(np.float32))
    np.testing.assert_array_equal(hard[alpha > 0.5][:, :3], photo[alpha > 0.5])
