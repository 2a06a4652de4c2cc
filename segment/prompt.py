"""What a prompt is. Each is one class in one file of `segment/prompts/`; a new one needs nothing else.

The file's name is the prompt's name: `face.py` holds `FacePrompt`. `auto` keeps its own list of those that it asks.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import ClassVar

import numpy as np

from interp.errors import MaskError, UsageError, unknown_name
from segment.box import clip_box, inside
from segment.deepcut import Describe
from segment.grabcut import Cut, coarse_cut, fine_mask
from segment.hints import Hints, add_hints
from segment.masks import Box, bounding_box
from segment.opencv import BACKGROUND, MAYBE_BACKGROUND, MAYBE_FOREGROUND
from segment.prompts import prompt_names
from segment.segmenters import Segmenter
from segment.trimap import Doubt, Trimap

# A second, tighter cut is believed where it speaks of the same thing as the first.
SECOND_GROWTH, SECOND_IOU = (0.5, 1.5), 0.4
SECOND_MARGIN = 0.1  # around the first cut, in its own sides


@dataclass(frozen=True)
class Request:
    """A photo, all that may say where its subject is, and how to cut.

    Attributes:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        box_xywh_px: A box around the subject.
        mask_hw01: A finished mask, (H, W) in [0, 1].
        hints: Strokes.
        saliency_hw: (h, w), values >= 0; a map that is trusted, or what makes one.
        describe: What a network says about a small picture; None to cut by colours alone.
        person: A network that marks people.
        things: A network that marks the subject, whatever it is.
        segmenter: Any network that marks the subject.
        seed: Of everything random.
        rounds: GrabCut's alternations.
    """

    rgb_hwc_u8: np.ndarray = field(repr=False)
    box_xywh_px: Box | None = None
    mask_hw01: np.ndarray | None = field(repr=False, default=None)
    hints: Hints | None = None
    saliency_hw: np.ndarray | Callable[[], np.ndarray | None] | None = field(repr=False, default=None)
    describe: Describe | None = None
    person: Segmenter | None = None
    things: Segmenter | None = None
    segmenter: Segmenter | None = None
    seed: int = 0
    rounds: int = 5

    @property
    def size_hw_px(self) -> tuple[int, int]:
        """The photo's height and width."""
        return self.rgb_hwc_u8.shape[0], self.rgb_hwc_u8.shape[1]

    @property
    def by_colours(self) -> "Request":
        """The same, to be cut by colours alone."""
        return replace(self, describe=None)

    def cut(self, trimap: Trimap) -> Cut:
        """Cut, starting from a trimap."""
        return coarse_cut(
            self.rgb_hwc_u8, trimap.labels_hw_u8, seed=self.seed, rounds=self.rounds, describe=self.describe,
            prior_hw=trimap.prior_hw,
        )  # fmt: skip

    def cut_twice(self, trimap: Trimap) -> tuple[Trimap, Cut]:
        """A cut, and a second one that starts from a tight box around it, if that confirms the first."""
        cut = self.cut(trimap)
        tighter = around(trimap, cut.mask_hw)
        try:
            second = self.cut(tighter)
        except MaskError:
            return trimap, cut
        growth = second.mask_hw.sum() / cut.mask_hw.sum()
        agreement = (cut.mask_hw & second.mask_hw).sum() / (cut.mask_hw | second.mask_hw).sum()
        confirmed = SECOND_GROWTH[0] < growth < SECOND_GROWTH[1] and agreement > SECOND_IOU
        return (tighter, second) if confirmed else (trimap, cut)


class Prompt(ABC):
    """A way to find the subject.

    Attributes:
        needs: The field of `Request` that it cannot do without, if there is one.
        implied: Whether that field alone asks for this prompt.
    """

    needs: ClassVar[str] = ""
    implied: ClassVar[bool] = False

    @abstractmethod
    def trimap(self, request: Request) -> Trimap:
        """What is known before anything is cut.

        Raises:
            MaskError: If it finds nothing.
            UsageError: If what it needs does not fit the photo.
        """

    def objection(self, request: Request) -> Doubt | None:
        """Why `auto` need not try it; None to try."""
        return Doubt.NOT_GIVEN if self.needs and getattr(request, self.needs) is None else None

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """The cut, and the trimap that led to it."""
        trimap = self.trimap(request)
        return trimap, request.cut(trimap)

    def find(self, request: Request) -> tuple[Trimap, np.ndarray]:
        """The foreground at the photo's size, (H, W) bool; strokes are obeyed whatever the prompt."""
        if request.hints is None:
            trimap, cut = self.cut(request)
        else:
            trimap = add_hints(self.trimap(request), request.hints)
            cut = request.cut(trimap)
        return trimap, fine_mask(request.rgb_hwc_u8, cut)


def prompt_named(name: str) -> Prompt:
    """A prompt by name.

    Raises:
        UsageError: If there is none.
    """
    if name not in prompt_names():
        raise unknown_name("prompt", name, prompt_names())
    return getattr(import_module(f"segment.prompts.{name}"), f"{name.capitalize()}Prompt")()


def chosen_name(name: str, request: Request) -> str:
    """The prompt that was asked for by name, or else by what was given.

    Raises:
        UsageError: If the name is unknown, what it needs is missing, or two prompts were asked for.
    """
    prompt_named(name)
    asked = [] if name == "auto" else [name]
    if request.hints is not None and request.hints.box_xywh_px is not None:
        asked.append("hints")  # their box is a prompt; strokes alone go with any
    needs = {each: prompt_named(each).needs for each in prompt_names() if prompt_named(each).implied}
    asked += [each for each, needed in needs.items() if getattr(request, needed) is not None]
    asked = list(dict.fromkeys(asked))
    if len(asked) > 1:
        raise UsageError(
            f"Prompts {asked[0]!r} and {asked[1]!r} were both asked for; expected only one of them. Drop the other."
        )
    chosen = (*asked, "hints" if request.hints and request.hints.foreground else "auto")[0]
    needed = prompt_named(chosen).needs
    if needed and getattr(request, needed) is None:
        what = "saliency map" if needed == "saliency_hw" else chosen
        raise UsageError(f"Prompt {chosen!r} needs a {what}; none was given. Give one, or use --prompt auto.")
    return chosen


def around(trimap: Trimap, mask_hw: np.ndarray) -> Trimap:
    """A tighter start: undecided is only a box around a first cut, and a tenth of its sides more."""
    x, y, w, h = bounding_box(mask_hw)
    pad_x, pad_y = round(SECOND_MARGIN * w), round(SECOND_MARGIN * h)
    box = clip_box((mask_hw.shape[0], mask_hw.shape[1]), (x - pad_x, y - pad_y, w + 2 * pad_x, h + 2 * pad_y))
    labels = np.full(mask_hw.shape, BACKGROUND, dtype=np.uint8)
    labels[inside(box)] = MAYBE_BACKGROUND
    labels[mask_hw] = MAYBE_FOREGROUND
    return replace(trimap, labels_hw_u8=labels, box_xywh_px=box)
