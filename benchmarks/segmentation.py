"""Segmentation against photos with hand-made masks: each prompt, kind of features and network beside plain cv2.grabCut.

The folder holds images/, masks/NAME.png (white = foreground) and boxes.csv with the columns name, file, gt_x, gt_y,
gt_w, gt_h: the tight box of each mask, in pixels. Printed for each way: mean and median IoU, wrong pixels as a share of
the box, F-measure of the outline within 2 px, seconds of this process, and for the box the gain over plain GrabCut with
its 95 % interval (bootstrap over the photos, the same photos in both). Where the masks are soft, the squared error of
the soft edge relative to the hard mask's is printed too, from the true mask and from our own cut. With --people, a file
of names, the photos with people and those with things are counted apart as well. Memory is the most that was resident
while a way ran, what it loads included (Linux; elsewhere the most so far). One thread:

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/segmentation.py DATASET [--limit N] [--seeds 0 1 2] [--ways box]

Ways that need a file (person: `weights fetch person`; deeplab: torchvision's; segmenter: --segmenter FILE) are left out
without it. The network for things has learned from 700 photos of ECSSD; it is measured fairly on others only. "points"
is a dot at the innermost place of the mask and one at the outermost place outside.
"""

import argparse
import contextlib
import csv
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from interp.attribution.saliency import guided_backprop, prompt_saliency_hw
from interp.errors import MaskError, WeightsError
from interp.network.weights import load_vgg
from interp.pictures.images import load_mask, load_picture, to_nchw01
from segment import segment
from segment.box import clip_box
from segment.deepcut import Describe
from segment.deeplab import class_maps, find_segmenter, load_segmenter
from segment.hints import Hints, Stroke
from segment.hypercolumns import Hypercolumns
from segment.masks import Box, disc, outline_hw
from segment.matte import matte
from segment.segmenters.file import FileSegmenter
from segment.segmenters.selfie import SelfieSegmenter
from segment.segmenters.things.segmenter import ThingsSegmenter

LOOSE_PX = 5  # the box a person draws is not tight
OUTLINE_PX = 2
PLAIN = "cv2.grabCut, box"
CACHE = Path(torch.hub.get_dir()) / "checkpoints"
vgg = load_vgg("compact")
describe = Hypercolumns(vgg)

Method = Callable[["Example", int], np.ndarray]


@dataclass(frozen=True)
class Example:
    """A photo with its truth."""

    name: str
    photo: np.ndarray
    alpha: np.ndarray
    box: Box

    @property
    def truth(self) -> np.ndarray:
        return self.alpha >= 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--limit", type=int, help="only the first N photos")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--ways", nargs="+", default=[""], help="those whose name starts so")
    parser.add_argument("--segmenter", type=Path, help="a network's file")
    parser.add_argument("--people", type=Path, help="names of the photos with people, one a line")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    examples = list(read(arguments.dataset, arguments.limit))
    print(f"{len(examples)} photos, box {LOOSE_PX} px larger than the subject, no saliency")
    people = set(arguments.people.read_text().split()) if arguments.people else set()
    groups = {"": np.ones(len(examples), bool)}
    if people:
        shown = np.array([example.name in people for example in examples])
        groups |= {"people": shown, "things": ~shown}
    print(
        f"{'way':18} {'seed':>4} {'IoU':>6} {'median':>7} {'< .5':>5} {'in box':>7} {'edge F':>7} {'seconds':>8}"
        f" {'MB':>5}  gain"
    )
    baselines: dict[int, np.ndarray] = {}
    for name, method in ways(arguments.segmenter).items():
        if not any(name.startswith(start) for start in [PLAIN, *arguments.ways]):
            continue
        for seed in arguments.seeds:
            forget_peak()
            scores = np.array([score(method, example, seed) for example in examples])
            if name == PLAIN:
                baselines[seed] = scores[:, 0]
            for group, members in groups.items():
                gain = scores[members, 0] - baselines[seed][members] if name.startswith("box") else None
                report(f"  {group}" if group else name, seed, scores[members], gain)
    soft = [example for example in examples if ((example.alpha > 0.1) & (example.alpha < 0.9)).mean() > 0.01]
    for source, mask_of in (("true mask", lambda example: example.truth), ("our cut", box_cut)):
        ratios = [edge_error(example, mask_of(example)) for example in soft]
        if ratios:
            print(f"soft / hard edge from the {source}: mean {np.mean(ratios):.2f}, median {np.median(ratios):.2f}")


def read(folder: Path, limit: int | None) -> Iterator[Example]:
    """The photos of a folder with their masks and loosened boxes."""
    with (folder / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:limit]
    for row in rows:
        photo = load_picture(folder / "images" / row["file"]).rgb_hwc_u8
        size = photo.shape[0], photo.shape[1]
        x, y, w, h = (int(row[key]) for key in ("gt_x", "gt_y", "gt_w", "gt_h"))
        loose = (x - LOOSE_PX, y - LOOSE_PX, w + 2 * LOOSE_PX, h + 2 * LOOSE_PX)
        yield Example(
            row["name"], photo, load_mask(folder / "masks" / f"{row['name']}.png", size), clip_box(size, loose)
        )


