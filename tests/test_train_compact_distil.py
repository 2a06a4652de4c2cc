"""Distillation on toy networks: crops, rates and averages as stated; it learns, resumes, and exports what it says."""

import io
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from interp.network.known_weights import file_sha256
from interp.network.layer_names import RELU_NAMES
from interp.network.vgg import Vgg, WeightsInfo, pooled_linear_head
from interp.network.weights import load_vgg
from tools.train_compact import __main__ as command
from tools.train_compact.crops import SHARPEST, draw_crops, draw_tiles
from tools.train_compact.data import Pictures, find_photos, load_squares
from tools.train_compact.distil import Distillation
from tools.train_compact.export import convs, save_weights
from tools.train_compact.recipe import DistilRecipe

CLASSES = ("blue", "green", "red")
RECIPE = DistilRecipe(crops=64, side_px=32, batch=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A start, a teacher, photos and tiles."""
    folder = tmp_path_factory.mktemp("distil")
    torch.manual_seed(0)  # the head's
    student = _random_vgg(1 / 16, 0, pooled_linear_head(32, len(CLASSES)))
    save_weights(student, 32, [{"wnid": name, "name": name.title()} for name in CLASSES], folder)
    tensors = _random_vgg(1 / 8, 1, None).state_dict()
    save_file(tensors, folder / "teacher.safetensors")
    rng = np.random.default_rng(0)
    for number in range(12):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        picture = np.asarray(coarse.resize((96, 64 + number), Image.Resampling.BICUBIC)).astype(float)
        (folder / "photos").mkdir(exist_ok=True)
        pixels = np.clip(picture + rng.normal(0, 20, picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number:02}.png")
    for channel, name in enumerate(reversed(CLASSES)):
        (folder / "tiles" / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / "tiles" / name / f"{number}.png")
    return folder


def _random_vgg(width: float, seed: int, head: torch.nn.Module | None) -> Vgg:
    vgg = Vgg(width, head, WeightsInfo("toy", "", width=width))
    vgg.features.load_state_dict(load_vgg("random", width=width, seed=seed).features.state_dict())
    return vgg.requires_grad_(False)


def arguments(folder: Path, output: Path, *more: str) -> list[str]:
    paths = {
        "start": "compact-vgg19.safetensors",
        "teacher": "teacher.safetensors",
        "photos": "photos",
        "tiles": "tiles",
    }
    options = {name: folder / path for name, path in paths.items()}
    options |= {
        "output": output,
        "crops": RECIPE.crops,
        "side": RECIPE.side_px,
        "batch": RECIPE.batch,
        "val-share": 0.34,
    }
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return ["distil", *given, "-q", *more]


def first_weight(vgg: Vgg) -> np.ndarray:
    return convs(vgg)[0].weight.detach().numpy().copy()


def test_the_command_writes_an_equalised_file_and_a_card_with_the_terms(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = ["--terms", str(folder / "photos"), "CC0", "--terms", str(folder / "tiles"), "ours"]
    run = arguments(folder, tmp_path, *terms)
    assert command.main(run) == 0
    path = tmp_path / "compact-vgg19.safetensors"
    assert capsys.readouterr().out.split()[0] == str(path)
    with safe_open(path, "pt") as mine, safe_open(folder / "compact-vgg19.safetensors", "pt") as start:
        assert set(mine.keys()) == set(start.keys()) and mine.metadata() == start.metadata()
    taught, start = load_vgg(path), load_vgg(folder / "compact-vgg19.safetensors")
    assert taught.info.class_names == ("Blue", "Green", "Red") and taught.info.native_size_px == 32
    images = torch.cat(list(load_squares(find_photos([folder / "photos"], 0.34, 0)[1], 256)))
    for name, value in taught.activations(images, RELU_NAMES).items():
        squares = value.square().mean((0, 2, 3))
        often = (value > 0).float().mean((0, 2, 3)) > 0.01  # float16 moves one that fires in a cell or two by more
        torch.testing.assert_close(squares[often], torch.ones(int(often.sum())), atol=0.01, rtol=0)
        assert often.float().mean() > 0.5, name
    card = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "64 crops of 32 px" in card and "learned for 24 epochs" in card
    assert all(file_sha256(file) in card for file in (path, *folder.glob("*.safetensors")))
    for row in ("teacher.safetensors .* not stated", "tiles .* ours", "photos .* 8 in all to learn from and 4 .* CC0"):
        assert re.search(rf"\| {row} \|", card)

    before = path.read_bytes()
    assert command.main(run) == 4
    assert command.main([*run, "--resume"]) == 0 and path.read_bytes() == before
    assert command.main([*run, "--resume", "--learning-rate", "1e-3"]) == 2
    assert "another learning_rate" in capsys.readouterr().err


@pytest.fixture
def toys(folder: Path) -> tuple[Vgg, Vgg, list[np.ndarray], Pictures]:
    start = load_vgg(folder / "compact-vgg19.safetensors")
    photos = [np.asarray(Image.open(path)) for path in sorted((folder / "photos").iterdir())]
    generator = torch.Generator().manual_seed(0)
    tiles = Pictures(torch.randint(256, (9, 3, 32, 32), generator=generator, dtype=torch.uint8), torch.arange(9) % 3)
    return start, load_vgg(folder / "teacher.safetensors"), photos, tiles


def test_a_restored_run_goes_on_to_the_same_bits(toys: tuple[Vgg, Vgg, list[np.ndarray], Pictures]) -> None:
    whole, stopped, restored = (Distillation(*toys, RECIPE) for _ in range(3))
    assert len(list(whole.run())) == 16
    assert [event.step for event in islice(stopped.run(), 7)][-1] == 7  # between two fits of the maps
    buffer = io.BytesIO()
    torch.save(stopped.state(), buffer)
    buffer.seek(0)
    restored.restore(torch.load(buffer, weights_only=True))
    assert len(list(restored.run())) == 9
    for name, value in whole.taught.state_dict().items():
        assert torch.equal(value, restored.taught.state_dict()[name]), name
    assert not np.array_equal(first_weight(whole.taught), first_weight(toys[0]))


def test_it_learns_the_teachers_features_and_leaves_start_and_teacher_alone(
    toys: tuple[Vgg, Vgg, list[np.ndarray], Pictures],
) -> None:
    start, teacher, *_ = toys
    before = [value.clone() for vgg in (start, teacher) for value in vgg.state_dict().values()]
    distillation = Distillation(*toys, DistilRecipe(crops=320, side_px=32, batch=4, learning_rate=0.03))
    told = [float(re.search(r"relu4_2 ([\d.]+)", event.text)[1]) for event in distillation.run()]  # pyright: ignore
    assert np.mean(told[-10:]) < 0.8 * np.mean(told[:10])
    for value, kept in zip((v for vgg in (start, teacher) for v in vgg.state_dict().values()), before, strict=True):
        assert torch.equal(value, kept)


def test_rates_warm_up_stay_and_fall_and_follow_the_weights_size(
    toys: tuple[Vgg, Vgg, list[np.ndarray], Pictures],
) -> None:
    recipe = DistilRecipe(crops=10_000, batch=1, learning_rate=1.0)
    rates = np.array([recipe.learning_rate_at(step) for step in range(recipe.steps)])
    np.testing.assert_allclose(rates[:300], np.arange(1, 301) / 300)
    assert (rates[300:7500] == 1).all()
    np.testing.assert_allclose(rates[7500:], np.arange(2500, 0, -1) / 2500)
    distillation = Distillation(*toys, RECIPE)
    next(distillation.run())
    rate = RECIPE.learning_rate / 16 * np.sqrt(np.square(first_weight(toys[0])).mean())  # sixteen steps of warm-up
    assert distillation.optimiser.param_groups[0]["lr"] == pytest.approx(rate)


def test_the_average_forgets_at_the_stated_pace(toys: tuple[Vgg, Vgg, list[np.ndarray], Pictures]) -> None:
    distillation = Distillation(*toys, RECIPE)
    expected = np.zeros(())
    for number, _ in enumerate(islice(distillation.run(), 5)):
        decay = number / (number + 10)
        expected = decay * expected + (1 - decay) * first_weight(distillation.student)
    np.testing.assert_allclose(first_weight(distillation.taught), expected, rtol=1e-6)


def test_crops_are_windows_of_every_scale() -> None:
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (160, 200, 3)).copy()
    tiles = Pictures(torch.full((1, 3, 16, 16), 255, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    rng = np.random.default_rng(0)
    crops = draw_crops([ramp], tiles, 600, 40, rng)
    assert crops.shape == (600, 3, 40, 40) and crops.min() >= 0 and crops.max() <= 1
    plain = crops.std((1, 2)).amax(1) < 1e-4  # columns of one colour: neither noise nor another gain for each channel
    is_tile = plain & (crops.amin((1, 2, 3)) > 0.999)
    assert 0.1 < is_tile.float().mean() < 0.2  # a fifth, of which some are coloured or noisy
    slopes = (crops[plain & ~is_tile][:, 0, 0, 30] - crops[plain & ~is_tile][:, 0, 0, 10]) * 255 / 20
    assert 0.4 < (slopes < 0).float().mean() < 0.6  # mirrored
    zoom = slopes.abs()  # pixels of the photo for one of the crop's
    assert zoom.min() >= SHARPEST - 0.06 and zoom.min() < 0.9 and 3.7 < zoom.max() <= 4.01
    assert zoom.log().mean() == pytest.approx((np.log(SHARPEST) + np.log(4)) / 2, abs=0.1)  # log-uniform
    again = draw_crops([ramp], tiles, 600, 40, np.random.default_rng(0))
    assert torch.equal(crops, again)


def test_tiles_keep_their_labels_and_are_only_moved() -> None:
    images = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 32, 32).clone()
    images[:, :, 10, 20] = 200
    seen = set()
    for seed in range(40):
        found, labels = draw_tiles(Pictures(images, torch.arange(5)), 4, np.random.default_rng(seed))
        assert torch.equal((found[:, 0, 0, 0] * 255).round().long(), labels)
        rows, columns = (found[:, 0] > 0.5).nonzero()[:, 1:].T
        assert len(set(rows.tolist())) == len(set(columns.tolist())) == 1
        seen.add((int(rows[0]) - 10, min(abs(int(columns[0]) - place) for place in (20, 11))))
    assert {down for down, _ in seen} == set(range(-4, 5)) and {right for _, right in seen} <= set(range(5))


def test_refusals_say_what_to_do(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(code: int, pattern: str, *more: str) -> None:
        assert command.main(arguments(folder, tmp_path / "out", *more)) == code
        assert re.search(pattern, capsys.readouterr().err)

    refused(2, "'nowhere' is no source", "--terms", "nowhere", "CC0")
    refused(2, "--batch 65 is out of range", "--batch", "65")
    refused(2, "--side 16 is too small", "--side", "16")
    refused(3, "0 photos; expected at least 4", "--photos", str(tmp_path))
    refused(5, "no pooled linear head", "--start", str(folder / "teacher.safetensors"))
    (tmp_path / "more").mkdir()
    for name in ("blue", "green", "yellow"):
        (tmp_path / "more" / name).symlink_to(folder / "tiles" / "red")
    refused(2, "has other classes", "--tiles", str(tmp_path / "more"))
