"""Recipes of other work: constants against the published tables, losses and steps against code written anew here."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from interp.network.vgg import IMAGENET_MEAN, IMAGENET_STD, Vgg, WeightsInfo
from interp.pictures.images import to_hwc_u8, to_nchw01
from interp.statistics.layers import fixed_choice
from stylize.canvas import Canvas
from stylize.composite import compose
from stylize.descent import gradient_nchw
from stylize.historical import feature_scale, fit_painting, rowwise_distance, rowwise_gram
from stylize.optimise import StepEvent, stylize
from stylize.recipes import RECIPES, Recipe
from stylize.region import StyledRegion

STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CAFFE = 255 * 0.225
# The report's table, and Gatys' notebook: optimiser, rate, style, content, layer weights, iterations, shown every.
TABLE = {
    "report-pytorch": ("adam", 0.003, 1e5, 1, (1.0, 0.75, 0.2, 0.2, 0.2), 5000, 400),
    "report-tensorflow": ("adam", 0.02, 100 / 5, 10, (1.0, 0.8, 0.5, 0.3, 0.1), 2000, 100),
    "report-tensorflow-fixed": ("adam", 0.02, 100 / 5, 10, (1.0, 0.8, 0.5, 0.3, 0.1), 2000, 100),
    "report-isolated": ("adam", 0.003, 1e5, 1, (1.0, 0.75, 0.2, 0.2, 0.2), 5000, 400),
    "gatys": ("lbfgs", 1, 1e3, 1, (1, 1, 1, 1, 1), 500, 50),
}


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor]:
    """A photo of 48x64 px and a painting of other proportions."""
    generator = torch.Generator().manual_seed(3)
    return torch.rand(1, 3, 48, 64, generator=generator), torch.rand(1, 3, 80, 56, generator=generator)


@pytest.fixture(scope="module")
def double() -> Vgg:
    """A small network in float64, where finite differences are exact enough."""
    torch.manual_seed(0)
    return Vgg(width=1 / 8).double().eval().requires_grad_(False)


def everywhere(photo: Tensor, painting: Tensor) -> StyledRegion:
    return StyledRegion(np.ones(photo.shape[-2:], np.float32), painting, fixed_choice())


def canvas_of(vgg: Vgg, photo: Tensor, painting: Tensor, recipe: Recipe) -> Canvas:
    ((size, _),) = recipe.scales((photo.shape[-2], photo.shape[-1]))
    return recipe.canvas(vgg, photo, everywhere(photo, painting), size)


def follow(vgg: Vgg, photo: Tensor, painting: Tensor, recipe: Recipe, iterations: int) -> list[StepEvent]:
    return list(stylize(vgg, photo, [everywhere(photo, painting)], replace(recipe, iterations=iterations)))


@pytest.mark.parametrize("name", TABLE)
def test_constants_are_those_of_the_sources(name: str) -> None:
    found = RECIPES[name]
    optimizer, rate, style, content, layers, iterations, every = TABLE[name]
    assert (found.optimizer, found.learning_rate, found.iterations, found.every) == (optimizer, rate, iterations, every)
    assert (found.style_weight, found.content_weight) == (style, content)
    assert found.style_layers == dict(zip(STYLE, layers, strict=True)) and found.content_layer == "relu4_2"


def test_every_constant_has_a_source() -> None:
    assert list(RECIPES) == list(TABLE)
    for found in RECIPES.values():
        needed = {item.name for item in fields(Recipe)} - {"name", "title", "sources"}
        assert needed - set(found.sources) <= {"cut_result"} and all(found.sources.values())
        assert ("cut_result" in found.sources) == found.cut_result


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 9), height=st.integers(1, 5), width=st.integers(1, 9), seed=st.integers(0, 2**16)
)  # fmt: skip
def test_rowwise_gram_is_the_einsum(channels: int, height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = [rng.normal(size=(1, channels, height, width)) for _ in range(2)]
    grams = [np.einsum("chw,chv->hwv", entry[0], entry[0]) for entry in maps]
    tensors = [torch.from_numpy(entry) for entry in maps]
    assert rowwise_gram(tensors[0]).shape == (height, width, width)
    np.testing.assert_allclose(rowwise_gram(tensors[0]).numpy(), grams[0], atol=1e-12)
    expected = np.mean((grams[0] - grams[1]) ** 2)
    assert float(rowwise_distance(*tensors)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def loss_by_hand(vgg: Vgg, name: str, image01: Tensor, photo01: Tensor, painting01: Tensor) -> float:
    """Each recipe's loss spelled out in NumPy, from its source."""

    def maps(picture: Tensor) -> dict[str, np.ndarray]:
        scale = 1.0 if name in ("report-pytorch", "report-isolated") else CAFFE
        found = vgg.activations(picture, [*STYLE, "relu4_2"])
        return {layer: scale * values[0].numpy() for layer, values in found.items()}

    here, photo, painting = maps(image01), maps(photo01), maps(painting01)
    weights = dict(zip(STYLE, TABLE[name][4], strict=True))
    style = 0.0
    for layer in STYLE:
        f, t = here[layer], painting[layer]
        channels, height, width = f.shape
        if name == "report-tensorflow":
            difference = np.einsum("chw,chv->hwv", f, f) - np.einsum("chw,chv->hwv", t, t)
            style += weights[layer] * np.mean(difference**2)
            continue
        own, target = np.einsum("ahw,bhw->ab", f, f), np.einsum("ahw,bhw->ab", t, t)
        if name == "gatys":
            own, target = own / (height * width), target / t[0].size
            style += 1e3 / channels**2 * np.mean((own - target) ** 2)
        elif name == "report-tensorflow-fixed":
            style += weights[layer] * np.mean((own - target) ** 2)
        else:
            style += weights[layer] * np.mean((own - target) ** 2) / (channels * height * width)
    content = np.mean((here["relu4_2"] - photo["relu4_2"]) ** 2)
    if name == "gatys":
        return float(style + content)
    return float(100 / 5 * style + 10 / 1 * content if "tensorflow" in name else 1e5 * style + content)


