"""The stylize report, section by section: from the run's results to a record."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from commands.reading import Measured, at_reading_size, read
from commands.seeing import best_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from commands.job import Job
    from commands.parts import Part
    from commands.restyling import Restyling
    from commands.seeing import SaliencyFindings
    from interp.network.features import FeatureMaps
    from interp.network.vgg import Vgg
    from interp.statistics.gram import GramStats
    from reports.record import Conclusion, Section
    from reports.store import RecordBuilder
    from stylize.canvas import Scene
    from stylize.isolate import Isolation

SHOWN_CHANNELS = 16


def tell_stylize(done: "Restyling", *, exact: bool) -> "RecordBuilder":
    """Put a restyling into a record, in reading order.

    Args:
        done: The restyling.
        exact: Whether the picture is saved without loss.
    """
    from reports.foreground import doubts
    from reports.store import RecordBuilder
    from stylize.fill import without_border
    from stylize.isolate import measure
    from stylize.texture import textures

    vgg, job, parts, work = done.vgg, done.job, done.parts, done.work
    work.begin("reading", "Measuring the result.")
    last = at_reading_size(work, vgg, job)
    measured = read(vgg, job, last)
    work.begin("isolation", "Measuring whether anything outside reached the inside.")
    isolation = measure(vgg, job.photo.original, job.result_hwc, job.way, last)
    work.begin("textures", "Making a texture from each layer's statistics.")
    carried = [textures(vgg, without_border(entry.canvas.painting_nchw01)) for entry in measured]
    work.begin("report", "Drawing the report.")
    after = " and ".join(part.painting.name for part in parts)
    by = f", by {job.way.title}" if job.way.sources else ""
    title = f"{job.photo.name}, {_names(parts)} after {after}{by}"
    builder = RecordBuilder("stylize", title, _headline(measured, isolation))
    builder.conclusion = _conclusion(job, measured, isolation, doubts(done.segmentation) if done.segmentation else ())
    _show(builder, done, last.scene, measured, isolation, carried)
    builder.data = _data(done, measured, isolation, exact=exact)
    return builder


def _show(
    builder: "RecordBuilder",
    done: "Restyling",
    scene: "Scene",
    measured: "list[Measured]",
    isolation: "Isolation",
    carried: "list[dict[str, np.ndarray]]",
) -> None:
    """The pictures first, then every section."""
    from reports import (
        features_section,
        gram_section,
        layers_section,
        optimisation_section,
        region_section,
        result_section,
        saliency_section,
    )
    from reports.restyling import restyled_row
    from reports.ways import constants_section

    vgg, job, parts, segmentation, findings = done.vgg, done.job, done.parts, done.segmentation, done.findings
    store, photo = builder.images, job.photo.rgb_hwc_u8
    expected = 4 + 2 * len(measured) + bool(segmentation) + bool(findings)

    def add(section: "Section") -> None:
        builder.sections.append(section)
        done.work.at("report", min(1.0, len(builder.sections) / (expected + 1)))  # the last share is writing it

    seen = job.photo.original.on_white(job.result_hwc_u8)
    first = measured[0].region
    alpha = first.alpha_hw01 if len(parts) == 1 and segmentation else None
    painted = job.last.size_hw_px if job.enlarged else None
    paintings = {_painting_caption(part, parts): part.painting.rgb_hwc_u8 for part in parts}
    builder.lead.append(restyled_row(store, photo, paintings, seen))
    edge = first.alpha_hw01 if segmentation else None
    add(result_section(store, photo, seen, alpha, region=_names(parts), painted_hw_px=painted, edge_hw01=edge))
    if segmentation:
        add(region_section(store, photo, segmentation, first.alpha_hw01, isolation, region=first.name))
    add(features_section(store, _maps(vgg, scene)))
    if findings:
        add(saliency_section(store, findings.saliency, findings.verdict))
    for number, entry in enumerate(measured):
        several = entry.region.name if len(measured) > 1 else ""
        add(_of(gram_section(store, _grams(vgg, scene, number, job.result_hwc_u8)), several))
        add(_of(layers_section(store, entry.region.choice, carried[number]), several))
    shown = [*job.snapshots, ("result", seen)]
    tile_px, instant = job.way.tile_px if job.in_tiles else 0, job.way.name == "instant"
    seconds = job.last.elapsed_s
    add(optimisation_section(store, job.steps, shown, seconds=seconds, tile_px=tile_px, instant=instant))
    add(_outcome_section(vgg, job, measured, findings))
    if job.way.sources:
        add(constants_section([job.way]))


def _data(done: "Restyling", measured: "list[Measured]", isolation: "Isolation", *, exact: bool) -> dict[str, Any]:
    """The figures behind the page."""
    from reports.layers import choice_data
    from reports.verdict import verdict_data

    job, findings = done.job, done.findings
    return {
        "exact": exact,
        "interrupted": job.interrupted,
        "way": job.way,
        "steps": job.last.step,
        "painted_hw_px": job.last.size_hw_px,
        "enlarged": "guided" if job.enlarged else "no",
        "regions": {
            entry.region.name: {
                "strength": entry.region.strength,
                "faces_held": entry.region.held_hw01 is not None,
                "colour": entry.region.colour,
                "choice": choice_data(entry.region.choice),
                "readings": {"photo": entry.photo, "result": entry.result, "painting": entry.painting},
                "weights_of_terms": entry.canvas.loss.weights,
            }
            for entry in measured
        },
        "segmentation": done.segmentation,
        "isolation": isolation,
        "prediction": findings.saliency.prediction if findings else None,
        "verdict": verdict_data(findings.verdict) if findings else None,
        "losses": job.last.losses,
    }


def _names(parts: "list[Part]") -> str:
    return " and ".join(part.name for part in parts)


def _conclusion(job: "Job", restyled: list[Measured], isolation: "Isolation", doubts: "Sequence[str]") -> "Conclusion":
    from commands.restyling import hidden_share
    from reports.conclusions.restyling import stylize_conclusion

    photo_px, worked_px = max(job.photo.size_hw_px), max(job.last.size_hw_px)
    return stylize_conclusion(
        [(entry.region.name, entry.style_share, entry.result.edges_kept) for entry in restyled],
        isolation,
        doubts,
        interrupted=job.interrupted,
        finer_px=min(photo_px, 2 * worked_px) if photo_px > worked_px else None,
        first_look=job.way.name in ("instant", "draft"),
        strength=min(entry.region.strength for entry in restyled),
        hidden=[
            (entry.region.name, share)
            for entry in restyled
            if (share := hidden_share(job.photo, entry.region.alpha_hw01)) is not None
        ],
    )


def _painting_caption(part: "Part", parts: "list[Part]") -> str:
    use = f" for the {part.name}" if len(parts) > 1 else ""
    return f"{part.painting.name}{use}{', its masked part' if part.painting_alpha_hw01 is not None else ''}"


def _of(section: "Section", region: str) -> "Section":
    """A section that is there once for each region."""
    if not region:
        return section
    return replace(section, id=f"{section.id}-{region}", title=f"{section.title}: {region}")


def _headline(restyled: list[Measured], isolation: "Isolation") -> str:
    moved = []
    for entry in restyled:
        before, after = (reading.mean_gram(entry.canvas.loss.style_layers) for reading in (entry.photo, entry.result))
        moved.append(f"the {entry.region.name} came from {before:.2f} to {after:.2f} of the painting's distance")
    if not isolation.outside_pixels:
        return f"T{'; '.join(moved)[1:]}."
    kept = isolation.max_abs_outside == 0
    outside = f"{isolation.outside_pixels:,} pixels outside are {'bit-identical' if kept else 'not identical'}"
    return f"T{'; '.join(moved)[1:]}; {outside}."


def _maps(vgg: "Vgg", scene: "Scene") -> "list[FeatureMaps]":
    """conv1_1 as it is, and the channels of the content layer that tell the region from its surroundings."""
    from interp.network.features import feature_maps

    alpha = scene.alphas_rhw01[0].cpu().numpy()
    inside = 0 < (alpha >= 0.5).mean() < 1
    return [
        feature_maps(vgg, scene.photo_nchw01, "conv1_1", count=SHOWN_CHANNELS),
        feature_maps(
            vgg, scene.photo_nchw01, scene.regions[0].choice.content_layer, count=SHOWN_CHANNELS,
            rank="contrast" if inside else "mean", alpha_hw01=alpha,
        ),
    ]  # fmt: skip


def _grams(vgg: "Vgg", scene: "Scene", number: int, result_hwc_u8: "np.ndarray") -> "dict[str, list[GramStats]]":
    """Gram statistics of a region's style layers: painting, photo's region, result's region."""
    import torch

    from interp.network.layer_names import layer
    from interp.pictures.images import to_nchw01
    from interp.pictures.sizes import resize_nchw01
    from interp.statistics.gram import gram_stats, region_gram
    from interp.statistics.regions import pool_mask

    canvas, alpha, photo = scene.canvases[number], scene.alphas_rhw01[number], scene.photo_nchw01
    result = resize_nchw01(to_nchw01(result_hwc_u8).to(photo), (photo.shape[-2], photo.shape[-1]))
    names = list(canvas.loss.style_layers)
    pictures = {
        "painting": (canvas.painting_nchw01, canvas.learned_hw01),
        "photo's region": (photo, alpha),
        "result's region": (result, alpha),
    }
    grams: dict[str, list[GramStats]] = {}
    with torch.no_grad():
        for label, (image, part) in pictures.items():
            maps = vgg.activations(image, names)
            grams[label] = [gram_stats(name, region_gram(maps[name], pool_mask(part, layer(name)))) for name in names]
    return grams


def _outcome_section(
    vgg: "Vgg", job: "Job", restyled: list[Measured], findings: "SaliencyFindings | None"
) -> "Section":
    from reports.rulers import outcome_section, reading_rows

    rows = []
    for entry in restyled:
        prefix = f"{entry.region.name}: " if len(restyled) > 1 else ""
        found = reading_rows(
            entry.photo, entry.result, entry.painting, entry.canvas.loss.layers, entry.region.choice.content_layer
        )
        rows += [(prefix + name, *values) for name, *values in found]
    if findings:
        from interp.attribution.saliency import classify
        from interp.pictures.images import to_nchw01

        image = to_nchw01(job.result_hwc_u8).to(job.last.scene.photo_nchw01)
        now, then = classify(vgg, image), findings.saliency.prediction
        before, after = (best_class(entry) for entry in (then, now))
        same = "the same class" if now.indices[0] == then.indices[0] else "another class"
        rows.append(("what the network sees in the whole picture", before, after, "–", same))
    return outcome_section(rows)
