"""Restyle one region of a photo. Names are loaded on first use, so importing the package does not import torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # what __init__.pyi lists
