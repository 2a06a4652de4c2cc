"""The choice of layers: planted truths, chance, overrides; and the colour maps it uses."""

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.pictures.colour import colour_moments, match_colour, with_luminance_of
from interp.pictures.images import Picture
from interp.pictures.sizes import resize_nchw01
from interp.statistics.evidence import content_evidence, style_evidence
from interp.statistics.layers import (
    FIXED_CONTENT,
    FIXED_STYLE,
    LayerChoice,
    choose_layers,
    fixed_choice,
    override_choice,
    usual_layers,
)
from reports.layers import layer_sentences

SIDE = 320


@pytest.fixture(scope="module")
def photo(astronaut: Picture) -> Tensor:
    return resize_nchw01(astronaut.image_nchw01, (SIDE, SIDE))


def stripes(period_px: int) -> Tensor:
    wave = ((torch.arange(SIDE) // (period_px // 2)) % 2).float()
    return wave.expand(1, 3, SIDE, SIDE).contiguous()


def test_coarser_stripes_move_the_choice_deeper(compact: Vgg, photo: Tensor) -> None:
    """Planted truth: the wider the stripes, the deeper the layers that carry them."""
    periods = (4, 8, 16, 32, 64)
    depths = [choose_layers(compact, photo, stripes(period)).mean_depth for period in periods]
    ranks = np.argsort(np.argsort(depths))
    assert np.corrcoef(ranks, np.arange(len(periods)))[0, 1] >= 0.5, depths
    assert depths[-1] > depths[0] + 0.3


def test_another_painting_gives_another_choice(compact: Vgg, photo: Tensor, rng: np.random.Generator) -> None:
    noise = torch.from_numpy(rng.random((1, 3, SIDE, SIDE), dtype=np.float32))
    first, second = choose_layers(compact, photo, stripes(16)), choose_layers(compact, photo, noise)
    assert first.mode == second.mode == "evidence"
    assert first.style_weights != second.style_weights


def test_weights_follow_the_evidence(compact: Vgg, photo: Tensor) -> None:
    choice = choose_layers(compact, photo, stripes(16))
    chosen = [entry for entry in choice.style_evidence if entry.chosen]
    assert {entry.layer: entry.weight for entry in chosen} == choice.style_weights
    assert sum(choice.style_weights.values()) == pytest.approx(1)
    assert len({entry.layer[4] for entry in chosen}) == len(chosen)  # one a block
    squares = sum(entry.separation**2 for entry in chosen)
    for entry in chosen:
        rivals = [other for other in choice.style_evidence if other.layer[4] == entry.layer[4]]
        best = max(rivals, key=lambda other: other.separation)
        assert entry is rivals[0] or entry.separation > rivals[0].separation + rivals[0].null95  # else the usual layer
        assert entry.separation >= best.separation - sum(other.null95 for other in rivals)
        assert entry.weight == pytest.approx(0.5 / len(chosen) + 0.5 * entry.separation**2 / squares)
    assert choice.content_layer == max(choice.content_evidence, key=lambda entry: entry.score).layer
    sentences = layer_sentences(choice)
    assert len(sentences) == len(chosen) + 1 and f"separation {chosen[0].separation:.3f}" in sentences[0]


def test_the_usual_layers_keep_the_evidence_beside_them(compact: Vgg, photo: Tensor) -> None:
    evidence = choose_layers(compact, photo, stripes(64))
    usual = usual_layers(evidence)
    assert usual.style_weights == fixed_choice().style_weights and usual.content_layer == FIXED_CONTENT
    assert usual.mode == "fixed" and len(usual.style_evidence) == len(evidence.style_evidence)
    assert {entry.layer for entry in usual.style_evidence if entry.chosen} == set(FIXED_STYLE)
    assert [entry.separation for entry in usual.style_evidence] == [e.separation for e in evidence.style_evidence]
    assert all(name in " ".join(layer_sentences(usual)) for name in evidence.style_weights)


def test_painting_equal_to_photo_is_no_better_than_chance(compact: Vgg, photo: Tensor) -> None:
    choice = choose_layers(compact, photo, photo)
    assert choice.mode == "fixed" and tuple(choice.style_weights) == FIXED_STYLE
    assert choice.content_layer == FIXED_CONTENT and "beyond chance" in layer_sentences(choice)[0]


def test_null_is_rarely_beaten_by_halves_of_one_texture(compact: Vgg) -> None:
    """Two samples of one noise: with 16 layers at the 95 % quantile, far fewer than half may pass."""
    generator = torch.Generator().manual_seed(3)
    first, second = (resize_nchw01(torch.rand(1, 3, 64, 64, generator=generator), (SIDE, SIDE)) for _ in range(2))
    entries = style_evidence(compact, first, second, np.ones((SIDE, SIDE), np.float32), generator)
    assert sum(entry.separation > entry.null95 for entry in entries) <= 5


def test_the_region_decides_not_its_surroundings(compact: Vgg, photo: Tensor) -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, :160] = 1
    other = photo.clone()
    other[..., 240:] = torch.rand(1, 3, SIDE, 80, generator=torch.Generator().manual_seed(0))
    first, second = (choose_layers(compact, picture, stripes(16), alpha) for picture in (photo, other))
    # Deep cells near the edge see a little across it; the choice must not care.
    assert list(first.style_weights) == list(second.style_weights)
    assert list(first.style_weights.values()) == pytest.approx(list(second.style_weights.values()), rel=0.01)


def test_small_regions_fall_back(compact: Vgg, photo: Tensor) -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[100:150, 100:150] = 1
    choice = choose_layers(compact, photo, stripes(16), alpha)
    assert choice.content_layer == FIXED_CONTENT and choice.content_evidence == ()
    assert not all(entry.measured for entry in choice.style_evidence)
    assert "relu5_1" not in choice.style_weights or choice.mode == "fixed"  # no room for it


def test_content_scores_are_products_in_the_unit_range(compact: Vgg, photo: Tensor) -> None:
    whole = np.ones((SIDE, SIDE), np.float32)
    entries = content_evidence(compact, photo, stripes(16), whole, torch.Generator().manual_seed(0))
    for entry in entries:
        assert 0 <= entry.layout <= 1 and 0 <= entry.indifference <= 1
        assert entry.score == pytest.approx(entry.layout * entry.indifference)


def test_same_seed_same_choice(compact: Vgg, photo: Tensor) -> None:
    assert choose_layers(compact, photo, stripes(8), seed=4) == choose_layers(compact, photo, stripes(8), seed=4)


def test_overrides() -> None:
    choice = override_choice(fixed_choice(), ["relu3_1", "relu1_2"], "relu5_1")
    assert choice.style_weights == {"relu1_2": 0.5, "relu3_1": 0.5} and choice.content_layer == "relu5_1"
    assert choice.mode == "given" and override_choice(fixed_choice(), None, None) == fixed_choice()
    with pytest.raises(UsageError, match="twice"):
        override_choice(fixed_choice(), ["relu1_1", "relu1_1"], None)
    with pytest.raises(UsageError, match="relu9_1"):
        override_choice(fixed_choice(), ["relu9_1"], None)
    assert LayerChoice({"relu2_1": 0.5, "relu4_1": 0.5}, "relu4_2").mean_depth == 3


def test_colour_match_carries_mean_and_covariance(rng: np.random.Generator) -> None:
    source, target = (torch.from_numpy(rng.random((1, 3, 40, 40)) * 0.2 + 0.4) for _ in range(2))
    target = target * 0.5 + 0.2 * target[:, [1, 2, 0]]
    mean, covariance = colour_moments(match_colour(source, target))
    flat = target[0].flatten(1).numpy()
    np.testing.assert_allclose(mean, flat.mean(1), atol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(flat, bias=True), atol=1e-5)


def test_luminance_policy_keeps_chroma() -> None:
    colour, light = torch.rand(1, 3, 8, 8) * 0.2 + 0.4, torch.rand(1, 3, 8, 8) * 0.2 + 0.4
    mixed = with_luminance_of(colour, light)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    torch.testing.assert_close((mixed * weights).sum(1), (light * weights).sum(1))
    torch.testing.assert_close(mixed[:, 0] - mixed[:, 2], colour[:, 0] - colour[:, 2])
