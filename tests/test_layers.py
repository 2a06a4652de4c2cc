"""The choice of layers: planted truths, chance, overrides; and the colour maps it uses."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.errors import UsageError
from interp.network.vgg import Vgg
from interp.pictures.colour import colour_moments, match_colour, with_luminance_of
from interp.pictures.images import Picture, to_nchw01
from interp.pictures.sizes import resize_nchw01
from interp.statistics.content_evidence import content_evidence
from interp.statistics.layers import (
    FIXED_CONTENT,
    FIXED_STYLE,
    LayerChoice,
    choose_layers,
    fixed_choice,
    override_choice,
    usual_layers,
)
from interp.statistics.style_evidence import style_evidence, without_detail
from reports.layers import layer_sentences
from tools.paint_night import paint

SIDE = 256
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


@pytest.fixture(autouse=True)
def _flush_denormals() -> None:
    """As every command does: flat pictures are full of them, and twenty times slower."""
    torch.set_flush_denormal(True)


@pytest.fixture(scope="module")
def photo(astronaut: Picture) -> Tensor:
    return resize_nchw01(astronaut.image_nchw01, (SIDE, SIDE))


def coloured(mask_hw: np.ndarray) -> Tensor:
    light, dark = np.array([0.85, 0.75, 0.3]), np.array([0.1, 0.2, 0.45])
    picture = mask_hw[..., None] * light + (1 - mask_hw[..., None]) * dark
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]


def stripes(period_px: int) -> Tensor:
    return coloured((COLUMNS % period_px < period_px / 2).astype(float))


def bricks(period_px: int) -> Tensor:
    course = ROWS // (period_px / 2)
    along, up = (COLUMNS + course % 2 * period_px / 2) % period_px, ROWS % (period_px / 2)
    return coloured(((along > 0.12 * period_px) & (up > 0.12 * period_px)).astype(float))


def rings(period_px: int) -> Tensor:
    return coloured((np.sin(2 * np.pi * np.hypot(COLUMNS - 100, ROWS - 140) / period_px) > 0).astype(float))


def strokes(width_px: int) -> Tensor:
    return to_nchw01(paint(SIDE, SIDE, width_px, seed=5))


@pytest.mark.parametrize(
    ("generator", "sizes_px"), [(stripes, (4, 11, 32)), (bricks, (6, 17, 48)), (rings, (6, 17, 48)), (strokes, (3, 24))]
)
def test_coarser_pictures_move_the_weight_deeper(
    compact: Vgg, photo: Tensor, generator: Callable[[int], Tensor], sizes_px: tuple[int, ...]
) -> None:
    """Planted truth: an eightfold size, a deeper choice, step by step."""
    choices = [choose_layers(compact, photo, generator(size)) for size in sizes_px]
    assert all(choice.mode == "evidence" for choice in choices)
    depths = [choice.mean_depth for choice in choices]
    assert depths == sorted(depths) and depths[-1] > depths[0] + 0.3, depths


def test_another_painting_gives_another_choice(compact: Vgg, photo: Tensor, rng: np.random.Generator) -> None:
    noise = torch.from_numpy(rng.random((1, 3, SIDE, SIDE), dtype=np.float32))
    first, second = choose_layers(compact, photo, stripes(16)), choose_layers(compact, photo, noise)
    assert first.mode == second.mode == "evidence"
    assert first.style_weights != second.style_weights


def test_detail_is_the_formula_in_numpy(compact: Vgg, photo: Tensor) -> None:
    """At relu2_1, tile by tile: 4x4 squares of 32 cells, their means and covariances with and without the detail."""
    painting, whole = stripes(11), torch.ones(SIDE, SIDE)
    evidence = style_evidence(compact, photo, painting, whole.numpy(), torch.Generator().manual_seed(0))

    def tiles(finer: int) -> np.ndarray:
        with torch.no_grad():
            image = without_detail(painting, finer, whole)
            maps = compact.activations(image, ["relu2_1"], "average")["relu2_1"][0].double().numpy()
        squares = maps.reshape(len(maps), 4, 32, 4, 32).transpose(1, 3, 0, 2, 4)
        return squares.reshape(16, len(maps), 1024)

    def contrast(a: np.ndarray, b: np.ndarray) -> float:
        return ((a - b) ** 2).sum() / ((a**2).sum() + (b**2).sum())

    details = [
        (contrast(before.mean(1), after.mean(1)) + contrast(np.cov(before, bias=True), np.cov(after, bias=True))) / 2
        for before, after in zip(tiles(1), tiles(2), strict=True)
    ]
    assert evidence[1].painting == pytest.approx(np.mean(details), rel=1e-3)
    assert all(
        entry.ratio == pytest.approx((entry.painting + 1e-3) / (entry.photo + 1e-3), rel=1e-4) for entry in evidence
    )


def test_taking_detail_away_keeps_what_is_coarser() -> None:
    whole, picture = torch.ones(SIDE, SIDE), stripes(64)
    assert without_detail(picture, 0, whole) is picture
    assert without_detail(stripes(4), 2, whole).std((2, 3)).max() < 0.02  # finer than 8 px: gone
    assert without_detail(picture, 2, whole).std((2, 3)).min() > 0.9 * picture.std((2, 3)).min()
    left = torch.zeros(SIDE, SIDE)
    left[:, : SIDE // 2] = 1
    mean = picture[..., : SIDE // 2].mean((2, 3))
    torch.testing.assert_close(without_detail(picture, 5, left)[..., 7, 200], mean)


def test_weights_follow_the_evidence(compact: Vgg, photo: Tensor) -> None:
    choice = choose_layers(compact, photo, stripes(16))
    assert {entry.layer: entry.weight for entry in choice.style_evidence if entry.chosen} == choice.style_weights
    total = sum(entry.ratio for entry in choice.style_evidence)
    for entry in choice.style_evidence:
        assert entry.weight == pytest.approx(0.1 / 5 + 0.9 * entry.ratio / total)
    assert choice.content_layer == max(choice.content_evidence, key=lambda entry: entry.score).layer
    sentences = layer_sentences(choice)
    assert len(sentences) == len(choice.style_weights) + 1 and "times the photo's detail" in sentences[0]


def test_the_usual_layers_keep_the_evidence_beside_them(compact: Vgg, photo: Tensor) -> None:
    evidence = choose_layers(compact, photo, stripes(64))
    usual = usual_layers(evidence)
    assert usual.style_weights == fixed_choice().style_weights and usual.content_layer == FIXED_CONTENT
    assert usual.mode == "fixed" and len(usual.style_evidence) == len(evidence.style_evidence)
    assert {entry.layer for entry in usual.style_evidence if entry.chosen} == set(FIXED_STYLE)
    assert [entry.ratio for entry in usual.style_evidence] == [entry.ratio for entry in evidence.style_evidence]
    assert all(name in " ".join(layer_sentences(usual)) for name in evidence.style_weights)


def test_painting_equal_to_photo_is_no_better_than_chance(compact: Vgg, photo: Tensor) -> None:
    choice = choose_layers(compact, photo, photo)
    assert choice.mode == "fixed" and tuple(choice.style_weights) == FIXED_STYLE
    assert choice.content_layer == FIXED_CONTENT and "no more than chance" in layer_sentences(choice)[0]
    assert all(entry.ratio == pytest.approx(1, abs=1e-3) for entry in choice.style_evidence)


def test_chance_is_rarely_beaten_by_two_samples_of_one_noise(compact: Vgg) -> None:
    """At the 95 % quantile, one scale in twenty may."""
    generator, beaten = torch.Generator().manual_seed(3), 0
    for _ in range(3):
        first, second = (resize_nchw01(torch.rand(1, 3, 64, 64, generator=generator), (SIDE, SIDE)) for _ in range(2))
        entries = style_evidence(compact, first, second, np.ones((SIDE, SIDE), np.float32), generator)
        beaten += sum(entry.beyond_chance for entry in entries)
    assert beaten <= 3  # of 15


def test_the_region_decides_not_its_surroundings(compact: Vgg, photo: Tensor) -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, :128] = 1
    other = photo.clone()
    other[..., 208:] = torch.rand(1, 3, SIDE, 48, generator=torch.Generator().manual_seed(0))
    first, second = (choose_layers(compact, picture, stripes(16), alpha) for picture in (photo, other))
    # Deep cells near the edge see a little across it; the choice must not care.
    assert list(first.style_weights) == list(second.style_weights)
    assert list(first.style_weights.values()) == pytest.approx(list(second.style_weights.values()), rel=0.01)


def test_small_regions_fall_back(compact: Vgg, photo: Tensor) -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[100:150, 100:150] = 1
    choice = choose_layers(compact, photo, stripes(16), alpha)
    assert choice.content_layer == FIXED_CONTENT and choice.content_evidence == ()
    assert choice.mode == "fixed" and choice.style_evidence == () and "too small" in layer_sentences(choice)[0]


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
