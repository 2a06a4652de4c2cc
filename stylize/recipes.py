"""Recipes of other work, constant by constant, each with its source.

A recipe is not a setting of our own loop: it has its own loss, in its own units, on an image in its own range. They are
kept as they were run, mistakes included, so that they can be compared on rulers that none of them optimises.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from interp.network.vgg import Vgg
    from interp.statistics.layers import LayerChoice
    from stylize.canvas import Canvas
    from stylize.descent import Descent
    from stylize.region import StyledRegion

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # of Gatys et al. 2016, and of everyone after
CONTENT_LAYER = "relu4_2"
REPORT = "the original report, table of hyperparameters"
COURSE = "the PyTorch course notebook whose constants the report's table matches (Udacity, style transfer)"
TUTORIAL = "the team's TensorFlow notebook, after a well-known tutorial (DataCamp 2019, Keras' VGG19)"
GATYS_PAPER = "Gatys et al. 2016, section 3"
GATYS_CODE = "leongatys/PytorchNeuralStyleTransfer, NeuralStyleTransfer.ipynb"
GATYS_SIZES = "leongatys/NeuralImageSynthesis: pictures of 512² px by area"


@dataclass(frozen=True)
class Recipe:
    """A way of other work (`stylize.ways`): everything that decides a result, and where each constant is from.

    With G the Gram of a layer, the loss is

        style_weight * sum_l layer_weight_l * mean((G_l - G*_l)²) / divisor_l  +  content_weight * mean((F - F*)²)

    Attributes:
        name: As given to `--preset`.
        title: What it is, in a few words.
        optimizer: `adam` or `lbfgs`.
        learning_rate: In units of the optimised image.
        epsilon: Adam's.
        style_layers: Weight of each style layer.
        content_layer: The layer compared cell by cell.
        style_weight: Weight of the style loss.
        content_weight: Weight of the content loss.
        gram: `sum` (F Fᵀ), `mean` (F Fᵀ / HW) or `rowwise` (an (H, W, W) similarity of the pixels along each row).
        divisor: Of a layer's loss: `none`, `chw` (C·H·W) or `channels` (C²).
        space: What is optimised and what the network is shown: `imagenet` (the normalised image), `caffe01` (the image
            in [0, 1], shown ×255 minus mean) or `caffe255` (that in 0 … 255).
        clamp: Whether the image is brought back into its range after every step.
        fit: `photo` stretches the painting to the photo's size, `square` both pictures to a square, `area` gives the
            painting the photo's area.
        size_px: Long side of the photo.
        iterations: Evaluations of the loss.
        every: Iterations from one picture shown to the next; has no effect on any of them.
        cut_result: Whether the foreground is cut out of the *result* and pasted into the photo.
        sources: For each of the constants above, where it is from.
    """

    name: str
    title: str
    optimizer: str
    learning_rate: float
    epsilon: float
    style_layers: dict[str, float]
    content_layer: str
    style_weight: float
    content_weight: float
    gram: str
    divisor: str
    space: str
    clamp: bool
    fit: str
    size_px: int
    iterations: int
    every: int
    cut_result: bool = False
    sources: dict[str, str] = field(default_factory=dict, repr=False)

    isolates: ClassVar[bool] = False
    start: ClassVar[str] = "untouched photo"
    strength: ClassVar[None] = None
    style_scale: ClassVar[float] = 1.0
    precision: ClassVar[str] = "float32"
    tile_px: ClassVar[int] = 0

    def limited(self, size_px: int, iterations: int | None) -> "Recipe":
        """The same at another size, with at most so many iterations."""
        return replace(self, size_px=size_px, iterations=min(self.iterations, iterations or self.iterations))

    def resolved(self, device: "str | torch.device") -> "Recipe":
        """Itself: other work computed in float32."""
        return self

    def in_tiles(self, tile_px: int) -> "Recipe":
        """Itself: other work has no tiles."""
        return self

    def uncut(self) -> "Recipe":
        """The part that decides what is painted."""
        return replace(self, name="", title="", cut_result=False, sources={})

    def choose(self, choice: "LayerChoice") -> "LayerChoice":
        """The recipe's own layers."""
        from interp.statistics.layers import Origin

        total = sum(self.style_layers.values())
        weights = {name: weight / total for name, weight in self.style_layers.items()}
        return replace(
            choice,
            style_weights=weights,
            style_from=Origin.PRESET,
            content_layer=self.content_layer,
            content_from=Origin.PRESET,
        )

    def scales(self, photo_hw_px: tuple[int, int]) -> list[tuple[tuple[int, int], int]]:
        """The one scale: (height, width), never larger than the photo, and evaluations."""
        from interp.pictures.sizes import working_size_hw_px

        height, width = working_size_hw_px(photo_hw_px, self.size_px)
        if self.fit == "square":
            height = width = max(height, width)
        return [((height, width), self.iterations)]

    def shows(self, step: int, total: int) -> bool:
        """At the recipe's interval."""
        return step % self.every == 0 and step < total

    def descent(self) -> "Descent":
        """See `historical.recipe_descent`."""
        from stylize.historical import recipe_descent

        return recipe_descent(self)

    def canvas(
        self, vgg: "Vgg", photo_nchw01: "Tensor", region: "StyledRegion", size_hw_px: tuple[int, int]
    ) -> "Canvas":
        """The whole picture; see `historical.recipe_canvas`."""
        from stylize.historical import recipe_canvas

        return recipe_canvas(vgg, photo_nchw01, region, size_hw_px, self)