@pytest.mark.parametrize("name", TABLE)
def test_first_loss_and_gradient(name: str, double: Vgg, pictures: tuple[Tensor, Tensor]) -> None:
    photo, painting = (picture.double() for picture in pictures)
    canvas = canvas_of(double, photo, painting, RECIPES[name])
    loss, start, size = canvas.loss, canvas.start_nchw01, (canvas.start_nchw01.shape[-2], canvas.start_nchw01.shape[-1])
    fitted = fit_painting(painting, size, RECIPES[name])
    generator = torch.Generator().manual_seed(1)
    off = start + 0.05 * torch.rand(start.shape, generator=generator, dtype=torch.float64)
    for image in (start, off):
        total, terms = loss(image)
        expected = loss_by_hand(double, name, image, start, fitted)
        assert float(total) == pytest.approx(expected, rel=1e-9) and terms["total"] == float(total)
    gradient = gradient_nchw(loss, off)
    direction = torch.randn(off.shape, generator=generator, dtype=torch.float64)
    step = 1e-8  # small enough that few ReLUs and pools switch on the way
    ends = [loss_by_hand(double, name, off + sign * step * direction, start, fitted) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float((gradient * direction).sum()), rel=1e-4)


def test_model_1_is_the_course_notebook(compact: Vgg, pictures: tuple[Tensor, Tensor]) -> None:
    """Five steps of a textbook loop in the normalised space, written down here, give the same picture."""
    photo, painting = pictures
    painting = torch.nn.functional.interpolate(painting, size=(48, 64), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    layers = [*STYLE, "relu4_2"]
    content = compact.activations(photo, layers)["relu4_2"]
    style = compact.activations(painting, layers)
    target = ((photo - mean) / std).requires_grad_()
    optimizer = torch.optim.Adam([target], lr=0.003)
    total = torch.zeros(())
    for _ in range(5):
        maps = compact.activations(target * std + mean, layers)
        total = torch.mean((maps["relu4_2"] - content) ** 2)
        for layer, weight in zip(STYLE, (1.0, 0.75, 0.2, 0.2, 0.2), strict=True):
            _, d, h, w = maps[layer].shape
            own, wanted = (values.view(d, h * w) for values in (maps[layer], style[layer]))
            own, wanted = own @ own.t(), wanted @ wanted.t()
            total = total + 1e5 * weight * torch.mean((own - wanted) ** 2) / (d * h * w)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    *_, last = follow(compact, *pictures, RECIPES["report-pytorch"], 5)
    by_hand = (target.detach() * std + mean).clamp(0, 1)
    torch.testing.assert_close(last.image_nchw01, by_hand, rtol=0, atol=2e-5)
    assert last.losses["total"] == pytest.approx(float(total.detach()), rel=1e-3)


@pytest.mark.parametrize("name", ["report-pytorch", "report-tensorflow"])
def test_adams_first_step_is_the_learning_rate_in_its_own_space(
    name: str, compact: Vgg, pictures: tuple[Tensor, Tensor]
) -> None:
    photo = 0.2 + 0.6 * pictures[0]  # away from the clamp
    (event,) = follow(compact, photo, pictures[1], RECIPES[name], 1)
    step = (event.restyled_rchw - event.scene.photo_nchw01).abs().amax((0, 2, 3))
    std = torch.tensor(IMAGENET_STD) if name == "report-pytorch" else torch.ones(3)
    torch.testing.assert_close(step, RECIPES[name].learning_rate * std, rtol=1e-3, atol=0)
    assert event.gradient_norm > 0


def test_clamping_keeps_the_optimised_image_in_range(compact: Vgg, pictures: tuple[Tensor, Tensor]) -> None:
    """Half the values of a black and white photo are pushed out of range: shown clipped, the first pictures agree."""
    extremes = pictures[0].round()
    clamped = RECIPES["report-tensorflow-fixed"]
    free = replace(clamped, clamp=False)
    images = [
        [event.image_nchw01 for event in follow(compact, extremes, pictures[1], way, 6)] for way in (clamped, free)
    ]
    assert torch.equal(images[0][0], images[1][0]) and not torch.equal(images[0][-1], images[1][-1])


def test_how_pictures_are_fitted(pictures: tuple[Tensor, Tensor]) -> None:
    sizes = {}
    for name in TABLE:
        recipe = replace(RECIPES[name], size_px=32)
        ((size, _),) = recipe.scales((48, 64))
        sizes[name] = [size, tuple(fit_painting(pictures[1], size, recipe).shape[-2:])]
    assert sizes["report-pytorch"] == [(48, 64), (48, 64)]  # a side under 64 px is never made smaller
    assert sizes["report-tensorflow"] == [(64, 64), (64, 64)]
    photo, painting = sizes["gatys"]
    assert photo == (48, 64) and abs(painting[0] * painting[1] / (48 * 64) - 1) < 0.05
    assert abs(painting[0] / painting[1] - 80 / 56) < 0.05


def test_caffe_weights_need_no_scaling_in_caffe_range() -> None:
    caffe = Vgg(width=1 / 8, info=WeightsInfo("old", "", layout="caffe", width=1 / 8))
    torchvision = Vgg(width=1 / 8)
    assert feature_scale(RECIPES["gatys"], caffe) == 1 == feature_scale(RECIPES["report-pytorch"], torchvision)
    assert feature_scale(RECIPES["gatys"], torchvision) == pytest.approx(CAFFE)
    assert feature_scale(RECIPES["report-pytorch"], caffe) == pytest.approx(1 / CAFFE)


def test_the_painting_itself_is_the_end(compact: Vgg) -> None:
    """Where photo and painting are one, no style gradient is left, rounding aside."""
    photo = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for name in TABLE:
        canvases = [canvas_of(compact, photo, painting, RECIPES[name]) for painting in (photo, photo.flip(1).square())]
        at_home, away = (gradient_nchw(canvas.loss, canvas.start_nchw01).norm() for canvas in canvases)
        assert at_home < 1e-3 * away


def test_a_run_that_blows_up_ends_there(compact: Vgg, pictures: tuple[Tensor, Tensor]) -> None:
    wild = replace(RECIPES["gatys"], learning_rate=1e30)
    events = follow(compact, *pictures, wild, 20)
    assert len(events) < 20 and not np.isfinite(events[-1].losses["total"])
    assert all(event.restyled_rchw.isfinite().all() for event in events)
    # The only picture whose loss was finite is the start.
    torch.testing.assert_close(events[-1].image_nchw01, pictures[0], rtol=0, atol=1e-6)


def test_where_a_run_blows_up_the_outside_keeps_its_bytes(compact: Vgg, pictures: tuple[Tensor, Tensor]) -> None:
    photo_u8 = to_hwc_u8(pictures[0])
    alpha = np.zeros(photo_u8.shape[:2], np.float32)
    alpha[:, :32] = 1
    region = StyledRegion(alpha, pictures[1], fixed_choice())
    wild = replace(RECIPES["report-pytorch"], learning_rate=1e30, iterations=5)
    *_, last = stylize(compact, to_nchw01(photo_u8), [region], wild)
    assert (compose(photo_u8, [region], last.restyled_rchw)[:, 32:] == photo_u8[:, 32:]).all()
