"""The optimisation: where loss and gradient go, what stays untouched, what settings mean."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.errors import MaskError, UsageError
from interp.network.layer_names import LAYERS
from interp.network.vgg import Vgg
from interp.pictures.images import to_hwc_u8, to_nchw01
from interp.pictures.original import Original
from interp.statistics.layers import FIXED_STYLE, LayerChoice, fixed_choice
from interp.statistics.regions import pool_mask
from stylize.canvas import Canvas, build_canvas, own_photo
from stylize.composite import compose
from stylize.fill import continue_outside, with_border, without_border
from stylize.isolate import Isolation, measure
from stylize.optimise import StepEvent, stylize
from stylize.presets import PRESETS, Preset, Settings
from stylize.region import StyledRegion
from stylize.rulers import rulers_of
from stylize.ways import preset_named
from tests.helpers import SIDE, disc, smooth, stripes

QUICK = Settings(size_px=SIDE, coarsest_px=SIDE, iterations=12)
SHALLOW = LayerChoice({"relu1_1": 0.3, "relu2_1": 0.3, "relu3_1": 0.4}, "relu3_2")


def run(
    vgg: Vgg, regions: list[StyledRegion], settings: Settings = QUICK, photo: Tensor | None = None
) -> list[StepEvent]:
    return list(stylize(vgg, smooth(0) if photo is None else photo, regions, settings))


def canvas_of(vgg: Vgg, region: StyledRegion, photo: Tensor | None = None) -> Canvas:
    photo = smooth(0) if photo is None else photo
    return build_canvas(vgg, own_photo(photo, region), region, (photo.shape[-2], photo.shape[-1]), QUICK)


def isolation_of(vgg: Vgg, photo_u8: np.ndarray, result: np.ndarray, event: StepEvent) -> Isolation:
    return measure(vgg, Original(photo_u8), result, QUICK, event)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_outside_is_bit_identical_and_inside_is_painted(compact: Vgg, optimizer: str) -> None:
    photo_u8 = to_hwc_u8(smooth(0))
    region = StyledRegion(disc(), stripes(), SHALLOW)
    events = run(compact, [region], replace(QUICK, optimizer=optimizer), to_nchw01(photo_u8))
    result = compose(photo_u8, [region], events[-1].restyled_rchw)
    outside = region.alpha_hw01 == 0
    assert (result[outside] == photo_u8[outside]).all()
    assert np.abs(result[~outside].astype(int) - photo_u8[~outside]).mean() > 5
    first, last = (
        sum(value for name, value in event.losses.items() if "style" in name) for event in (events[0], events[-1])
    )
    assert last < 0.6 * first  # the start has the painting's colours already


def test_where_alpha_is_one_the_result_is_the_restyled_image(compact: Vgg) -> None:
    photo_u8 = to_hwc_u8(smooth(0))
    region = StyledRegion(disc(), stripes(), SHALLOW)
    restyled = torch.rand(1, 3, SIDE, SIDE)
    result = compose(photo_u8, [region], restyled)
    inside = region.alpha_hw01 == 1
    assert (result[inside] == to_hwc_u8(restyled)[inside]).all()


def test_every_region_gets_loss_and_gradient(compact: Vgg) -> None:
    """Both regions move, each towards its own painting; the composite shows each under its own alpha only."""
    left = np.zeros((SIDE, SIDE), np.float32)
    left[:, : SIDE // 2] = 1
    regions = [
        StyledRegion(left, stripes(), SHALLOW, name="foreground"),
        StyledRegion(1 - left, stripes().flip(1), SHALLOW, name="background"),
    ]
    events = run(compact, regions)
    assert [event.step for event in events] == list(range(1, 2 * QUICK.iterations + 1))
    for region, restyled in zip(regions, events[-1].restyled_rchw, strict=True):
        shown = torch.from_numpy(region.alpha_hw01) == 1
        assert (restyled - smooth(0)[0]).abs().mean(0)[shown].mean() > 0.01
        assert torch.equal(events[-1].image_nchw01[0][:, shown], restyled[:, shown].clamp(0, 1))
        name = f"{region.name}: style relu2_1"
        series = [event.losses[name] for event in events if name in event.losses]
        assert series[-1] < 0.7 * series[0]


@pytest.mark.parametrize("start", ["photo", "noise"])
def test_two_regions_are_two_independent_jobs(start: str, compact: Vgg) -> None:
    """A region's image is the same whether or not the other is restyled too."""
    left = np.zeros((SIDE, SIDE), np.float32)
    left[:, : SIDE // 2] = 1
    regions = [StyledRegion(left, stripes(), SHALLOW), StyledRegion(1 - left, stripes().flip(1), SHALLOW)]
    settings = replace(QUICK, iterations=4, start=start)
    both = run(compact, regions, settings)[-1].restyled_rchw
    for number, region in enumerate(regions):
        assert torch.equal(both[number], run(compact, [region], settings)[-1].restyled_rchw[0])


@pytest.mark.parametrize("alpha", [disc(), disc(radius=0.45) * (disc(radius=0.2) == 0)], ids=["disc", "ring"])
@pytest.mark.parametrize("colour", ["none", "match"])
def test_nothing_outside_reaches_the_inside(compact: Vgg, alpha: np.ndarray, colour: str) -> None:
    """The whole optimisation, run again with noise outside, paints the same bits inside."""
    settings = replace(QUICK, coarsest_px=SIDE // 2, iterations=4, coarse_iterations=3)
    region = StyledRegion(alpha, stripes(), fixed_choice(), colour=colour)
    outside = torch.from_numpy(alpha) == 0
    noisy = torch.where(outside, torch.rand(1, 3, SIDE, SIDE), smooth(0))
    first, second = (run(compact, [region], settings, photo)[-1].restyled_rchw[0] for photo in (smooth(0), noisy))
    inside = ~outside
    assert torch.equal(first[:, inside], second[:, inside])


def test_leak_is_measured_and_would_be_found(compact: Vgg, monkeypatch: pytest.MonkeyPatch) -> None:
    photo_u8 = to_hwc_u8(smooth(0))
    region = StyledRegion(disc(), stripes(), SHALLOW)
    event = run(compact, [region])[-1]
    result = compose(photo_u8, [region], event.restyled_rchw)
    assert isolation_of(compact, photo_u8, result, event).leak == (0.0,)
    monkeypatch.setattr("stylize.canvas.continue_outside", lambda image, alpha: image)  # the photo left as it is
    leaking = isolation_of(compact, photo_u8, result, run(compact, [region])[-1]).leak[0]
    assert 1e-3 < leaking < 1


@pytest.mark.parametrize("side", [1, 7, 64, 97])
def test_the_continuation_is_made_of_the_inside_alone(side: int, rng: np.random.Generator) -> None:
    alpha = np.zeros((side, side), np.float32)
    alpha[side // 3 :, : max(1, side // 2)] = 1
    inside = torch.from_numpy(alpha)
    pictures = [torch.rand(1, 3, side, side) for _ in range(2)]
    mixed = torch.where(inside > 0, pictures[0], pictures[1])
    first, second = (continue_outside(picture, inside) for picture in (pictures[0], mixed))
    assert torch.equal(first, second) and torch.equal(first * inside, pictures[0] * inside)
    within = pictures[0][0][:, inside > 0]
    low, high = within.min(1).values, within.max(1).values
    flat = first[0].flatten(1)
    assert (flat >= low[:, None] - 1e-6).all() and (flat <= high[:, None] + 1e-6).all()


def test_a_border_is_added_and_taken_away() -> None:
    picture = torch.rand(1, 3, 20, 30)
    assert with_border(picture).shape == (1, 3, 52, 62)
    assert torch.equal(without_border(with_border(picture)), picture)
    assert with_border(picture[0, 0], "constant").sum() == pytest.approx(float(picture[0, 0].sum()))


def test_work_follows_the_region(compact: Vgg) -> None:
    """The canvas is the region's box and a margin, and its cells in the region are those of the whole picture."""
    side = 320
    alpha = np.zeros((side, side), np.float32)
    alpha[200:300, 20:120] = 1
    region = StyledRegion(alpha, stripes(), SHALLOW)
    canvas = canvas_of(compact, region, smooth(0, side))
    height, width = canvas.alpha_hw01.shape
    assert height * width < 0.45 * side * side
    whole = continue_outside(with_border(smooth(0, side)), with_border(torch.from_numpy(alpha), "constant"))
    cut = whole[canvas.crop.here]
    for name in ("relu2_1", "relu3_1"):
        stride = LAYERS[name].stride_px
        full, part = (compact.activations(picture, [name])[name] for picture in (whole, cut))
        here = (..., slice(canvas.crop.top // stride, None), slice(canvas.crop.left // stride, None))
        full = full[here][..., : part.shape[-2], : part.shape[-1]]
        mask = pool_mask(canvas.alpha_hw01, LAYERS[name])
        assert float(((full - part).abs() * mask).max()) < 1e-4


def test_only_the_masked_part_of_the_painting_is_learned(compact: Vgg) -> None:
    """What lies outside the painting's mask does not matter at all; what lies inside does."""
    learned = np.zeros((SIDE, SIDE), np.float32)
    learned[:, : SIDE // 2] = 1
    framed = stripes()
    framed[..., SIDE // 2 :] = torch.rand(1, 3, SIDE, SIDE // 2)
    region, other = (
        StyledRegion(disc(), painting, SHALLOW, painting_alpha_hw01=learned) for painting in (stripes(), framed)
    )
    first, second = (run(compact, [each])[-1].restyled_rchw for each in (region, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, run(compact, [StyledRegion(disc(), framed, SHALLOW)])[-1].restyled_rchw)
    with pytest.raises(UsageError, match="80x160"):
        StyledRegion(disc(), stripes(), SHALLOW, painting_alpha_hw01=learned[:, :80])
    with pytest.raises(MaskError, match="nothing to learn"):
        StyledRegion(disc(), stripes(), SHALLOW, painting_alpha_hw01=0 * learned)


@pytest.mark.parametrize(("colour", "chroma_kept"), [("none", False), ("match", False), ("luminance", True)])
def test_colour_policies(compact: Vgg, colour: str, chroma_kept: bool) -> None:
    """`none` takes the painting's colours; `match` stays near the photo's; `luminance` keeps its chroma."""
    photo = 0.25 + 0.5 * smooth(0)  # room for lighter and darker
    photo_u8, whole = to_hwc_u8(photo), np.ones((SIDE, SIDE), np.float32)
    painting = stripes()
    region = StyledRegion(whole, painting, SHALLOW, colour=colour)
    result = compose(photo_u8, [region], run(compact, [region], QUICK, to_nchw01(photo_u8))[-1].restyled_rchw)
    means = [picture.reshape(-1, 3).mean(0) for picture in (photo_u8, to_hwc_u8(painting), result)]
    to_photo, to_painting = (float(np.abs(means[2] - mean).max()) for mean in means[:2])
    assert (to_painting < to_photo) == (colour == "none")
    chroma = [picture - picture.astype(np.float64).mean(2, keepdims=True) for picture in (photo_u8, result)]
    assert (np.abs(chroma[0] - chroma[1]).mean() < 3) == chroma_kept


def test_a_flat_painting_is_no_trap(compact: Vgg) -> None:
    """A painting without any texture has no covariance to be relative to."""
    region = StyledRegion(disc(), torch.full((1, 3, SIDE, SIDE), 0.4), SHALLOW)
    events = run(compact, [region])
    assert all(np.isfinite(list(event.losses.values())).all() for event in events)
    inside = region.alpha_hw01 == 1
    assert float(events[-1].restyled_rchw[0][:, inside].std(1).max()) < 0.5 * float(
        smooth(0)[0][:, inside].std(1).max()
    )


def test_painting_equal_to_photo_keeps_the_photo(compact: Vgg) -> None:
    region = StyledRegion(np.ones((SIDE, SIDE), np.float32), smooth(0), SHALLOW)
    exact = run(compact, [region], replace(QUICK, total_variation=0.0))
    assert exact[0].losses["total"] < 1e-6
    assert float((exact[-1].restyled_rchw - smooth(0)).abs().max()) < 0.02
    smoothed = run(compact, [region])
    assert float((smoothed[-1].restyled_rchw - smooth(0)).abs().max()) < 0.05


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
    assert settings.scales((50, 40)) == [((50, 40), 3)]


def test_a_layer_without_room_is_dropped_and_its_weight_shared(compact: Vgg) -> None:
    region = StyledRegion(disc(radius=0.2), stripes(), fixed_choice())
    canvas = canvas_of(compact, region)
    assert set(canvas.dropped) == {"relu5_1"} and "cells" in canvas.dropped["relu5_1"]
    weights = canvas.loss.weights
    assert sum(weights[f"style {name}"] for name in canvas.loss.style_layers) == pytest.approx(1)
    assert canvas.loss.style_layers == FIXED_STYLE[:4] and canvas.loss.layers == (*FIXED_STYLE[:4], "relu4_2")


def test_a_region_too_small_for_any_style_says_why(compact: Vgg) -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[80, 80] = 1
    with pytest.raises(MaskError, match="too small to carry a style"):
        run(compact, [StyledRegion(alpha, stripes(), fixed_choice())])


def test_ring_and_islands_are_painted(compact: Vgg) -> None:
    ring = np.zeros((SIDE, SIDE), np.float32)
    ring[40:120, 40:120] = 1
    ring[42:118, 42:118] = 0  # two pixels wide
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
    assert preset_named("default") == Preset() and set(PRESETS) >= {"default", "draft"}
    with pytest.raises(UsageError, match=r"Did you mean 'draft'"):
        preset_named("drafts")
    for bad in ({"size_px": 10}, {"iterations": 0}, {"style_scale": 0.0}, {"optimizer": "sgd"}, {"start": "grey"}):
        with pytest.raises(UsageError):
            replace(QUICK, **bad)


def test_isolation_figures_and_readings(compact: Vgg) -> None:
    photo_u8 = to_hwc_u8(smooth(0))
    region = StyledRegion(disc(), stripes(), SHALLOW)
    event = run(compact, [region])[-1]
    result = compose(photo_u8, [region], event.restyled_rchw)
    isolation = isolation_of(compact, photo_u8, result, event)
    assert isolation.outside_pixels == int((region.alpha_hw01 == 0).sum()) > 0
    assert isolation.max_abs_outside == 0 and isolation.boundary_pixels > 0
    spoiled = result.copy()
    spoiled[0, 0, 0] ^= 7
    assert isolation_of(compact, photo_u8, spoiled, event).max_abs_outside > 0
    rulers = rulers_of(compact, event.scene, 0)
    result = rulers.read(to_nchw01(result))
    for layers in (event.scene.canvases[0].loss.style_layers, ["relu1_2", "relu2_2"]):
        assert rulers.painting.mean_gram(layers) < result.mean_gram(layers) < rulers.photo.mean_gram(layers)
    assert 0 == rulers.photo.content < result.content < rulers.painting.content


def test_a_recoloured_painting_is_what_the_rulers_go_by(compact: Vgg) -> None:
    """Painting = photo in other colours: matched back, the photo is already at the target."""
    whole, photo = np.ones((SIDE, SIDE), np.float32), smooth(0) * 0.6 + 0.2
    # A diagonal map is symmetric and positive: optimal transport between the two colour clouds is its exact inverse.
    recoloured = photo * torch.tensor([0.4, 0.7, 1.0]).view(1, 3, 1, 1)
    before = {}
    for colour in ("none", "match"):
        region = StyledRegion(whole, recoloured, SHALLOW, colour=colour)
        scene = run(compact, [region], replace(QUICK, iterations=1), photo)[-1].scene
        before[colour] = rulers_of(compact, scene, 0).photo.gram["relu1_1"]
    assert before["match"] < 0.1 * before["none"]


def test_the_kept_sides_colours_are_used_at_a_soft_edge_only(compact: Vgg) -> None:
    photo_u8, kept_u8 = to_hwc_u8(smooth(0)), to_hwc_u8(smooth(5))
    region = StyledRegion(disc(), stripes(), SHALLOW)
    restyled = torch.rand(1, 3, SIDE, SIDE)
    plain, own = compose(photo_u8, [region], restyled), compose(photo_u8, [region], restyled, kept_u8)
    soft = (region.alpha_hw01 > 0) & (region.alpha_hw01 < 1)
    assert (plain[~soft] == own[~soft]).all()
    alpha = region.alpha_hw01[soft][:, None].astype(np.float64)
    expected = alpha * restyled[0].permute(1, 2, 0).numpy()[soft] * 255 + (1 - alpha) * kept_u8[soft]
    assert np.abs(own[soft] - expected).max() <= 0.51
