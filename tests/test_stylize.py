"""The optimisation: where loss and gradient go, what stays untouched, what settings mean."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.errors import MaskError, UsageError
from interp.gram import region_gram
from interp.images import quantise_hw01, to_hwc_u8, to_nchw01
from interp.layers import FIXED_STYLE, LayerChoice, fixed_choice
from interp.regions import content_mask
from interp.sizes import resize_nchw01
from interp.vgg import Vgg
from stylize.isolate import compose, leak, measure
from stylize.losses import StyleLoss
from stylize.optimise import StepEvent, scale_sizes_hw_px, stylize
from stylize.outcome import judge
from stylize.presets import PRESETS, Settings, preset
from stylize.scene import StyledRegion, build_scene

SIDE = 160
QUICK = Settings(size_px=SIDE, coarsest_px=SIDE, iterations=12)
SHALLOW = LayerChoice({"relu1_1": 0.3, "relu2_1": 0.3, "relu3_1": 0.4}, "relu3_2", "given")


def smooth(seed: int, side: int = SIDE) -> Tensor:
    """A colourful cloud picture."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, side // 8, side // 8, generator=generator)
    return torch.from_numpy(to_hwc_u8(resize_nchw01(small, (side, side)))).permute(2, 0, 1)[None].float() / 255


def stripes(side: int = SIDE) -> Tensor:
    """A painting of diagonal stripes."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    wave = (((rows + columns) // 6) % 2).float()
    return torch.stack([wave, 1 - wave, 0.5 * wave])[None]


def disc(side: int = SIDE, radius: float = 0.35) -> np.ndarray:
    """A disc with a soft edge."""
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    return quantise_hw01(np.clip((radius - np.hypot(rows, columns)) * 40 + 0.5, 0, 1).astype(np.float32))


def run(
    vgg: Vgg, regions: list[StyledRegion], settings: Settings = QUICK, photo: Tensor | None = None
) -> list[StepEvent]:
    return list(stylize(vgg, smooth(0) if photo is None else photo, regions, settings))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_outside_is_bit_identical_and_inside_is_painted(compact: Vgg, optimizer: str) -> None:
    photo_u8 = to_hwc_u8(smooth(0))
    region = StyledRegion(disc(), stripes(), SHALLOW)
    events = run(compact, [region], replace(QUICK, optimizer=optimizer), to_nchw01(photo_u8))
    result = compose(photo_u8, [region], events[-1].restyled_rchw)
    outside = region.alpha_hw01 == 0
    assert (result[outside] == photo_u8[outside]).all()
    assert np.abs(result[~outside].astype(int) - photo_u8[~outside]).mean() > 5
    assert events[-1].losses["total"] < 0.5 * events[0].losses["total"]


def test_where_alpha_is_one_the_result_is_the_restyled_image(compact: Vgg) -> None:
    photo_u8 = to_hwc_u8(smooth(0))
    region = StyledRegion(disc(), stripes(), SHALLOW)
    restyled = torch.rand(1, 3, SIDE, SIDE)
    result = compose(photo_u8, [region], restyled)
    inside = region.alpha_hw01 == 1
    assert (result[inside] == to_hwc_u8(restyled)[inside]).all()


def test_every_region_gets_loss_and_gradient(compact: Vgg) -> None:
    """Both regions move, each towards its own painting, and neither moves where it has no alpha."""
    left = np.zeros((SIDE, SIDE), np.float32)
    left[:, : SIDE // 2] = 1
    regions = [StyledRegion(left, stripes(), SHALLOW), StyledRegion(1 - left, stripes().flip(1), SHALLOW)]
    events = run(compact, regions)
    photo = smooth(0)[0]
    for number, region in enumerate(regions):
        moved = (events[-1].restyled_rchw[number] - photo).abs().mean(0).numpy()
        assert moved[region.alpha_hw01 == 1].mean() > 0.01
        assert moved[region.alpha_hw01 == 0].max() == 0
        name = f"region {number + 1}: style relu2_1"
        assert events[-1].losses[name] < 0.7 * events[0].losses[name]


def test_a_regions_loss_does_not_move_the_other(compact: Vgg) -> None:
    """With one region's weights at zero its images stay the photo, although the other's loss sees them."""
    left = np.zeros((SIDE, SIDE), np.float32)
    left[:, : SIDE // 2] = 1
    regions = [StyledRegion(left, stripes(), SHALLOW), StyledRegion(1 - left, stripes().flip(1), SHALLOW)]
    scene = build_scene(compact, smooth(0), regions, (SIDE, SIDE), QUICK)
    restyled = scene.crop.of(scene.photo_nchw01).repeat(2, 1, 1, 1) + 0.1  # off the photo, where content pulls too
    image = scene.composite(restyled).requires_grad_()
    value, _ = scene.losses[0](compact.activations(image, scene.layers), image)
    (gradient,) = torch.autograd.grad(value, image)
    # Without detaching, region 1's loss reaches pixels of region 2 through the receptive fields …
    assert (gradient[0][:, scene.alphas_rhw01[1] == 1]).abs().max() > 0
    # … but only alpha_1 times it is handed to y_1, and nothing of it to y_2.
    assert (scene.alphas_rhw01[0] * gradient[0])[:, scene.alphas_rhw01[0] == 0].abs().max() == 0


def test_composite_gradient_by_finite_differences(compact: Vgg) -> None:
    """alpha_r times the composite's gradient is the gradient with respect to y_r."""
    region = StyledRegion(disc(), stripes(), SHALLOW)
    scene = build_scene(compact, smooth(0), [region], (SIDE, SIDE), QUICK)
    start = (scene.crop.of(scene.photo_nchw01) + 0.05).clone()

    def loss(restyled: Tensor) -> Tensor:
        image = scene.composite(restyled)
        return scene.losses[0](compact.activations(image, scene.layers), image)[0]

    through = start.clone().requires_grad_()
    (direct,) = torch.autograd.grad(loss(through), through)
    image = scene.composite(start).requires_grad_()
    value, _ = scene.losses[0](compact.activations(image, scene.layers), image)
    (gradient,) = torch.autograd.grad(value, image)
    alphas = scene.crop.of(scene.alphas_rhw01)[:, None]
    torch.testing.assert_close(alphas * gradient, direct, rtol=1e-3, atol=1e-4 * float(direct.abs().max()))
    direction = direct / direct.norm()
    step = 2e-2
    slope = (loss(start + step * direction) - loss(start - step * direction)) / (2 * step)
    assert float(slope) == pytest.approx(float(direct.norm()), rel=0.05)


