"""Following a recipe of other work: its loss, its image range, its optimiser, step by step.

Recipes know no region: they restyle everything, and their result is pasted into the photo afterwards.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from interp.network.vgg import CAFFE_MEAN_BGR, IMAGENET_MEAN, IMAGENET_STD, Vgg
from interp.pictures.sizes import fit_painting_nchw01, resize_nchw01, working_size_hw_px
from interp.statistics.gram import region_gram
from stylize.optimise import Step
from stylize.recipes import Recipe

# Caffe's range is 255 times [0, 1], torchvision's 1 / 0.225 times: a net without biases gives features larger by this.
CAFFE_FEATURES = 255 * 0.225
LBFGS_HISTORY = 100  # torch's default, which Gatys' notebook uses


@dataclass(frozen=True)
class RecipeEvent(Step):
    """One evaluation of a recipe's loss.

    Attributes:
        image_nchw01: (1, 3, h, w), the image after the step, clipped to [0, 1] as it would be shown.
    """

    image_nchw01: Tensor = field(repr=False)


class RecipeLoss:
    """A recipe's loss for one photo and painting.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1], any size.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], any size.
        recipe: The formulas.
        size_px: Long side to work at; None for the recipe's own.

    Attributes:
        photo_nchw01: The photo as the recipe fits it.
        painting_nchw01: The painting likewise.
    """

    def __init__(
        self, vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, recipe: Recipe, size_px: int | None = None
    ) -> None:
        self.vgg, self.recipe = vgg, recipe
        self.photo_nchw01, self.painting_nchw01 = fit(photo_nchw01, painting_nchw01, recipe, size_px)
        self.scale = feature_scale(recipe, vgg)
        self.layers = tuple(dict.fromkeys([*recipe.style_layers, recipe.content_layer]))
        with torch.no_grad():
            self.content_nchw = self._features(self.photo_nchw01)[recipe.content_layer]
            self.style = self._features(self.painting_nchw01)

    def __call__(self, image_nchw01: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Evaluate.

        Args:
            image_nchw01: (1, 3, h, w), in [0, 1] or beyond where the recipe does not clamp.

        Returns:
            The loss, and each term's value before its weight by name, with the weighted `total`.
        """
        features, recipe = self._features(image_nchw01), self.recipe
        style = {name: self._style(features[name], self.style[name]) for name in recipe.style_layers}
        content = (features[recipe.content_layer] - self.content_nchw).square().mean()
        weighted = torch.stack([weight * style[name] for name, weight in recipe.style_layers.items()]).sum()
        total = recipe.style_weight * weighted + recipe.content_weight * content
        terms = {f"style {name}": float(value.detach()) for name, value in style.items()}
        content_term = {f"content {recipe.content_layer}": float(content.detach())}
        return total, terms | content_term | {"total": float(total.detach())}

    def first_style_gradient_norm(self) -> float:
        """Norm of the weighted style loss's gradient at the photo, per unit of the [0, 1] range.

        Another net than the one the weights were tuned for shows here: the same constants pull harder or softer.
        """
        image = self.photo_nchw01.clone().requires_grad_()
        total, _ = self(image)  # the content term's gradient vanishes at the photo
        (gradient,) = torch.autograd.grad(total, image)
        return float(gradient.norm())

    def _features(self, image_nchw01: Tensor) -> dict[str, Tensor]:
        return {name: self.scale * maps for name, maps in self.vgg.activations(image_nchw01, self.layers).items()}

    def _style(self, features_nchw: Tensor, painting_nchw: Tensor) -> Tensor:
        """mean((G - G*)²) over the divisor."""
        channels, cells = features_nchw.shape[1], features_nchw[0, 0].numel()
        if self.recipe.gram == "rowwise":
            distance = rowwise_distance(features_nchw, painting_nchw)
        else:
            own, target = region_gram(features_nchw), region_gram(painting_nchw)
            if self.recipe.gram == "sum":
                own, target = own * cells, target * painting_nchw[0, 0].numel()
            distance = (own - target).square().mean()
        return distance / {"none": 1, "chw": channels * cells, "channels": channels**2}[self.recipe.divisor]


def rowwise_gram(features_nchw: Tensor) -> Tensor:
    """What model 2 called a Gram matrix: (H, W, C) times its transpose over the last two axes.

    Args:
        features_nchw: (1, C, H, W).

    Returns:
        (H, W, W): how alike the pixels of each row are, nothing about which channels fire together.
    """
    rows = features_nchw[0].permute(1, 2, 0)  # (H, W, C)
    return rows @ rows.transpose(1, 2)


def rowwise_distance(features_nchw: Tensor, target_nchw: Tensor) -> Tensor:
    """mean((G - G*)²) of two row-wise Grams of one size.

    With fewer channels than columns the (H, W, W) matrices need not be built:
    |F Fᵀ - T Tᵀ|² = |Fᵀ F|² - 2 |Tᵀ F|² + |Tᵀ T|².
    """
    channels, height, width = features_nchw.shape[1:]
    if channels >= width:
        return (rowwise_gram(features_nchw) - rowwise_gram(target_nchw)).square().mean()
    rows, target = (maps[0].permute(1, 2, 0) for maps in (features_nchw, target_nchw))
    own, across, wanted = (a.transpose(1, 2) @ b for a, b in ((rows, rows), (target, rows), (target, target)))
    squares = own.square().sum() - 2 * across.square().sum() + wanted.square().sum()
    return squares / (height * width * width)


