"""Which pixels belong to the region. Names are loaded on first use; nothing here imports torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment.segmentation import Segmentation as Segmentation
    from segment.segmentation import segment as segment

_HOMES = {"segment": "segment.segmentation", "Segmentation": "segment.segmentation"}
__all__ = ["Segmentation", "segment"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
