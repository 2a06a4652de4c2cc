"""From a prompt to a cut: which seed is tried, when a second try is worth it, and what `auto` chooses."""

from dataclasses import dataclass, replace

import numpy as np

from interp.errors import MaskError
from segment.deepcut import Describe
from segment.grabcut import Cut, coarse_cut, refine
from segment.hints import Hints, add_hints, changes_at, hints_seed
from segment.masks import bounding_box
from segment.opencv import WHAT_TO_TRY
from segment.plausibility import colour_separation, implausible, sharpness_ratio
from segment.prompts import (
    Box,
    Seed,
    box_seed,
    contrast_seed,
    core_seed,
    deep_contrast_seed,
    earlier_seed,
    face_seed,
    focus_seed,
    recut_seed,
    saliency_seed,
)

# A box is drawn around its subject, so a good cut reaches its sides (Lempitsky et al. 2009, the tightness prior).
MIN_REACH = 0.6
# A second, tighter cut is believed where it speaks of the same thing as the first.
RECUT_GROWTH, RECUT_IOU = (0.5, 1.5), 0.4
# Colour separation: on ECSSD the median IoU is .51 below the lower limit, .93 above the upper one.
SHARED_COLOURS, CLEAR_COLOURS = 0.4, 0.6
SHARP_RATIO = 2.0  # inside to outside


