"""From the trained decoder to a file."""

from safetensors.torch import save

from interp.network.vgg import Vgg
from stylize.feedforward.network import Decoder
from tools.train_compact.export import with_sorted_header

WEIGHTS_FILE = "decoder.safetensors"


def saved_bytes(decoder: Decoder, vgg: Vgg) -> bytes:
    """The decoder in float16, with the hash of the network whose features it reads."""
    tensors = {key: value.half().contiguous().cpu() for key, value in decoder.state_dict().items()}
    return with_sorted_header(save(tensors, {"reads": vgg.info.sha256}))