def _weights(*values: float) -> dict[str, float]:
    """Weights of relu1_1, relu2_1, relu3_1, relu4_1, relu5_1."""
    return dict(zip(STYLE_LAYERS, values, strict=True))


PYTORCH = Recipe(
    name="report-pytorch",
    title="the report's model 1, PyTorch",
    optimizer="adam",
    learning_rate=0.003,
    epsilon=1e-8,
    style_layers=_weights(1.0, 0.75, 0.2, 0.2, 0.2),
    content_layer=CONTENT_LAYER,
    style_weight=1e5,
    content_weight=1.0,
    gram="sum",
    divisor="chw",
    space="imagenet",
    clamp=False,
    fit="photo",
    size_px=400,
    iterations=5000,
    every=400,
    sources={
        **dict.fromkeys(
            ("optimizer", "learning_rate", "style_layers", "style_weight", "content_weight", "iterations", "every"),
            REPORT,
        ),
        "epsilon": "torch's default",
        "content_layer": f"{REPORT} (conv4_2); after the ReLU, because torchvision's overwrites its input",
        **dict.fromkeys(("gram", "divisor", "space", "clamp", "fit", "size_px"), COURSE),
    },
)
TENSORFLOW = Recipe(
    name="report-tensorflow",
    title="the report's model 2, TensorFlow, as run",
    optimizer="adam",
    learning_rate=0.02,
    epsilon=1e-7,
    style_layers=_weights(1.0, 0.8, 0.5, 0.3, 0.1),
    content_layer=CONTENT_LAYER,
    style_weight=100 / 5,
    content_weight=10 / 1,
    gram="rowwise",
    divisor="none",
    space="caffe01",
    clamp=True,
    fit="square",
    size_px=400,
    iterations=2000,
    every=100,
    sources={
        **dict.fromkeys(("optimizer", "learning_rate", "style_layers", "every"), REPORT),
        "iterations": f"{REPORT}; the notebook that was kept ran 1000",
        "style_weight": f"{REPORT} (100); the notebook divides it by the number of style layers",
        "content_weight": f"{REPORT} (10); the notebook divides it by the number of content layers",
        "epsilon": "Keras' default",
        "content_layer": f"{REPORT} (block4_conv2, which Keras gives after the ReLU)",
        "gram": f"{TUTORIAL}: (H, W, C) times its transpose over the last two axes, no channel Gram at all",
        **dict.fromkeys(("divisor", "space", "clamp", "fit", "size_px"), TUTORIAL),
    },
)
TENSORFLOW_FIXED = replace(
    TENSORFLOW,
    name="report-tensorflow-fixed",
    title="model 2 with the Gram matrix it meant",
    gram="sum",
    sources={**TENSORFLOW.sources, "gram": "ours: F Fᵀ over channels, the rest of model 2 untouched"},
)
ISOLATED = replace(
    PYTORCH,
    name="report-isolated",
    title="model 1 on everything, then GrabCut on the result",
    cut_result=True,
    sources={
        **PYTORCH.sources,
        "cut_result": "the original report, last step: stylise everything, cut the result, paste",
    },
)
GATYS = Recipe(
    name="gatys",
    title="Gatys et al. 2016",
    optimizer="lbfgs",
    learning_rate=1.0,
    epsilon=0.0,
    style_layers=_weights(1.0, 1.0, 1.0, 1.0, 1.0),
    content_layer=CONTENT_LAYER,
    style_weight=1e3,
    content_weight=1.0,
    gram="mean",
    divisor="channels",
    space="caffe255",
    clamp=False,
    fit="area",
    size_px=512,
    iterations=500,
    every=50,
    sources={
        **dict.fromkeys(("optimizer", "style_layers", "content_layer"), GATYS_PAPER),
        **dict.fromkeys(
            (
                "learning_rate",
                "style_weight",
                "content_weight",
                "gram",
                "divisor",
                "space",
                "clamp",
                "iterations",
                "every",
            ),
            GATYS_CODE,
        ),
        "epsilon": "not used by L-BFGS",
        **dict.fromkeys(("fit", "size_px"), GATYS_SIZES),
    },
)
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (PYTORCH, TENSORFLOW, TENSORFLOW_FIXED, ISOLATED, GATYS)
}