@dataclass(frozen=True)
class Cutter:
    """A photo and the settings that every cut of it shares.

    Attributes:
        rgb_hwc_u8: Photo, (H, W, 3) uint8 RGB.
        seed: Of everything random.
        rounds: GrabCut's alternations.
        saliency_hw: (h, w), values >= 0, or None without a trusted map.
        saliency_note: Why there is none.
        describe: What a network says about a small picture; None to cut by colours alone.
    """

    rgb_hwc_u8: np.ndarray
    seed: int = 0
    rounds: int = 5
    saliency_hw: np.ndarray | None = None
    saliency_note: str = ""
    describe: Describe | None = None

    @property
    def size_hw_px(self) -> tuple[int, int]:
        """The photo's height and width."""
        return self.rgb_hwc_u8.shape[0], self.rgb_hwc_u8.shape[1]

    def start(self, name: str, box_xywh_px: Box | None = None) -> Seed:
        """What a prompt by name starts from."""
        if name == "box" and box_xywh_px is not None:
            return box_seed(self.size_hw_px, box_xywh_px)
        if name == "saliency":
            return saliency_seed(self.size_hw_px, self._map())
        return face_seed(self.rgb_hwc_u8) if name == "face" else contrast_seed(self.rgb_hwc_u8, seed=self.seed)

    def box(self, box_xywh_px: Box) -> tuple[Seed, Cut]:
        """Cut inside a box; where the cut does not reach the box's sides, once more with a sure middle."""
        start = self.start("box", box_xywh_px)
        try:
            cut = self._cut(start)
        except MaskError:
            return self._with_core(start)
        reach = min(np.divide(bounding_box(cut.mask_hw)[2:], (start.box_xywh_px or box_xywh_px)[2:]))
        return (start, cut) if reach >= MIN_REACH else self._with_core(start)

    def face(self) -> tuple[Seed, Cut]:
        """Cut the people whose faces are found, by colours: deep features were measured on boxes and contrast only."""
        start = self.start("face")
        return start, replace(self, describe=None)._cut(start)

    def saliency(self) -> tuple[Seed, Cut]:
        """Cut what the saliency map marks."""
        return self._cut_twice(self.start("saliency"))

    def contrast(self) -> tuple[Seed, Cut]:
        """Cut what differs from the border: in colour, or, where that is not clear, in what a network says."""
        start, cut = self._by_colour_or_deep()
        if self._separation(cut) < SHARED_COLOURS:
            doubt = "Inside and outside share many colours: check the outline, or give a box (--box X,Y,W,H)."
            start = replace(start, warnings=(*start.warnings, doubt))
        return start, cut

    def hints(self, hints: Hints) -> tuple[Seed, Cut]:
        """Cut what strokes, and a box if they come with one, speak of."""
        start = hints_seed(self.size_hw_px, hints)
        return start, self._cut(start)

    def with_hints(self, start: Seed, hints: Hints) -> tuple[Seed, Cut]:
        """Cut from another prompt's start with strokes drawn into it."""
        start = add_hints(start, hints)
        return start, self._cut(start)

    def correct(self, mask_hw01: np.ndarray, hints: Hints) -> tuple[Seed, np.ndarray]:
        """Change an earlier mask where strokes say so, and only there; (H, W) bool."""
        start = add_hints(earlier_seed(self.size_hw_px, mask_hw01), hints)
        cut = refine(self.rgb_hwc_u8, self._cut(start))
        return start, changes_at(mask_hw01 >= 0.5, cut, hints)

    def automatic(self) -> tuple[Seed, Cut]:
        """The first of face, saliency and contrast that gives a plausible cut; its reason says why not the others."""
        passed: list[str] = []
        for name, attempt in (("face", self.face), ("saliency", self.saliency), ("contrast", self.contrast)):
            if name == "saliency" and self.saliency_hw is None:
                passed.append(self._note())
                continue
            try:
                start, cut = attempt()
            except MaskError as error:
                passed.append(_first_clause(error))
                continue
            odd = implausible(cut.mask_hw)
            if odd and name != "contrast":
                passed.append(f"the {name} prompt's cut {odd}")
                continue
            doubts = (f"The cut {odd}: check it, or give a box (--box X,Y,W,H).",) if odd else ()
            reason = "; ".join([start.reason, *passed])
            return replace(start, reason=reason, warnings=(*start.warnings, *doubts)), cut
        raise MaskError(f"No subject was found: {'; '.join(passed)}. {WHAT_TO_TRY}")

    def _cut(self, start: Seed) -> Cut:
        return coarse_cut(
            self.rgb_hwc_u8,
            start.trimap_hw_u8,
            seed=self.seed,
            rounds=self.rounds,
            describe=self.describe,
            prior_hw=start.prior_hw,
        )

    def _with_core(self, start: Seed) -> tuple[Seed, Cut]:
        core = core_seed(start)
        return core, self._cut(core)

    def _cut_twice(self, start: Seed) -> tuple[Seed, Cut]:
        """A cut from a map, and a second, tighter one if it confirms the first."""
        cut = self._cut(start)
        again = recut_seed(start, cut.mask_hw)
        try:
            second = self._cut(again)
        except MaskError:
            return start, cut
        growth = second.mask_hw.sum() / cut.mask_hw.sum()
        agreement = (cut.mask_hw & second.mask_hw).sum() / (cut.mask_hw | second.mask_hw).sum()
        confirmed = RECUT_GROWTH[0] < growth < RECUT_GROWTH[1] and agreement > RECUT_IOU
        return (again, second) if confirmed else (start, cut)

    def _by_colour_or_deep(self) -> tuple[Seed, Cut]:
        try:
            start, cut = replace(self, describe=None)._contrast_by_colour()
        except MaskError:
            if self.describe is None:
                raise
            return self._deep_contrast(self.describe)
        if self.describe is None or self._separation(cut) >= CLEAR_COLOURS:
            return start, cut
        try:
            return self._deep_contrast(self.describe)
        except MaskError:
            return start, cut

    def _contrast_by_colour(self) -> tuple[Seed, Cut]:
        start, cut = self._cut_twice(self.start("contrast"))
        return self._better_in_focus(start, cut) if self._separation(cut) < CLEAR_COLOURS else (start, cut)

    def _deep_contrast(self, describe: Describe) -> tuple[Seed, Cut]:
        start = deep_contrast_seed(self.rgb_hwc_u8, describe, seed=self.seed)
        return start, self._cut(start)

    def _better_in_focus(self, start: Seed, cut: Cut) -> tuple[Seed, Cut]:
        """The cut of the sharp part, if its colours are separated no worse and it is far sharper than the rest."""
        focused = focus_seed(self.rgb_hwc_u8)
        try:
            sharp = self._cut(focused)
        except MaskError:
            return start, cut
        needed = max(SHARP_RATIO, sharpness_ratio(self.rgb_hwc_u8, cut.mask_hw))
        better = self._separation(sharp) >= self._separation(cut)
        better = better and sharpness_ratio(self.rgb_hwc_u8, sharp.mask_hw) >= needed
        return (focused, sharp) if better else (start, cut)

    def _separation(self, cut: Cut) -> float:
        return colour_separation(self.rgb_hwc_u8, cut.mask_hw)

    def _map(self) -> np.ndarray:
        if self.saliency_hw is None:
            raise MaskError(f"Prompt 'saliency' has no map to use: {self._note()}. Use --prompt auto or a box.")
        return self.saliency_hw

    def _note(self) -> str:
        return self.saliency_note.strip().rstrip(".") or "no saliency map was given"


def _first_clause(error: MaskError) -> str:
    """An error's first sentence, to stand inside another."""
    sentence = str(error).split(". ")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]
