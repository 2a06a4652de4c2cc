"""Pictures in folders to memory: small squares, one folder a class, take 3·side² bytes each; photos up to 4 MB."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from interp.errors import InputError
from interp.pictures.images import load_image, load_picture
from interp.pictures.sizes import resize_nchw01

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
PHOTO_PX = 1_200  # long side at most
Item = TypeVar("Item")
Watch = Callable[[Iterable[Item], int], Iterator[Item]]  # passes items on, and shows how many of how many


@dataclass(frozen=True)
class Files:
    """Picture files with their classes.

    Attributes:
        folders: The classes' folders, sorted; a label is a position in them.
        train: (file, label) pairs to learn from.
        val: (file, label) pairs to measure on.
    """

    folders: tuple[str, ...]
    train: tuple[tuple[Path, int], ...]
    val: tuple[tuple[Path, int], ...]


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures.

    Attributes:
        images_nchw_u8: (N, 3, side, side) uint8 RGB.
        labels_n: (N,) int64.
    """

    images_nchw_u8: Tensor
    labels_n: Tensor


def find_files(data_dir: Path, val_share: float, seed: int) -> Files:
    """Find the pictures of `data_dir/train/CLASS/…` and `data_dir/val/CLASS/…`, or split `data_dir/CLASS/…`.

    Args:
        data_dir: The folder; pictures may lie deeper inside their class.
        val_share: Share of each class to measure on, where there is no `val`; at least one picture.
        seed: Of the split.

    Raises:
        InputError: If there are no classes, a class is too small, or `val` has classes that `train` has not.
    """
    split = (data_dir / "train").is_dir() and (data_dir / "val").is_dir()
    train = _by_class(data_dir / "train" if split else data_dir)
    if len(train) < 2:
        raise InputError(
            f"{str(data_dir)!r} has {len(train)} folders with pictures; expected one for each class, at least two."
        )
    if split:
        val = _by_class(data_dir / "val")
        if unknown := sorted(set(val) - set(train)) or ([] if val else ["no pictures at all"]):
            raise InputError(
                f"{str(data_dir / 'val')!r} has {unknown[0]!r}; expected pictures of the classes in 'train'."
            )
    else:
        val = {}
        for folder, files in train.items():
            if len(files) < 2:
                raise InputError(
                    f"{str(data_dir / folder)!r} has one picture; expected at least two, one to measure on."
                )
            random.Random(f"{seed} {folder}").shuffle(files)
            held_out = min(len(files) - 1, max(1, round(val_share * len(files))))
            val[folder], train[folder] = files[:held_out], files[held_out:]
    folders = tuple(train)
    pairs = [
        tuple((file, label) for label, folder in enumerate(folders) for file in part.get(folder, []))
        for part in (train, val)
    ]
    return Files(folders, *pairs)


def _by_class(folder: Path) -> dict[str, list[Path]]:
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise InputError(f"Cannot read {str(folder)!r}: {error.strerror}. Expected a folder for each class.") from error
    found = {path.name: _pictures_in(path) for path in classes}
    return {name: files for name, files in found.items() if files}


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)


def load_pictures(pairs: Sequence[tuple[Path, int]], side_px: int, watch: Watch) -> Pictures:
    """Decode, crop to the central square and resize.

    Raises:
        InputError: If a file is no picture.
    """
    images = torch.empty((len(pairs), 3, side_px, side_px), dtype=torch.uint8)
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda pair: _decode(pair[0], side_px), pairs)
        for index, image_hwc in enumerate(watch(decoded, len(pairs))):
            images[index] = torch.from_numpy(image_hwc).permute(2, 0, 1)
    return Pictures(images, torch.tensor([label for _, label in pairs]))


def some_of(pictures: Pictures, count: int, seed: int) -> Pictures:
    """So many at random, or all."""
    chosen = torch.randperm(len(pictures.labels_n), generator=torch.Generator().manual_seed(seed))[:count]
    return Pictures(pictures.images_nchw_u8[chosen], pictures.labels_n[chosen])


def _decode(path: Path, side_px: int) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            square = ImageOps.fit(picture.convert("RGB"), (side_px, side_px), Image.Resampling.LANCZOS)
            return np.array(square)
    except (OSError, ValueError) as error:
        raise InputError(
            f"Cannot decode {str(path)!r} ({error}); expected a picture. Remove it, or mend it."
        ) from error


def class_names(folders: Sequence[str], names_file: Path | None) -> list[dict[str, str]]:
    """Names of the classes in the order of the logits, as `classes.json` holds them.

    Args:
        folders: The classes' folders.
        names_file: Lines of folder, tab, name, such as ImageNet's `words.txt`; folders it lacks keep their own name.

    Raises:
        InputError: If the file cannot be read.
    """
    names: dict[str, str] = {}
    if names_file:
        try:
            lines = names_file.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise InputError(
                f"Cannot read {str(names_file)!r} ({error}); expected lines of folder, tab, name."
            ) from error
        names = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return [{"wnid": folder, "name": names.get(folder, folder)} for folder in folders]


def find_photos(folders: Sequence[Path], val_share: float, seed: int) -> tuple[list[Path], list[Path]]:
    """Find the photos to learn from and those to measure on; they may lie deeper inside the folders.

    Raises:
        InputError: If there are fewer than four.
    """
    photos = [file for folder in folders for file in _pictures_in(folder)]
    if len(photos) < 4:
        raise InputError(
            f"{', '.join(map(str, folders))}: {len(photos)} photos; expected at least 4, two to measure on."
        )
    random.Random(seed).shuffle(photos)
    held_out = min(len(photos) - 2, max(2, round(val_share * len(photos))))
    return photos[held_out:], photos[:held_out]


def load_photos(paths: Sequence[Path], watch: Watch) -> list[np.ndarray]:
    """Decode photos, (H, W, 3) uint8 RGB, shrunk to 1200 px where they are larger."""
    photos = []
    for path in watch(paths, len(paths)):
        photo = Image.fromarray(load_picture(path).rgb_hwc_u8)
        photo.thumbnail((PHOTO_PX, PHOTO_PX), Image.Resampling.LANCZOS)
        photos.append(np.array(photo))
    return photos


def load_squares(paths: Iterable[Path], side_px: int) -> Iterator[Tensor]:
    """Photos one by one as (1, 3, side, side) in [0, 1], squeezed to a square."""
    for path in paths:
        yield resize_nchw01(load_image(path), (side_px, side_px))