def test_a_fully_eroded_gram_cannot_see_the_outside(compact: Vgg) -> None:
    """Noise outside changes neither the Gram nor its gradient at any pixel inside."""
    region = StyledRegion(
        disc(radius=0.45), stripes(), LayerChoice({"relu1_1": 0.5, "relu2_1": 0.5}, "relu3_1", "given")
    )
    scene = build_scene(compact, smooth(0), [region], (SIDE, SIDE), QUICK)
    assert all(part.fully_eroded for part in scene.region_layers[0].values())
    _, ratios, total = leak(compact, scene, scene.photo_nchw01)
    assert total < 1e-5 and max(ratios) < 1e-5
    alpha = scene.crop.of(scene.alphas_rhw01)[0]
    image = scene.crop.of(scene.photo_nchw01)
    noisy = torch.where(alpha > 0, image, torch.rand(image.shape))
    for name, part in scene.region_layers[0].items():
        mask = scene.crop.of_layer(part.mask_hw01, name)
        grams = [region_gram(compact.activations(picture, [name])[name], mask) for picture in (image, noisy)]
        torch.testing.assert_close(grams[0], grams[1], rtol=1e-5, atol=1e-6)


def test_leak_is_found_where_erosion_is_left_out(compact: Vgg) -> None:
    region = StyledRegion(disc(), stripes(), SHALLOW)
    scene = build_scene(compact, smooth(0), [region], (SIDE, SIDE), QUICK)
    for term in scene.losses[0].terms:
        if isinstance(term, StyleLoss):
            term.mask_hw01.fill_(1)
    _, ratios, total = leak(compact, scene, scene.photo_nchw01)
    assert total > 0.05 and ratios[0] > ratios[-1]


