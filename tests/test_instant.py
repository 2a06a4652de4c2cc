"""The instant way: exact transport, a region that nothing outside reaches, a strength that goes one way, its recipe."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from commands import samples
from interp.network.known_weights import COMPACT_SHA256
from interp.network.weights import load_vgg
from interp.pictures.images import load_image
from interp.pictures.sizes import resize_nchw01
from interp.statistics.gram import region_moments
from interp.statistics.layers import fixed_choice
from interp.statistics.transport import transport
from interp.statistics.wasserstein import GaussianTarget
from stylize import Settings, StyledRegion, instant, stylize
from stylize.feedforward.painting import FILE, InstantPainter
from stylize.presets import PRESETS
from tools.train_decoder.__main__ import main
from tools.train_decoder.paintings import SHARES, WAYS, paint_any

INSTANT = PRESETS["instant"].limited(128, None)


@pytest.fixture(scope="module")
def painter() -> InstantPainter:
    return InstantPainter()


def photo(side_px: int = 128) -> Tensor:
    return resize_nchw01(load_image(samples.photo("astronaut")), (side_px, side_px))


def painting(side_px: int = 128) -> Tensor:
    return resize_nchw01(load_image(samples.PAINTING), (side_px, side_px))


def features(seed: int, channels: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    values = torch.randn(1, channels, 20, 30, generator=generator, dtype=torch.float64)
    return torch.einsum("ij,njhw->nihw", mixed, values) + seed


def moved(values: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix.double(), values) + offset.double().view(1, -1, 1, 1)


def test_transport_ends_at_the_paintings_moments_and_halfway_lies_between() -> None:
    """McCann's interpolation: half the way is half the Wasserstein distance, a quarter of its square."""
    own, target = features(1), GaussianTarget.of(region_moments(features(2)))
    end = moved(own, *transport(region_moments(own), target))
    whole, none, half = (
        float(target.distance(region_moments(values)))
        for values in (own, end, moved(own, *transport(region_moments(own), target, 0.5)))
    )
    assert none < 1e-5 * whole and half == pytest.approx(whole / 4, rel=1e-3)


