"""The classifier's last stage on toy networks: what is frozen stays, loss and rates are as stated, same bits."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.network.vgg import Vgg, WeightsInfo, pooled_linear_head
from interp.network.weights import load_vgg
from tools.train_compact import classifier, recipe
from tools.train_compact.data import Pictures
from tools.train_compact.distil import labelled_loss
from tools.train_compact.recipe import DistilRecipe

RECIPE = DistilRecipe(crops=8, side_px=32, batch=4)
FIRST_ABOVE = 30  # conv5_2 in torchvision's order


def toy(seed: int) -> Vgg:
    torch.manual_seed(seed)
    vgg = Vgg(1 / 16, pooled_linear_head(32, 3), WeightsInfo("toy", "", width=1 / 16))
    vgg.features.load_state_dict(load_vgg("random", width=1 / 16, seed=seed).features.state_dict())
    return vgg.requires_grad_(False)


def watch(items: Iterable[Tensor], total: int) -> Iterator[Tensor]:
    yield from items


@pytest.fixture
def tiles() -> Pictures:
    """Three classes, each of its colour."""
    labels = torch.arange(24) % 3
    images = torch.randint(120, (24, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[torch.arange(24), labels] += 120
    return Pictures(images, labels)


def trained(tiles: Pictures) -> tuple[Vgg, list[float]]:
    vgg = toy(0)
    kept = classifier.keep(vgg, toy(1), tiles, RECIPE, watch)
    losses = [float(event.text.split()[-1]) for event in classifier.retrain(vgg, toy(1), kept, RECIPE)]
    return vgg, losses


def is_above(name: str) -> bool:
    return name.startswith("head") or int(name.split(".")[1]) >= FIRST_ABOVE


def test_it_learns_above_relu5_1_alone_and_to_the_same_bits(tiles: Pictures) -> None:
    (vgg, losses), (again, _) = trained(tiles), trained(tiles)
    assert len(losses) == 24 and np.mean(losses[-3:]) < np.mean(losses[:3])
    taught = toy(0).state_dict()
    for name, value in vgg.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        assert torch.equal(value, taught[name]) != is_above(name), name


def test_the_layers_above_begin_with_the_starts_weights(tiles: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "TOP_RATE", 0.0)
    for name, value in trained(tiles)[0].state_dict().items():
        assert torch.allclose(value, toy(1 if is_above(name) else 0).state_dict()[name], rtol=1e-6), name


def test_what_is_kept_belongs_to_its_tile_and_label(tiles: Pictures) -> None:
    taught, start = toy(0), toy(1)
    kept = classifier.keep(taught, start, tiles, RECIPE, watch)
    plain = tiles.images_nchw_u8.float() / 255
    for number, images in enumerate((plain, plain.flip(3))):
        features, logits = taught.activations(images, ["relu5_1"])["relu5_1"], start(images)
        distance = (kept.start_logits_vnk[number][:, None].float() - logits).abs().amax(2)
        tile = distance.argmin(1)
        assert sorted(tile.tolist()) == list(range(24)) and torch.equal(tiles.labels_n[tile], kept.labels_n)
        torch.testing.assert_close(kept.features_vnchw[number].float(), features[tile], rtol=2**-8, atol=1e-6)
    assert kept.features_vnchw.shape == (6, 24, 32, 2, 2)


def test_variants_zoom_shift_and_recolour() -> None:
    ramp = (0.3 + 0.4 * torch.arange(32) / 32).expand(400, 3, 32, 32)
    slopes, means, first = [], [], ramp[0, 0, 0, 1] - ramp[0, 0, 0, 0]
    image = gain = ramp
    for seed in range(100):
        image = classifier.varied(ramp, 2 + seed % 2, np.random.default_rng(seed))
        assert image.shape == ramp.shape
        slope = (image[:, :, 16, 20] - image[:, :, 16, 12]) / 8 / first
        slopes.append(slope.mean().item())
        means.append(image.mean().item())
        gain = slope / slope.mean()
        assert torch.allclose(gain, gain[:, :1].expand_as(gain), atol=1e-4)  # a picture's channels alike
    assert (np.sign(slopes) == [1, -1] * 50).all()  # every second is mirrored
    assert gain[:, 0].std() == pytest.approx(0.15, rel=0.1)
    zooms = 1 / np.abs(slopes)
    assert min(zooms) < 1.03 and 1.25 < max(zooms) < 1.33 and np.mean(zooms) == pytest.approx(1.15, abs=0.02)
    spare = np.round(32 * np.linspace(1, 1.3, 1000)) - 32  # px that the window may move, each place as likely
    moved = 0.4 * np.sqrt(np.mean(spare * (spare + 2) / 12 / (32 + spare) ** 2))  # std in the ramp's colour
    assert np.std(means) == pytest.approx(np.hypot(moved, 0.15 * 0.5 / 20), rel=0.2)  # the mean gain of 400 varies too
    offsets = image.mean((2, 3)) - image.mean((1, 2, 3))[:, None]
    assert offsets.std() == pytest.approx(0.05 * np.sqrt(2 / 3), rel=0.1)
    assert torch.equal(classifier.varied(ramp, 0, np.random.default_rng(0)), ramp)
    assert torch.equal(classifier.varied(ramp, 1, np.random.default_rng(0)), ramp.flip(3))


def test_the_loss_is_what_numpy_says() -> None:
    rng = np.random.default_rng(0)
    logits, before, labels = rng.normal(size=(5, 4)), rng.normal(size=(5, 4)), rng.integers(4, size=5)

    def log_softmax(values: np.ndarray) -> np.ndarray:
        return values - np.log(np.exp(values).sum(1, keepdims=True))

    smoothed = 0.9 * np.eye(4)[labels] + 0.1 / 4
    hard = -(smoothed * log_softmax(logits)).sum(1).mean()
    soft = log_softmax(before / 2)
    kept = (np.exp(soft) * (soft - log_softmax(logits / 2))).sum(1).mean()
    found = labelled_loss(torch.from_numpy(logits), torch.from_numpy(labels), torch.from_numpy(before), 0.35)
    assert found.item() == pytest.approx(0.35 * hard + 0.65 * 4 * kept, rel=1e-12)


def test_rates_warm_up_under_half_a_cosine() -> None:
    rates = np.array([recipe.top_rate_at(step, 1000) for step in range(1000)])
    cosine = 0.5e-3 * (1 + np.cos(np.pi * np.arange(1000) / 1000))
    np.testing.assert_allclose(rates, cosine * np.minimum(1, np.arange(1, 1001) / 300))
