"""Activation maximisation: the number it reports is the network's own, and it beats photos and noise."""

import numpy as np
import pytest
import torch

from interp.attribution.maximise import (
    FourierPicture,
    Maximised,
    MaximiseEvent,
    before_relu,
    maximise,
    shaken,
)
from interp.attribution.targets import Target, parse_target
from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.pictures.images import Picture


def run(vgg: Vgg, text: str, **options: int) -> tuple[list[MaximiseEvent], Maximised]:
    *events, found = maximise(vgg, parse_target(vgg, text), **options)
    assert isinstance(found, Maximised)
    return [event for event in events if isinstance(event, MaximiseEvent)], found


@pytest.fixture(scope="module")
def raised(compact: Vgg) -> tuple[list[MaximiseEvent], Maximised]:
    return run(compact, "relu3_1:20", size_px=48, steps=60)


def test_it_raises_the_channel_far_above_a_photo_and_noise(
    compact: Vgg, raised: tuple[list[MaximiseEvent], Maximised], astronaut: Picture
) -> None:
    events, found = raised
    image = found.image_nchw01
    assert image.shape == (1, 3, 48, 48) and float(image.min()) >= 0 and float(image.max()) <= 1
    value = float(compact.activations(image, ["conv3_1"])["conv3_1"][0, 20].mean())
    assert found.final == pytest.approx(value, rel=1e-4)
    noise = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    others = [astronaut.image_nchw01, noise]
    assert found.final > 1.5 * max(float(compact.activations(x, ["conv3_1"])["conv3_1"][0, 20].mean()) for x in others)
    assert [event.step for event in events] == list(range(1, 61))
    assert [event.value for event in events] == list(found.values)
    assert np.mean(found.values[-10:]) > 1.5 * np.mean(found.values[:10])


def test_same_seed_same_picture(compact: Vgg) -> None:
    pictures = [run(compact, "relu2_1:3", size_px=32, steps=3, seed=seed)[1].image_nchw01 for seed in (1, 1, 2)]
    assert torch.equal(pictures[0], pictures[1]) and not torch.equal(pictures[0], pictures[2])


@pytest.mark.parametrize("text", ["goldfish", "relu2_2", "conv4_2:3", "pool2:5"])
def test_any_target_can_be_raised(compact: Vgg, text: str) -> None:
    _, found = run(compact, text, size_px=32, steps=12)
    assert np.mean(found.values[-4:]) > np.mean(found.values[:4])


def test_a_dead_relu_still_has_a_gradient(compact: Vgg) -> None:
    target = parse_target(compact, "relu4_1:7")
    assert before_relu(compact, target).layer == "conv4_1"
    assert before_relu(compact, target).name == "relu4_1:7"
    assert before_relu(compact, Target("pool3", -1, "pool3")).layer == "pool3"


def test_coefficients_give_a_photos_spectrum_and_colours() -> None:
    """Equal coefficients at every frequency mean amplitudes that fall as 1 / f, and light varies more than hue."""
    picture = FourierPicture(64, torch.Generator().manual_seed(0), torch.device("cpu"))
    with torch.no_grad():
        picture.coefficients.copy_(torch.randn(picture.coefficients.shape, generator=torch.Generator().manual_seed(1)))
        planes = torch.logit(picture.image_nchw01().double(), eps=1e-12)[0]
    start = picture.image_nchw01()
    assert start.shape == (1, 3, 64, 64) and start.requires_grad
    grey, hue = planes.sum(0), planes[0] - planes[2]
    assert float(grey.std()) > 3 * float(hue.std())
    power = np.abs(np.fft.fft2(grey.numpy())) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64), indexing="ij"))
    low, high = (np.sqrt(power[(frequency > a) & (frequency < b)].mean()) for a, b in ((0.04, 0.08), (0.16, 0.32)))
    assert low / high == pytest.approx(4, rel=0.25)


def test_shaking_moves_the_picture_a_little() -> None:
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 30:34, 30:34] = 1
    generator = torch.Generator().manual_seed(0)
    centres = []
    for _ in range(20):
        moved = shaken(picture, generator)[0, 0]
        assert float(moved.sum()) == pytest.approx(16, rel=0.35)  # scaled by up to 10 % a side
        grid = torch.arange(64.0)
        centres.append([float((moved.sum(axis) * grid).sum() / moved.sum()) for axis in (0, 1)])
    spread = np.array(centres) - 31.5
    assert 1 < np.abs(spread).max() <= 64 / 16 * 1.2 and abs(spread.mean()) < 2


@pytest.mark.parametrize("options", [{"size_px": 16}, {"steps": 0}])
def test_options_that_cannot_be_honoured(compact: Vgg, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 32 px and 1 step"):
        run(compact, "relu1_1:0", **options)