def test_work_follows_the_region(compact: Vgg) -> None:
    """On the crop the loss and the images are those of the whole picture."""
    side = 320
    alpha = np.zeros((side, side), np.float32)
    alpha[200:300, 20:120] = 1
    region = StyledRegion(alpha, stripes(), SHALLOW)
    scene = build_scene(compact, smooth(0, side), [region], (side, side), QUICK)
    assert (scene.crop.bottom - scene.crop.top) * (scene.crop.right - scene.crop.left) < 0.4 * side * side
    whole = scene.photo_nchw01
    features = [compact.activations(picture, scene.layers) for picture in (whole, scene.crop.of(whole))]
    for name, part in scene.region_layers[0].items():
        full = region_gram(features[0][name], part.mask_hw01)
        cut = region_gram(features[1][name], scene.crop.of_layer(part.mask_hw01, name))
        torch.testing.assert_close(full, cut, rtol=1e-4, atol=1e-5)
    mask = scene.crop.of_layer(content_mask(alpha, region.choice.content_layer), region.choice.content_layer)
    content = region.choice.content_layer
    difference = scene.crop.of_layer(features[0][content], content) - features[1][content]
    assert float((difference.abs() * mask).max()) < 1e-4


def test_painting_equal_to_photo_keeps_the_photo(compact: Vgg) -> None:
    region = StyledRegion(np.ones((SIDE, SIDE), np.float32), smooth(0), SHALLOW)
    events = run(compact, [region])
    assert events[0].losses["total"] < 1e-6
    assert float((events[-1].restyled_rchw - smooth(0)).abs().max()) < 0.02


def test_strength_moves_from_photo_to_painting(compact: Vgg) -> None:
    ends = [run(compact, [StyledRegion(disc(), stripes(), SHALLOW, strength)])[-1] for strength in (0.003, 1.0)]
    content = [event.losses["content relu3_2"] for event in ends]
    style = [event.losses["style relu2_1"] for event in ends]
    assert content[0] < content[1] and style[0] > style[1]


def test_total_variation_smooths(compact: Vgg) -> None:
    def roughness(settings: Settings) -> float:
        image = run(compact, [StyledRegion(np.ones((SIDE, SIDE), np.float32), stripes(), SHALLOW)], settings)[
            -1
        ].image_nchw01
        return float(image.diff(dim=2).square().mean() + image.diff(dim=3).square().mean())

    assert roughness(replace(QUICK, total_variation=3.0)) < 0.8 * roughness(QUICK)


def test_same_seed_same_bytes(compact: Vgg) -> None:
    region = StyledRegion(disc(), stripes(), SHALLOW)
    settings = replace(QUICK, start="noise", iterations=4)
    first, again = (run(compact, [region], settings)[-1].restyled_rchw for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, run(compact, [region], replace(settings, seed=1))[-1].restyled_rchw)


