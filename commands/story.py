"""The stylize report, section by section: from the run's results to a record."""

from dataclasses import replace
from typing import TYPE_CHECKING

from commands.evidence import layer_textures
from commands.run import Run
from commands.seeing import best_class
from interp.pictures.sizes import fit_painting_nchw01, resize_nchw01

if TYPE_CHECKING:
    from commands.job import Job
    from commands.parts import Part
    from commands.seeing import SaliencyFindings
    from interp.network.features import FeatureMaps
    from interp.network.vgg import Vgg
    from interp.statistics.gram import GramStats
    from reports.record import Section
    from reports.store import RecordBuilder
    from segment.result import Segmentation
    from stylize.outcome import Outcome

SHOWN_CHANNELS = 16


def tell_stylize(
    run: Run, vgg: "Vgg", job: "Job", parts: "list[Part]", findings: "SaliencyFindings | None",
    segmentation: "Segmentation | None",
) -> "RecordBuilder":  # fmt: skip
    """Put a stylize run into a record, in reading order."""
    from reports import (
        features_section,
        gram_section,
        layers_section,
        optimisation_section,
        region_section,
        result_section,
        saliency_section,
    )
    from reports.store import RecordBuilder
    from reports.verdict import verdict_data

    photo, first, size = job.photo, job.styled[0], job.last.size_hw_px
    named = " and ".join(part.name for part in parts)
    title = f"{photo.name}, {named} after {' and '.join(part.painting.name for part in parts)}"
    builder = RecordBuilder("stylize", title, _headline(job))
    store, add = builder.images, builder.sections.append
    paintings = {_painting_caption(part, parts): part.painting.rgb_hwc_u8 for part in parts}
    alpha = first.alpha_hw01 if len(parts) == 1 and segmentation else None
    add(result_section(store, photo.rgb_hwc_u8, job.result_hwc_u8, alpha, region=named, paintings=paintings))
    if segmentation:
        add(region_section(store, photo.rgb_hwc_u8, segmentation, first.alpha_hw01, job.isolation, region=first.name))
    add(features_section(store, _maps(vgg, job)))
    if findings:
        add(saliency_section(store, findings.saliency, findings.verdict))
    for number, region in enumerate(job.styled):
        several = region.name if len(job.styled) > 1 else ""
        add(_of(gram_section(store, _grams(vgg, job, number)), several))
        textures = layer_textures(vgg, fit_painting_nchw01(region.painting_nchw01, size, job.settings.style_scale))
        add(_of(layers_section(store, region.choice, textures), several))
    add(
        optimisation_section(
            store, job.steps, [*job.snapshots, ("result", job.result_hwc_u8)], seconds=job.last.elapsed_s
        )
    )
    add(_outcome_section(vgg, job, findings))
    for region, canvas in zip(job.styled, job.last.scene.canvases, strict=True):
        for name, reason in canvas.dropped.items():
            run.warnings.append(f"Layer {name} was left out of the {region.name} at the finest scale: {reason}.")
    builder.data = {
        "exact": run.plan.paths["image"].suffix.lower() == ".png",
        "interrupted": job.interrupted,
        "settings": job.settings,
        "regions": {
            region.name: {
                "strength": region.strength,
                "colour": region.colour,
                "choice": region.choice,
                "outcome": outcome,
                "weights_of_terms": {term.name: term.weight for term in canvas.loss.terms},
            }
            for region, outcome, canvas in zip(job.styled, job.outcomes, job.last.scene.canvases, strict=True)
        },
        "segmentation": segmentation,
        "isolation": job.isolation,
        "prediction": findings.saliency.prediction if findings else None,
        "verdict": verdict_data(findings.verdict) if findings else None,
        "losses": job.last.losses,
    }
    return builder


def _painting_caption(part: "Part", parts: "list[Part]") -> str:
    use = f" for the {part.name}" if len(parts) > 1 else ""
    return f"{part.painting.name}{use}{', its masked part' if part.painting_alpha_hw01 is not None else ''}"


def _of(section: "Section", region: str) -> "Section":
    """A section that is there once for each region."""
    if not region:
        return section
    return replace(section, id=f"{section.id}-{region}", title=f"{section.title}: {region}")


