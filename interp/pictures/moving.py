"""Moving pictures: frames to the bytes of a WebP, GIF or MP4 file."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from interp.errors import OutputError

FRAME_S, LAST_S = 0.1, 2.0


def encode_moving(frames_hwc_u8: Sequence[np.ndarray], kind: str) -> bytes:
    """Encode frames, the last of which stays for two seconds.

    Args:
        frames_hwc_u8: (H, W, 3) uint8 RGB each, of one size.
        kind: `webp`, `gif` or `mp4`.

    Returns:
        The file's bytes.

    Raises:
        OutputError: If the installed OpenCV cannot write MP4.
    """
    if kind == "mp4":
        return _mp4(frames_hwc_u8)
    first, *others = (Image.fromarray(frame) for frame in frames_hwc_u8)
    waits_ms = [round(1000 * FRAME_S)] * len(others) + [round(1000 * LAST_S)]
    file = io.BytesIO()
    more = {"quality": 85} if kind == "webp" else {}
    first.save(file, kind, save_all=True, append_images=others, duration=waits_ms, loop=0, **more)
    return file.getvalue()


def _mp4(frames_hwc_u8: Sequence[np.ndarray]) -> bytes:
    import cv2

    height, width = (side // 2 * 2 for side in frames_hwc_u8[0].shape[:2])  # its colours lie on every other pixel
    frames = [*frames_hwc_u8, *[frames_hwc_u8[-1]] * round(LAST_S / FRAME_S)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "moving.mp4")
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), code, 1 / FRAME_S, (width, height))
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[:height, :width, ::-1]))
        writer.release()
        if not path.exists() or not path.stat().st_size:
            raise OutputError("The installed OpenCV cannot write MP4. Use --timelapse webp or gif.")
        return path.read_bytes()
