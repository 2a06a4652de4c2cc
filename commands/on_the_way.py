"""Pictures of a run on the way: files every so many steps, and frames of a moving picture."""

import glob
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from commands.outputs import write_atomically
from interp.errors import OutputError

if TYPE_CHECKING:
    import numpy as np

    from stylize.optimise import StepEvent

FRAMES, FRAME_PX = 60, 640  # of a moving picture: how many at most, and their long side


@dataclass
class OnTheWay:
    """What is kept of a run's pictures.

    Attributes:
        main: Path of the result, which gives the others their names.
        every: Steps between two files; None for none.
        moves: Whether frames are kept.
        frames: (H, W, 3) uint8 RGB each, of the sizes that were worked at.
    """

    main: Path
    every: int | None = None
    moves: bool = False
    frames: "list[np.ndarray]" = field(default_factory=list, repr=False)

    def check(self) -> None:
        """Refuse to write over files of another run.

        Raises:
            OutputError: If there is one.
        """
        there = steps_of(self.main) if self.every else []
        if there:
            raise OutputError(f"{str(there[0])!r} exists. Add --overwrite, or choose another --output.")

    def see(self, event: "StepEvent") -> None:
        """Keep what is due of an evaluation."""
        from interp.pictures.images import encode_png, to_hwc_u8
        from interp.pictures.sizes import resize_nchw01, working_size_hw_px

        if self.every and (event.step % self.every == 0 or event.step == event.total):
            path = self.main.with_name(f"{self._stem(f'{event.step:05}')}.png")
            write_atomically(path, encode_png(to_hwc_u8(event.image_nchw01)))
        if self.moves and self._moves_on(event):
            size = working_size_hw_px(event.size_hw_px, FRAME_PX)
            self.frames.append(to_hwc_u8(resize_nchw01(event.image_nchw01, size)))

    def encoded(self, kind: str) -> bytes:
        """The moving picture, every frame of the last one's size."""
        import cv2

        from interp.pictures.moving import encode_moving

        height, width = self.frames[-1].shape[:2]
        return encode_moving([cv2.resize(frame, (width, height)) for frame in self.frames], kind)

    def _moves_on(self, event: "StepEvent") -> bool:
        shown = [math.ceil(FRAMES * step / event.total) for step in (event.step - 1, event.step)]
        return shown[0] < shown[1] or event.step == event.total

    def _stem(self, step: str) -> str:
        return f"{self.main.stem}.step-{step}"


def steps_of(main: Path) -> list[Path]:
    """The files of a run's pictures on the way that lie beside its result."""
    return sorted(main.parent.glob(f"{glob.escape(main.stem)}.step-*.png"))
