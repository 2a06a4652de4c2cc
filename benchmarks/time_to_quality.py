"""How soon our optimiser reaches the loss that Model 1's own run ends with, judged by Model 1's own loss.

    PYTHONPATH=. python benchmarks/time_to_quality.py [PHOTO PAINTING] [--size 256] [--steps 5000] [--weights compact]

Model 1 (the original report's, `report-pytorch`) takes Adam steps at one size. Ours is L-BFGS on the same loss and from
the same photo, with different histories, at one size and by way of half of it, the convolutions in bfloat16 where the
CPU knows it. Every loss that is told is evaluated in float32. Seconds are of the processor. The last columns are mean
relative Gram distances to the painting at the layers that Model 1's loss has, and at the ReLU layers that it has not.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from commands import samples
from interp.network.frozen_pass import FrozenPass
from interp.network.layer_names import RELU_NAMES
from interp.network.precision import resolve_precision
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import load_picture
from interp.pictures.sizes import resize_nchw01, working_size_hw_px
from interp.statistics.gram import region_gram, relative_distance
from stylize.descent import Descent, descend
from stylize.historical import RecipeLoss, fit_painting, recipe_descent
from stylize.recipes import RECIPES

MODEL = RECIPES["report-pytorch"]
LIMIT = 1000  # evaluations of ours


@dataclass(frozen=True)
class Reached:
    """When a run had a loss, and with which image."""

    evaluations: int
    seconds: float
    loss: float
    image_nchw01: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", metavar="PHOTO PAINTING")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=MODEL.iterations)
    parser.add_argument("--weights", default="compact")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    vgg = load_vgg(options.weights)
    photo, painting = (
        load_picture(path).image_nchw01 for path in options.pictures or (samples.photo("astronaut"), samples.PAINTING)
    )
    sizes = [working_size_hw_px((photo.shape[-2], photo.shape[-1]), side) for side in (options.size // 2, options.size)]
    losses = [loss_at(vgg, photo, painting, size, "float32") for size in sizes]
    start = resize_nchw01(photo, sizes[-1])
    theirs = last_of(run(losses[-1], losses[-1], start, options.steps, recipe_descent(MODEL)))
    judge = Judge(vgg, fit_painting(painting, sizes[-1], MODEL))
    print(f"{'':34}{'evaluations':>12}{'CPU s':>8}{'of its':>8}{'loss':>11}{'in it':>8}{'unseen':>8}")
    tell("Model 1, Adam", theirs, theirs, judge)
    precision = resolve_precision("auto", "cpu")
    for history in (3, 10, 100):
        how = replace(recipe_descent(MODEL), optimizer="lbfgs", learning_rate=1.0, history=history, keeps_best=True)
        quick = [loss_at(vgg, photo, painting, size, precision) for size in sizes]
        found = until(run(quick[-1], losses[-1], start, LIMIT, how), theirs.loss)
        tell(f"ours, history {history}", found, theirs, judge)
        half = last_of(run(quick[0], losses[0], resize_nchw01(photo, sizes[0]), 40, how))
        fine = until(run(quick[-1], losses[-1], resize_nchw01(half.image_nchw01, sizes[-1]), LIMIT, how), theirs.loss)
        both = replace(
            fine, evaluations=fine.evaluations + half.evaluations, seconds=fine.seconds + half.seconds
        )  # fmt: skip
        tell(f"ours, history {history}, from half the size", both, theirs, judge)


def loss_at(vgg: Vgg, photo: Tensor, painting: Tensor, size_hw_px: tuple[int, int], precision: str) -> RecipeLoss:
    """Model 1's loss at a size, the convolutions in a precision, the targets in float32."""
    loss = RecipeLoss(vgg, resize_nchw01(photo, size_hw_px), fit_painting(painting, size_hw_px, MODEL), MODEL)
    loss.network = FrozenPass(vgg, loss.layers, precision=precision)
    return loss


def run(loss: RecipeLoss, exact: RecipeLoss, start_nchw01: Tensor, steps: int, how: Descent) -> Iterator[Reached]:
    """Descend; the exact loss is told of every twentieth image at most, and its time is not counted."""

    def float32(image: Tensor) -> tuple[Tensor, dict[str, float]]:
        value, figures = loss(image)
        return value.float(), figures

    spent, begun = 0.0, time.process_time()
    for number, found in enumerate(descend(float32, start_nchw01, steps, how), start=1):
        spent += time.process_time() - begun
        if number == steps or (steps <= LIMIT and number % 2 == 0):
            with torch.no_grad():
                yield Reached(number, spent, float(exact(found.image_nchw01)[0]), found.image_nchw01.clone())
        begun = time.process_time()


def last_of(reached: Iterator[Reached]) -> Reached:
    """The end of a run."""
    *_, last = reached
    return last


def until(reached: Iterator[Reached], loss: float) -> Reached:
    """The first that has a loss, or the last."""
    found = None
    for found in reached:
        if found.loss <= loss:
            break
    assert found is not None
    return found


class Judge:
    """Relative Gram distances to a painting at Model 1's layers and at the others."""

    def __init__(self, vgg: Vgg, painting_nchw01: Tensor) -> None:
        self.vgg, self.targets = vgg, self._grams(vgg, painting_nchw01)

    def __call__(self, image_nchw01: Tensor) -> tuple[float, float]:
        found = self._grams(self.vgg, image_nchw01)
        far = {name: float(relative_distance(found[name], self.targets[name])) for name in RELU_NAMES}
        own = [far[name] for name in MODEL.style_layers]
        others = [far[name] for name in RELU_NAMES if name not in MODEL.style_layers]
        return sum(own) / len(own), sum(others) / len(others)

    @staticmethod
    def _grams(vgg: Vgg, image_nchw01: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            return {name: region_gram(maps) for name, maps in vgg.activations(image_nchw01, RELU_NAMES).items()}


def tell(name: str, found: Reached, theirs: Reached, judge: Judge) -> None:
    own, others = judge(found.image_nchw01)
    share = f"1/{theirs.seconds / found.seconds:.0f}"
    print(
        f"{name:34}{found.evaluations:12}{found.seconds:8.1f}{share:>8}{found.loss:11.5g}{own:8.3f}{others:8.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
