"""Which pixels belong to the region. Names are loaded on first use; nothing here imports torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment.facade import segment as segment
    from segment.result import Segmentation as Segmentation

_HOMES = {"segment": "segment.facade", "Segmentation": "segment.result"}
__all__ = ["Segmentation", "segment"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
