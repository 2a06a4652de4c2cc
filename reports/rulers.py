"""What the rulers say, in words: distances of a result beside those of the photo and of the painting."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.blocks import Table
from reports.record import Section

if TYPE_CHECKING:
    from stylize.rulers import Reading

Row = tuple[str, str, str, str, str]


def outcome_section(rows: Sequence[Row]) -> Section:
    """Did it work: measures that the optimisation did not optimise.

    Args:
        rows: Name; value of the photo, the result, the painting; what it means.

    Returns:
        Section `outcome`.
    """
    header = ("Measured", "Photo", "Result", "Painting", "Reading")
    table = Table(
        "Read on the saved result, between the photo itself and the painting laid over it", header, tuple(rows)
    )
    intro = "An optimiser always lowers its own loss, so success is measured by what it was not told to do."
    return Section("outcome", "Did it work", intro, (table,))


def reading_rows(
    photo: "Reading", result: "Reading", painting: "Reading", layers: Sequence[str], content_layer: str
) -> list[Row]:
    """Every ruler as a row.

    Args:
        photo: The reading of the photo itself.
        result: Of the result.
        painting: Of the painting itself.
        layers: Those in the loss.
        content_layer: Where the distance to the photo was read.
    """
    readings = photo, result, painting
    unseen = [name for name in result.gram if name not in layers]
    distances = {
        "mean Gram distance to the painting, layers in the loss": [each.mean_gram(layers) for each in readings],
        "mean Gram distance to the painting, layers not in the loss": [each.mean_gram(unseen) for each in readings],
        **{
            f"{name}, {'in the loss' if name in layers else 'checked only'}": [each.gram[name] for each in readings]
            for name in result.gram
        },
        **{f"{name} distance to the painting": [each.judges[name] for each in readings] for name in result.judges},
        "patch distance to the painting": [each.patches for each in readings],
    }
    rows = [
        _row(name, values, "closer to the painting" if values[1] < values[0] else "no closer")
        for name, values in distances.items()
        if not math.isnan(values[1])
    ]
    rows.append(
        _row(
            f"distance to the photo at {content_layer}",
            [each.content for each in readings],
            "0 is the photo, 1 a blank",
        )
    )
    if not math.isnan(result.edges_kept):
        rows.append(_row("edges kept", [each.edges_kept for each in readings], "1 is the photo"))
    return rows


def _row(name: str, values: Sequence[float], reading: str) -> Row:
    photo, result, painting = (f"{value:.3f}" for value in values)
    return name, photo, result, painting, reading
