"""OpenCV 4 and 5 cut the same foreground: the masks in tests/data were made with OpenCV 5.

After a deliberate change of the segmentation, renew them with OpenCV 5 and look at them:
`PYTHONPATH=. python tests/test_opencv_versions.py`.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from commands import samples
from interp.pictures.images import load_picture
from segment import segment

MASKS = Path(__file__).parent / "data"
SCENES: dict[str, Callable[[], np.ndarray]] = {
    "chelsea-auto": lambda: segment(sample("chelsea")).mask_hw,
    "coffee-contrast": lambda: segment(sample("coffee"), prompt="contrast").mask_hw,
    "leaf-contrast": lambda: segment(leaf(), prompt="contrast").mask_hw,
}


def sample(name: str) -> np.ndarray:
    return load_picture(samples.photo(name)).rgb_hwc_u8


def leaf() -> np.ndarray:
    """A notched, striped leaf on a ground of similar stripes, 613x437 px."""
    rows, columns = np.mgrid[:437, :613]
    angle = np.arctan2(rows - 230, columns - 300)
    inside = np.hypot((rows - 230) / 150, (columns - 300) / 190) < 0.8 + 0.2 * np.sin(5 * angle)
    stripes = ((3 * rows + 5 * columns) // 23 % 3 * 22)[..., None]
    return (np.where(inside[..., None], (170, 120, 60), (60, 95, 110)) + stripes).astype(np.uint8)


@pytest.mark.parametrize("scene", SCENES)
def test_the_mask_is_opencv_5s(scene: str) -> None:
    with Image.open(MASKS / f"{scene}.png") as picture:
        expected = np.asarray(picture)
    found = SCENES[scene]()
    overlap = (found & expected).sum() / (found | expected).sum()
    assert overlap >= 0.99, f"IoU {overlap:.4f} with OpenCV {cv2.__version__}"


if __name__ == "__main__":
    assert cv2.__version__.startswith("5.")
    MASKS.mkdir(exist_ok=True)
    for name, cut in SCENES.items():
        Image.fromarray(cut()).save(MASKS / f"{name}.png", optimize=True)
