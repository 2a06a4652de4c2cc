"""Recipes of other work: their losses and optimisers, on an image in their own range.

Recipes know no region: they restyle everything, and their result is pasted into the photo afterwards.
"""

import torch
from torch import Tensor

from interp.network.frozen_pass import FrozenPass
from interp.network.vgg import CAFFE_MEAN_BGR, IMAGENET_MEAN, IMAGENET_STD, Vgg
from interp.pictures.sizes import fit_painting_nchw01, resize_hw01, resize_nchw01
from interp.statistics.gram import region_gram
from stylize.canvas import Canvas
from stylize.descent import Descent
from stylize.fill import BORDER_PX
from stylize.recipes import Recipe
from stylize.region import StyledRegion
from stylize.tiles import Crop

# Caffe's range is 255 times [0, 1], torchvision's 1 / 0.225 times: a net without biases gives features larger by this.
CAFFE_FEATURES = 255 * 0.225
LBFGS_HISTORY = 100  # torch's default, which Gatys' notebook uses


class RecipeLoss:
    """A recipe's loss for one photo and painting.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1], as the recipe fits it.
        painting_nchw01: (1, 3, h, w) RGB in [0, 1], likewise.
        recipe: The formulas.

    Attributes:
        style_layers: Names.
        layers: These and the content layer.
        weights: Of each term, by name.
    """

    def __init__(self, vgg: Vgg, photo_nchw01: Tensor, painting_nchw01: Tensor, recipe: Recipe) -> None:
        self.recipe = recipe
        self.scale = feature_scale(recipe, vgg)
        self.style_layers = tuple(recipe.style_layers)
        self.layers = tuple(dict.fromkeys([*self.style_layers, recipe.content_layer]))
        self.network = FrozenPass(vgg, self.layers)
        self.weights = {f"style {name}": recipe.style_weight * own for name, own in recipe.style_layers.items()}
        self.weights[f"content {recipe.content_layer}"] = recipe.content_weight
        with torch.no_grad():
            self.content_nchw = self._features(photo_nchw01)[recipe.content_layer]
            painting = self._features(painting_nchw01)
            self.targets = {name: self._target(painting[name]) for name in self.style_layers}

    def __call__(self, image_nchw01: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Evaluate.

        Args:
            image_nchw01: (1, 3, h, w), in [0, 1] or beyond where the recipe does not clamp.

        Returns:
            The loss, and each term's value before its weight by name, with the weighted `total`.
        """
        features, recipe = self._features(image_nchw01), self.recipe
        style = {name: self._distance(features[name], self.targets[name]) for name in recipe.style_layers}
        content = (features[recipe.content_layer] - self.content_nchw).square().mean()
        weighted = torch.stack([weight * style[name] for name, weight in recipe.style_layers.items()]).sum()
        total = recipe.style_weight * weighted + recipe.content_weight * content
        terms = {f"style {name}": float(value.detach()) for name, value in style.items()}
        content_term = {f"content {recipe.content_layer}": float(content.detach())}
        return total, terms | content_term | {"total": float(total.detach())}

    def _features(self, image_nchw01: Tensor) -> dict[str, Tensor]:
        return {name: self.scale * maps for name, maps in self.network(image_nchw01).items()}

    def _target(self, painting_nchw: Tensor) -> Tensor:
        """What of the painting is compared: its Gram matrix, or for `rowwise` its features."""
        return painting_nchw if self.recipe.gram == "rowwise" else self._gram(painting_nchw)

    def _gram(self, features_nchw: Tensor) -> Tensor:
        gram = region_gram(features_nchw)
        return gram * features_nchw[0, 0].numel() if self.recipe.gram == "sum" else gram

    def _distance(self, features_nchw: Tensor, target: Tensor) -> Tensor:
        """mean((G - G*)²) over the divisor."""
        channels, cells = features_nchw.shape[1], features_nchw[0, 0].numel()
        if self.recipe.gram == "rowwise":
            distance = rowwise_distance(features_nchw, target)
        else:
            distance = (self._gram(features_nchw) - target).square().mean()
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


def fit_painting(painting_nchw01: Tensor, size_hw_px: tuple[int, int], recipe: Recipe) -> Tensor:
    """Bring a painting to the size a recipe wants it in: the photo's area, or stretched to the photo itself."""
    if recipe.fit == "area":
        return fit_painting_nchw01(painting_nchw01, size_hw_px)
    return resize_nchw01(painting_nchw01, size_hw_px)


def feature_scale(recipe: Recipe, vgg: Vgg) -> float:
    """What brings these weights' features to the range that the recipe's weights were chosen for."""
    wanted = 1.0 if recipe.space == "imagenet" else CAFFE_FEATURES
    return wanted / (CAFFE_FEATURES if vgg.info.layout == "caffe" else 1.0)


def recipe_descent(recipe: Recipe) -> Descent:
    """A recipe's optimiser and value range; the last image is its result, as it was for those who ran it."""
    mean, std = {
        "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
        "caffe01": ((0.0,) * 3, (1.0,) * 3),
        "caffe255": (tuple(value / 255 for value in reversed(CAFFE_MEAN_BGR)), (1 / 255,) * 3),
    }[recipe.space]
    return Descent(
        recipe.optimizer,
        recipe.learning_rate,
        history=LBFGS_HISTORY,
        epsilon=recipe.epsilon,
        mean_rgb=mean,
        std_rgb=std,
        clamp=recipe.clamp,
        keeps_best=False,
    )


def recipe_canvas(
    vgg: Vgg, photo_nchw01: Tensor, region: StyledRegion, size_hw_px: tuple[int, int], recipe: Recipe
) -> Canvas:
    """The whole picture as a canvas.

    Args:
        vgg: The network.
        photo_nchw01: (1, 3, H, W) RGB in [0, 1].
        region: Its painting is followed. A recipe knows neither the region nor policies: the result is pasted.
        size_hw_px: Height and width to bring the photo to.
        recipe: What to follow.

    Returns:
        The canvas; it starts at the photo.
    """
    height, width = size_hw_px
    photo = resize_nchw01(photo_nchw01, size_hw_px)
    painting, learned = (values.to(photo) for values in region.lesson(size_hw_px))
    loss = RecipeLoss(vgg, photo, fit_painting(region.painting_nchw01.to(photo), size_hw_px, recipe), recipe)
    alpha = torch.from_numpy(resize_hw01(region.alpha_hw01, size_hw_px)).to(photo)
    crop = Crop(BORDER_PX, BORDER_PX, BORDER_PX + height, BORDER_PX + width)
    return Canvas(crop, alpha, lambda: photo, painting, learned, loss, {})
