from .attribution.saliency import saliency_map as saliency_map
from .attribution.sanity import quick_verdict as quick_verdict
from .network.vgg import activations as activations
from .network.weights import load_vgg as load_vgg
from .pictures.images import load_image as load_image
from .statistics.layers import choose_layers as choose_layers

__version__: str