def ways(segmenter: Path | None) -> dict[str, Method]:
    """Every way whose files are there, by name."""

    def ours(features: Describe | None = None, **options: Any) -> Method:
        return lambda example, seed: segment(example.photo, seed=seed, describe=features, **options).mask_hw

    def marked(example: "Example", **options: Any) -> np.ndarray:
        return segment(example.photo, saliency_hw=saliency(example.photo), describe=describe, **options).mask_hw

    def boxed(features: Describe | None, **options: Any) -> Method:
        return lambda example, seed: ours(features, box_xywh_px=example.box, **options)(example, seed)

    found = {PLAIN: lambda example, seed: plain_grabcut(example.photo, example.box, seed)}
    found |= {"box, color": boxed(None), "box, vgg": boxed(describe)}
    found |= {"points, color": lambda example, seed: ours(hints=points(example.truth))(example, seed)}
    found |= {"points, vgg": lambda example, seed: ours(describe, hints=points(example.truth))(example, seed)}
    found |= {"contrast, color": ours(prompt="contrast"), "contrast, vgg": ours(describe, prompt="contrast")}
    found |= {"face": ours(prompt="face")}
    found |= {"saliency, vgg": lambda example, seed: marked(example, prompt="saliency", seed=seed)}
    found |= {"auto, color": ours(), "auto, vgg": ours(describe)}
    things = ThingsSegmenter(vgg)
    found |= {"things": ours(describe, prompt="things", things=things), "auto, things": ours(describe, things=things)}
    found |= {"box, things": boxed(describe, things=things)}
    with contextlib.suppress(WeightsError):
        person = SelfieSegmenter(CACHE)
        found |= {"person": ours(prompt="person", person=person), "auto, person": ours(describe, person=person)}
        found |= {"auto, person, things": ours(describe, person=person, things=things)}
    with contextlib.suppress(WeightsError):
        classes = class_maps(load_segmenter(*find_segmenter(CACHE)))
        found |= {"box, deeplab": boxed(classes), "contrast, deeplab": ours(classes, prompt="contrast")}
    if segmenter:
        found |= {"segmenter": ours(segmenter=FileSegmenter(segmenter))}
    return found


def points(truth: np.ndarray) -> Hints:
    """The places farthest from a mask's outline, inside and outside."""
    places = []
    for side in (truth, ~truth):
        depth = cv2.distanceTransform(np.pad(side.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        places.append((Stroke(((float(x), float(y)),)),))
    return Hints(*places)


def saliency(photo: np.ndarray) -> np.ndarray:
    """Guided backprop's map, trusted or not."""
    return prompt_saliency_hw(guided_backprop(vgg, to_nchw01(photo)))


def plain_grabcut(photo: np.ndarray, box: Box, seed: int) -> np.ndarray:
    """OpenCV's own call, five rounds, at full size; a box that leaves no background counts as empty."""
    labels = np.zeros(photo.shape[:2], dtype=np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(seed)
    try:
        cv2.grabCut(photo[..., ::-1].copy(), labels, box, *models, 5, cv2.GC_INIT_WITH_RECT)
    except cv2.error:
        return np.zeros(labels.shape, dtype=bool)
    return labels % 2 == 1


def score(method: Method, example: Example, seed: int) -> tuple[float, float, float, float]:
    """IoU (0 where no mask was found), error in the box, boundary F, seconds."""
    started = time.process_time()
    try:
        mask = method(example, seed)
    except MaskError:
        mask = np.zeros_like(example.truth)
    seconds = time.process_time() - started
    overlap = (mask & example.truth).sum() / max(1, (mask | example.truth).sum())
    wrong = (mask ^ example.truth).sum() / (example.box[2] * example.box[3])
    return float(overlap), float(wrong), boundary_f(mask, example.truth), seconds


def boundary_f(mask: np.ndarray, truth: np.ndarray) -> float:
    """F-measure of the outlines, a pixel counting as found within 2 px (Perazzi et al. 2016, section 5.1)."""
    ours, theirs = outline_hw(mask), outline_hw(truth)
    if not ours.any() or not theirs.any():
        return 0.0
    near_ours, near_theirs = (cv2.dilate(line.astype(np.uint8), disc(OUTLINE_PX)) > 0 for line in (ours, theirs))
    precision, recall = near_theirs[ours].mean(), near_ours[theirs].mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def report(name: str, seed: int, scores: np.ndarray, gain: np.ndarray | None) -> None:
    iou = scores[:, 0]
    line = f"{name:18} {seed:4} {iou.mean():6.3f} {np.median(iou):7.3f} {(iou < 0.5).sum():5}"
    line += f" {scores[:, 1].mean():7.1%} {scores[:, 2].mean():7.3f} {scores[:, 3].mean():8.2f}"
    line += f" {peak_mb():5.0f}"
    if gain is not None:
        draws = gain[np.random.default_rng(0).integers(0, len(gain), (10_000, len(gain)))].mean(axis=1)
        line += f"  {gain.mean():+.3f} [{np.quantile(draws, 0.025):+.3f}, {np.quantile(draws, 0.975):+.3f}]"
    print(line, flush=True)


def forget_peak() -> None:
    """Let the system count the peak of the resident memory anew, where it can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """The most resident memory since then."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def box_cut(example: Example) -> np.ndarray:
    return segment(example.photo, box_xywh_px=example.box, describe=describe).mask_hw


def edge_error(example: Example, mask: np.ndarray) -> float:
    """Squared error of a mask's soft edge, relative to the hard mask's."""
    hard = np.mean((mask - example.alpha) ** 2)
    return float(np.mean((matte(example.photo, mask) - example.alpha) ** 2) / hard)


if __name__ == "__main__":
    main()
