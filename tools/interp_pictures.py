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
from interp.attribution.response import response, strongest
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
MAX_BYTES = 200_000  # of a picture: a README must load
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
    """Two rows a layer: the pictures made for its channels, and below each what of the photos excites it most."""
    photos = {name: load_image(path) for name, path in PICTURES.items() if name != "painting"}
    pitch = SIDE_PX + GAP_PX
    sheet = Image.new("RGB", (LABEL_PX + CHANNELS * pitch, len(MAXIMISED) * (2 * pitch + GAP_PX)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, layer in enumerate(MAXIMISED):
        top = row * (2 * pitch + GAP_PX)
        pen.text((0, top + SIDE_PX // 2), layer, "black", font_size=14, anchor="lm")
        pen.text((0, top + pitch + SIDE_PX // 2), "in photos", "black", font_size=12, anchor="lm")
        for channel in range(CHANNELS):
            target = Target(f"{layer}:{channel}", channel, layer)
            found = list(maximise(vgg, target, size_px=SIDE_PX))[-1]
            assert isinstance(found, Maximised)
            left = LABEL_PX + channel * pitch
            sheet.paste(Image.fromarray(to_hwc_u8(found.image_nchw01)), (left, top))
            responses = {name: response(vgg, target, image) for name, image in photos.items()}
            ((name, cell),) = strongest(responses, 1)
            patch = Image.fromarray(np.round(responses[name].patch(cell) * 255).astype(np.uint8))
            shape = Image.Resampling.NEAREST if patch.width < SIDE_PX / 4 else Image.Resampling.BICUBIC
            sheet.paste(patch.resize((SIDE_PX, SIDE_PX), shape), (left, top + pitch))
    save(folder / "maximise.webp", sheet)


def save(path: Path, picture: bytes | Image.Image) -> None:
    """Store a figure as WebP, as good as the limit allows."""
    image = picture if isinstance(picture, Image.Image) else Image.open(io.BytesIO(picture)).convert("RGB")
    for quality in range(85, 20, -5):
        image.save(path, quality=quality, method=6)
        if path.stat().st_size <= MAX_BYTES:
            break
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
