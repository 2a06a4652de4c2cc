"""What excites a target in photos: values are the network's own, and a patch is exactly what its cell sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.attribution.response import BEYOND, Response, response, strongest
from interp.attribution.targets import Scored, parse_target
from interp.network.vgg import Vgg
from interp.pictures.images import Picture
from reports.maximise import _framed
from tests.test_attribution import ResidualNet, classifier


@pytest.fixture(scope="module")
def photo(astronaut: Picture) -> Tensor:
    """A face, 208x160 px."""
    return astronaut.image_nchw01[..., 40:248, 150:310].contiguous()


@pytest.fixture(scope="module")
def seen(compact: Vgg, photo: Tensor) -> Response:
    return response(compact, parse_target(compact, "relu4_1:7"), photo)


def test_cells_and_values_are_the_networks_own(compact: Vgg, photo: Tensor, seen: Response) -> None:
    maps = compact.activations(photo, ["conv4_1"])["conv4_1"][0, 7].numpy()
    assert seen.map_hw is not None and len(seen.cells) > 3
    np.testing.assert_allclose(seen.map_hw, maps, atol=1e-4)
    assert seen.value == pytest.approx(float(maps.mean()), rel=1e-3, abs=1e-5)
    best = seen.cells[0]
    assert (best.row, best.column) == np.unravel_index(maps.argmax(), maps.shape)
    assert [cell.value for cell in seen.cells] == sorted((cell.value for cell in seen.cells), reverse=True)
    for cell in seen.cells:
        assert cell.value == pytest.approx(float(maps[cell.row, cell.column]), abs=1e-4)


def test_a_patch_is_all_that_its_cell_needs(compact: Vgg, seen: Response) -> None:
    """The patch alone, in any surroundings, gives the cell's value; the patch with a pixel less around it does not."""
    inside = [cell for cell in seen.cells if 0 <= cell.seen_px[0] <= 208 - 68 and 0 <= cell.seen_px[1] <= 160 - 68]
    assert inside
    for cell in inside[:2]:
        patch = torch.from_numpy(seen.patch(cell)).permute(2, 0, 1)
        top, left, height, width = cell.seen_px
        for spare, same in ((0, True), (1, False)):
            image = torch.rand(1, 3, 208, 160, generator=torch.Generator().manual_seed(1))
            rows = slice(top + spare, top + height - spare), slice(left + spare, left + width - spare)
            image[0, :, rows[0], rows[1]] = patch[:, spare : height - spare, spare : width - spare]
            value = float(compact.activations(image, ["conv4_1"])["conv4_1"][0, 7, cell.row, cell.column])
            assert (abs(value - cell.value) < 1e-4 * abs(cell.value)) == same


def test_beyond_the_border_a_patch_is_grey(seen: Response) -> None:
    cell = replace(seen.cells[0], seen_px=(-3, 156, 6, 9))
    patch = seen.patch(cell)
    np.testing.assert_array_equal(patch[3:, :4], seen.input_hwc01[:3, 156:])
    assert (patch[:3] == BEYOND).all() and (patch[:, 4:] == BEYOND).all()


def test_a_class_has_a_score_and_no_cells(compact: Vgg, photo: Tensor) -> None:
    target = parse_target(compact, "goldfish")
    found = response(compact, target, photo)
    assert found.map_hw is None and found.cells == ()
    with torch.no_grad():
        small: Tensor = torch.from_numpy(found.input_hwc01).permute(2, 0, 1)[None]
        assert found.value == pytest.approx(float(Scored(compact, target)(small)), rel=1e-4)


def test_of_another_network_the_gradient_says_what_the_strongest_cell_sees() -> None:
    """Of two 3x3 convolutions the first is padded: cell (r, c) sees the rows r - 1 to r + 3 that there are."""
    net = classifier(ResidualNet())
    image = torch.rand(1, 3, 24, 20, generator=torch.Generator().manual_seed(2))
    found = response(net, parse_target(net, "first:1"), image)
    (cell,) = found.cells
    assert found.by_gradient
    values = net.layer_values(image, "first")[0, 1]
    assert cell.value == pytest.approx(float(values.max())) == pytest.approx(float(values[cell.row, cell.column]))
    top, left, height, width = cell.seen_px
    assert top == max(0, cell.row - 1) and left == max(0, cell.column - 1)
    assert top + height == min(24, cell.row + 4) and left + width == min(20, cell.column + 4)


def test_the_strongest_of_several_photos_come_first(seen: Response) -> None:
    weaker = replace(seen, cells=tuple(replace(cell, value=cell.value - 0.5) for cell in seen.cells))
    found = strongest({"weaker": weaker, "seen": seen})
    values = [cell.value for _, cell in found]
    expected = sorted([cell.value for each in (seen, weaker) for cell in each.cells], reverse=True)
    assert values == expected[:12] and found[0] == ("seen", seen.cells[0])


def test_a_frame_covers_nothing_of_what_it_frames() -> None:
    photo = np.full((400, 300, 3), 77, np.uint8)
    drawn = _framed(photo, (50, -20, 60, 90))
    assert (drawn[50:110, :70] == 77).all() and (drawn[48:50, :72] == 255).all() and (drawn[46:48, :74] == 0).all()
    assert (drawn[48:112, 70:72] == 255).all() and (drawn[50:110, 74:] == 77).all() and (drawn[114:] == 77).all()
