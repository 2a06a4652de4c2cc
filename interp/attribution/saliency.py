"""Which pixels a target depends on: a map with everything needed to make it again.

The methods are in `methods`, the ways to draw a map in `conventions`, whether to believe it in `sanity`.
"""

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from interp.attribution.cells import Cells
from interp.attribution.methods import GUIDED, METHODS, MethodOptions, attribute, cells_of
from interp.attribution.targets import Scored, Target, class_count, class_target, no_classifier
from interp.network.classify import Classifier, Prediction, classify, native_size_hw_px
from interp.pictures.images import Source, as_image_nchw01
from interp.pictures.sizes import resize_nchw01

PROMPT_SIGMA = 0.025  # of the side: joins a map's speckle into parts, keeps the parts apart


@dataclass(frozen=True, repr=False)
class SaliencyMap:
    """How a target depends on each pixel, by one method.

    Attributes:
        method: Name of the method, such as `guided-backprop`.
        target: The class, channel or layer that is explained.
        map_chw: (3, h, w) float32 RGB, or (1, h, w): a sensitivity, d(target) / d(pixel in [0, 1]), or a
            contribution, in the target's unit, as the method defines it.
        input_chw01: (3, h, w) float32 RGB in [0, 1]: the picture at the size it was looked at.
        prediction: What the classifier says about that picture, and its size.
        options: What the method was told.
        cells: All that a coarse method knows (Grad-CAM, occlusion); its map is no finer.
    """

    method: str
    target: Target
    map_chw: np.ndarray
    input_chw01: np.ndarray
    prediction: Prediction
    options: MethodOptions = field(default_factory=MethodOptions)
    cells: Cells | None = None

    def __repr__(self) -> str:
        height, width = self.map_chw.shape[1:]
        return f"<{self.title} for {self.target.name!r}, {width}x{height}>"

    @property
    def title(self) -> str:
        """The method as figures write it."""
        return METHODS[self.method].title if self.method in METHODS else self.method

    @property
    def formula(self) -> str:
        """What the values are, and who defined them."""
        return METHODS[self.method].source if self.method in METHODS else ""

    @property
    def magnitude_hw(self) -> np.ndarray:
        """One value a pixel: the maximum over the channels of |v| (Simonyan et al. 2013, section 3.1), (h, w)."""
        return np.abs(self.map_chw).max(axis=0)

    @property
    def heat_hw(self) -> np.ndarray:
        """One value a pixel, by which the pixels are ranked, (h, w) float32.

        Sensitivities have no sign that matters: the maximum of |v| over RGB. Contributions add up: their sum over RGB,
        where what speaks against the target is negative and comes last.
        """
        entry = METHODS.get(self.method)
        return self.map_chw.sum(axis=0) if entry and entry.contribution else self.magnitude_hw


def saliency_map(
    classifier: Classifier,
    image: Tensor | Source,
    method: str = GUIDED,
    target: Target | None = None,
    *,
    size_hw_px: tuple[int, int] | None = None,
    options: MethodOptions | None = None,
) -> SaliencyMap:
    """Attribute a target to the pixels.

    Args:
        classifier: The network.
        image: (1, 3, H, W) float RGB in [0, 1], any size; or a file, Pillow picture or array.
        method: One of `attribution.METHODS`.
        target: What to explain; None for the most probable class.
        size_hw_px: Size to look at the picture; None for the network's native one (`classify.native_size_hw_px`).
        options: What the method is told.

    Returns:
        The map, with what the classifier says.

    Raises:
        WeightsError: If a class is to be explained and the weights have no classifier.
        UsageError: If the method is unknown or cannot be used here.

    Example:
        >>> from interp.network.weights import load_vgg
        >>> import torch
        >>> saliency_map(load_vgg("compact"), torch.zeros(1, 3, 64, 64), "grad-cam").map_chw.shape
        (1, 64, 64)
    """
    image_nchw01 = as_image_nchw01(image).to(classifier.normalise.mean.device)
    size_hw_px = size_hw_px or native_size_hw_px(classifier, image_nchw01)
    if class_count(classifier):
        prediction = classify(classifier, image_nchw01, size_hw_px)
    else:
        prediction = Prediction((), (), (), size_hw_px)
    if target is None:
        if not prediction.indices:
            raise no_classifier(classifier)
        target = class_target(classifier, prediction.indices[0])
    looked_at = resize_nchw01(image_nchw01.detach(), size_hw_px)
    options = options or MethodOptions()
    scored = Scored(classifier, target)
    values_nchw = attribute(scored, looked_at, method, options)
    return SaliencyMap(
        method=method,
        target=target,
        map_chw=values_nchw[0].cpu().numpy(),
        input_chw01=looked_at[0].cpu().numpy(),
        prediction=prediction,
        options=options,
        cells=cells_of(scored, looked_at, method, options, values_nchw),
    )


def guided_backprop(classifier: Classifier, image_nchw01: Tensor, target: int | None = None) -> SaliencyMap:
    """Attribute a class score to the pixels by guided backprop (Springenberg et al. 2015), at the native size.

    Args:
        classifier: A network with a head.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], any size.
        target: Index of the class; None for the most probable one.

    Returns:
        The map; see `saliency_map`.

    Raises:
        WeightsError: If the weights have no classifier.
        UsageError: If there is no such class.
    """
    chosen = None if target is None else class_target(classifier, target)
    return saliency_map(classifier, image_nchw01, GUIDED, chosen)


def prompt_saliency_hw(saliency: SaliencyMap) -> np.ndarray:
    """The map as a prompt for segmentation: magnitudes blurred, so that speckle joins into parts.

    Simonyan et al. (2013, section 3.2) threshold the map itself, averaged over ten crops and flips; guided
    backprop is one sharp map, and the blur takes the averaging's place.

    Returns:
        (h, w) float32, at least 0, at the map's own size; only its quantiles mean something.
    """
    from scipy import ndimage  # here, because it takes .15 s to load

    values_hw = saliency.magnitude_hw
    sigma_px = PROMPT_SIGMA * (values_hw.shape[0] * values_hw.shape[1]) ** 0.5
    return ndimage.gaussian_filter(values_hw, sigma_px, mode="nearest")
