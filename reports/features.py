"""Feature maps: grids of them, and their section.

The grids are drawn with Pillow: hundreds of labels a page take Matplotlib a minute. A page has 256 colours: 240 steps
of viridis for the maps and 16 greys for the text. That makes its PNG a third as large as true colour would.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps, get_data_path
from matplotlib.colors import Normalize
from PIL import Image, ImageDraw, ImageFont

from interp.network.channels import DEAD_AT_MOST
from interp.network.layer_names import CHANNELS_PER_BLOCK, layer
from reports.blocks import Block, Figure, Table
from reports.record import Section
from reports.store import ImageStore
from reports.wording import number

if TYPE_CHECKING:
    from interp.network.channels import ClassEvidence
    from interp.network.features import FeatureMaps

CLIPPED_SHARE = 0.001  # of the values at either end of a grid's scale: one hot cell must not darken all maps
STEPS, GREYS = 240, 16
INK, SOFT = 31, 92  # grey levels of text
PAPER, DARK_PAPER = (0, 255), (255, 35)  # text and ground; the report's is dark, at ease on light and dark pages
RANKED_BY = {
    "mean": "highest mean activation",
    "variance": "highest variance",
    "energy": "highest energy (mean square, the Gram matrix's diagonal)",
    "gradient": "highest gradient × activation",
    "contrast": "strongest contrast between inside and outside of the region",
}
MANY_LAYERS, MANY_QUALITY, FEW_QUALITY = 8, 40, 70  # maps are like noise: 37 layers must still fit into 3 MB


@dataclass(frozen=True)
class Layout:
    """Sizes of a grid in pixels.

    Attributes:
        page_w: Width of the page, and above 128 maps `page_w_many`.
        page_w_many: See there.
        max_tile: A map's width at most.
        margin: Around the page.
        gap: Between maps.
        label: Height of the line above each map.
        head: Height of the head.
        title_px: Font size of the title.
        text_px: Font size of the rule and of labels where there is room.
        small_px: Font size of labels on small maps.
    """

    page_w: int
    page_w_many: int
    max_tile: int
    margin: int
    gap: int
    label: int
    head: int
    title_px: int
    text_px: int
    small_px: int


PAGE = Layout(1536, 2048, 372, 24, 10, 24, 170, 24, 18, 15)
# For the report, whose captions tell what the head would; the small one where there are many layers.
SPRITE = Layout(848, 1280, 206, 8, 4, 14, 0, 0, 12, 11)
SMALL_SPRITE = Layout(744, 1280, 112, 8, 4, 12, 0, 0, 10, 10)


def features_section(store: ImageStore, maps: Sequence["FeatureMaps"], *, shared_scale: bool = False) -> Section:
    """Feature maps, one grid a layer.

    Args:
        store: Where pictures go.
        maps: What `feature_maps` returned, one entry a layer.
        shared_scale: One colour scale for all maps of a layer, or one for each map.

    Returns:
        Section `features`.
    """
    blocks: list[Block] = []
    for entry in maps:
        count, height, width = entry.maps_khw.shape
        strongest = entry.channels[int(entry.maps_khw.max(axis=(1, 2)).argmax())]
        alt = f"{count} feature maps of {entry.layer}, {entry.stage}; channel {strongest} responds most."
        norm = scale_of(entry.maps_khw)[0]
        above = "the value it was ranked by (its mean where nothing was ranked)" if shared_scale else "its range"
        scale = f" One scale: {norm.vmin:.3g} (dark) … {norm.vmax:.3g}." if shared_scale else ""
        caption = (
            f"{entry.layer}, {entry.stage}. {rule_of(entry)} Each map has {width}×{height} cells.{scale} Above it: the "
            f"channel's number and, where there is room, {above}."
        )
        many = len(maps) > MANY_LAYERS
        grid = feature_sprite(entry, shared_scale=shared_scale, small=many)
        blocks.append(Figure(store.sprite(grid, alt, MANY_QUALITY if many else FEW_QUALITY), caption))
    rows = tuple(
        (
            entry.layer,
            entry.stage,
            str(len(entry.stats.mean_c)),
            number(float(entry.stats.mean_c.mean())),
            number(float(entry.stats.maximum_c.max())),
            str(int(entry.stats.dead_c.sum())),
        )
        for entry in maps
    )
    header = ("Layer", "Values", "Channels", "Mean activation", "Largest", "Dead channels")
    blocks.append(Table("Over all channels of each layer, shown or not", header, rows))
    scale = "All maps of a layer share one colour scale" if shared_scale else "Each map has its own colour scale"
    intro = (
        "Every small picture is one channel of the network: bright where the picture holds what that channel "
        f"answers to. {scale}.{_narrow(maps)}"
    )
    return Section("features", "What VGG-19 sees", intro, tuple(blocks))


def _narrow(maps: Sequence["FeatureMaps"]) -> str:
    """What a full VGG-19 would show more, where the network is narrower."""
    first = maps[0]
    own, full = len(first.stats.mean_c), CHANNELS_PER_BLOCK[layer(first.layer).block - 1]
    if own >= full:
        return ""
    return (
        f" This network is narrower than VGG-19: {first.layer} has {own} channels here and {full} there. "
        "The command `weights fetch` brings ImageNet's."
    )


def rule_of(maps: "FeatureMaps") -> str:
    """How the channels were chosen and ordered."""
    total, shown, layer, chosen = len(maps.stats.mean_c), len(maps.channels), maps.layer, maps.selection
    dead = f" Dead on this picture (never above {DEAD_AT_MOST:g} after the ReLU): {maps.stats.dead} of {total}."
    if chosen.channels is not None:
        return f"{shown} of {layer}'s {total} channels, as asked for.{dead}"
    if chosen.rank == "index":
        some = f"All {total}" if shown == total else f"The first {shown} of {total}"
        return f"{some} channels of {layer}, in index order.{dead}"
    most = RANKED_BY[chosen.rank]
    if chosen.rank == "gradient" and chosen.evidence:
        most += f" for {explained(chosen.evidence)}"
    if shown == total:
        return f"All {total} channels of {layer}, those with the {most} first.{dead}"
    return f"{shown} of {total} channels of {layer}: those with the {most}, best first.{dead}"


def explained(evidence: "ClassEvidence") -> str:
    """The class, and the size at which it was looked for."""
    height, width = evidence.size_hw_px
    return f"{evidence.class_name!r} at {width}x{height} px"


def feature_grid(maps: "FeatureMaps", *, shared_scale: bool = False) -> bytes:
    """Draw feature maps side by side, each with its channel's number, under a head that says how they were chosen.

    Args:
        maps: Up to 512 maps (K, h, w); cells are enlarged without smoothing, or averaged where room is short.
        shared_scale: One colour scale for all maps, so that they compare; else each has its own, so that each can be
            read, and its range stands above it.

    Returns:
        PNG.
    """
    buffer = io.BytesIO()
    _drawn(maps, PAGE, shared_scale).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def feature_sprite(maps: "FeatureMaps", *, shared_scale: bool = False, small: bool = False) -> np.ndarray:
    """The same grid without its head, for a report: (H, W, 3) uint8 RGB."""
    return np.asarray(_drawn(maps, SMALL_SPRITE if small else SPRITE, shared_scale).convert("RGB"))


def scale_of(values: np.ndarray) -> tuple[Normalize, bool]:
    """A colour scale, a thousandth of the values left out at each end; and whether that cuts any."""
    low, high = np.quantile(values, [CLIPPED_SHARE, 1 - CLIPPED_SHARE]).astype(float)
    least, most = float(values.min()), float(values.max())
    if low == high:
        low, high = least, most
    return Normalize(low, high if high > low else low + 1), least < low or most > high


def columns_of(count: int, height_over_width: float) -> int:
    """A page somewhat taller than wide, its last row as full as can be."""
    about = max(min(count, 4), round(math.sqrt(1.15 * count * height_over_width)))
    return min((about - 1 or 1, about, about + 1), key=lambda columns: (-count % columns, abs(columns - about)))


def _drawn(maps: "FeatureMaps", layout: Layout, shared_scale: bool) -> Image.Image:
    count, height, width = maps.maps_khw.shape
    page_w = layout.page_w if count <= 128 else layout.page_w_many
    columns = columns_of(count, height / width)
    tile_w = max(1, min(layout.max_tile, (page_w - 2 * layout.margin) // columns - layout.gap))
    tile_h = max(1, round(tile_w * height / width))
    pitch = tile_h + layout.label + layout.gap
    page_h = layout.head + math.ceil(count / columns) * pitch + layout.margin

    sheet = np.full((page_h, page_w), STEPS + GREYS - 1, np.uint8)
    ink = Image.new("L", (page_w, page_h), 255)
    pen = ImageDraw.Draw(ink)
    inset_px = layout.gap  # else a range runs into the next map's number
    roomy, shared = tile_w >= 160, scale_of(maps.maps_khw)[0]
    font = _font(layout.text_px if roomy else layout.small_px)
    for index, (map_hw, channel, score) in enumerate(zip(maps.maps_khw, maps.channels, maps.scores, strict=True)):
        top = layout.head + index // columns * pitch + layout.label
        left = layout.margin + index % columns * (tile_w + layout.gap)
        norm = shared if shared_scale else scale_of(map_hw)[0]
        tile = Image.fromarray(map_hw).resize((tile_w, tile_h), Image.Resampling.BOX)
        unit = np.clip(np.asarray(norm(np.asarray(tile))), 0, 1)
        sheet[top : top + tile_h, left : left + tile_w] = np.round(unit * (STEPS - 1))
        pen.text((left, top - 3), str(channel), INK, font, anchor="ls")
        digits = 3 if tile_w >= 96 else 2
        label = f"{score:.{digits}g}" if shared_scale else f"{norm.vmin:.{digits}g} … {norm.vmax:.{digits}g}"
        if font.getlength(f"{channel}  {label}") + inset_px <= tile_w:
            pen.text((left + tile_w - inset_px, top - 3), label, SOFT, font, anchor="rs")
    if layout.head:
        _head(pen, sheet, maps, layout, shared_scale)
    return _coloured(sheet, np.asarray(ink), PAPER if layout.head else DARK_PAPER)


def _head(pen: ImageDraw.ImageDraw, sheet: np.ndarray, maps: "FeatureMaps", layout: Layout, shared_scale: bool) -> None:
    """Title, rule, and the scale: a bar with its ends, or what "own" means."""
    page_w, margin = sheet.shape[1], layout.margin
    title = f"{maps.layer}, {maps.stage}: {len(maps.channels)} of {len(maps.stats.mean_c)} channels"
    pen.text((margin, margin), title, INK, _font(layout.title_px, bold=True), anchor="la")
    body, left = _font(layout.text_px), page_w - 460 - margin
    pen.multiline_text((margin, 62), _wrapped(rule_of(maps), body, left - 2 * margin), SOFT, body, spacing=6)
    small = _font(layout.small_px)
    if not shared_scale:
        note = (
            f"each map on its own scale, dark to bright;\n{100 * CLIPPED_SHARE:g} % of its values clipped at each end"
        )
        pen.multiline_text((left, 28), note, SOFT, small, spacing=5)
        return
    norm, clipped = scale_of(maps.maps_khw)
    note = f"\nvalues beyond (at most {100 * CLIPPED_SHARE:g} % at each end) are clipped" if clipped else ""
    pen.multiline_text((left, 28), f"activation, one scale for all maps{note}", SOFT, small, spacing=5)
    sheet[78:92, left : left + 440] = np.round(np.linspace(0, STEPS - 1, 440))
    low, high = float(norm.vmin or 0), float(norm.vmax or 0)
    for place in range(5):
        anchor = "la" if place == 0 else "ra" if place == 4 else "ma"
        pen.text((left + 110 * place, 98), f"{low + (high - low) * place / 4:.3g}", SOFT, small, anchor=anchor)


def _coloured(sheet: np.ndarray, ink: np.ndarray, greys: tuple[int, int]) -> Image.Image:
    """Join maps and text into one picture of 256 colours; `greys` of the text and of the paper."""
    text = ink < 255
    sheet[text] = STEPS + np.round(ink[text] / 255 * (GREYS - 1)).astype(np.uint8)
    viridis = colormaps["viridis"](np.linspace(0, 1, STEPS), bytes=True)[:, :3]
    shades = np.round(np.linspace(*greys, GREYS)).astype(np.uint8)[:, None].repeat(3, 1)
    page = Image.fromarray(sheet).convert("P")
    page.putpalette(np.concatenate([viridis, shades]).tobytes())
    return page


@cache
def _font(size_px: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with Matplotlib."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / name, size_px)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width_px: int) -> str:
    """Break lines at spaces to fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)
