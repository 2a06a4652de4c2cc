"""What VGG-19 sees in a photo: a class, the map of what speaks for it, and whether to believe that map."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.work import Work
from reports.wording import percent

if TYPE_CHECKING:
    from interp.attribution.saliency import SaliencyMap
    from interp.attribution.verdict import SaliencyVerdict
    from interp.network.classify import Prediction
    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture


@dataclass(frozen=True)
class SaliencyFindings:
    """A saliency map, and whether to believe it."""

    saliency: "SaliencyMap"
    verdict: "SaliencyVerdict"

    @property
    def sentence(self) -> str:
        """What the network says, with its doubt."""
        return f"{best_class(self.saliency.prediction)}; {self.worth}"

    @property
    def worth(self) -> str:
        """The verdict as a clause."""
        from interp.attribution.verdict import VerdictWord

        is_ = "is " if self.verdict.word in (VerdictWord.RANDOM, VerdictWord.NOT_TESTED) else ""
        return f"the saliency map {is_}{self.verdict.word}"


def look(work: Work, vgg: "Vgg", picture: "Picture") -> SaliencyFindings | None:
    """Classify, attribute and judge; None for weights without a classifier."""
    from interp.attribution.saliency import guided_backprop
    from interp.attribution.sanity import quick_verdict

    if vgg.head is None:
        return None
    work.say(f"Looking at {picture.name}, and whether the saliency map can be believed.")
    image = picture.image_nchw01.to(work.device())
    saliency = guided_backprop(vgg, image)
    verdict = quick_verdict(vgg, image, saliency, seed=work.options.seed)
    return SaliencyFindings(saliency, verdict)


def best_class(prediction: "Prediction") -> str:
    """The most probable class and its probability, with its doubt."""
    unsure = "unsure, " if prediction.unsure else ""
    return f"{prediction.names[0]} ({unsure}{percent(prediction.probabilities[0])})"