def _headline(job: "Job") -> str:
    moved = []
    for region, outcome in zip(job.styled, job.outcomes, strict=True):
        before, after = outcome.mean(optimised=True)
        moved.append(f"the {region.name} came from {before:.2f} to {after:.2f} of the painting's distance")
    if not job.isolation.outside_pixels:
        return f"T{'; '.join(moved)[1:]}."
    kept = job.isolation.max_abs_outside == 0
    outside = f"{job.isolation.outside_pixels:,} pixels outside are {'bit-identical' if kept else 'not identical'}"
    return f"T{'; '.join(moved)[1:]}; {outside}."


def _maps(vgg: "Vgg", job: "Job") -> "list[FeatureMaps]":
    """conv1_1 as it is, and the channels of the content layer that tell the region from its surroundings."""
    from interp.network.features import feature_maps

    scene = job.last.scene
    alpha = scene.alphas_rhw01[0].cpu().numpy()
    inside = 0 < (alpha >= 0.5).mean() < 1
    return [
        feature_maps(vgg, scene.photo_nchw01, "conv1_1", count=SHOWN_CHANNELS),
        feature_maps(
            vgg, scene.photo_nchw01, job.styled[0].choice.content_layer, count=SHOWN_CHANNELS,
            rank="contrast" if inside else "mean", alpha_hw01=alpha,
        ),
    ]  # fmt: skip


def _grams(vgg: "Vgg", job: "Job", number: int) -> "dict[str, list[GramStats]]":
    """Gram statistics of a region's style layers: painting, photo's region, result's region."""
    import torch

    from interp.network.layer_names import layer
    from interp.pictures.images import to_nchw01
    from interp.statistics.gram import gram_stats, region_gram
    from interp.statistics.regions import pool_mask

    scene, size = job.last.scene, job.last.size_hw_px
    alpha, photo = scene.alphas_rhw01[number], scene.photo_nchw01
    _, painting, learned = job.styled[number].pictures(photo, alpha, size, job.settings.style_scale)
    result = resize_nchw01(to_nchw01(job.result_hwc_u8).to(photo), size)
    names = list(scene.canvases[number].masks)
    pictures = {
        "painting": (painting, learned), "photo's region": (photo, alpha), "result's region": (result, alpha),
    }  # fmt: skip
    grams: dict[str, list[GramStats]] = {}
    with torch.no_grad():
        for label, (image, part) in pictures.items():
            maps = vgg.activations(image, names)
            grams[label] = [gram_stats(name, region_gram(maps[name], pool_mask(part, layer(name)))) for name in names]
    return grams


def _outcome_section(vgg: "Vgg", job: "Job", findings: "SaliencyFindings | None") -> "Section":
    from reports.restyling import outcome_section

    rows = []
    for region, outcome in zip(job.styled, job.outcomes, strict=True):
        prefix = f"{region.name}: " if len(job.styled) > 1 else ""
        rows += [(prefix + name, *figures) for name, *figures in _outcome_rows(outcome)]
    if findings:
        from interp.attribution.saliency import classify
        from interp.pictures.images import to_nchw01

        image = to_nchw01(job.result_hwc_u8).to(job.last.scene.photo_nchw01)
        now, then = classify(vgg, image), findings.saliency.prediction
        before, after = (best_class(entry) for entry in (then, now))
        same = "the same class" if now.indices[0] == then.indices[0] else "another class"
        rows.append(("what the network sees in the whole picture", before, after, same))
    return outcome_section(rows)


def _outcome_rows(outcome: "Outcome") -> list[tuple[str, str, str, str]]:
    rows = []
    for used, label in ((True, "layers in the loss"), (False, "layers not in the loss")):
        before, after = outcome.mean(optimised=used)
        if after == after:  # NaN where there is no such layer
            reading = "closer to the painting" if after < before else "no closer"
            rows.append((f"mean Gram distance to the painting, {label}", f"{before:.3f}", f"{after:.3f}", reading))
    for layer, used, before, after in zip(
        outcome.layers, outcome.optimised, outcome.before, outcome.after, strict=True
    ):
        mark = "in the loss" if used else "checked only"
        rows.append((f"{layer}, {mark}", f"{before:.3f}", f"{after:.3f}", "closer" if after < before else "no closer"))
    moved = f"{outcome.content_distance:.2f}"
    rows.append((f"distance to the photo at {outcome.content_layer}", "0", moved, "0 is the photo, 1 a blank"))
    return rows
