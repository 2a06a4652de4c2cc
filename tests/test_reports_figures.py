"""Figures: valid PNGs that depend on their data, on nothing else, and survive awkward data."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image, ImageColor

from interp.attribution.randomisation import Cascade, Similarity
from interp.attribution.saliency import SaliencyMap
from interp.attribution.sanity import SanityCheck
from interp.attribution.targets import Target
from interp.attribution.verdict import SaliencyVerdict, VerdictWord
from interp.errors import UsageError
from interp.network.classify import Prediction
from interp.network.features import ChannelStats, FeatureMaps, Selection
from interp.statistics.gram import GramStats
from interp.statistics.gram_compare import GramComparison, LayerComparison
from interp.statistics.layers import ContentEvidence, LayerChoice, Origin, StyleEvidence, fixed_choice
from reports.canvas import ACCENT, COLOURS, INK, WARM, line_chart
from reports.features import PAGE, feature_grid
from reports.gram import gram_distances, gram_spectra
from reports.layers import layer_evidence
from reports.restyling import _term_styles, by_region, loss_curves
from reports.saliency import method_sheet, saliency_panels
from reports.sanity import sanity_figure
from reports.verdict import verdict_curves

NAN = float("nan")


@dataclass(frozen=True)
class Step:
    """What loss curves need of a StepEvent."""

    step: int
    scale: int
    size_hw_px: tuple[int, int]
    losses: dict[str, float]


def feature_maps(count: int, seed: int = 0, size: tuple[int, int] = (6, 8)) -> FeatureMaps:
    maps = np.random.default_rng(seed).random((count, *size), dtype=np.float32)
    mean = maps.mean((1, 2))
    stats = ChannelStats(mean, maps.std((1, 2)), maps.max((1, 2)), np.zeros(count, bool))
    return FeatureMaps("relu3_1", maps, tuple(range(count)), tuple(mean.tolist()), Selection(), stats)


def saliency(seed: int = 0, size: tuple[int, int] = (10, 12)) -> SaliencyMap:
    rng = np.random.default_rng(seed)
    gradient = rng.normal(size=(3, *size)).astype(np.float32)
    picture = rng.random((3, *size), dtype=np.float32)
    prediction = Prediction(("cat", "dog"), (0.6, 0.2), (3, 5), (10, 12))
    return SaliencyMap("guided-backprop", Target("cat", 3), gradient, picture, prediction)


def steps(rate: float = 10.0) -> list[Step]:
    return [
        Step(
            number,
            1 + (number > 20),
            (64, 48) if number <= 20 else (128, 96),
            {
                "style relu1_1": np.exp(-number / rate),
                "content relu4_2": (number - 1) * 0.01,
                "total": 1 / number,
            },
        )
        for number in range(1, 41)
    ]


def layer_choice(shift: float = 0.0) -> LayerChoice:
    style = (
        StyleEvidence("relu1_1", 0.2, 0.1, 2.0 + shift, 1.5, True, 0.4),
        StyleEvidence("relu2_1", 0.3, 0.1, 3.0, 1.3, True, 0.6),
        StyleEvidence("relu5_1", 0.1, 0.2, 0.5, 1.5),
    )
    content = (ContentEvidence("relu4_1", 0.9, 0.5, 0.45), ContentEvidence("relu4_2", 0.9, 0.6, 0.54, True))
    return LayerChoice({"relu1_1": 0.4, "relu2_1": 0.6}, "relu4_2", Origin.EVIDENCE, Origin.EVIDENCE, style, content)


def gram_stats(first: float = 0.7) -> dict[str, list[GramStats]]:
    spectrum = (first, 1 - first, 0.0)
    return {
        "photo": [GramStats("relu1_1", 2.0, spectrum, 1.7, 3)],
        "a $\\frac{ painting": [GramStats("relu2_1", 1.0, spectrum, 1.5, 3)],
    }


def verdict(top: float = 0.9) -> SaliencyVerdict:
    curve = (0.1, 0.5, top)
    return SaliencyVerdict(VerdictWord.CLASS, 0.5, 0.1, 0.2, 0.1, 0.1, "dog", (0.0, 0.5, 1.0), curve, curve[::-1])


def sheet(seed: int = 0) -> bytes:
    return method_sheet([saliency(seed)], "percentile99", [verdict()])


def compared(distance: float = 0.5) -> GramComparison:
    pair = ((0.0, distance), (distance, 0.0))
    layers = (
        LayerComparison("relu1_1", pair, pair, ((0.0, 0.1), (0.1, 0.0)), (), (0, 1)),
        LayerComparison("relu5_1", pair, ((0.0, NAN), (NAN, 0.0)), ((0.0, NAN), (NAN, 0.0)), (), (0, 1)),
    )
    return GramComparison(((), ()), layers, 16)


def checked(rank: float = 0.9) -> SanityCheck:
    like = Similarity(rank, 0.5, 0.4)
    steps = Cascade(("head", "conv1_1"), (like, like), np.ones((2, 10, 12), np.float32), 1)
    return SanityCheck(saliency(), verdict(), steps, ("dog",), (like,), like)


FIGURES: dict[str, tuple[Callable[[], bytes], Callable[[], bytes]]] = {
    "methods": (sheet, lambda: sheet(1)),
    "distances": (
        lambda: gram_distances(compared(), ["a $x", "b"]),
        lambda: gram_distances(compared(0.7), ["a $x", "b"]),
    ),
    "sanity": (lambda: sanity_figure([checked()]), lambda: sanity_figure([checked(0.5)])),
    "grid": (
        lambda: feature_grid(feature_maps(5)),
        lambda: feature_grid(feature_maps(5, seed=1)),
    ),
    "saliency": (
        lambda: saliency_panels(saliency(), verdict()),
        lambda: saliency_panels(saliency(1), verdict()),
    ),
    "verdict in words": (
        lambda: saliency_panels(saliency(), verdict()),
        lambda: saliency_panels(saliency(), replace(verdict(), word=VerdictWord.RANDOM)),
    ),
    "losses": (lambda: loss_curves(steps()), lambda: loss_curves(steps(12.0))),
    "layers": (
        lambda: layer_evidence(layer_choice()),
        lambda: layer_evidence(layer_choice(0.2)),
    ),
    "gram": (lambda: gram_spectra(gram_stats()), lambda: gram_spectra(gram_stats(0.9))),
    "verdict": (lambda: verdict_curves(verdict()), lambda: verdict_curves(verdict(0.7))),
}


@pytest.mark.parametrize("name", FIGURES)
def test_equal_data_give_equal_bytes_and_other_data_other_pixels(name: str) -> None:
    draw, draw_other = FIGURES[name]
    data = draw()
    assert data == draw()
    assert b"matplotlib" not in data.lower()
    image = Image.open(io.BytesIO(data))
    image.load()
    pixels, others = pixels_of(data), pixels_of(draw_other())
    assert image.format == "PNG" and image.width >= 1500
    assert (pixels[0] == 255).all() and (pixels[-1] == 255).all()  # white margins
    assert pixels.shape != others.shape or (pixels != others).any()


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def cells_of(
    pixels: np.ndarray, left: float, top: float, width: float, height: float, grid: tuple[int, int]
) -> np.ndarray:
    """Colours at the centres of the cells of a box of the page, (rows, columns, 3)."""
    rows, columns = grid
    y = np.round(top + (np.arange(rows) + 0.5) * height / rows - 0.5).astype(int)
    x = np.round(left + (np.arange(columns) + 0.5) * width / columns - 0.5).astype(int)
    return pixels[y[:, None], x].astype(int)


def coloured(values_hw01: np.ndarray, name: str = "viridis") -> np.ndarray:
    return colormaps[name](values_hw01, bytes=True)[..., :3].astype(int)


def close(found: np.ndarray, expected: np.ndarray, atol: int) -> bool:
    return bool(np.abs(found - expected).max() <= atol)


def drawn_in(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Where a page has a colour, (H, W) bool."""
    return np.abs(pixels.astype(int) - ImageColor.getrgb(colour)).max(2) <= 2


