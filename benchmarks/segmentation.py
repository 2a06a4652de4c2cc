"""Segmentation against photos with hand-made masks: IoU and seconds of each prompt, beside plain cv2.grabCut.

The folder holds images/, masks/NAME.png (white = foreground) and boxes.csv with the columns name, file, gt_x, gt_y,
gt_w, gt_h: the tight box of each mask, in pixels. Where the masks are soft, the squared error of the soft edge made
from the true mask is printed too, relative to the mask's own. One thread, on an idle machine:

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/segmentation.py DATASET [--limit N]
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from interp.errors import MaskError
from interp.images import load_mask, load_picture
from segment import segment
from segment.matte import matte
from segment.prompts import Box, clip_box

LOOSE_PX = 5  # the box a person draws is not tight


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--limit", type=int, help="only the first N photos")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with (arguments.dataset / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[: arguments.limit]
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    edges: list[float] = []
    for row in rows:
        photo = load_picture(arguments.dataset / "images" / row["file"]).rgb_hwc_u8
        truth = load_mask(arguments.dataset / "masks" / f"{row['name']}.png", (photo.shape[0], photo.shape[1]))
        x, y, w, h = (int(row[key]) for key in ("gt_x", "gt_y", "gt_w", "gt_h"))
        box = (x - LOOSE_PX, y - LOOSE_PX, w + 2 * LOOSE_PX, h + 2 * LOOSE_PX)
        for name, method in methods(photo, clip_box((photo.shape[0], photo.shape[1]), box)[0]).items():
            scores[name].append(score(method, truth >= 0.5))
        if ((truth > 0.1) & (truth < 0.9)).mean() > 0.01:
            edges.append(edge_error(photo, truth))
    report(scores, edges)


def methods(photo: np.ndarray, box: Box) -> dict[str, Callable[[], np.ndarray]]:
    """Ways to a mask; each is called once."""
    return {
        "cv2.grabCut, box": lambda: plain_grabcut(photo, box),
        "box": lambda: segment(photo, box_xywh_px=box).mask_hw,
        "contrast": lambda: segment(photo, prompt="contrast").mask_hw,
        "auto": lambda: segment(photo).mask_hw,
    }


def plain_grabcut(photo: np.ndarray, box: Box) -> np.ndarray:
    """OpenCV's own call, five rounds, at full size; a box that leaves no background counts as empty."""
    labels = np.zeros(photo.shape[:2], dtype=np.uint8)
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(
            photo[..., ::-1].copy(), labels, box, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT
        )
    except cv2.error:
        return np.zeros(labels.shape, dtype=bool)
    return labels % 2 == 1


def score(method: Callable[[], np.ndarray], truth: np.ndarray) -> tuple[float, float]:
    """Intersection over union, 0 where no mask was found, and seconds."""
    started = time.perf_counter()
    try:
        mask = method()
    except MaskError:
        mask = np.zeros_like(truth)
    return float((mask & truth).sum() / max(1, (mask | truth).sum())), time.perf_counter() - started


def edge_error(photo: np.ndarray, alpha: np.ndarray) -> float:
    """Squared error of the soft edge made from the true mask, relative to the hard mask's."""
    mask = alpha >= 0.5
    return float(np.mean((matte(photo, mask) - alpha) ** 2) / np.mean((mask - alpha) ** 2))


def report(scores: dict[str, list[tuple[float, float]]], edges: list[float]) -> None:
    photos = len(next(iter(scores.values()), []))
    print(f"{photos} photos, box {LOOSE_PX} px larger than the subject, no saliency")
    print(f"{'prompt':18} {'mean IoU':>8} {'median':>7} {'< .5':>5} {'seconds':>8}")
    for name, pairs in scores.items():
        iou, seconds = np.array(pairs).T
        print(f"{name:18} {iou.mean():8.3f} {np.median(iou):7.3f} {(iou < 0.5).sum():5} {seconds.mean():8.2f}")
    if edges:
        print(f"soft edge / hard edge, squared error: mean {np.mean(edges):.2f}, median {np.median(edges):.2f}")


if __name__ == "__main__":
    main()
