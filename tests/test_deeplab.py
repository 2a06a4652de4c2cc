"""torchvision's segmentation networks: found on the disk, checked, used, and never fetched."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import segmentation

from interp.errors import WeightsError
from segment import segment
from segment.deeplab import SEGMENTERS, Segmenter, class_maps, find_segmenter, load_segmenter


def test_files_are_torchvisions_own() -> None:
    weights = (
        segmentation.DeepLabV3_ResNet101_Weights, segmentation.DeepLabV3_ResNet50_Weights,
        segmentation.DeepLabV3_MobileNet_V3_Large_Weights, segmentation.LRASPP_MobileNet_V3_Large_Weights,
    )  # fmt: skip
    urls = [kind.COCO_WITH_VOC_LABELS_V1.url for kind in weights]
    assert [url.rsplit("/", 1)[1] for url in urls] == [segmenter.file for segmenter in SEGMENTERS]


def test_none_on_the_disk_is_said_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"lraspp_mobilenet_v3_large-d234d4ea\.pth"):
        find_segmenter(tmp_path)
    (tmp_path / SEGMENTERS[3].file).write_bytes(b"x")
    found, path = find_segmenter(tmp_path)
    assert found is SEGMENTERS[3]
    with pytest.raises(WeightsError, match="SHA-256"):
        load_segmenter(found, path)


def test_weights_are_loaded_and_their_classes_are_probabilities(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SEGMENTERS[3].build().eval()
    torch.save(network.state_dict(), tmp_path / "new.pth")
    digest = hashlib.sha256((tmp_path / "new.pth").read_bytes()).hexdigest()[:8]
    path = (tmp_path / "new.pth").rename(tmp_path / f"lraspp-{digest}.pth")
    loaded = load_segmenter(SEGMENTERS[3], path)
    photo = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    (described,) = class_maps(loaded)(photo)
    assert described.values_chw.shape == (21, 64, 96)
    np.testing.assert_allclose(described.values_chw.sum(0), 1, atol=1e-5)
    np.testing.assert_allclose(described.values_chw, class_maps(network)(photo)[0].values_chw, atol=1e-6)
    with pytest.raises(WeightsError, match="does not fit"):
        load_segmenter(Segmenter("other", path.name, SEGMENTERS[2].build), path)


def test_a_network_that_knows_the_class_finds_it() -> None:
    """A stand-in that calls the right half's texture a cat: the cut follows it."""

    class Halves(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            out = torch.zeros(1, 21, *image.shape[-2:])
            out[:, 8, 30:90, 40:100] = 6 * self.scale
            return {"out": out}

    photo = np.random.default_rng(0).integers(90, 130, (120, 140, 3), dtype=np.uint8)
    truth = np.zeros((120, 140), bool)
    truth[30:90, 40:100] = True
    ious = []
    for describe in (None, class_maps(Halves())):
        mask = segment(photo, box_xywh_px=(30, 20, 80, 80), describe=describe).mask_hw
        ious.append((mask & truth).sum() / (mask | truth).sum())
    assert ious[1] > 0.7 and ious[1] > ious[0] + 0.1
