"""The two steps from options to files: read, train, equalise, save, measure, describe."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from commands.options import INTERRUPTED
from commands.outputs import write_atomically
from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from tools.train_compact import card, classifier, data, export, measure
from tools.train_compact.classify import Training
from tools.train_compact.distil import Distillation, has_bfloat16
from tools.train_compact.recipe import DistilRecipe, Recipe, scaled_stages
from tools.train_compact.session import load_checkpoint, prepare_folder, say, train, watch

EQUALISE_PICTURES = 1_000
EXPLAIN_PX = 256
FIT_SHARE = 0.6  # of the photos held out, to fit maps on; they are judged on the others


def classify(options: argparse.Namespace) -> int:
    """Step 1; returns the exit code."""
    recipe = Recipe(options.width, options.side, options.batch, options.seed, scaled_stages(options.images))
    _check_terms(options, [options.data_dir])
    checkpoint = prepare_folder(options)
    folders, train_on, val = _tiles(options, options.data_dir, recipe.side_px)
    classes = data.class_names(folders, options.names)
    training = Training(train_on, len(classes), recipe, options.device)
    if options.resume:
        training.restore(load_checkpoint(checkpoint))
    while not training.finished:
        if not train(options, training.run_stage(), training.state, checkpoint):
            return INTERRUPTED
        top1, _ = measure.accuracy(training.model.eval().logits, val, options.device)
        say(options, f"Stage {training.stage_index} done: top-1 {top1:.3f} on {len(val.labels_n)} validation pictures.")
    sample = data.some_of(val, EQUALISE_PICTURES, options.seed)
    vgg = export.folded(training.model)
    dead = _equalise(options, vgg, measure.batches01(sample, options.device))
    saved = _save(options, vgg, recipe.side_px, classes)
    measured = measure.measure(saved, val, options.device)
    scaled_on = f"{len(sample.labels_n):,} validation pictures"
    facts = card.classifier_rows(saved, measured, dead, scaled_on)
    counts = f"{len(train_on.labels_n):,} training and {len(val.labels_n):,} validation pictures"
    _describe(options, saved, facts, card.classification(recipe), {options.data_dir: counts})
    return 0


def distil(options: argparse.Namespace) -> int:
    """Step 2; returns the exit code."""
    bfloat16, rate = has_bfloat16(options.device), options.learning_rate
    recipe = DistilRecipe(options.crops, options.side, options.batch, rate, options.seed, bfloat16)
    _check_terms(options, [options.start, options.teacher, options.tiles, *options.photos])
    checkpoint = prepare_folder(options)
    start = load_vgg(options.start, device=options.device)
    teacher = load_vgg(options.teacher, layout=options.teacher_format, device=options.device)
    classes = export.read_classes(options.start.with_name(export.CLASSES_FILE))
    folders, train_on, val = _tiles(options, options.tiles, start.info.native_size_px)
    if [entry["wnid"] for entry in classes] != list(folders):
        raise UsageError(
            f"{str(options.tiles)!r} has other classes than {str(options.start)!r}; expected the folder that step 1 "
            "learned from."
        )
    learn_from, held_out = data.find_photos(options.photos, options.val_share, options.seed)
    photos = data.load_photos(learn_from, watch(options, "photos read"))
    distillation = Distillation(start, teacher, photos, train_on, recipe)
    if options.resume:
        distillation.restore(load_checkpoint(checkpoint))
    vgg = _taught(options, distillation, checkpoint)
    if vgg is None:
        return INTERRUPTED
    dead = _equalise(options, vgg, _squares(options, held_out))
    saved = _save(options, vgg, start.info.native_size_px, classes)
    measured = measure.measure(saved, val, options.device)
    facts = card.classifier_rows(saved, measured, dead, f"{len(held_out):,} photos held out, at {EXPLAIN_PX} px")
    facts |= _explained(options, [start, saved], teacher, held_out)
    top1_before, _ = measure.accuracy(start, val, options.device)
    sources = {
        options.start: f"the start, SHA-256 `{start.info.sha256}`",
        options.teacher: f"the teacher, SHA-256 `{teacher.info.sha256}`",
        options.tiles: f"{len(train_on.labels_n):,} pictures to learn from and {len(val.labels_n):,} to measure on",
        **dict.fromkeys(options.photos, "photos"),
    }
    sources[options.photos[-1]] += f"; {len(photos):,} in all to learn from and {len(held_out):,} to measure on"
    _describe(options, saved, facts, card.distillation(recipe, top1_before), sources)
    return 0


def _taught(options: argparse.Namespace, distillation: Distillation, checkpoint: Path) -> Vgg | None:
    """Distil, then train the classifier anew; None if Ctrl-C stopped it. Of the latter nothing is saved."""
    if not train(options, distillation.run(), distillation.state, checkpoint):
        return None
    vgg, start, recipe = distillation.taught, distillation.start, distillation.recipe
    kept = classifier.keep(vgg, start, distillation.tiles, recipe, watch(options, "chunks of tiles kept"))
    if not train(options, classifier.retrain(vgg, start, kept, recipe), distillation.state, checkpoint):
        return None
    return vgg


def _explained(options: argparse.Namespace, nets: list[Vgg], teacher: Vgg, photos: list[Path]) -> dict[str, str]:
    """The card's row on the teacher's variance: maps fitted on some of the photos, judged on the others."""
    split = min(len(photos) - 1, max(1, round(FIT_SHARE * len(photos))))
    parts = _squares(options, photos[:split]), _squares(options, photos[split:])
    shares = measure.explained(nets, teacher, *parts)
    return card.explained_row(shares, split, len(photos) - split, EXPLAIN_PX)


def _tiles(
    options: argparse.Namespace, folder: Path, side_px: int
) -> tuple[tuple[str, ...], data.Pictures, data.Pictures]:
    """The classes' folders, the pictures to learn from and those to measure on."""
    files = data.find_files(folder, options.val_share, options.seed)
    train_on = data.load_pictures(files.train, side_px, watch(options, "training pictures read"))
    val = data.load_pictures(files.val, side_px, watch(options, "validation pictures read"))
    return files.folders, train_on, val


