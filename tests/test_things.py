"""The network for things: what enters it, what it was made for, that its recipe learns, stops, resumes and exports."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import nn

from interp.network.known_weights import COMPACT_SHA256
from interp.network.weights import load_vgg
from segment.segmenters.things.network import LEVELS, SIDE_PX, look, marked_hw01
from segment.segmenters.things.segmenter import FILE, ThingsSegmenter
from tools.train_things.__main__ import main
from tools.train_things.pictures import draw, load_masked, without_subject
from tools.train_things.training import ThingsRecipe, Training, map_loss


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """Two photos of a red disc on noisy green, and their masks."""
    rows, columns = np.mgrid[:120, :160]
    for number, (y, x) in enumerate(((50, 60), (70, 100))):
        inside = np.hypot(rows - y, columns - x) < 36
        noise = np.random.default_rng(number).normal(0, 8, (120, 160, 3))
        photo = np.clip(np.where(inside[..., None], (220, 50, 60), (50, 200, 60)) + noise, 0, 255).astype(np.uint8)
        for folder, pixels in (("photos", photo), ("masks", inside.astype(np.uint8) * 255)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    return str(tmp_path / "photos"), str(tmp_path / "masks")


def overlap(map_hw01: np.ndarray, truth_hw: np.ndarray) -> float:
    found = np.asarray(Image.fromarray(map_hw01).resize(truth_hw.shape[::-1], Image.Resampling.BILINEAR)) > 0.5
    return float((found & truth_hw).sum() / (found | truth_hw).sum())


def test_layers_meet_on_the_grids_they_are_said_to() -> None:
    vgg = load_vgg("compact")
    image_nchw01 = torch.rand(1, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(0))
    entering = look(vgg, image_nchw01)
    assert [each.shape[-1] for each in entering] == [cells for cells, _, _ in LEVELS]
    half = nn.functional.avg_pool2d(image_nchw01, 2)
    deepest = vgg.activations(half, ["relu5_4"])["relu5_4"].sqrt()
    torch.testing.assert_close(entering[1][:, 128:], deepest)
    averaged = nn.functional.avg_pool2d(vgg.activations(image_nchw01, ["relu1_2"])["relu1_2"], 2).sqrt()
    torch.testing.assert_close(entering[-1][:, :16], averaged)


def test_the_bundled_decoder_reads_the_bundled_network_and_fits_in_a_megabyte() -> None:
    # After a change of compact: python -m tools.train_things … --start segment/segmenters/things/things.safetensors
    with safe_open(FILE, "pt") as file:
        assert file.metadata()["reads"] == COMPACT_SHA256
    assert FILE.stat().st_size < 1_000_000


def test_the_loss_is_cross_entropy_and_overlap() -> None:
    """Where the outline is far away no place counts more; closed form for a constant map on a constant mask."""
    logits, mask = torch.full((1, 1, 8, 8), 1.5), torch.ones(1, 1, 16, 16)
    p = 1 / (1 + np.exp(-1.5))
    expected = -np.log(p) + 1 - (64 * p + 1) / (64 + 1)
    assert map_loss(logits, mask).item() == pytest.approx(expected, abs=1e-5)
    half = torch.zeros(1, 1, 16, 16)
    half[..., :8] = 1
    right, wrong = (sign * (half[..., ::2, ::2] - 0.5) * 40 for sign in (1, -1))
    assert map_loss(right, half).item() < 1e-3 and map_loss(wrong, half).item() > 10


def test_samples_keep_photo_and_mask_together(folders: tuple[str, str]) -> None:
    pictures = load_masked(Path(folders[0]), Path(folders[1]), lambda items, total: iter(items))
    images, masks = draw(pictures, 12, 64, np.random.default_rng(0))
    assert images.shape == (12, 3, 64, 64) and masks.shape == (12, 1, 64, 64)
    assert images.min() >= 0 and images.max() <= 1
    redder = (images[:, :1] - images[:, 1:2]).flatten()
    coloured = redder.abs() > 0.05  # grey samples say nothing
    assert (((redder > 0) == (masks.flatten() > 0.5))[coloured]).float().mean() > 0.97
    filled = without_subject(pictures[0].rgb_hwc_u8, pictures[0].mask_hw_u8).astype(int)
    assert (filled[..., 1] > filled[..., 0]).all()  # no red is left


def test_it_overfits_one_picture_and_comes_back_from_its_file(folders: tuple[str, str], tmp_path: Path) -> None:
    options = ["--steps", "30", "--batch", "2", "--val", "0", "-q", "--threads", "1", "--device", "cpu"]
    output = tmp_path / "out"
    assert main([*folders, *options, "--output", str(output)]) == 0
    assert main([*folders, *options, "--output", str(output)]) == 4  # not over a checkpoint
    start = output / "things.safetensors"
    only_measured = ["--start", str(start), "--steps", "0", "--val", "0.5", "-q", "--output", str(tmp_path / "same")]
    assert (
        main([*folders, *only_measured]) == 0
        and (tmp_path / "same/things.safetensors").read_bytes() == start.read_bytes()
    )
    segmenter = ThingsSegmenter(path=start)
    for number in range(2):
        photo = np.array(Image.open(f"{folders[0]}/{number}.png"))
        truth = np.asarray(Image.open(f"{folders[1]}/{number}.png")) > 127
        map_hw01 = segmenter(photo)
        assert map_hw01.shape == (128, 128) and map_hw01.dtype == np.float32
        assert overlap(map_hw01, truth) > 0.8
        np.testing.assert_allclose(segmenter(photo[:, ::-1].copy())[:, ::-1], map_hw01, atol=1e-5)


def test_a_resumed_run_ends_in_the_same_weights(folders: tuple[str, str]) -> None:
    vgg = load_vgg("compact")
    pictures = load_masked(Path(folders[0]), Path(folders[1]), lambda items, total: iter(items))
    recipe = ThingsRecipe(steps=4, batch=2)
    straight, broken = Training(vgg, pictures, recipe), Training(vgg, pictures, recipe)
    list(straight.run())
    events = broken.run()
    for _ in range(2):
        next(events)
    again = Training(vgg, pictures, recipe)
    again.restore(broken.state())
    list(again.run())
    for one, other in zip(straight.trained.state_dict().values(), again.trained.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    photo = pictures[0].rgb_hwc_u8
    np.testing.assert_array_equal(marked_hw01(vgg, straight.trained, photo), marked_hw01(vgg, again.trained, photo))
