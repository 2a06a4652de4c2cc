"""Of style: what tells pictures apart, and the evidence for layers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.record import Conclusion

if TYPE_CHECKING:
    from interp.statistics.gram_compare import GramComparison, LayerStyle
    from interp.statistics.layers import LayerChoice


def layers_conclusion(choice: "LayerChoice") -> Conclusion:
    """Conclude on the evidence for layers."""
    told = [entry for entry in choice.style_evidence if not math.isnan(entry.ratio)]
    beyond = [entry for entry in told if entry.beyond_chance]
    if not told:
        return Conclusion("Painting or photo is too small to compare.", "Nothing was measured.", "use --size.", "doubt")
    best = max(told, key=lambda entry: abs(math.log(max(entry.ratio, 1e-9))))
    more = f"{best.ratio:.2g} times the photo's" if best.ratio >= 1 else f"only {best.ratio:.2g} times the photo's"
    found = f"Painting and photo differ most at {best.layer}: the painting has {more} detail of that scale."
    if beyond:
        belief, level = f"At {len(beyond)} of {len(told)} layers the difference is more than chance gives.", "good"
    else:
        belief, level = "No layer tells the two apart by more than chance gives: the choice hardly matters.", "doubt"
    advice = "stylize --layer-choice auto takes the layers that the evidence names"
    if choice.mode == "evidence":
        advice += f": style from {', '.join(choice.style_weights)}, content from {choice.content_layer}"
    return Conclusion(found, belief, f"{advice}; without it, the usual ones.", level)


def gram_conclusion(comparison: "GramComparison", names: Sequence[str]) -> Conclusion:
    """Conclude on Gram matrices of one picture or several."""
    if not comparison.layers:
        return _one_style(comparison.styles[0], names[0])
    best = next((entry for entry in comparison.layers if entry.layer == comparison.best), None)
    if best is None:
        found = "The pictures are too small for any layer to be measured."
        return Conclusion(found, "Nothing was measured.", "use a larger --size, or larger pictures.", "doubt")
    couples, (one, other) = len(names) * (len(names) - 1) // 2, best.farthest
    found = (
        f"{best.layer} tells these pictures apart best; {names[one]} and {names[other]} are farthest apart in style."
    )
    if best.beyond_chance == couples:
        belief, level = "Every pair differs by more than parts of one picture differ among themselves.", "good"
    elif best.beyond_chance:
        belief = f"{best.beyond_chance} of {couples} pairs differ by more than chance gives; the others may be alike."
        level = "doubt"
    else:
        belief, level = "No pair differs by more than chance gives: call their styles alike.", "doubt"
    return Conclusion(found, belief, f"stylize --style-layers {best.layer} restyles with what differs.", level)


def _one_style(style: "Sequence[LayerStyle]", name: str) -> Conclusion:
    measured = [entry for entry in style if not math.isnan(entry.stationarity)]
    if not measured:
        found = f"{name} is too small to say whether its style is the same everywhere."
        return Conclusion(found, "Nothing was compared.", "use a larger --size.", "doubt")
    most = max(measured, key=lambda entry: entry.stationarity)
    least = min(measured, key=lambda entry: entry.stationarity)
    found = (
        f"The style of {name} is most alike all over at {most.stats.layer} ({most.stationarity:.2f} of 1), least at "
        f"{least.stats.layer} ({least.stationarity:.2f})."
    )
    belief = "These figures describe one picture; a style is told from another only by comparing."
    return Conclusion(found, belief, f"gram {name} OTHER says which layers tell the two apart.", "good")
