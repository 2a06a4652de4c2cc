"""Ways to restyle in words: what a reader must know of one, and its constants with their sources."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from reports.blocks import Block, Table
from reports.record import Section

if TYPE_CHECKING:
    from stylize.ways import Way

STARTS = {
    "photo": "the photo recoloured to the painting",
    "untouched photo": "the photo itself",
    "noise": "noise",
    "instant": "what the instant way's decoder makes of the photo",
}


def way_notes(named: "Way", run_as: "Way", weights: str, first_gradient: float) -> tuple[str, ...]:
    """What must be known of a run by other work's constants: another net, fewer steps, another size.

    Args:
        named: The way as it is.
        run_as: As it was run.
        weights: Name of the network's weights.
        first_gradient: Norm of the loss's gradient at the start.
    """
    notes = []
    if weights != "imagenet":
        notes.append(
            f"Same formulas, another net ({weights}; the constants were chosen for ImageNet's VGG-19): "
            f"the first style gradient's norm is {first_gradient:.3g}."
        )
    if shortened := shortened_note(named, run_as):
        notes.append(shortened)
    if run_as.size_px != named.size_px:
        notes.append(f"At {run_as.size_px} px instead of the recipe's {named.size_px} px.")
    return tuple(notes)


def shortened_note(named: "Way", run_as: "Way") -> str | None:
    """Whether a way ran for fewer iterations than its own."""
    if run_as.iterations >= named.iterations:
        return None
    whose = "recipe" if named.sources else "preset"
    return f"Shortened: {run_as.iterations:,} of the {whose}'s {named.iterations:,} iterations."


def constants_section(ways: "Sequence[Way]") -> Section:
    """Every constant of every way that says where its constants are from; section `constants`."""
    blocks: list[Block] = []
    for way in ways:
        rows = tuple(
            (item.name.replace("_", " "), _constant(getattr(way, item.name)), way.sources[item.name])
            for item in fields(way)
            if item.name in way.sources
        )
        if rows:
            blocks.append(Table(f"{way.name}: {way.title}", ("Constant", "Value", "Source"), rows))
    intro = "What each preset is made of, and where each number is from."
    return Section("constants", "Constants and their sources", intro, tuple(blocks))


def _constant(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {weight:g}" for name, weight in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
