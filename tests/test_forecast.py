"""What a run is foreseen to take, and the size that follows from it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.network.vgg import Vgg
from interp.statistics.layers import fixed_choice
from stylize.forecast import (
    HALF_SIZE_S,
    LARGEST_PX,
    LARGEST_SIZE_PX,
    OWN_SIZE_S,
    STEP_PX,
    Extent,
    Machine,
    affordable,
    forecast,
    largest_size_px,
    largest_square_px,
    tile_px,
)
from stylize.optimise import stylize
from stylize.presets import PRESETS, Preset
from stylize.recipes import RECIPES
from stylize.region import StyledRegion
from tests.helpers import stripes

PHONE = Extent((3024, 4032), (3024, 4032))
DEFAULT = replace(PRESETS["default"], precision="float32")
PLENTY = 64e9


def test_the_canvases_foreseen_are_those_that_are_painted(compact: Vgg) -> None:
    """Within a cell of the pools' grid a side."""
    photo = torch.rand(1, 3, 300, 400)
    part = np.zeros((300, 400), np.float32)
    part[60:220, 150:330] = 1
    way = Preset(size_px=256, coarsest_px=64, iterations=1, coarse_iterations=2)
    for alpha in (part, np.ones_like(part)):
        region = StyledRegion(alpha, stripes(), fixed_choice())
        events = list(stylize(compact, photo, [region], way))
        found = forecast(way, [Extent.of(alpha)], 0.25, 1)
        assert len(found.shares) == len(events) and found.shares[-1] == 1
        painted = {event.scale: event.scene.canvases[0].alpha_hw01.numel() for event in events}
        np.testing.assert_allclose([job.pixels for job in found.jobs], list(painted.values()), rtol=0.15)


def test_shares_follow_the_pixels() -> None:
    """The two coarse scales of a phone's photo are 100 of 130 steps, and less than a fifth of the work."""
    found = forecast(DEFAULT, [PHONE], 0.25, 2)
    assert [job.evaluations for job in found.jobs] == [50, 50, 30]
    assert found.shares[99] < 0.55 and found.shares[49] < 0.2
    assert (np.diff(found.shares) > 0).all()


@pytest.mark.parametrize(
    ("photo_hw_px", "size_px"),
    [((512, 512), 512), ((300, 200), 512), ((533, 800), 800), ((768, 1024), 1024), ((3024, 4032), 1024)],
)
def test_a_fast_machine_works_at_the_photos_own_size_up_to_a_thousand_pixels(
    photo_hw_px: tuple[int, int], size_px: int
) -> None:
    assert affordable(DEFAULT, [Extent(photo_hw_px, photo_hw_px)], 0.25, Machine(64, PLENTY)).size_px == size_px


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_own_size_takes_a_minute_and_half_of_it_three(threads: int) -> None:
    """And the next size would take longer."""
    for photo_hw_px, limit_s in [((768, 1024), OWN_SIZE_S), ((2000, 3000), HALF_SIZE_S)]:
        extent, machine = [Extent(photo_hw_px, photo_hw_px)], Machine(threads, PLENTY)
        found = affordable(DEFAULT, extent, 0.6, machine)
        if found.size_px > DEFAULT.size_px:
            assert forecast(found, extent, 0.6, threads).painting_s <= limit_s
        if found.size_px < LARGEST_PX:
            larger = replace(found, size_px=found.size_px + STEP_PX)
            assert forecast(larger, extent, 0.6, threads).painting_s > limit_s


def test_a_slow_network_or_little_memory_get_a_smaller_size() -> None:
    fast = affordable(DEFAULT, [PHONE], 1.0, Machine(64, PLENTY))
    slow = affordable(DEFAULT, [PHONE], 2.0, Machine(1, PLENTY))
    assert fast.size_px == LARGEST_PX and slow.size_px == DEFAULT.size_px
    between = affordable(DEFAULT, [PHONE], 1.0, Machine(2, PLENTY))
    assert DEFAULT.size_px < between.size_px < LARGEST_PX
    assert forecast(between, [PHONE], 1.0, 2).painting_s <= HALF_SIZE_S
    small = affordable(DEFAULT, [PHONE], 0.25, Machine(2, 2.8e9)).size_px
    assert DEFAULT.size_px < small < LARGEST_PX
    assert affordable(DEFAULT, [PHONE], 0.25, Machine(2, 1e9)).size_px == DEFAULT.size_px


def test_the_largest_size_is_the_last_that_fits() -> None:
    largest = largest_size_px(DEFAULT, [PHONE], 0.25, 8e9)
    fits, exceeds = (
        forecast(replace(DEFAULT, size_px=size), [PHONE], 0.25, 1).peak_bytes for size in (largest, largest + 64)
    )
    assert fits <= 8e9 < exceeds and largest % 64 == 0
    assert largest_size_px(DEFAULT, [PHONE], 0.25, 1e9) == 0


@pytest.mark.parametrize("width", [0.25, 1.0])
@pytest.mark.parametrize("memory_gb", [0.5, 3, 6, 10, 100])
def test_the_largest_square_is_the_last_that_fits(width: float, memory_gb: float) -> None:
    side = largest_square_px(width, memory_gb * 1e9)

    def peak(size: int) -> float:
        way = replace(PRESETS["default"], size_px=size, tile_px=tile_px(width))
        return forecast(way, [Extent((size, size), (size, size))], width, 1).peak_bytes

    assert side % 64 == 0 and (side == 0 or peak(side) <= memory_gb * 1e9)
    assert side == LARGEST_SIZE_PX or peak(side + 64) > memory_gb * 1e9
    assert side > 2048 or memory_gb < (4 if width == 0.25 else 7)  # tiles


def test_a_small_region_costs_less_and_two_cost_their_sum() -> None:
    corner = Extent((3024, 4032), (800, 800))
    one, other = (forecast(DEFAULT, [extent], 0.25, 1) for extent in (PHONE, corner))
    assert other.painting_s < 0.4 * one.painting_s
    both = forecast(DEFAULT, [PHONE, corner], 0.25, 1)
    assert both.painting_s == pytest.approx(one.painting_s + other.painting_s)
    assert [job.pixels for job in both.jobs[:2]] == [one.jobs[0].pixels, other.jobs[0].pixels]


def test_a_recipe_paints_the_whole_picture() -> None:
    recipe = RECIPES["gatys"]
    (size, count), *_ = recipe.scales((3024, 4032))
    (job,) = forecast(recipe, [Extent((3024, 4032), (10, 10))], 0.25, 1).jobs
    assert (job.evaluations, job.pixels) == (count, size[0] * size[1])


def test_without_a_report_nothing_is_foreseen_for_it() -> None:
    found = forecast(DEFAULT, [PHONE], 0.25, 2)
    assert list(found.stages(reported=False)) == [
        "layers", "preparing", "painting", "enlarging", "composing", "writing",
    ]  # fmt: skip
    assert list(found.stages(reported=True))[-1] == "report"
    assert found.stages(reported=True)["painting"] == found.painting_s


def test_workers_share_the_memory() -> None:
    from commands.options import RunOptions
    from commands.sizing import _machine
    from commands.work import Work

    whole, quarter = (_machine(Work(RunOptions(), memory_share=share)).memory_bytes for share in (1.0, 0.25))
    assert quarter == pytest.approx(whole / 4) and quarter > 0