def test_two_scales_and_their_events(compact: Vgg) -> None:
    settings = Settings(size_px=SIDE, coarsest_px=SIDE // 2, iterations=3, coarse_iterations=2)
    events = run(compact, [StyledRegion(disc(), stripes(), SHALLOW)], settings)
    assert [(event.step, event.scale, event.size_hw_px) for event in events] == [
        (1, 1, (80, 80)), (2, 1, (80, 80)), (3, 2, (160, 160)), (4, 2, (160, 160)), (5, 2, (160, 160)),
    ]  # fmt: skip
    assert {event.total for event in events} == {5}
    assert scale_sizes_hw_px((50, 40), settings) == [(50, 40)]


def test_a_layer_without_room_is_dropped_and_its_weight_shared(compact: Vgg) -> None:
    region = StyledRegion(disc(), stripes(), fixed_choice())
    scene = build_scene(compact, smooth(0), [region], (SIDE, SIDE), QUICK)
    assert "relu5_1" in scene.dropped[0] and "cells" in scene.dropped[0]["relu5_1"]
    terms = [term for term in scene.losses[0].terms if isinstance(term, StyleLoss)]
    assert sum(term.weight for term in terms) == pytest.approx(1)
    assert [term.layer for term in terms] == [name for name in FIXED_STYLE if name not in scene.dropped[0]]


@pytest.mark.parametrize("shape", ["pixel", "thin ring"])
def test_a_region_too_small_for_any_style_says_why(compact: Vgg, shape: str) -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    if shape == "pixel":
        alpha[80, 80] = 1
    else:
        alpha[40:120, 40:120] = 1
        alpha[41:119, 41:119] = 0
    choice = LayerChoice({"relu3_1": 1.0}, "relu3_2", "given")
    with pytest.raises(MaskError, match="too small or thin"):
        run(compact, [StyledRegion(alpha, stripes(), choice)])


def test_ring_and_islands_are_painted(compact: Vgg) -> None:
    ring = disc(radius=0.45) * (disc(radius=0.2) == 0)
    islands = np.zeros((SIDE, SIDE), np.float32)
    islands[10:60, 10:60] = islands[90:150, 90:150] = 1
    for alpha in (ring, islands):
        event = run(compact, [StyledRegion(alpha, stripes(), SHALLOW)])[-1]
        moved = (event.image_nchw01 - smooth(0)).abs().mean(1)[0].numpy()
        assert moved[alpha == 1].mean() > 0.01 and moved[alpha == 0].max() == 0
    assert moved[10:60, 10:60].mean() > 0.01 and moved[90:150, 90:150].mean() > 0.01


def test_bad_regions_are_refused(compact: Vgg) -> None:
    whole = np.ones((SIDE, SIDE), np.float32)
    with pytest.raises(MaskError, match="empty"):
        StyledRegion(0 * whole, stripes(), SHALLOW)
    with pytest.raises(UsageError, match="Strength"):
        StyledRegion(whole, stripes(), SHALLOW, strength=0)
    with pytest.raises(UsageError, match="luminance"):
        StyledRegion(whole, stripes(), SHALLOW, colour="luminence")
    with pytest.raises(UsageError, match="No region"):
        run(compact, [])
    with pytest.raises(UsageError, match="80x80"):
        run(compact, [StyledRegion(whole[:80, :80], stripes(), SHALLOW)])
    with pytest.raises(MaskError, match="overlap"):
        run(compact, [StyledRegion(whole, stripes(), SHALLOW)] * 2)


def test_settings_are_checked_and_presets_named() -> None:
    assert preset("default") == Settings() and set(PRESETS) >= {"default", "draft"}
    with pytest.raises(UsageError, match=r"Did you mean 'draft'"):
        preset("drafts")
    for bad in ({"size_px": 10}, {"iterations": 0}, {"style_scale": 0.0}, {"optimizer": "sgd"}, {"start": "grey"}):
        with pytest.raises(UsageError):
            replace(QUICK, **bad)


def test_isolation_figures_and_outcome(compact: Vgg) -> None:
    photo_u8 = to_hwc_u8(smooth(0))
    region = StyledRegion(disc(), stripes(), SHALLOW)
    event = run(compact, [region])[-1]
    result = compose(photo_u8, [region], event.restyled_rchw)
    isolation = measure(compact, photo_u8, result, [region], event.scene, event.restyled_rchw)
    assert isolation.outside_pixels == int((region.alpha_hw01 == 0).sum()) > 0
    assert isolation.max_abs_outside == 0 and isolation.boundary_pixels > 0
    spoiled = result.copy()
    spoiled[0, 0, 0] ^= 7
    assert measure(compact, photo_u8, spoiled, [region], event.scene, event.restyled_rchw).max_abs_outside > 0
    outcome = judge(compact, to_nchw01(photo_u8), to_nchw01(result), region, (SIDE, SIDE))
    before, after = outcome.mean(optimised=True)
    assert after < before and outcome.content_distance > 0


def test_a_recoloured_painting_is_what_the_outcome_is_judged_by(compact: Vgg) -> None:
    """Painting = photo in other colours: matched back, the photo is already at the target."""
    whole, photo = np.ones((SIDE, SIDE), np.float32), smooth(0) * 0.6 + 0.2
    # A diagonal map is symmetric and positive: optimal transport between the two colour clouds is its exact inverse.
    recoloured = photo * torch.tensor([0.4, 0.7, 1.0]).view(1, 3, 1, 1)
    before = {}
    for colour in ("none", "match"):
        region = StyledRegion(whole, recoloured, SHALLOW, colour=colour)
        before[colour] = judge(compact, photo, photo, region, (SIDE, SIDE)).before[0]
    assert before["match"] < 0.1 * before["none"]