def bar_heights(pixels: np.ndarray, colour: str) -> list[int]:
    """Heights of the bars of a colour, from left to right; a legend's patch is lower than 40 px, and narrower."""
    high = np.pad(drawn_in(pixels, colour).sum(0) > 40, 1)
    starts, ends = (np.flatnonzero(np.diff(high.astype(int)) == sign) for sign in (1, -1))
    bars = [drawn_in(pixels[:, start:end], colour).mean(1) > 0.5 for start, end in zip(starts, ends, strict=True)]
    return [int(np.ptp(np.flatnonzero(bar))) + 1 for bar in bars]


def test_a_grid_shows_every_cell_on_one_scale() -> None:
    """Tiles are read back from the page and compared with viridis of the values, an independent path."""
    maps = feature_maps(4, size=(3, 4))
    ramp = np.linspace(0, 1, 48, dtype=np.float32).reshape(4, 3, 4)
    page = pixels_of(feature_grid(replace(maps, maps_khw=ramp), shared_scale=True))
    low, high = np.quantile(ramp, [0.001, 0.999])
    expected = coloured(np.clip((ramp - low) / (high - low), 0, 1))
    step = np.abs(np.diff(coloured(np.arange(256)), axis=0)).max()
    for index in range(4):  # four columns on 1536 px: tiles of (1536 - 2 * 24) // 4 - 10
        left, top = PAGE.margin + index * 372, PAGE.head + PAGE.label
        assert close(cells_of(page, left, top, 362, 362 * 3 / 4, (3, 4)), expected[index], step)  # 240 of 256 colours


