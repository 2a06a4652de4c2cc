"""Prompt `box`: a box around the subject."""

from dataclasses import replace

import numpy as np

from interp.errors import MaskError
from segment.box import box_trimap, with_sure_middle
from segment.grabcut import Cut
from segment.masks import bounding_box
from segment.prompt import Prompt, Request
from segment.trimap import Trimap

# A box is drawn around its subject, so a good cut reaches its sides (Lempitsky et al. 2009, the tightness prior).
MIN_REACH = 0.6


class BoxPrompt(Prompt):
    """What is inside the box and differs from the outside; facts as `box_trimap`, and `sure_middle`."""

    needs = "box_xywh_px"
    implied = True

    def trimap(self, request: Request) -> Trimap:
        """Probably foreground inside, surely background outside."""
        assert request.box_xywh_px is not None
        return box_trimap(request.size_hw_px, request.box_xywh_px)

    def cut(self, request: Request) -> tuple[Trimap, Cut]:
        """Cut; where the cut does not reach the box's sides, once more with a sure middle."""
        trimap = self.trimap(request)
        assert trimap.box_xywh_px is not None
        try:
            cut = request.cut(trimap)
            if min(np.divide(bounding_box(cut.mask_hw)[2:], trimap.box_xywh_px[2:])) >= MIN_REACH:
                return trimap, cut
        except MaskError:
            pass
        labels = with_sure_middle(trimap.labels_hw_u8, trimap.box_xywh_px)
        sure = replace(trimap, labels_hw_u8=labels, facts={**trimap.facts, "sure_middle": True})
        return sure, request.cut(sure)
