"""The verdict table: every method on the sample pictures, by the stated rule, and how far each map survives randomness.

    python -m benchmarks.verdicts [PICTURE]… [--weights NAME|FILE] [--arch NAME] [--draws N]

Prints Markdown. "Top five" is the lowest rank correlation while only the top five layers are random, "all" the one with
every layer random (mean of the draws).
"""

import argparse
import time
from pathlib import Path

import torch

from commands import samples
from interp.attribution.methods import METHODS
from interp.attribution.saliency import saliency_map
from interp.attribution.sanity import SanityCheck, random_margin95, sanity_check
from interp.network.classifiers import load_classifier
from interp.network.classify import Classifier
from interp.network.weights import load_vgg
from interp.pictures.images import load_picture

SAMPLES = (samples.photo("astronaut"), samples.photo("chelsea"), samples.photo("coffee"), samples.PAINTING)


def main() -> None:
    parser = argparse.ArgumentParser(description="Verdicts of every method.")
    parser.add_argument("pictures", nargs="*", type=Path, default=SAMPLES)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--arch")
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    if options.arch:
        classifier: Classifier = load_classifier(options.arch, options.weights)
    else:
        classifier = load_vgg(options.weights)
    for path in options.pictures:
        show(classifier, path, options.draws)


def show(classifier: Classifier, path: Path, draws: int) -> None:
    """Print one picture's table."""
    picture = load_picture(path)
    image, started = picture.image_nchw01, time.process_time()
    maps = [saliency_map(classifier, image, method) for method in METHODS]
    margin95 = random_margin95(classifier, image, maps[0])
    print(f"\n| {picture.name} | verdict | insertion - deletion | other class | random head | top five | all | edges |")
    print("|---|---|---|---|---|---|---|---|")
    for entry in maps:
        print(row(sanity_check(classifier, image, entry, draws=draws, random_quantile95=margin95)))
    prediction = maps[0].prediction
    seen = f"{prediction.names[0]} ({prediction.probabilities[0]:.0%})"
    print(
        f"\n{classifier.info.name} sees {seen} at {prediction.size_hw_px[1]}x{prediction.size_hw_px[0]} px; chance "
        f"{margin95:.3f}; {time.process_time() - started:.0f} s of CPU."
    )


def row(check: SanityCheck) -> str:
    """One method's line."""
    verdict, ranks = check.verdict, [entry.rank for entry in check.cascade.similarities]
    numbers = (
        verdict.margin, verdict.random_logit_correlation, verdict.random_head_correlation, min(ranks[:5]), ranks[-1],
        check.edges.rank,
    )  # fmt: skip
    cells = " | ".join("–" if number is None else f"{number:.2f}" for number in numbers)
    return f"| {check.saliency.title} | {verdict.word} | {cells} |"


if __name__ == "__main__":
    main()
