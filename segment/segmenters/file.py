"""Any segmentation network in an ONNX or TensorFlow Lite file: one picture in, a map out. OpenCV runs it."""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from interp.errors import WeightsError
from segment.segmenters.graph_input import onnx_input_hw_px, tflite_input_hw_px

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OPEN_PX = 320  # where the graph leaves its size open; U²-Net's
ROUNDING = 1e-3  # how far outside [0, 1] a probability may lie
READERS = {
    ".onnx": (onnx_input_hw_px, cv2.dnn.readNetFromONNX),
    ".tflite": (tflite_input_hw_px, cv2.dnn.readNetFromTFLite),
}


class FileSegmenter:
    """A network read from a file. Nothing in the file is run but its graph's arithmetic.

    Args:
        path: A .onnx or .tflite.
        mean: Subtracted from RGB in [0, 1]; None for ImageNet's (ONNX) or 0 (TensorFlow Lite), what such files
            usually want.
        std: What is then divided by; None for ImageNet's, or 1.

    Attributes:
        name: The file's.
        origin: Its SHA-256.
        sha256: Of its bytes.
        input_hw_px: The size at which it looks.

    Raises:
        WeightsError: If the file cannot be read, or is no network from one picture to a map.
    """

    def __init__(
        self, path: str | Path, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None
    ) -> None:
        self.path = Path(path)
        self.name = self.path.name
        kind = self.path.suffix.lower()
        if kind not in READERS:
            raise WeightsError(f"Segmenter {str(path)!r} is no .onnx or .tflite file; expected one of these.")
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise WeightsError(f"Cannot read segmenter {str(path)!r}: {error.strerror}.") from error
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.origin = f"SHA-256 {self.sha256}"
        read_size, read_net = READERS[kind]
        try:
            self.input_hw_px = read_size(data) or (OPEN_PX, OPEN_PX)
            self._net = read_net(np.frombuffer(data, np.uint8))
        except (ValueError, cv2.error) as error:
            raise self._unfit(error) from error
        imagenet = kind == ".onnx"
        self.mean = mean or (IMAGENET_MEAN if imagenet else (0.0, 0.0, 0.0))
        self.std = std or (IMAGENET_STD if imagenet else (1.0, 1.0, 1.0))

    def __call__(self, rgb_hwc_u8: np.ndarray) -> np.ndarray:
        """Look at a photo, stretched to the network's size.

        Args:
            rgb_hwc_u8: (H, W, 3) uint8 RGB.

        Returns:
            (h, w) float32 in [0, 1].

        Raises:
            WeightsError: If the network cannot run, or gives no map.
        """
        shrinks = max(rgb_hwc_u8.shape[:2]) > max(self.input_hw_px)
        small = cv2.resize(
            rgb_hwc_u8, self.input_hw_px[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        normalised = (small.astype(np.float32) / 255 - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        try:
            self._net.setInput(np.ascontiguousarray(normalised.transpose(2, 0, 1)[None]))
            outputs = self._net.forward(self._net.getUnconnectedOutLayersNames())
            return first_map(outputs)
        except (ValueError, cv2.error) as error:
            raise self._unfit(error) from error

    def _unfit(self, error: Exception) -> WeightsError:
        why = str(error).split("error: ")[-1].strip().splitlines()[0]  # OpenCV's come with file and line
        return WeightsError(
            f"Segmenter {str(self.path)!r} cannot be used: {why}. Expected a network from one RGB picture to a map."
        )


def first_map(outputs: list[np.ndarray] | tuple[np.ndarray, ...]) -> np.ndarray:
    """The probability of being the subject, from whatever a segmentation network puts out; of several maps the first.

    One channel: as it is within [0, 1], a sigmoid of logits where some lie below 0, else min-max. Two channels: the
    second of background and subject; more: all but the first, which is background (Pascal VOC's order); a softmax
    before, unless they are probabilities.

    Args:
        outputs: Arrays (1, C, h, w), (1, h, w, C), (1, h, w) or (h, w).

    Returns:
        (h, w) float32 in [0, 1].

    Raises:
        ValueError: If none has such a shape, or a value is not finite.

    Example:
        >>> first_map([np.array([[[[-2.0, 0.0], [0.0, 2.0]]]])]).round(2).tolist()
        [[0.11999999731779099, 0.5], [0.5, 0.8799999952316284]]
    """
    for output in outputs:
        values = np.asarray(output, dtype=np.float32)
        values = values[0] if values.ndim in (3, 4) and len(values) == 1 else values
        if values.ndim == 3 and values.shape[2] < min(values.shape[:2]):
            values = values.transpose(2, 0, 1)
        values = values[None] if values.ndim == 2 else values
        if values.ndim == 3 and min(values.shape[1:]) > 1:
            if not np.isfinite(values).all():
                raise ValueError("it puts out values that are not finite")
            return _subject(values) if len(values) > 1 else _probability(values[0])
    shapes = ", ".join(str(np.shape(output)) for output in outputs)
    raise ValueError(f"it puts out {shapes or 'nothing'}, no map")


def _probability(values_hw: np.ndarray) -> np.ndarray:
    low, high = float(values_hw.min()), float(values_hw.max())
    if low < -ROUNDING:
        return (1 / (1 + np.exp(-np.clip(values_hw, -60, 60)))).astype(np.float32)
    if high > 1 + ROUNDING:
        return ((values_hw - low) / max(high - low, 1e-9)).astype(np.float32)
    return np.clip(values_hw, 0, 1)


def _subject(classes_chw: np.ndarray) -> np.ndarray:
    probable = classes_chw.min() >= -ROUNDING and np.allclose(classes_chw.sum(axis=0), 1, atol=0.01)
    if not probable:
        powers = np.exp(classes_chw - classes_chw.max(axis=0))
        classes_chw = powers / powers.sum(axis=0)
    return np.clip(1 - classes_chw[0], 0, 1).astype(np.float32)
