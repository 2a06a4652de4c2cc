"""How much of a class's score each channel of a layer makes up."""

from collections.abc import Sequence

import torch
from torch import Tensor

from interp.attribution.targets import Scored, class_target
from interp.network.channels import ClassEvidence
from interp.network.classify import classify, native_size_hw_px
from interp.network.vgg import Vgg
from interp.pictures.sizes import resize_nchw01


def class_evidence(vgg: Vgg, image_nchw01: Tensor, layers: Sequence[str], index: int | None = None) -> ClassEvidence:
    """Find how much of a class's score each channel makes up.

    Activation times gradient, summed over a channel's cells: by how much the score would fall, to first order, if the
    channel were silenced (Shrikumar et al. 2016's gradient × input, at a layer). Taken at the network's native size,
    where its opinion means something.

    Args:
        vgg: A network with a head.
        image_nchw01: (1, 3, H, W) float RGB in [0, 1], any size.
        layers: Names.
        index: Of the class; None for the most probable one.

    Returns:
        Signed scores of every channel.

    Raises:
        WeightsError: If the weights have no classifier.
        UsageError: If there is no such class.
    """
    size_hw_px = native_size_hw_px(vgg, image_nchw01)
    index = classify(vgg, image_nchw01).indices[0] if index is None else index
    scored = Scored(vgg, class_target(vgg, index))
    captured: dict[str, Tensor] = {}
    handles = [
        vgg.layer_module(name).register_forward_hook(lambda _, __, output, name=name: captured.update({name: output}))
        for name in layers
    ]
    try:
        score = scored(resize_nchw01(image_nchw01.detach(), size_hw_px).requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    gradients = torch.autograd.grad(score.sum(), [captured[name] for name in layers])
    scores = {
        name: (captured[name].detach() * gradient).sum(dim=(0, 2, 3)).cpu().numpy()
        for name, gradient in zip(layers, gradients, strict=True)
    }
    return ClassEvidence(scored.target.name, size_hw_px, scores)
