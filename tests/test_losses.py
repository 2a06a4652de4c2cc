"""Our loss against NumPy in float64: values, and gradients by finite differences of every pixel."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from interp.network.layer_names import layer
from interp.network.vgg import Vgg
from interp.statistics.layers import LayerChoice
from interp.statistics.regions import pool_mask
from stylize.canvas import CONTENT_SHARE, build_canvas, own_photo
from stylize.descent import gradient_nchw
from stylize.losses import ContentLoss, RegionLoss, StyleLoss, TotalVariation
from stylize.presets import Settings
from stylize.region import StyledRegion
from tests.helpers import disc, smooth, stripes

STYLE = {"relu1_1": 0.2, "relu2_1": 0.3, "relu3_1": 0.5}
CONTENT = "relu2_2"
SIDE = 16


@pytest.fixture(scope="module")
def double() -> Vgg:
    """A small network in float64, where finite differences are exact enough."""
    torch.manual_seed(0)
    return Vgg(width=1 / 16).double().eval().requires_grad_(False)


def maps_of(vgg: Vgg, picture: Tensor) -> dict[str, np.ndarray]:
    found = vgg.activations(picture, [*STYLE, CONTENT], "average")
    return {name: values[0].numpy() for name, values in found.items()}


def moments_by_hand(maps: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shares = mask / mask.sum()
    mean = np.einsum("chw,hw->c", maps, shares)
    centred = maps - mean[:, None, None]
    return mean, np.einsum("ahw,bhw,hw->ab", centred, centred, shares)


def style_by_hand(maps: np.ndarray, mask: np.ndarray, target: tuple[np.ndarray, np.ndarray]) -> float:
    """By SciPy's matrix square root, where the module has eigenvalues."""
    mean, covariance = moments_by_hand(maps, mask)
    ridge = max(1e-4 * np.trace(target[1]) / len(mean), 1e-12 * (target[0] ** 2).mean()) * np.eye(len(mean))
    own, wanted = covariance + ridge, target[1] + ridge
    root = scipy.linalg.sqrtm(wanted)
    shared = np.trace(scipy.linalg.sqrtm(root @ own @ root)).real
    apart = ((mean - target[0]) ** 2).sum() + np.trace(own) + np.trace(wanted) - 2 * shared
    return apart / ((target[0] ** 2).sum() + np.trace(wanted))


