"""Prompt `saliency`: what a network's class evidence marks (Simonyan et al. 2013)."""

import numpy as np

from interp.errors import MaskError, UsageError
from segment.contrast import centre_prior, smooth
from segment.grabcut import Cut
from segment.prompt import Prompt, Request
from segment.trimap import Doubt, Trimap, map_labels


class SaliencyPrompt(Prompt):
    """The most salient 5 % are surely foreground, the least salient 30 % surely background."""

    needs = "saliency_hw"

    def objection(self, request: Request) -> Doubt | None:
        """That there is no map to be trusted."""
        return Doubt.NOT_GIVEN if _map_of(request) is None else None

    def trimap(self, request: Request) -> Trimap:
        """The map, rather in the middle of the picture."""
        saliency = np.asarray(_map_of(request), dtype=np.float32)
        if saliency.ndim != 2 or not saliency.size or not np.isfinite(saliency).all() or saliency.min() < 0:
            raise UsageError(f"Saliency map of shape {saliency.shape}: expected (h, w), finite, no value below 0.")
        if saliency.max() <= saliency.min():
            raise MaskError("The saliency map is constant, so it marks no subject. Use --prompt auto or --box X,Y,W,H.")
        weighted = smooth(saliency) * np.sqrt(centre_prior(saliency.shape))
        return Trimap(map_labels(weighted, request.size_hw_px), "saliency")

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """Cut twice."""
        return request.cut_twice(self.trimap(request))


def _map_of(request: Request) -> np.ndarray | None:
    return request.saliency_hw() if callable(request.saliency_hw) else request.saliency_hw
