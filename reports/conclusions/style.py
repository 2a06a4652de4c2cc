"""Of style: what tells pictures apart, and the evidence for layers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from interp.network.layer_names import layer
from reports.record import Conclusion
from reports.wording import listed, number

if TYPE_CHECKING:
    from interp.statistics.gram_compare import GramComparison, LayerStyle
    from interp.statistics.layers import LayerChoice

SAME_STYLE = 1e-6  # a distance of unit matrices below this is rounding


def layers_conclusion(choice: "LayerChoice") -> Conclusion:
    """Conclude on the evidence for layers."""
    told = [entry for entry in choice.style_evidence if not math.isnan(entry.ratio)]
    beyond = [entry for entry in told if entry.beyond_chance]
    if not told:
        return Conclusion(
            "Painting or photo is too small to compare.", "Nothing was measured.", "use a larger --size.", "doubt"
        )
    if not beyond:
        found = "At no scale do painting and photo differ in detail by more than chance gives."
        belief, advice = "The choice of layers hardly matters.", "take the usual ones, or a painting that differs more."
        return Conclusion(found, belief, advice, "doubt")
    best = max(beyond, key=lambda entry: abs(math.log(max(entry.ratio, 1e-9))))
    more = (
        f"{number(best.ratio)} times the photo's" if best.ratio >= 1 else f"only {number(best.ratio)} times the photo's"
    )
    found = f"Painting and photo differ most in {pieces(best.layer)} ({best.layer}): the painting has {more} detail."
    belief = f"At {len(beyond)} of {len(told)} layers the difference is more than chance gives."
    advice = "stylize --layer-choice auto takes the layers that the evidence names"
    if choice.mode == "evidence":
        advice += f": style from {', '.join(choice.style_weights)}, content from {choice.content_layer}"
    return Conclusion(found, belief, f"{advice}; without it, the usual ones.", "good")


def gram_conclusion(comparison: "GramComparison", names: Sequence[str], flat: Sequence[str] = ()) -> Conclusion:
    """Conclude on Gram matrices of one picture or several; `flat` are the names of those of one colour."""
    if not comparison.layers and flat:
        found = f"{flat[0]} is one flat colour: it has no style that could be measured."
        return Conclusion(found, "The figures tell of its border.", "choose a picture with something in it.", "doubt")
    if not comparison.layers:
        return _one_style(comparison.styles[0], names[0])
    if max(max(map(max, entry.distances)) for entry in comparison.layers) < SAME_STYLE:
        found = "At every layer these pictures have the same Gram matrix: to the network they are one style."
        return Conclusion(found, "There is nothing to tell apart.", "compare pictures that differ.", "doubt")
    best = next((entry for entry in comparison.layers if entry.layer == comparison.best), None)
    if best is None:
        found = "The pictures are too small for any layer to be measured."
        return Conclusion(found, "Nothing was measured.", "use a larger --size, or larger pictures.", "doubt")
    couples = len(names) * (len(names) - 1) // 2
    if not best.beyond_chance:
        found = "No layer tells these pictures apart by more than chance gives."
        belief = "Call their styles alike: they differ no more than parts of one picture do."
        return Conclusion(found, belief, "--layers all asks every layer.", "doubt")
    found = f"{best.layer}, which sees {pieces(best.layer)}, tells these pictures apart best"
    if couples > 1:
        one, other = best.farthest
        found += f"; {names[one]} and {names[other]} are farthest apart in style"
    if best.beyond_chance == couples:
        which = "Every pair differs" if couples > 1 else "They differ"
        belief, level = f"{which} by more than parts of one picture differ among themselves.", "good"
    else:
        belief = f"{best.beyond_chance} of {couples} pairs differ by more than chance gives; the others may be alike."
        level = "doubt"
    if flat:
        belief, level = f"{belief} But {listed(flat)} {'is' if len(flat) == 1 else 'are'} of one flat colour.", "doubt"
    advice = "layers PHOTO --style PAINTING says which layers a restyling should take from one of them."
    return Conclusion(f"{found}.", belief, advice, level)


def pieces(name: str) -> str:
    """What a cell of a layer sees, by its receptive field."""
    return f"pieces of {layer(name).receptive_field_px} px"


def _one_style(style: "Sequence[LayerStyle]", name: str) -> Conclusion:
    belief = "These figures describe one picture; a style is told from another only by comparing."
    advice = f"gram {name} OTHER says which layers tell the two apart."
    measured = [entry for entry in style if not math.isnan(entry.stationarity)]
    if not measured:
        found = f"{name} is too small to say whether its style is the same everywhere."
        return Conclusion(found, "Nothing was compared.", "use a larger --size.", "doubt")
    most = max(measured, key=lambda entry: entry.stationarity)
    least = min(measured, key=lambda entry: entry.stationarity)
    found = (
        f"Looked at in {pieces(most.stats.layer)} ({most.stats.layer}) the style of {name} is most nearly the same "
        f"all over: {most.stationarity:.2f}, where 1 is the same everywhere and 0 is different everywhere."
    )
    if least is not most:
        found += (
            f" It changes most from place to place in {pieces(least.stats.layer)} ({least.stats.layer}: "
            f"{least.stationarity:.2f})."
        )
    return Conclusion(found, belief, advice, "good")