def test_transport_of_commuting_covariances_is_known() -> None:
    """Of independent channels each is stretched by itself: the ratio of the deviations."""
    spread, wanted = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([4.0, 1.0, 9.0])
    mean, target = torch.tensor([1.0, 2.0, 3.0]), GaussianTarget.of((torch.zeros(3), torch.diag(wanted)))
    matrix, offset = transport((mean, torch.diag(spread)), target)
    torch.testing.assert_close(matrix, torch.diag((wanted / spread).sqrt()), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(offset, -matrix @ mean, rtol=1e-3, atol=1e-3)


def test_nothing_outside_reaches_the_inside_and_no_pixel_outside_changes() -> None:
    left, own = np.zeros((128, 128), np.float32), photo()
    left[:, :70] = 1
    region = StyledRegion(left, painting(), fixed_choice())
    noisy = torch.where(
        torch.from_numpy(left) > 0, own, torch.rand(own.shape, generator=torch.Generator().manual_seed(0))
    )
    first, second = (list(stylize(load_vgg("compact"), each, [region], INSTANT))[-1] for each in (own, noisy))
    assert torch.equal(first.image_nchw01[..., :70], second.image_nchw01[..., :70])
    assert torch.equal(first.image_nchw01[..., 70:], own[..., 70:])
    assert float((first.image_nchw01 - own)[..., :70].abs().mean()) > 0.02


def test_it_begins_with_the_decoders_picture_and_three_steps_lower_the_loss() -> None:
    region = StyledRegion(np.ones((128, 128), np.float32), painting(), fixed_choice())
    first, *steps = stylize(load_vgg("compact"), photo(), [region], INSTANT)
    canvas = first.scene.canvases[0]
    assert torch.equal(first.restyled_rchw[0], canvas.start_nchw01[0, :, 16:-16, 16:-16])
    assert len(steps) == 3 and steps[-1].losses["total"] < 0.8 * first.losses["total"]


def test_every_layer_comes_nearer_to_the_painting_than_a_recoloured_photo_is() -> None:
    region = StyledRegion(np.ones((128, 128), np.float32), painting(), fixed_choice())
    recoloured = Settings(size_px=128, coarsest_px=128, iterations=1)
    (decoded, *_), (before,) = (stylize(load_vgg("compact"), photo(), [region], way) for way in (INSTANT, recoloured))
    for block in (1, 2, 3, 4):
        assert decoded.losses[f"style relu{block}_1"] < 0.7 * before.losses[f"style relu{block}_1"]
    assert decoded.losses["style relu5_1"] < before.losses["style relu5_1"]


def test_the_photo_as_its_own_painting_comes_back(painter: InstantPainter) -> None:
    own, whole = photo(256), torch.ones(256, 256)
    back = painter.paint(painter.see(own, whole, own, whole), 1.0)
    assert float(-10 * torch.log10((back - own).square().mean())) > 30


def test_more_strength_is_farther_from_the_photo_and_nearer_to_the_painting(painter: InstantPainter) -> None:
    whole = torch.ones(128, 128)
    known = painter.see(photo(), whole, painting(), whole)
    target = GaussianTarget.of(region_moments(painter.look(painting())["relu4_1"]))
    distances = []
    for strength in (0.02, 0.1, 0.5, 2.0):
        with torch.no_grad():
            maps = painter.look(painter.paint(known, strength))["relu4_1"]
        distances.append(float(target.distance(region_moments(maps))))
    assert distances == sorted(distances, reverse=True)


def test_the_bundled_decoder_reads_the_bundled_network_and_is_small() -> None:
    # After a change of compact: python -m tools.train_decoder … --start stylize/feedforward/decoder.safetensors
    with safe_open(FILE, "pt") as file:
        assert file.metadata()["reads"] == COMPACT_SHA256
    assert FILE.stat().st_size < 2_000_000


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_every_kind_of_painting_is_a_picture_with_contrast(way: int, monkeypatch: pytest.MonkeyPatch) -> None:
    only = tuple(float(number == way) for number in range(len(SHARES)))
    monkeypatch.setattr("tools.train_decoder.paintings.SHARES", only)
    monkeypatch.setattr("tools.train_decoder.paintings.SIDE_PX", 64)
    photos = [np.random.default_rng(seed).integers(0, 255, (80, 90, 3), np.uint8) for seed in range(2)]
    first, again = (paint_any(photos, np.random.default_rng(3)) for _ in range(2))
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8 and first.std() > 5
    assert np.array_equal(first, again)


def test_the_recipe_learns_stops_and_resumes_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("paintings", "pictures"):
        monkeypatch.setattr(f"tools.train_decoder.{module}.SIDE_PX", 64)
    for module in ("training", "__main__"):
        monkeypatch.setattr(f"tools.train_decoder.{module}.SIDE_PX", 64)
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(2):
        picture = photo(160 + 40 * seed)[0].permute(1, 2, 0).numpy()
        Image.fromarray((picture * 255).astype(np.uint8)).save(folder / f"{seed}.png")
    common = [str(folder), "--paintings", "2", "--batch", "2", "--threads", "1", "--device", "cpu", "--quiet"]
    assert main([*common, "--steps", "4", "--output", str(tmp_path / "whole")]) == 0
    whole = (tmp_path / "whole" / "decoder.safetensors").read_bytes()

    from tools.train_decoder.training import Training

    step = Training._take_step

    def interrupted(self: Training) -> dict[str, float]:
        if self.step == 2:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Training, "_take_step", interrupted)
    parts = [*common, "--steps", "4", "--save-every", "1", "--output", str(tmp_path / "parts")]
    assert main(parts) == 130
    monkeypatch.setattr(Training, "_take_step", step)
    assert main([*parts, "--resume"]) == 0
    assert (tmp_path / "parts" / "decoder.safetensors").read_bytes() == whole
    assert str(tmp_path / "parts") in capsys.readouterr().out


def test_the_edge_of_a_picture_is_painted_as_its_middle_is() -> None:
    sky = torch.full((1, 3, 128, 192), 0.6)
    (painted,) = instant(sky, [StyledRegion(np.ones((128, 192), np.float32), painting(), fixed_choice())], 192)
    cell = painted[:, 56:64, 88:96]  # what a flat picture becomes repeats with the network's grid
    for edge in (painted[:, :8, 88:96], painted[:, -8:, 88:96], painted[:, 56:64, :8], painted[:, 56:64, -8:]):
        assert float((edge - cell).abs().max()) < 0.01
