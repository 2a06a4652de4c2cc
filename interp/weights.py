"""`load_vgg` where scripts written for an earlier layout import it from."""

from interp.network.weights import load_vgg

__all__ = ["load_vgg"]
