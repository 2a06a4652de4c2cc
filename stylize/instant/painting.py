"""A region restyled in one pass: what the decoder makes of its features, brought to the painting's statistics."""

import functools
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from interp.network.frozen_pass import FrozenPass
from interp.network.weights import load_vgg
from stylize.instant.looking import Seen, seen
from stylize.instant.network import LEVELS, Decoder

FILE = Path(__file__).parent / "decoder.safetensors"
POOLING = "average"  # the optimiser's: the statistics are the same


class InstantPainter:
    """Compact's VGG-19 and the decoder that was made for it, whatever network a run optimises with.

    Args:
        device: Where to compute.
        precision: `float32` or `bfloat16` (`precision.resolve_precision`).
        path: Of the decoder's weights.
    """

    def __init__(self, device: torch.device | str = "cpu", precision: str = "float32", path: Path = FILE) -> None:
        vgg = load_vgg("compact").to(device)
        self.look, self.half = FrozenPass(vgg, LEVELS, POOLING, precision), precision == "bfloat16"
        with safe_open(path, "pt") as file:
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 -- no mapping
        self.decoder = Decoder(vgg.info.width)
        self.decoder.load_state_dict(weights)
        self.decoder.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)  # pyright: ignore[reportCallIssue]

    @torch.no_grad()
    def see(self, draft_nchw01: Tensor, alpha_hw01: Tensor, painting_nchw01: Tensor, learned_hw01: Tensor) -> Seen:
        """Look at a region and a painting; the strength can be chosen afterwards, and again.

        Args:
            draft_nchw01: (1, 3, H, W) in [0, 1], the photo in the painting's colours.
            alpha_hw01: (H, W), the region.
            painting_nchw01: (1, 3, y, x) in [0, 1].
            learned_hw01: (y, x), the part of it to learn from.
        """
        return seen(self.look(draft_nchw01), alpha_hw01, self.look(painting_nchw01), learned_hw01)

    @torch.no_grad()
    def paint(self, known: Seen, strength: float) -> Tensor:
        """Restyle what was seen.

        Args:
            known: From `see`.
            strength: Above 0, as the optimiser's; 1 is balanced.

        Returns:
            (1, 3, H, W) in [0, 1].
        """
        features, style = known.at(strength)
        weights = [part[None, None] for part in known.weights_hw01]
        with torch.autocast(style.device.type, torch.bfloat16, enabled=self.half):
            return self.decoder(features, style.float(), weights).float().clamp(0, 1)


@functools.lru_cache(maxsize=2)
def instant_painter(device: torch.device, precision: str) -> InstantPainter:
    """The painter, loaded once; it holds nothing but weights."""
    return InstantPainter(device, precision)
