"""Shapley values and the factorial: against the definition, and against single runs."""

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.network.vgg import Vgg
from interp.statistics.layers import fixed_choice
from stylize.factors import (
    FACTORS,
    ITERATIONS,
    PLAYERS,
    PRINT_INTERVAL,
    Corner,
    corners,
    explain,
    factorial,
    recipe_at,
    shapley,
)
from stylize.optimise import stylize
from stylize.recipes import PYTORCH, TENSORFLOW, Recipe
from stylize.region import StyledRegion
from stylize.rulers import random_judge, rulers_for

NOT_VARIED = {"name", "title", "fit", "size_px", "cut_result", "sources", "content_layer"}
games = st.integers(1, 5).flatmap(
    lambda count: st.lists(st.floats(-100, 100), min_size=2**count, max_size=2**count).map(
        lambda values: dict(zip(corners(count), values, strict=True))
    )
)


@settings(max_examples=30, deadline=None)
@given(games)
def test_shapley_by_the_definition(values: dict[Corner, float]) -> None:
    """A player's change on joining, averaged over every order of joining; together they make the whole difference."""
    count = len(next(iter(values)))
    orders = list(itertools.permutations(range(count)))
    expected = np.zeros(count)
    for order in orders:
        corner = [False] * count
        for player in order:
            before = values[tuple(corner)]
            corner[player] = True
            expected[player] += (values[tuple(corner)] - before) / len(orders)
    found = shapley(values)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert sum(found) == pytest.approx(values[(True,) * count] - values[(False,) * count], abs=1e-9)


def test_a_dummy_gets_nothing_and_twins_get_the_same() -> None:
    values = {corner: 5.0 + 3 * corner[0] * corner[2] + 2 * (corner[0] + corner[2]) for corner in corners(4)}
    first, dummy, twin, other = shapley(values)
    assert dummy == other == 0 and first == twin == pytest.approx(3.5)
    effects = explain("figure", values, PLAYERS[:4]).effects
    assert [(effect.least, effect.most) for effect in effects] == [(2, 5), (0, 0), (2, 5), (0, 0)]


def test_the_factors_are_the_differences_between_the_models() -> None:
    """Every constant that differs belongs to exactly one factor, or is said not to vary; the ends are the models."""
    named = [name for factor in (*FACTORS, ITERATIONS, PRINT_INTERVAL) for name in factor.fields]
    assert len(named) == len(set(named)) and set(named) <= {item.name for item in fields(Recipe)}
    differing = {item.name for item in fields(Recipe) if getattr(PYTORCH, item.name) != getattr(TENSORFLOW, item.name)}
    assert differing <= set(named) | NOT_VARIED
    kept = NOT_VARIED | {"iterations", "every"}
    for corner, model in ((False, TENSORFLOW), (True, PYTORCH)):
        mixed = recipe_at([corner] * len(FACTORS))
        for item in fields(Recipe):
            if item.name not in kept:
                assert getattr(mixed, item.name) == getattr(model, item.name), item.name


def test_iterations_are_read_off_one_trajectory(compact: Vgg) -> None:
    """A reading after one of three steps is that of a run of one step; figures add up for every ruler."""
    generator = torch.Generator().manual_seed(0)
    photo, painting = (torch.rand(1, 3, 64, 64, generator=generator) for _ in range(2))
    ticks = []
    found = factorial(compact, photo, painting, size_px=64, iterations=3, watch=lambda *tick: ticks.append(tick))
    assert found.iterations == (1, 3) and len(found.readings) == 64
    assert ticks[-1] == (96, 96) and [step for step, _ in ticks] == list(range(1, 97))
    everywhere = np.ones((64, 64), np.float32)
    rulers, region = (
        rulers_for(compact, photo, everywhere, painting, random_judge()),
        StyledRegion(everywhere, painting, fixed_choice()),
    )
    corner = (True, False, True, False, True)
    for longer, count in ((False, 1), (True, 3)):
        *_, last = stylize(compact, photo, [region], replace(recipe_at(corner), size_px=64, iterations=count))
        assert found.readings[(*corner, longer)] == rulers.read(last.image_nchw01)
    for explanation in found.explanations():
        change = explanation.model1 - explanation.model2
        assert sum(effect.value for effect in explanation.effects) == pytest.approx(change, abs=1e-9)
        assert len(explanation.effects) == 6