def follow(
    vgg: Vgg,
    photo_nchw01: Tensor,
    painting_nchw01: Tensor,
    recipe: Recipe,
    *,
    size_px: int | None = None,
    iterations: int | None = None,
) -> Iterator[RecipeEvent]:
    """Restyle a whole photo by a recipe.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1]; the start.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1].
        recipe: What to follow.
        size_px: Long side to work at; None for the recipe's own.
        iterations: Evaluations; None for the recipe's own.

    Yields:
        One event an evaluation; the last one's image is the result. Ends early where the loss is not finite any more.

    Example:
        >>> from interp.network.weights import load_vgg
        >>> from stylize.recipes import RECIPES
        >>> photo = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
        >>> events = list(follow(load_vgg("compact"), photo, photo.flip(3), RECIPES["gatys"], iterations=3))
        >>> [event.step for event in events], events[-1].losses["total"] < events[0].losses["total"]
        ([1, 2, 3], True)
    """
    loss = RecipeLoss(vgg, photo_nchw01, painting_nchw01, recipe, size_px)
    mean, std = (value.to(photo_nchw01) for value in _range(recipe))
    image = ((loss.photo_nchw01 - mean) / std).contiguous().requires_grad_()
    optimizer = _optimizer(image, recipe)
    size, count = (image.shape[-2], image.shape[-1]), recipe.iterations if iterations is None else iterations
    losses: dict[str, float] = {}
    started, norm = time.monotonic(), 0.0

    def evaluate() -> float:
        nonlocal losses, norm
        total, losses = loss(image * std + mean)
        (gradient,) = torch.autograd.grad(total, image)
        image.grad = gradient.contiguous()  # L-BFGS views it as one vector
        norm = float(gradient.norm())
        return losses["total"]

    for step in range(1, count + 1):
        optimizer.step(evaluate)
        with torch.no_grad():
            if recipe.clamp:
                image.copy_((image * std + mean).clamp(0, 1).sub(mean).div(std))
            shown = (image * std + mean).clamp(0, 1)
        yield RecipeEvent(step, count, 1, 1, size, losses, time.monotonic() - started, norm, shown)
        if not all(map(torch.isfinite, (shown.sum(), torch.tensor(losses["total"])))):
            return


def fit(
    photo_nchw01: Tensor, painting_nchw01: Tensor, recipe: Recipe, size_px: int | None = None
) -> tuple[Tensor, Tensor]:
    """Bring both pictures to the sizes a recipe works at; the photo is never enlarged."""
    height, width = working_size_hw_px(
        (photo_nchw01.shape[-2], photo_nchw01.shape[-1]), recipe.size_px if size_px is None else size_px
    )
    if recipe.fit == "square":
        height = width = max(height, width)
    photo = resize_nchw01(photo_nchw01, (height, width))
    painting = painting_nchw01.to(photo)
    if recipe.fit == "area":
        return photo, fit_painting_nchw01(painting, (height, width))
    return photo, resize_nchw01(painting, (height, width))


def paste(photo_nchw01: Tensor, image_nchw01: Tensor, alpha_hw01: np.ndarray) -> Tensor:
    """Bring a restyled picture into the photo.

    Args:
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        image_nchw01: (1, 3, h, w), any size: brought to the photo's.
        alpha_hw01: (H, W), where to.

    Returns:
        (1, 3, H, W); the photo's own values where alpha is 0.
    """
    alpha = torch.from_numpy(alpha_hw01).to(photo_nchw01)
    image = resize_nchw01(image_nchw01.to(photo_nchw01), (photo_nchw01.shape[-2], photo_nchw01.shape[-1]))
    return photo_nchw01 + alpha * (image - photo_nchw01)


def recipe_notes(recipe: Recipe, vgg: Vgg, side_px: int, steps: int, first_style_gradient: float) -> list[str]:
    """What a reader must know of a run by a recipe: another net, fewer steps, another size."""
    notes = []
    if vgg.info.name != "imagenet":
        notes.append(
            f"Same formulas, another net ({vgg.info.name}; the constants were chosen for ImageNet's VGG-19): "
            f"the first style gradient's norm is {first_style_gradient:.3g}."
        )
    if steps < recipe.iterations:
        notes.append(f"Shortened: {steps:,} of the recipe's {recipe.iterations:,} iterations.")
    if side_px != recipe.size_px:
        notes.append(f"At {side_px} px instead of the recipe's {recipe.size_px} px.")
    return notes


def feature_scale(recipe: Recipe, vgg: Vgg) -> float:
    """What brings these weights' features to the range that the recipe's weights were chosen for."""
    wanted = 1.0 if recipe.space == "imagenet" else CAFFE_FEATURES
    return wanted / (CAFFE_FEATURES if vgg.info.layout == "caffe" else 1.0)


def _range(recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (1, 3, 1, 1), of the optimised image's values in units of [0, 1]."""
    mean, std = {
        "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
        "caffe01": ((0.0,) * 3, (1.0,) * 3),
        "caffe255": ([value / 255 for value in reversed(CAFFE_MEAN_BGR)], (1 / 255,) * 3),
    }[recipe.space]
    return torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)


def _optimizer(image: Tensor, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam([image], lr=recipe.learning_rate, eps=recipe.epsilon)
    # One evaluation a step, as Gatys' notebook counts them; its state goes on from call to call.
    return torch.optim.LBFGS(
        [image],
        lr=recipe.learning_rate,
        max_iter=1,
        history_size=LBFGS_HISTORY,
        tolerance_grad=-1,
        tolerance_change=-1,
    )
