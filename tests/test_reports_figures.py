"""Figures: valid PNGs that depend on their data, on nothing else, and survive awkward data."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

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
from reports.canvas import line_chart
from reports.features import PAGE, feature_grid
from reports.gram import gram_distances, gram_spectra
from reports.layers import layer_evidence
from reports.restyling import _term_styles, loss_curves
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


def test_a_grid_shows_every_cell_on_one_scale() -> None:
    """Tiles are read back from the page and compared with viridis of the values, an independent path."""
    maps = feature_maps(4, size=(3, 4))
    ramp = np.linspace(0, 1, 48, dtype=np.float32).reshape(4, 3, 4)
    page = pixels_of(feature_grid(replace(maps, maps_khw=ramp), shared_scale=True))
    low, high = np.quantile(ramp, [0.001, 0.999])
    expected = colormaps["viridis"](np.clip((ramp - low) / (high - low), 0, 1), bytes=True)[..., :3]
    step = np.abs(np.diff(colormaps["viridis"](np.arange(256), bytes=True)[:, :3].astype(int), axis=0)).max()
    tile_w = 372 - 10  # of four columns on 1536 px: (1536 - 2 * 24) // 4 - 10
    cell = tile_w / 4
    for index in range(4):
        for row in range(3):
            for column in range(4):
                x = PAGE.margin + index * 372 + round((column + 0.5) * cell)
                y = PAGE.head + PAGE.label + round((row + 0.5) * cell)
                assert np.abs(page[y, x].astype(int) - expected[index, row, column]).max() <= step  # 240 of 256 colours


@pytest.mark.parametrize(
    ("count", "size"), [(1, (1, 1)), (3, (4, 300)), (17, (300, 5)), (512, (2, 2)), (64, (400, 600))]
)
def test_grids_of_any_shape_can_be_drawn(count: int, size: tuple[int, int]) -> None:
    pixels = pixels_of(feature_grid(feature_maps(count, size=size)))
    assert pixels.shape[1] in (1536, 2048)


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_maps_that_are_constant_can_be_drawn(value: float) -> None:
    maps = replace(feature_maps(2), maps_khw=np.full((2, 4, 4), value, np.float32))
    assert feature_grid(maps)


def test_evidence_that_is_missing_leaves_its_panel_out() -> None:
    whole, style_only = layer_choice(), replace(layer_choice(), content_evidence=())
    assert pixels_of(layer_evidence(style_only)).shape[0] < pixels_of(layer_evidence(whole)).shape[0]
    assert layer_evidence(fixed_choice())


def test_two_regions_curves_are_told_apart() -> None:
    terms = ("style relu1_1", "style relu2_1", "content relu4_2")
    names = [f"{region}: {term}" for region in ("background", "foreground") for term in terms]
    styles = _term_styles([*names, "total"])
    assert all(a != b for number, a in enumerate(styles.values()) for b in list(styles.values())[:number])
    losses = [Step(step, 1, (64, 64), dict.fromkeys(names, 1 / step)) for step in (1, 2)]
    other = [replace(entry, losses={**entry.losses, names[0]: 2 / entry.step}) for entry in losses]
    assert (pixels_of(loss_curves(losses)) != pixels_of(loss_curves(other))).any()


def test_odd_data_can_be_drawn() -> None:
    assert loss_curves([Step(1, 1, (64, 64), {"total": 0.0, "content relu4_2": NAN})])
    odd = replace(saliency(), target=Target("$\\frac{1}{ 猫 \x07", 3))
    flat = replace(odd, map_chw=np.full((3, 10, 12), 0.5, np.float32))
    assert saliency_panels(flat, replace(verdict(), other_class="$x_{ " * 40))
    assert saliency_panels(saliency(size=(2, 64)))
    chart = {"$\\alpha{": ([1.0, 2.0], [0.0, NAN])}
    assert line_chart(chart, x_label="$x{", y_label="y")


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
