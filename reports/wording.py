"""Numbers, and what they are of, as a reader wants them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.attribution.targets import Target


LONG = 1e9  # a number that is easier to read with an exponent


def number(value: float | None) -> str:
    """Three significant digits; a dash where there is no number.

    Example:
        >>> number(0.5), number(12345.6), number(7.33e15), number(0), number(None), number(float("nan"))
        ('0.500', '12,346', '7.33e+15', '0', '–', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if value == 0 or 999.5 <= abs(value) < LONG else f"{value:#.3g}".rstrip(".")


def percent(share: float) -> str:
    """A share in percent, never rounded to nothing or to all.

    Example:
        >>> percent(0.1234), percent(0.0), percent(0.0001), percent(0.99999), percent(1.0)
        ('12.3 %', '0 %', 'under 0.1 %', 'over 99.9 %', '100 %')
    """
    if share in (0, 1) or not math.isfinite(share):
        return f"{100 * share:g} %" if math.isfinite(share) else "–"
    return "under 0.1 %" if share < 0.001 else "over 99.9 %" if 0.999 < share < 1 else f"{100 * share:.1f} %"


def score_of(target: "Target") -> str:
    """Which number a network makes of a picture for a target."""
    if target.is_class:
        return f"the score (logit) of {target.name!r}"
    what = f"channel {target.index} of {target.layer}" if target.index >= 0 else f"all channels of {target.layer}"
    return f"the mean of {what} over its cells"


def called(name: str) -> str:
    """A class by the first of its names; ImageNet gives up to five.

    Example:
        >>> called("koala, koala bear, kangaroo bear")
        'koala'
    """
    return name.split(",")[0]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
