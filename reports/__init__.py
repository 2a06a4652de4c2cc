"""The facts of a run, to read: one record (JSON, pictures inside) and its HTML page.

Names are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # what __init__.pyi lists
