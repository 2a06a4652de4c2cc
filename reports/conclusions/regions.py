"""Of a cut, and of groups of pixels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.record import Conclusion
from reports.wording import percent

if TYPE_CHECKING:
    from segment.kmeans import Clusters
    from segment.segmentation import Segmentation

_USE = "Restyle behind or inside it: stylize PHOTO --mask with the mask file."


def segment_conclusion(segmentation: "Segmentation", doubts: Sequence[str]) -> Conclusion:
    """Conclude on a cut; `doubts` are sentences of what to look at."""
    pieces = "one piece" if segmentation.components == 1 else f"{segmentation.components:,} pieces"
    found = f"The foreground covers {percent(segmentation.area_share)} of the photo, in {pieces}."
    if doubts:
        advice = "compare the outline with the photo; give --box X,Y,W,H, or mark places with --point and --not."
        return Conclusion(found, f"Doubtful. {' '.join(doubts)}", advice, "doubt")
    if segmentation.prompt == "mask":
        return Conclusion(found, "The mask was given, so it is as good as its maker.", _USE, "good")
    belief = "Nothing speaks against it; how it was found stands under The region."
    return Conclusion(found, belief, f"where the outline is wrong, mark it: --point X,Y --not X,Y. {_USE}", "good")


def clusters_conclusion(clusters: "Clusters", neutrality: str) -> Conclusion:
    """Conclude on clusters of pixels."""
    big = max(range(clusters.k), key=lambda place: clusters.shares[place])
    found = (
        f"The photo falls into {clusters.k} groups of pixels; the largest holds {percent(clusters.shares[big])} of it."
    )
    advice = {
        "good": "segment PHOTO should cut this photo by itself.",
        "doubt": "segment PHOTO, and look at the outline; --box helps.",
        "bad": "segment PHOTO --box X,Y,W,H, with the subject in the box.",
    }[clusters.neutral]
    return Conclusion(found, neutrality, advice, clusters.neutral)
