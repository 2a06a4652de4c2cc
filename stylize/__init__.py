"""Restyle one region of a photo. Names are loaded on first use, so importing the package does not import torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylize.composite import compose as compose
    from stylize.optimise import StepEvent as StepEvent
    from stylize.optimise import stylize as stylize
    from stylize.presets import Settings as Settings
    from stylize.region import StyledRegion as StyledRegion

_HOMES = {
    "Settings": "stylize.presets",
    "StepEvent": "stylize.optimise",
    "StyledRegion": "stylize.region",
    "compose": "stylize.composite",
    "stylize": "stylize.optimise",
}
__all__ = ["Settings", "StepEvent", "StyledRegion", "compose", "stylize"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
