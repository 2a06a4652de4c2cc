"""Draw the pictures of `examples/` that show what VGG-19 sees: the compact weights on the sample pictures.

python tools/interp_pictures.py examples [saliency sanity features gram maximise]
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from commands import samples
from interp.attribution.maximise import Maximised, maximise
from interp.attribution.methods import METHODS
from interp.attribution.saliency import saliency_map
from interp.attribution.sanity import quick_verdict, random_margin95, sanity_check
from interp.attribution.targets import Target
from interp.network.features import feature_maps
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import load_image, to_hwc_u8
from interp.pictures.sizes import resize_nchw01
from interp.statistics.gram_compare import compare_grams
from reports.features import feature_grid
from reports.gram import gram_distances
from reports.saliency import method_sheet
from reports.sanity import sanity_figure

MAXIMISED = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_2")
CHANNELS, SIDE_PX, GAP_PX, LABEL_PX = 8, 112, 6, 66  # the first channels, not chosen ones
PICTURES = {name: samples.photo(name) for name in ("astronaut", "chelsea", "coffee")} | {"painting": samples.PAINTING}


def saliency(vgg: Vgg, folder: Path) -> None:
    for name in ("astronaut", "chelsea", "painting"):
        image = load_image(PICTURES[name])
        maps = [saliency_map(vgg, image, method) for method in METHODS]
        margin95 = random_margin95(vgg, image, maps[0])
        verdicts = [quick_verdict(vgg, image, entry, random_quantile95=margin95) for entry in maps]
        save(folder / f"saliency-{name}.webp", method_sheet(maps, "percentile99", verdicts))


def sanity(vgg: Vgg, folder: Path) -> None:
    image = load_image(PICTURES["chelsea"])
    methods = ("guided-backprop", "gradient", "smoothgrad", "grad-cam")
    checks = [sanity_check(vgg, image, saliency_map(vgg, image, method)) for method in methods]
    save(folder / "sanity-chelsea.webp", sanity_figure(checks))


def features(vgg: Vgg, folder: Path) -> None:
    maps = feature_maps(vgg, load_image(PICTURES["chelsea"]), "conv1_1")
    save(folder / "featuremaps-conv1_1.webp", feature_grid(maps))


def gram(vgg: Vgg, folder: Path) -> None:
    images = [resize_nchw01(load_image(path), (320, 320)) for path in PICTURES.values()]
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
    save(folder / "gram.webp", gram_distances(compare_grams(vgg, images, layers), list(PICTURES)))


def maximised(vgg: Vgg, folder: Path) -> None:
    pitch = SIDE_PX + GAP_PX
    sheet = Image.new("RGB", (LABEL_PX + CHANNELS * pitch, len(MAXIMISED) * pitch), "white")
    pen = ImageDraw.Draw(sheet)
    for row, layer in enumerate(MAXIMISED):
        pen.text((0, row * pitch + SIDE_PX // 2), layer, "black", font_size=14, anchor="lm")
        for channel in range(CHANNELS):
            found = list(maximise(vgg, Target(f"{layer}:{channel}", channel, layer), size_px=SIDE_PX))[-1]
            assert isinstance(found, Maximised)
            picture = Image.fromarray(to_hwc_u8(found.image_nchw01))
            sheet.paste(picture, (LABEL_PX + channel * pitch, row * pitch))
    sheet.save(folder / "maximise.webp", quality=85, method=6)


def save(path: Path, png: bytes) -> None:
    """Store a figure as WebP."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.save(path, quality=80, method=6)
    print(path, np.asarray(image).shape, path.stat().st_size)


KINDS: dict[str, Callable[[Vgg, Path], None]] = {
    "saliency": saliency, "sanity": sanity, "features": features, "gram": gram, "maximise": maximised
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    vgg = load_vgg("compact")
    for kind in arguments.kinds:
        KINDS[kind](vgg, arguments.folder)


if __name__ == "__main__":
    main()
