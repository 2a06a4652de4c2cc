"""`saliency --against`: why one class and not another."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from commands.attributing import AttributionOptions, announce, attributions, in_one_line, verdicts
from commands.run import Run
from interp.errors import UsageError
from reports.wording import percent

if TYPE_CHECKING:
    from interp.attribution.contrast import Contrast
    from interp.attribution.verdict import SaliencyVerdict
    from interp.network.classify import Classifier
    from interp.pictures.images import Picture

CONTRASTED = "integrated-gradients"  # contributions: their difference is that of the two scores


def hold_against(
    run: Run, picture: "Picture", asked: AttributionOptions, names: list[str], against: str, *, told: bool
) -> None:
    """Make both classes' maps, judge them, and show them with their difference.

    Args:
        run: The command's run.
        picture: The photo.
        asked: What is explained.
        names: Of the methods.
        against: The other class.
        told: Whether verdicts are told outside the report.
    """
    run.plan_outputs(picture.stem, {"figure": "png", "stats": "json"}, "against")
    from interp.attribution.contrast import Contrast
    from reports.against import contrast_conclusion, contrast_row, contrast_section, contrast_sheet
    from reports.store import RecordBuilder

    classifier = run.classifier(asked.arch)
    _check_class(classifier, against)
    run.say("Making the maps of both classes.")
    ones = attributions(run, classifier, picture, names, asked)
    others = attributions(run, classifier, picture, [entry.method for entry in ones], replace(asked, target=against))
    contrasts = [Contrast(*pair) for pair in zip(ones, others, strict=True)]
    announce(run, ones[0])
    probabilities = _probabilities(run, classifier, picture, contrasts[0])
    run.say(f"Against: {others[0].target.name!r} ({percent(probabilities[1])} against {percent(probabilities[0])}).")
    judged = []
    if told or not run.options.no_report:
        run.say("Testing the maps: do the pixels named matter to their class?")
        judged = list(zip(*(verdicts(run, classifier, picture, maps) for maps in (ones, others)), strict=True))
    for contrast, pair in zip(contrasts, judged if told else [], strict=False):
        for entry, verdict in zip((contrast.one, contrast.other), pair, strict=True):
            run.say(f"{entry.target.name}: {in_one_line(entry, verdict)}")
    run.write("figure", contrast_sheet(contrasts, judged if told else ()))
    stats = _stats(contrasts, judged, probabilities)
    run.write("stats", json.dumps(stats, indent=1).encode())
    if not run.options.no_report:
        title = f"{ones[0].target.name} against {others[0].target.name} in {picture.name}"
        builder = RecordBuilder("saliency", title, f"{len(contrasts)} methods, both maps and their difference.")
        builder.conclusion = contrast_conclusion(contrasts, judged, probabilities)
        builder.lead.append(contrast_row(builder.images, picture.rgb_hwc_u8, contrasts[0], probabilities))
        builder.sections.append(contrast_section(builder.images, contrasts, judged))
        builder.data = stats
        run.write_report(builder, classifier)
    run.finish()


def _check_class(classifier: "Classifier", text: str) -> None:
    """Refuse a layer or channel, before maps are made."""
    from interp.attribution.targets import parse_target

    if not parse_target(classifier, text).is_class:
        raise UsageError(f"--against {text!r} is no class; expected one, by name or number.")


def _probabilities(run: Run, classifier: "Classifier", picture: "Picture", contrast: "Contrast") -> tuple[float, float]:
    """What the classifier gives each class."""
    from interp.network.classify import probabilities_c

    image = picture.image_nchw01.to(run.device())
    every = probabilities_c(classifier, image, contrast.one.prediction.size_hw_px)
    return float(every[contrast.one.target.index]), float(every[contrast.other.target.index])


def _stats(
    contrasts: "list[Contrast]",
    judged: "list[tuple[SaliencyVerdict, SaliencyVerdict]]",
    probabilities: tuple[float, float],
) -> dict[str, object]:
    from reports.against import contrast_views
    from reports.store import plain
    from reports.verdict import verdict_data

    first = contrasts[0].one
    maps = {
        contrast.one.method: {
            "vmin": contrast_views(contrast)[0].low,
            "vmax": contrast_views(contrast)[0].high,
            "verdicts": [verdict_data(verdict) for verdict in judged[place]] if judged else None,
        }
        for place, contrast in enumerate(contrasts)
    }
    names = {"target": first.target.name, "against": contrasts[0].other.target.name}
    return plain(names | {"probabilities": probabilities, "prediction": first.prediction, "maps": maps})
