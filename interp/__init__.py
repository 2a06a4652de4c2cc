"""What VGG-19 sees, and what that means. Names are loaded on first use: importing the package imports no torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.attribution.saliency import saliency_map as saliency_map
    from interp.attribution.sanity import quick_verdict as quick_verdict
    from interp.network.vgg import activations as activations
    from interp.network.weights import load_vgg as load_vgg
    from interp.pictures.images import load_image as load_image
    from interp.statistics.layers import choose_layers as choose_layers

__version__ = "0.1.0"

_HOMES = {
    "load_image": "interp.pictures.images",
    "load_vgg": "interp.network.weights",
    "activations": "interp.network.vgg",
    "choose_layers": "interp.statistics.layers",
    "saliency_map": "interp.attribution.saliency",
    "quick_verdict": "interp.attribution.sanity",
}
__all__ = ["activations", "choose_layers", "load_image", "load_vgg", "quick_verdict", "saliency_map"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