@pytest.mark.parametrize(
    ("count", "size"), [(1, (1, 1)), (3, (4, 300)), (17, (300, 5)), (512, (2, 2)), (64, (400, 600))]
)
def test_grids_of_any_shape_can_be_drawn(count: int, size: tuple[int, int]) -> None:
    pixels = pixels_of(feature_grid(feature_maps(count, size=size)))
    assert pixels.shape[1] in (1536, 2048)


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_constant_map_has_one_colour(value: float) -> None:
    maps = replace(feature_maps(2), maps_khw=np.full((2, 4, 4), value, np.float32))
    page = pixels_of(feature_grid(maps))
    tiles = page[PAGE.head + PAGE.label + 5 :, PAGE.margin : PAGE.margin + 300][:300]
    assert len(np.unique(tiles.reshape(-1, 3), axis=0)) == 1


def test_saliency_panels_show_the_picture_and_its_map() -> None:
    entry, pitch = saliency(), 354 + 24
    page, box = pixels_of(saliency_panels(entry, verdict())), (110, 354, 295, (10, 12))  # 10:12 at 354 px
    picture, gradient = (values.transpose(1, 2, 0).astype(np.float64) for values in (entry.input_chw01, entry.map_chw))

    def standardised(values: np.ndarray) -> np.ndarray:
        return np.clip((values - values.mean()) / values.std(ddof=1) * 0.1 + 0.5, 0, 1)

    strongest = standardised(gradient.max(2))
    viridis = coloured((strongest - strongest.min()) / np.ptp(strongest))
    assert close(cells_of(page, 24, *box), 255 * picture, 1)
    assert close(cells_of(page, 24 + pitch, *box), 255 * standardised(gradient), 1)
    assert close(cells_of(page, 24 + 2 * pitch, *box), viridis, 6)
    assert close(cells_of(page, 24 + 3 * pitch, *box), (255 * picture + viridis) / 2, 4)


def test_a_sheet_of_methods_shows_each_map_by_its_convention() -> None:
    entry = saliency()
    page, box = pixels_of(method_sheet([entry], "percentile99", [verdict()])), (120, 354, 295, (10, 12))
    summed = np.abs(entry.map_chw).sum(0)
    unit = (summed - summed.min()) / (np.percentile(summed, 99) - summed.min())
    assert close(cells_of(page, 24, *box), 255 * entry.input_chw01.transpose(1, 2, 0), 1)
    assert close(cells_of(page, 24 + 354 + 24, *box), coloured(np.clip(unit, 0, 1), "gray"), 2)


def test_the_strip_of_a_sanity_check_begins_with_the_map_as_learnt() -> None:
    check = checked()
    heat = np.abs(check.saliency.map_chw).max(0)
    page = pixels_of(sanity_figure([check]))
    unit = np.clip(heat / np.percentile(heat, 99), 0, 1)
    assert close(cells_of(page, 24 + 190, 116, 424, 300, (10, 12)), coloured(unit, "gray"), 2)


def test_distances_are_the_colours_of_their_matrix() -> None:
    page = pixels_of(gram_distances(compared(0.5), ["a", "b"]))[:500].astype(int)
    colours = coloured(np.array([0, 0.5 / 2**0.5]), "magma_r")
    near, far = ((np.abs(page - colour).max(2) <= 2).sum() for colour in colours)
    assert 0.9 < near / far < 1.1 and far > 2 * 2 * 50**2  # two cells of four, in each of two matrices


def test_bars_are_as_high_as_the_ratios() -> None:
    choice = replace(layer_choice(), content_evidence=())
    first, second = bar_heights(pixels_of(layer_evidence(choice)), ACCENT)
    assert first / second == pytest.approx(np.log(2) / np.log(3), abs=0.01)  # the axis is logarithmic
    assert len(set(bar_heights(pixels_of(layer_evidence(fixed_choice())), ACCENT))) == 1  # equal weights
    assert pixels_of(layer_evidence(choice)).shape[0] < pixels_of(layer_evidence(layer_choice())).shape[0]


