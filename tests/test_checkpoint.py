"""A run that is cut off anywhere and gone on with ends in the same bytes; another run's file is refused by name."""

import itertools
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from commands.checkpoint import EVERY, THREADS, Checkpoint, Kept, made_with
from interp.errors import InputError, UsageError
from interp.network.vgg import Vgg
from interp.network.weights import load_vgg
from interp.pictures.images import Picture, load_picture
from interp.statistics.layers import fixed_choice
from stylize import Settings, StyledRegion, stylize
from stylize.presets import Preset
from stylize.recipes import RECIPES
from stylize.ways import Way

ROOT = Path(__file__).parent.parent
QUICK = Settings(size_px=64, coarsest_px=32, iterations=7, coarse_iterations=6, precision="float32")


@pytest.fixture(scope="module")
def compact() -> Vgg:
    return load_vgg("compact")


def picture(seed: int) -> Picture:
    return load_picture(np.random.default_rng(seed).integers(0, 255, (64, 72, 3), np.uint8))


def two_regions() -> list[StyledRegion]:
    left = np.zeros((64, 72), np.float32)
    left[:, :40] = 1
    return [
        StyledRegion(alpha, picture(seed).image_nchw01, fixed_choice(), name=name)
        for alpha, seed, name in ((left, 1, "left"), (1 - left, 2, "right"))
    ]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_every_place_can_be_gone_on_from(compact: Vgg, tmp_path: Path, optimizer: str) -> None:
    photo, regions, way = picture(0), two_regions(), replace(QUICK, optimizer=optimizer)
    checkpoint, steps, places, end = Checkpoint(tmp_path / "run.safetensors", True), [], {}, None
    for event in stylize(compact, photo.image_nchw01, regions, way):
        steps.append(event.figures)
        end = event
        if event.step in (1, 6, 7, 13, 20, 25):  # within a region, at its end, across regions and scales
            checkpoint.save(Kept(event.position(), list(steps), []), {})
            places[event.step] = checkpoint.load({}).position
            expected_at = event.restyled_rchw.clone()
            assert torch.equal(places[event.step].restyled_rchw[..., 16:-16, 16:-16], expected_at)
    assert end is not None
    for step, place in places.items():
        *_, last = stylize(compact, photo.image_nchw01, regions, way, place)
        assert torch.equal(last.restyled_rchw, end.restyled_rchw), f"gone on after step {step}"
        assert last.step == end.step and last.losses == end.losses


def test_what_is_read_lies_where_new_tensors_lie(compact: Vgg, tmp_path: Path) -> None:
    """BLAS adds in another order at other addresses: torch's own are multiples of 64."""
    checkpoint = Checkpoint(tmp_path / "run.safetensors", True)
    event = next(iter(stylize(compact, picture(0).image_nchw01, two_regions()[:1], QUICK)))
    odd = [("step 1", np.zeros((5, 7, 3), np.uint8))]
    frames = [np.full((3, 5, 3), number, np.uint8) for number in range(3)]
    checkpoint.save(Kept(event.position(), [event.figures], odd, frames), {})
    kept = checkpoint.load({})
    assert (place := kept.position) is not None
    assert np.array_equal(kept.frames, frames)
    assert all(value.data_ptr() % 64 == 0 for value in (place.restyled_rchw, *place.descent.values()))


def test_a_recipe_can_be_gone_on_with(compact: Vgg) -> None:
    photo, region = picture(0), two_regions()[0]
    way = replace(RECIPES["gatys"], size_px=64, iterations=6)
    events = stylize(compact, photo.image_nchw01, [region], way)
    place = next(itertools.islice(events, 2, None)).position()
    place = replace(place, descent={name: value.clone() for name, value in place.descent.items()})
    *_, whole = events
    *_, last = stylize(compact, photo.image_nchw01, [region], way, place)
    assert torch.equal(last.restyled_rchw, whole.restyled_rchw)


def test_what_differs_is_named(compact: Vgg, tmp_path: Path) -> None:
    photo, regions, way = picture(0), two_regions(), Preset(size_px=64, iterations=3)
    event = next(iter(stylize(compact, photo.image_nchw01, regions, way)))
    checkpoint = Checkpoint(tmp_path / "run.safetensors", True)
    checkpoint.save(Kept(event.position(), [event.figures], []), made_with(compact, photo, regions, way))
    assert checkpoint.load(made_with(compact, photo, regions, way)).steps == [event.figures]
    other_way: Way = replace(way, iterations=4)
    stronger = [replace(regions[0], strength=2.0), regions[1]]
    for made, named in (
        (made_with(compact, picture(5), regions, way), "another photo;"),
        (made_with(compact, photo, regions, other_way), "another way \\(iterations\\);"),
        (made_with(compact, photo, stronger, way), "another strength of the left;"),
        (
            made_with(compact, photo, [replace(regions[0], colour="match"), regions[1]], way),
            "another choice of colours for the left;",
        ),
        (
            made_with(compact, photo, [replace(regions[0], painting_nchw01=photo.image_nchw01), regions[1]], way),
            "another painting for the left;",
        ),
        (made_with(compact, photo, regions, way) | {THREADS: "99"}, "another number of threads \\(.*, now 99\\);"),
        (made_with(Vgg(width=1 / 16), photo, regions[::-1], way), "another network;"),
    ):
        with pytest.raises(UsageError, match=named):
            checkpoint.load(made)


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", None])
def test_another_file_is_no_checkpoint(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "run.safetensors"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match="no checkpoint"):
        Checkpoint(path, True).load({})


def run(tmp_path: Path, output: str, *more: str) -> list[str]:
    words = ["stylize", "--region", "all", "--size", "96", "--iterations", "120", "--threads", "1", "--no-report"]
    return [sys.executable, str(ROOT / "cli.py"), *words, "--output", str(tmp_path / output), *more]


def test_a_killed_run_is_gone_on_with_to_the_same_picture(tmp_path: Path) -> None:
    kept = tmp_path / "run.safetensors"
    more = ["--checkpoint", str(kept), "--resume"]
    subprocess.run(run(tmp_path, "whole.png"), check=True, capture_output=True)
    killed = subprocess.Popen(run(tmp_path, "parts.png", *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not kept.exists():
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "parts.png").exists() and not list(tmp_path.glob("*.tmp*"))
    refused = subprocess.run(run(tmp_path, "parts.png", *more[:2]), capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and "Add --resume to go on with it" in " ".join(refused.stderr.split())
    again = subprocess.run(run(tmp_path, "parts.png", *more), capture_output=True, text=True, check=True)
    assert f"Going on after step {EVERY}" in " ".join(again.stderr.split())
    assert (tmp_path / "parts.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


def test_resume_needs_a_file(tmp_path: Path) -> None:
    found = subprocess.run(run(tmp_path, "a.png", "--resume"), capture_output=True, text=True, check=False)
    assert found.returncode == UsageError.exit_code and "Add --checkpoint FILE" in " ".join(found.stderr.split())
