"""The clusters of a photo: legend with shares, the curve that chose their number, and their section."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from reports.blocks import Facts, Figure, Row, Table, Verdict
from reports.canvas import ACCENT, DPI, INK, OWN_COLOUR, SOFT, WARM, WIDTH_IN, closed, styled
from reports.record import Section
from reports.store import ImageStore
from reports.wording import number, percent

if TYPE_CHECKING:
    from segment.kmeans import Clusters

FEATURES = {
    "rgb": "colours as the file has them (rgb)",
    "lab": "colours as they are seen (lab)",
    "lab+xy": "colours as they are seen, and places (lab+xy)",
    "vgg": "what VGG-19's layers see (vgg)",
}
WORDS = {"good": "Neutral background", "doubt": "Partly neutral background", "bad": "Mixed background"}


def why_so_many(clusters: "Clusters") -> str:
    """How the number of clusters was chosen, one sentence."""
    if not clusters.fits:
        return f"{clusters.k} clusters were asked for."
    if clusters.elbow is None:
        return "The photo has too few colours for more clusters."
    silhouette = next((f"{fit.silhouette:.2f}" for fit in clusters.fits if fit.k == clusters.k), "–")
    if clusters.k == clusters.elbow:
        return f"{clusters.k} clusters: the curve bends there, with a silhouette of {silhouette}."
    return (
        f"{clusters.k} clusters: the curve bends at {clusters.elbow}, and {clusters.k} lie "
        f"farther apart (silhouette {silhouette})."
    )


def neutrality(clusters: "Clusters") -> str:
    """Whether the photo's background is neutral, one sentence with its figures."""
    border, middle = clusters.border_shares[clusters.background], clusters.middle_share
    found = f"{border:.0%} of the border and {middle:.0%} of the middle lie in cluster {clusters.background + 1}"
    if clusters.neutral == "good":
        return f"The background is neutral ({found}): a good photo for a cut."
    if clusters.neutral == "bad":
        return f"The background is mixed ({found}): a cut by colour alone will need a box or strokes."
    from segment.kmeans import NEUTRAL_BORDER

    if border >= NEUTRAL_BORDER:
        return f"The background is neutral, but the subject shares its cluster ({found}): give a box."
    return f"The background is partly neutral ({found}): look at the cut, or give a box."


@closed
def clusters_figure(clusters: "Clusters") -> Canvas:
    """Draw each cluster's share of the picture and of its border in the cluster's own colour, and the choice of k.

    Args:
        clusters: Of one photo.

    Returns:
        The figure; called from outside, a PNG.
    """
    panels = 2 if clusters.fits else 1
    figure = Canvas((WIDTH_IN, max(2.8, 0.8 + 0.42 * clusters.k)), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _legend(axes[0], clusters)
    if clusters.fits:
        _curve(styled(axes[1]), clusters)
    return figure


def clusters_row(
    store: ImageStore,
    photo_hwc_u8: np.ndarray,
    clusters: "Clusters",
    blackened_hwc_u8: np.ndarray,
    numbers: Sequence[int],
) -> Row:
    """The photo, its clusters in their mean colours, and the photo without some of them.

    Args:
        store: Where pictures go.
        photo_hwc_u8: (H, W, 3) uint8 RGB.
        clusters: Of that photo.
        blackened_hwc_u8: (H, W, 3) uint8 RGB, the photo without some clusters.
        numbers: Which, counted from 1.
    """
    named = f"cluster{'s' if len(numbers) > 1 else ''} {', '.join(str(one) for one in numbers)}"
    return Row(
        (
            Figure(store.photo(photo_hwc_u8, "The photo."), "The photo"),
            Figure(
                store.photo(clusters.map_hwc_u8, f"The photo in {clusters.k} flat colours."),
                "Every pixel in the mean colour of its cluster",
            ),
            Figure(store.photo(blackened_hwc_u8, f"The photo with {named} black."), f"Without {named}"),
        )
    )


def clusters_section(store: ImageStore, clusters: "Clusters") -> Section:
    """How large the clusters are, why there are so many, and is the background neutral; section `clusters`."""
    rows = tuple(
        (str(index), colour, percent(share), percent(border))
        for index, (colour, share, border) in enumerate(
            zip(clusters.hex_colours, clusters.shares, clusters.border_shares, strict=True), 1
        )
    )
    alt = f"Bars: {', '.join(f'cluster {row[0]} {row[2]}' for row in rows)}."
    chart = Figure(
        store.chart(clusters_figure.svg(clusters), alt),
        "Shares of the picture (colours) and of its border (thin bars)"
        + ("; right: how well each number of clusters fits." if clusters.fits else "."),
    )
    facts = Facts((("Compared", FEATURES[clusters.features]), ("Number", why_so_many(clusters))))
    intro = "K-means: groups of pixels that look alike, learned on a sample and then given to every pixel."
    header = ("Cluster", "Mean colour", "Share of the picture", "Share of the border")
    verdict = Verdict(WORDS[clusters.neutral], neutrality(clusters), clusters.neutral)
    return Section("clusters", "Clusters", intro, (verdict, facts, chart, Table("Legend", header, rows)))


def _legend(axis: Axes, clusters: "Clusters") -> None:
    places = np.arange(clusters.k)
    shares = 100 * np.array(clusters.shares)
    colours = list(clusters.hex_colours)
    bars = axis.barh(places - 0.1, shares, color=colours, edgecolor=SOFT, linewidth=0.6, height=0.5)
    for place, bar in enumerate(bars):
        bar.set_gid(f"{OWN_COLOUR}-{place}")
    axis.bar_label(bars, [f"{share:.1f} %" for share in shares], fontsize=8, color=INK, padding=5)
    axis.barh(places + 0.26, 100 * np.array(clusters.border_shares), color=SOFT, height=0.12, label="of the border")
    axis.set_yticks(places, [str(place + 1) for place in places], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, max(float(shares.max()), 100 * max(clusters.border_shares)) * 1.22)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8, colors=SOFT)
    axis.set_xlabel("share in %", fontsize=9)
    axis.set_title("Clusters in their mean colours", loc="left", fontsize=10)
    axis.legend(fontsize=8, frameon=False, loc="lower right")


def _curve(axis: Axes, clusters: "Clusters") -> None:
    k = [fit.k for fit in clusters.fits]
    axis.plot(k, [fit.inertia for fit in clusters.fits], "o-", color=ACCENT, label="inertia, share of variance")
    axis.plot(k, [fit.silhouette for fit in clusters.fits], "s--", color=WARM, label="silhouette")
    axis.axvline(clusters.k, color=SOFT, linewidth=1, linestyle=(0, (2, 2)))
    best = next((fit for fit in clusters.fits if fit.k == clusters.k), None)
    title = f"{clusters.k} chosen" + (f" (silhouette {number(best.silhouette)})" if best else "")
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel("number of clusters", fontsize=9)
    axis.set_ylim(min(0, min(fit.silhouette for fit in clusters.fits)), None)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize=8, frameon=False)
