"""What VGG-19 sees, and what that means. Names are loaded on first use: importing the package imports no torch."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # what __init__.pyi lists
