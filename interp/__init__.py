"""What VGG-19 sees, and what that means. Names are loaded on first use: importing the package imports no torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.images import load_image as load_image
    from interp.layers import choose_layers as choose_layers
    from interp.saliency import saliency_map as saliency_map
    from interp.sanity import quick_verdict as quick_verdict
    from interp.vgg import activations as activations
    from interp.weights import load_vgg as load_vgg

__version__ = "0.1.0"

_HOMES = {
    "load_image": "interp.images",
    "load_vgg": "interp.weights",
    "activations": "interp.vgg",
    "choose_layers": "interp.layers",
    "saliency_map": "interp.saliency",
    "quick_verdict": "interp.sanity",
}
__all__ = ["activations", "choose_layers", "load_image", "load_vgg", "quick_verdict", "saliency_map"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
