from .segmentation import Segmentation as Segmentation
from .segmentation import segment as segment
