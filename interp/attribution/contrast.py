"""Why this class and not that one: two maps of one picture by one method, and their difference."""

from dataclasses import dataclass

import numpy as np

from interp.attribution.cells import Cells
from interp.attribution.saliency import SaliencyMap
from interp.errors import UsageError


@dataclass(frozen=True)
class Contrast:
    """Maps of two classes. Both are in the same unit, score a pixel, so that they can be subtracted.

    Of contributions (`input-x-gradient`, `integrated-gradients`, `occlusion`), which are linear in the score, the
    difference is the map of the difference of the two scores. Of sensitivities it says on which class a pixel has more
    influence.

    Attributes:
        one: The map of the class that is explained.
        other: The map of the class it is held against.

    Raises:
        UsageError: If they are not of two classes, by one method, of one picture.
    """

    one: SaliencyMap
    other: SaliencyMap

    def __post_init__(self) -> None:
        one, other = self.one, self.other
        if not (one.target.is_class and other.target.is_class) or one.target == other.target:
            raise UsageError(
                f"{one.target.name!r} against {other.target.name!r}; expected two classes. Name them by --target and "
                "--against."
            )
        if one.method != other.method or not np.array_equal(one.input_chw01, other.input_chw01):
            raise UsageError("Two maps of other methods or pictures; expected one method and one picture.")

    @property
    def difference_hw(self) -> np.ndarray:
        """Above 0 where a pixel speaks for the first class more than for the other, (h, w) float32."""
        return self.one.heat_hw - self.other.heat_hw

    @property
    def difference_cells(self) -> Cells | None:
        """The same of a coarse method's cells."""
        one, other = self.one.cells, self.other.cells
        return Cells(one.values_hw - other.values_hw, one.across_hw) if one and other else None
