"""The Gram matrices themselves, as pictures: which channels fire together."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from PIL import Image

from interp.pictures.images import encode_png
from reports.blocks import Block, Figure, Matrices, Paragraph, Values
from reports.record import Section
from reports.store import ImageStore
from reports.wording import number

if TYPE_CHECKING:
    from interp.statistics.gram_compare import GramComparison

MAX_LAYERS, MAX_SIDE_PX = 6, 256
LEVELS, DEPTH = 127, 1000  # of a cell's value: steps, and from the least to the largest
BRIGHTEST = 0.995  # quantile of the values that is drawn brightest: a few channels would darken all others


def matrices_section(store: ImageStore, comparison: "GramComparison", names: Sequence[str]) -> Section:
    """Every picture's Gram matrices, layer by layer, on one scale and in one order of channels a layer.

    Args:
        store: Where pictures go.
        comparison: Of one picture or several.
        names: Theirs.

    Returns:
        Section `matrices`.
    """
    blocks: list[Block] = []
    styles = comparison.styles
    for place in range(min(MAX_LAYERS, len(styles[0]))):
        layer = styles[0][place].stats.layer
        units = [_unit(style[place].gram_cc) for style in styles]
        order = channel_order(np.mean(units, axis=0))
        top = float(np.quantile(units, BRIGHTEST)) or 1.0
        figures = []
        for name, unit in zip(names, units, strict=True):
            alt = f"Gram matrix of {name} at {layer}, {len(order)} by {len(order)} channels."
            caption = f"{layer}, {name}: 0 (dark) … {number(top)} and above, of a matrix of norm 1."
            image = _picture(unit[np.ix_(order, order)] / top)
            figures.append(Figure(store.png(encode_png(image), alt), caption, pixelated=True))
        values = tuple(values_of(unit[np.ix_(order, order)], name) for name, unit in zip(names, units, strict=True))
        blocks.append(Matrices(tuple(figures), tuple(map(str, order)), "channels", values))
    if len(styles[0]) > MAX_LAYERS:
        blocks.append(Paragraph(f"The first {MAX_LAYERS} of {len(styles[0])} layers; the others are in the figures."))
    intro = (
        "A bright cell: two channels that fire together. Channels that fire alike stand side by side, in one order "
        "for every picture, so bright squares along the diagonal are groups that work as one."
    )
    return Section("matrices", "The Gram matrices", intro, tuple(blocks))


def channel_order(gram_cc: np.ndarray) -> np.ndarray:
    """Put channels that fire alike side by side: the leaves of average-linkage clustering by cosine distance.

    Args:
        gram_cc: (C, C), symmetric, positive semi-definite.

    Returns:
        (C,) indices.

    Example:
        >>> order = channel_order(np.array([[1.0, 0.0, 0.9], [0.0, 1.0, 0.1], [0.9, 0.1, 1.0]])).tolist()
        >>> order in ([0, 2, 1], [1, 2, 0])  # the end that comes first is a matter of taste
        True
    """
    if len(gram_cc) < 3:
        return np.arange(len(gram_cc))
    from scipy.cluster.hierarchy import leaves_list, linkage  # here, because pages without matrices do not need them
    from scipy.spatial.distance import squareform

    size = np.sqrt(np.maximum(np.diag(gram_cc), 1e-30))
    apart = np.clip(1 - gram_cc / np.outer(size, size), 0, 2)
    np.fill_diagonal(apart, 0)
    return leaves_list(
        linkage(squareform((apart + apart.T) / 2, checks=False), "average", optimal_ordering=len(size) <= 128)
    )


def values_of(values_cc: np.ndarray, name: str) -> Values:
    """A symmetric matrix's values, as a page keeps them: on a logarithmic scale, see `Values`."""
    upper = values_cc[np.triu_indices(len(values_cc))]
    largest = float(np.abs(upper).max()) or 1.0
    level = np.round(LEVELS + (LEVELS - 1) * np.log(np.maximum(np.abs(upper) / largest, 1e-30)) / np.log(DEPTH))
    codes = (128 + np.sign(upper) * np.maximum(level, 0)).astype(np.uint8)
    return Values(name, f"{largest:.6g}", base64.b64encode(codes.tobytes()).decode("ascii"))


def _unit(gram_cc: np.ndarray) -> np.ndarray:
    return gram_cc / (float(np.linalg.norm(gram_cc)) or 1.0)


def _picture(values_cc01: np.ndarray) -> np.ndarray:
    coloured = colormaps["magma"](np.clip(values_cc01, 0, 1), bytes=True)[..., :3]
    side = min(MAX_SIDE_PX, len(coloured))
    return np.asarray(Image.fromarray(coloured).resize((side, side), Image.Resampling.BOX))
