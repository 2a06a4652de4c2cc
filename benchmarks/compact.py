"""How much of a full-width VGG-19 do smaller nets know? Shares of the teacher's variance, layer by layer.

At each layer a linear map from a net's channels to the teacher's is fitted on the first photos of a folder and judged
on the others. The share means something only for photos that the net was not trained on.

    PYTHONPATH=. python benchmarks/compact.py --weights compact my.safetensors --teacher vgg19.pth --photos DIR
"""

import argparse
from pathlib import Path

import torch

from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import load_image
from interp.pictures.sizes import resize_nchw01
from tools.train_compact.maps import Moments

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
CELL_PX = 4  # of the two first blocks every second or fourth position is enough


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", default=["compact"], help="nets to judge: names or files")
    parser.add_argument("--teacher", required=True, help="name or file")
    parser.add_argument("--teacher-format", help="torchvision or caffe, if the file does not tell")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--fit-share", type=float, default=0.6, help="of the photos, to fit the maps on")
    parser.add_argument("--size", type=int, default=256, help="sides of the square that a photo is brought to, px")
    parser.add_argument("--ridge", type=float, default=3e-3, help="relative to the features' mean square")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    nets = [load_vgg(source) for source in arguments.weights]
    teacher = load_vgg(arguments.teacher, layout=arguments.teacher_format)
    photos = sorted(path for path in arguments.photos.iterdir() if path.is_file())
    split = round(arguments.fit_share * len(photos))
    fit, judge = (moments(nets, teacher, part, arguments.size) for part in (photos[:split], photos[split:]))
    print(f"{'explained':28}" + "".join(f"{name:>9}" for name in LAYERS))
    for number, source in enumerate(arguments.weights):
        for part, title in ((fit, "fitted on"), (judge, "others")):
            shares = [part[name][number].explained(fit[name][number].fit(arguments.ridge)) for name in LAYERS]
            print(f"{Path(source).name[-16:]:17} {title:10}" + "".join(f"{share:9.3f}" for share in shares))


def moments(nets: list[Vgg], teacher: Vgg, photos: list[Path], size_px: int) -> dict[str, list[Moments]]:
    """Moments of each layer and net over some photos."""
    found: dict[str, list[Moments]] = {}
    with torch.no_grad():
        for path in photos:
            image_nchw01 = resize_nchw01(load_image(path), (size_px, size_px))
            target = teacher.activations(image_nchw01, LAYERS)
            for number, net in enumerate(nets):
                for name, value in net.activations(image_nchw01, LAYERS).items():
                    every = max(1, CELL_PX // layer(name).stride_px)
                    features, targets = (value[..., ::every, ::every] for value in (value, target[name]))
                    known = found.setdefault(name, [])
                    if number == len(known):
                        known.append(Moments(features.shape[1], targets.shape[1]))
                    known[number].add(features, targets)
    return found


if __name__ == "__main__":
    main()