def content_by_hand(maps: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> float:
    return (mask * (maps - photo) ** 2).sum() / (mask * photo**2).sum()


def variation_by_hand(image: np.ndarray, alpha: np.ndarray) -> float:
    across = (alpha[:, 1:] * np.diff(image, axis=2) ** 2).sum()
    return (across + (alpha[1:] * np.diff(image, axis=1) ** 2).sum()) / alpha.sum()


@pytest.mark.parametrize("flat", [False, True], ids=["a painting", "a flat painting"])
def test_values_and_every_pixels_gradient(double: Vgg, flat: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    photo, painting, start = (
        torch.rand(1, 3, SIDE, SIDE, generator=generator, dtype=torch.float64) for _ in range(3)
    )  # fmt: skip
    painting = torch.full_like(painting, 0.4) if flat else painting
    alpha = torch.rand(SIDE, SIDE, generator=generator, dtype=torch.float64)
    masks = {name: pool_mask(alpha, layer(name)) for name in (*STYLE, CONTENT)}
    by_name = {name: (weight, masks[name].numpy()) for name, weight in STYLE.items()}
    # The painting's border is left out: zero padding gives even a flat one some covariance.
    inner = {name: np.pad(np.ones(mask.shape)[1:-1, 1:-1], 1) for name, mask in masks.items()}
    targets = {name: moments_by_hand(maps_of(double, painting)[name], inner[name]) for name in STYLE}
    kept = maps_of(double, photo)[CONTENT]

    def by_hand(image: Tensor) -> tuple[float, dict[str, float]]:
        maps = maps_of(double, image)
        terms = {f"style {name}": style_by_hand(maps[name], mask, targets[name]) for name, (_, mask) in by_name.items()}
        terms[f"content {CONTENT}"] = content_by_hand(maps[CONTENT], kept, masks[CONTENT].numpy())
        terms["total variation"] = variation_by_hand(image[0].numpy(), alpha.numpy())
        total = sum(weight * terms[f"style {name}"] for name, weight in STYLE.items())
        total += 0.1 * terms[f"content {CONTENT}"] + 0.7 * terms["total variation"]
        return 150 * total, terms | {"total": total}

    style = []
    for name, weight in STYLE.items():
        mean, covariance = map(torch.from_numpy, targets[name])
        style.append(StyleLoss(name, (mean, covariance), masks[name], weight))
    content = ContentLoss(CONTENT, torch.from_numpy(kept)[None], masks[CONTENT], 0.1)
    loss = RegionLoss(double, [*style, content, TotalVariation(alpha, 0.7)], 150, "average")
    value, figures = loss(start)
    expected, terms = by_hand(start)
    assert float(value) == pytest.approx(expected, rel=1e-12) and figures == pytest.approx(terms, rel=1e-12)
    assert loss.layers == (*STYLE, CONTENT) and loss.style_layers == tuple(STYLE)

    step, slopes = 1e-6, np.empty(start.numel())
    for place in range(start.numel()):
        nudge = torch.zeros(start.numel(), dtype=torch.float64)
        nudge[place] = step
        ends = [by_hand(start + sign * nudge.view_as(start))[0] for sign in (1, -1)]
        slopes[place] = (ends[0] - ends[1]) / (2 * step)
    found = gradient_nchw(loss, start).flatten().numpy()
    np.testing.assert_allclose(found, slopes, rtol=1e-5, atol=1e-6 * np.abs(slopes).max())


def test_a_canvas_holds_the_regions_own_targets(double: Vgg) -> None:
    """The loss of a whole canvas, from its painting, its start and its weights."""
    side, alpha = 64, disc(64)
    photo, painting = smooth(0, side).double(), stripes(side).double()
    choice, settings = LayerChoice(STYLE, CONTENT), Settings(size_px=side, total_variation=0.3, precision="float32")
    region = StyledRegion(alpha, painting, choice, strength=2.0)
    canvas = build_canvas(double, own_photo(photo, region), region, (side, side), settings)
    masks = {name: pool_mask(canvas.alpha_hw01, layer(name)).numpy() for name in (*STYLE, CONTENT)}
    learned = {name: pool_mask(canvas.learned_hw01, layer(name)).numpy() for name in STYLE}
    targets, kept = maps_of(double, canvas.painting_nchw01), maps_of(double, canvas.start_nchw01)[CONTENT]
    weights = canvas.loss.weights
    assert weights[f"content {CONTENT}"] == CONTENT_SHARE / 2 and weights["total variation"] == 0.3
    assert sum(weights[f"style {name}"] for name in STYLE) == pytest.approx(1)

    def by_hand(image: Tensor) -> float:
        maps, total = maps_of(double, image), 0.3 * variation_by_hand(image[0].numpy(), canvas.alpha_hw01.numpy())
        for name in STYLE:
            target = moments_by_hand(targets[name], learned[name])
            total += weights[f"style {name}"] * style_by_hand(maps[name], masks[name], target)
        total += CONTENT_SHARE / 2 * content_by_hand(maps[CONTENT], kept, masks[CONTENT])
        return float(canvas.alpha_hw01.sum()) * total

    generator = torch.Generator().manual_seed(2)
    image, direction = (
        torch.rand(canvas.start_nchw01.shape, generator=generator, dtype=torch.float64) for _ in range(2)
    )  # fmt: skip
    assert float(canvas.loss(image)[0]) == pytest.approx(by_hand(image), rel=1e-9)
    step = 1e-7
    slope = (by_hand(image + step * direction) - by_hand(image - step * direction)) / (2 * step)
    assert slope == pytest.approx(float((gradient_nchw(canvas.loss, image) * direction).sum()), rel=1e-4)
