"""The stylize report, section by section: from the run's results to a record."""

from typing import TYPE_CHECKING

from commands.evidence import percent
from commands.run import Run
from interp.images import Picture
from interp.sizes import resize_nchw01

if TYPE_CHECKING:
    from commands.evidence import SaliencyFindings
    from commands.job import Job
    from interp.features import FeatureMaps
    from interp.gram import GramStats
    from interp.vgg import Vgg
    from reports.record import Section
    from reports.store import RecordBuilder
    from segment.result import Segmentation
    from stylize.outcome import Outcome

SHOWN_CHANNELS = 16


def tell_stylize(
    run: Run, vgg: "Vgg", job: "Job", painting: Picture, findings: "SaliencyFindings | None",
    segmentation: "Segmentation | None", region: str,
) -> "RecordBuilder":  # fmt: skip
    """Put a stylize run into a record, in reading order."""
    from reports import evidence, sections
    from reports.store import RecordBuilder

    photo, alpha = job.photo, job.styled.alpha_hw01
    builder = RecordBuilder("stylize", f"{photo.name}, {region} after {painting.name}", _headline(job, region))
    store, add = builder.images, builder.sections.append
    add(
        sections.result_section(
            store,
            photo.rgb_hwc_u8,
            job.result_hwc_u8,
            alpha,
            region=region,
            paintings={painting.name: painting.rgb_hwc_u8},
        )
    )
    if segmentation:
        add(sections.region_section(store, photo.rgb_hwc_u8, segmentation, alpha, job.isolation, region=region))
    add(evidence.features_section(store, _maps(vgg, job)))
    if findings:
        add(evidence.saliency_section(store, findings.attribution, findings.panels, findings.verdict))
    add(evidence.gram_section(store, _grams(vgg, job)))
    add(evidence.layers_section(store, job.styled.choice))
    add(
        sections.optimisation_section(
            store, job.steps, [*job.snapshots, ("result", job.result_hwc_u8)], seconds=job.last.elapsed_s
        )
    )
    add(_outcome_section(vgg, job, findings))
    for name, reason in job.last.scene.dropped[0].items():
        run.warnings.append(f"Layer {name} was left out at the finest scale: {reason}.")
    builder.data = {
        "exact": run.plan.paths["image"].suffix.lower() == ".png",
        "interrupted": job.interrupted,
        "settings": job.settings,
        "strength": job.styled.strength,
        "choice": job.styled.choice,
        "segmentation": segmentation,
        "isolation": job.isolation,
        "outcome": job.outcome,
        "prediction": findings.attribution.prediction if findings else None,
        "verdict": findings.verdict if findings else None,
        "weights_of_terms": {term.name: term.weight for term in job.last.scene.losses[0].terms},
        "losses": job.last.losses,
    }
    return builder


def _headline(job: "Job", region: str) -> str:
    before, after = job.outcome.mean(optimised=True)
    kept = job.isolation.max_abs_outside == 0
    outside = f"{job.isolation.outside_pixels:,} pixels outside are {'bit-identical' if kept else 'not identical'}"
    return f"The {region} came from {before:.2f} to {after:.2f} of the painting's distance; {outside}."


def _maps(vgg: "Vgg", job: "Job") -> "list[FeatureMaps]":
    """conv1_1 as it is, and the channels of the content layer that tell the region from its surroundings."""
    from interp.features import feature_maps

    scene = job.last.scene
    alpha = scene.alphas_rhw01[0].cpu().numpy()
    inside = 0 < (alpha >= 0.5).mean() < 1
    return [
        feature_maps(vgg, scene.photo_nchw01, "conv1_1", count=SHOWN_CHANNELS),
        feature_maps(
            vgg, scene.photo_nchw01, job.styled.choice.content_layer, count=SHOWN_CHANNELS,
            rank="contrast" if inside else "mean", alpha_hw01=alpha,
        ),
    ]  # fmt: skip


def _grams(vgg: "Vgg", job: "Job") -> "dict[str, list[GramStats]]":
    """Gram statistics of the style layers: painting, photo's region, result's region."""
    import torch

    from interp.gram import gram_stats, region_gram
    from interp.images import to_nchw01

    scene = job.last.scene
    size = job.last.size_hw_px
    parts = scene.region_layers[0]
    alpha = scene.alphas_rhw01[0].cpu().numpy()
    target = job.styled.target_nchw01(scene.photo_nchw01, alpha, job.settings.style_scale)
    result = resize_nchw01(to_nchw01(job.result_hwc_u8).to(target), size)
    grams: dict[str, list[GramStats]] = {}
    with torch.no_grad():
        for name, image in {
            "painting": target,
            "photo's region": scene.photo_nchw01,
            "result's region": result,
        }.items():
            maps = vgg.activations(image, list(parts))
            masks = {layer: None if name == "painting" else part.mask_hw01.to(target) for layer, part in parts.items()}
            grams[name] = [gram_stats(layer, region_gram(maps[layer], masks[layer])) for layer in parts]
    return grams


def _outcome_section(vgg: "Vgg", job: "Job", findings: "SaliencyFindings | None") -> "Section":
    from reports.sections import outcome_section

    rows = list(_outcome_rows(job.outcome))
    if findings:
        from interp.images import to_nchw01
        from interp.saliency import classify

        image = to_nchw01(job.result_hwc_u8).to(job.styled.painting_nchw01)
        now, then = classify(vgg, image), findings.attribution.prediction
        before, after = (f"{entry.names[0]} ({percent(entry.probabilities[0])})" for entry in (then, now))
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
