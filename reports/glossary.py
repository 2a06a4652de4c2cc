"""The words of a report that a newcomer may not know, each in one plain sentence; a page explains those it uses."""

import re

from reports.blocks import Code, ImageRef
from reports.record import Record, every

WORDS = {
    "activation": "How strongly a channel of the network answers at one place of the picture; 0 is no answer.",
    "alpha": "How much of a pixel belongs to the region: 1 all of it, 0 nothing, between them a soft edge.",
    "chance": "What the same measurement gives when the order is random; only what lies beyond it means something.",
    "channel": "One of the patterns that a layer looks for; VGG-19 has 64 in its first layers and 512 in its last.",
    "cluster": "A group of pixels that look alike.",
    "content": "What is where in the photo: its things and outlines, apart from how they are painted.",
    "dead channel": "A channel that answers to nothing in this picture.",
    "deletion": "The most salient pixels are taken away first; a good map makes the class vanish fast.",
    "effective rank": "How many independent patterns a layer uses; a plain texture needs few, a busy one many.",
    "energy": "How strongly a layer answers in the mean: the square of its channels' answers.",
    "Gram matrix": "A table of which channels fire together, without where: what the network calls style.",
    "HOG": "How alike the directions of the edges are in two pictures; 1 is alike.",
    "inertia": "How far pixels lie from the mean of their group; more groups always make it smaller.",
    "insertion": "The most salient pixels are put back first; a good map makes the class appear fast.",
    "jitter": "A change of every pixel too small to see, to find out whether the result rests on luck.",
    "layer": "A stage of the network: the first see edges and colours, the last see things.",
    "leak": "How much of what lies outside the region had a say in what was painted inside; 0 is best.",
    "loss": "The number that the optimisation makes smaller; its value means nothing by itself.",
    "neutral background": "One even colour that the subject does not share, so that a cut by colour is easy.",
    "Pareto front": "The trials that no other trial beats on everything at once.",
    "patch distance": "How unlike the painting's the small squares of a picture are; 0 is alike.",
    "rank correlation": "Whether two maps put the pixels in the same order: 1 the same, 0 no relation.",
    "receptive field": "The part of a picture that one place of a layer sees; nothing beyond it matters there.",
    "saliency": "A map of the pixels whose change would change the network's answer most.",
    "separation": "How much farther apart parts of two pictures are than parts of one; 0 says nothing.",
    "silhouette": "How much nearer pixels are to their own group than to the next: 1 clear, 0 none, below 0 wrong.",
    "SSIM": "How alike two pictures look, patch by patch; 1 is the same. Two dark pictures are always alike.",
    "stationarity": "Whether every part of a picture has the same style: 1 the same, 0 all different.",
    "trimap": "A first guess before the cut: surely inside, surely outside, and undecided between.",
}
_FORMS = {
    "neutral background": r"\bneutral\b",
    "saliency": r"\bsalien",
    "activation": r"\bactivations?\b",
    "leak": r"\bleak|\boutside reached the inside",
}


def words_on(record: Record) -> tuple[tuple[str, str], ...]:
    """The glossary for one record: word and meaning of those its text uses, in alphabetical order."""
    shown = (record.lead, record.conclusion, record.sections, record.warnings)
    text = " ".join(every(shown, str, without=(Code, ImageRef)))  # neither commands nor alt texts are read
    return tuple((word, meaning) for word, meaning in WORDS.items() if re.search(_form(word), text, re.IGNORECASE))


def _form(word: str) -> str:
    return _FORMS.get(word) or rf"\b{re.escape(word)}(es|s)?\b".replace("matrix(es|s)?", "matri(x|ces)")