def _squares(options: argparse.Namespace, photos: Iterable[Path]) -> Iterable[Tensor]:
    return (image_nchw01.to(options.device) for image_nchw01 in data.load_squares(photos, EXPLAIN_PX))


def _equalise(options: argparse.Namespace, vgg: Vgg, images: Iterable[Tensor]) -> dict[str, list[int]]:
    dead = export.equalise_channels(vgg, images)
    for layer, channels in dead.items():
        say(options, f"Dead channels in {layer}: {', '.join(map(str, channels))}.")
    return dead


def _save(options: argparse.Namespace, vgg: Vgg, native_px: int, classes: list[dict[str, str]]) -> Vgg:
    """Save, and load again what was saved."""
    return load_vgg(export.save_weights(vgg, native_px, classes, options.output), device=options.device)


def _check_terms(options: argparse.Namespace, sources: Iterable[Path]) -> None:
    """Refuse terms of what is no source, before anything takes hours; note the sources that have none."""
    given, known = {Path(name) for name, _ in options.terms}, set(sources)
    if unknown := sorted(map(str, given - known)):
        raise UsageError(f"--terms {unknown[0]!r} is no source; expected one of {', '.join(map(str, sorted(known)))}.")
    if missing := sorted(map(str, known - given)):
        say(options, f"Note: no --terms for {', '.join(missing)}; the model card will say so.")


def _describe(
    options: argparse.Namespace, saved: Vgg, facts: Mapping[str, str], training: str, sources: Mapping[Path, str]
) -> None:
    """Write the model card; print the paths."""
    terms = {Path(name): text for name, text in options.terms}
    rows = [(path.name, what, terms.get(path, "not stated")) for path, what in sources.items()]
    files = [options.output / name for name in (export.WEIGHTS_FILE, export.CLASSES_FILE, card.CARD_FILE)]
    write_atomically(files[-1], card.model_card(files[0], saved, facts, training, rows).encode())
    for name, value in facts.items():
        say(options, f"{name}: {value}")
    for path in files:
        print(path)
