"""How much of a full-width VGG-19 do smaller nets know? Shares of the teacher's variance, layer by layer.

At each layer a linear map from a net's channels to the teacher's is fitted on the first photos of a folder and judged
on the others. The share means something only for photos that the net was not trained on.

    PYTHONPATH=. python benchmarks/compact.py --weights compact my.safetensors --teacher vgg19.pth --photos DIR
"""

import argparse
from pathlib import Path

import torch

from interp.network.weights import load_vgg
from tools.train_compact.data import load_squares
from tools.train_compact.measure import explained

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")


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
    fit_on, judged_on = (load_squares(part, arguments.size) for part in (photos[:split], photos[split:]))
    shares = explained(nets, teacher, fit_on, judged_on, LAYERS, arguments.ridge)
    print(f"{split} photos to fit on, {len(photos) - split} to judge on, {arguments.size} px")
    print(" " * 28 + "".join(f"{name:>9}" for name in LAYERS))
    for number, source in enumerate(arguments.weights):
        print(f"{Path(source).name:28}" + "".join(f"{shares[name][number]:9.3f}" for name in LAYERS))


if __name__ == "__main__":
    main()
