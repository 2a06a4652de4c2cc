"""A texture has the statistics of its layer, and nothing of the painting's layout."""

import pytest
import torch

from interp.network.vgg import Vgg
from interp.statistics.gram import region_moments
from interp.statistics.wasserstein import GaussianTarget
from stylize.texture import synthesise
from tests.helpers import smooth, stripes


@pytest.mark.parametrize("name", ["relu1_1", "relu2_2", "relu3_1"])
def test_a_texture_comes_close_to_its_layers_statistics(compact: Vgg, name: str) -> None:
    def distance(picture: torch.Tensor) -> float:
        maps = [compact.activations(each, [name], "average")[name] for each in (picture, stripes())]
        return float(GaussianTarget.of(region_moments(maps[1])).distance(region_moments(maps[0])))

    with torch.no_grad():
        texture, start = (synthesise(compact, stripes(), name, 64, steps) for steps in (40, 1))
        assert texture.shape == (1, 3, 64, 64)
        assert distance(texture) < 0.4 * distance(start)


def test_the_same_seed_gives_the_same_texture_and_layout_does_not_matter(compact: Vgg) -> None:
    first, again = (synthesise(compact, smooth(1), "relu2_1", 48, 5) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, synthesise(compact, smooth(1), "relu2_1", 48, 5, seed=1))