def test_each_picture_has_its_own_colour_where_it_has_a_layer() -> None:
    page = pixels_of(gram_spectra(gram_stats()))[100:]  # below the legend
    for number, colour in enumerate(COLOURS[:2]):
        columns = np.flatnonzero(drawn_in(page, colour).any(0))
        assert len(columns) and (columns < page.shape[1] / 2).all() == (number == 0)


def test_insertion_rises_and_deletion_falls() -> None:
    page = pixels_of(verdict_curves(verdict()))
    for colour, rises in zip(COLOURS[:2], (True, False), strict=True):
        rows, columns = np.nonzero(drawn_in(page[:, : int(0.6 * page.shape[1])], colour))
        left, right = rows[columns < np.median(columns)].mean(), rows[columns >= np.median(columns)].mean()
        assert (left > right) == rises  # rows count downwards


def test_terms_are_told_apart() -> None:
    terms = ["style relu1_1", "style relu2_1", "content relu4_2", "content relu3_1, held", "total variation", "total"]
    styles = list(_term_styles(terms).values())
    assert all(a != b for number, a in enumerate(styles) for b in styles[:number])


def test_each_region_has_its_own_evaluations_alone() -> None:
    """As `stylize` yields them: both regions at a scale, one after the other, the other's last terms kept."""
    losses, events, expected = {}, [], {"foreground": [], "background": []}
    for step in range(1, 9):
        region, scale = ("foreground", "background")[(step - 1) // 2 % 2], 1 + (step > 4)
        losses = {**losses, f"{region}: style relu1_1": 1 / step, f"{region}: content relu4_2": 0.5, "total": 2 / step}
        events.append(Step(step, scale, (64 * scale, 64), losses))
        expected[region].append((scale, 1 / step, 2 / step))
    found = by_region(events)
    assert list(found) == ["foreground", "background"]
    for region, own in found.items():
        assert [event.step for event in own] == [1, 2, 3, 4]
        assert [(e.scale, e.losses["style relu1_1"], e.losses["total"]) for e in own] == expected[region]
        assert {name for event in own for name in event.losses} == {"style relu1_1", "content relu4_2", "total"}
    assert by_region(steps()) == {"": steps()}


def test_a_loss_that_is_no_number_is_left_out() -> None:
    for count in (1, 2):
        losses = {"total": 1.0, "content relu4_2": NAN, "tv": 0.0}
        events = [Step(step, 1, (64, 64), losses) for step in range(1, count + 1)]
        axes = pixels_of(loss_curves(events))[80:-120, 200:1000]
        assert drawn_in(axes, INK).any() and not drawn_in(axes, WARM).any()


def test_dollar_signs_are_no_formulas_and_odd_shapes_fit() -> None:
    """Matplotlib's mathtext would set the first in italics without its dollars, and refuse the second."""
    plain, dollars = (replace(saliency(), target=Target(name, 3)) for name in ("xx", "$x$"))
    inks = [int(drawn_in(pixels_of(saliency_panels(entry))[:60], INK).sum()) for entry in (plain, dollars)]
    assert inks[1] > 1.02 * inks[0]
    odd = replace(saliency(size=(2, 64)), target=Target("$\\frac{1}{ 猫 \x07", 3))
    flat = replace(odd, map_chw=np.full((3, 2, 64), 0.5, np.float32))
    page = pixels_of(saliency_panels(flat, replace(verdict(), other_class="$x_{ " * 40)))
    third = cells_of(page, 24 + 2 * 378, 110, 354, 11, (2, 64))
    assert (third == coloured(np.zeros(1))).all()  # a flat map is the scale's first colour
    chart = pixels_of(line_chart({"$\\alpha{": ([1.0, 2.0, 3.0], [0.0, 1.0, NAN])}, x_label="$x{", y_label="y"))
    assert drawn_in(chart, COLOURS[0]).any()


@pytest.mark.parametrize(
    "draw",
    [
        lambda: loss_curves([]),
        lambda: verdict_curves(SaliencyVerdict(VerdictWord.NOT_TESTED)),
        lambda: gram_spectra({"photo": []}),
    ],
)
def test_nothing_to_draw_is_said(draw: Callable[[], bytes]) -> None:
    with pytest.raises(UsageError, match="expected"):
        draw()
