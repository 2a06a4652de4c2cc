"""What it takes to get the same result again."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reports.blocks import Block, Code, Facts, Table
from reports.record import Section

if TYPE_CHECKING:
    from interp.network.vgg import WeightsInfo


def reproduce_section(
    *,
    command_line: str,
    options: Sequence[tuple[str, str, str]],
    versions: Mapping[str, str],
    weights: "WeightsInfo | None" = None,
    inputs: Sequence[tuple[str, str]] = (),
    outputs: Sequence[tuple[str, str]] = (),
    facts: Mapping[str, str] | None = None,
) -> Section:
    """What it takes to get the same result again.

    Args:
        command_line: The exact command.
        options: (name, value, origin) of every option, defaults too.
        versions: Version by name: Python, packages, platform.
        weights: The network's weights.
        inputs: (name, SHA-256) of every file read.
        outputs: (name, SHA-256) of every file written, but this report.
        facts: Seed, threads, device and the like.

    Returns:
        Section `reproduce`.
    """
    blocks: list[Block] = [Code(command_line)]
    if facts:
        blocks.append(Facts(tuple(facts.items())))
    if weights is not None:
        blocks.append(_weights_facts(weights))
    files = tuple(("read", *entry) for entry in inputs) + tuple(("written", *entry) for entry in outputs)
    if files:
        rows = tuple((name, role, digest) for role, name, digest in files)
        blocks.append(Table("Files", ("File", "Role", "SHA-256"), rows))
    blocks.append(Table("Every option, and where its value came from", ("Option", "Value", "Origin"), tuple(options)))
    blocks.append(Table("Versions", ("Software", "Version"), tuple(versions.items())))
    intro = "The same machine, seed and number of threads give the same bytes."
    if (facts or {}).get("Device", "cpu") != "cpu":
        intro = (
            "Deterministic convolutions were asked for and TF32 is off, but on a GPU some sums have no fixed order: "
            "expect a close picture, the same bytes only with --device cpu."
        )
    return Section("reproduce", "Reproduce", intro, tuple(blocks))


def _weights_facts(weights: "WeightsInfo") -> Facts:
    classes = f"{len(weights.class_names)} classes" if weights.class_names else "no class names"
    native = f"native size {weights.native_size_px} px"
    rows = [
        ("Weights", weights.name),
        ("Their SHA-256", weights.sha256 or "–"),
        ("What they are", f"{weights.layout} layout, width {weights.width:g}, {native}, {classes}"),
    ]
    if weights.note:
        rows.append(("Why these", weights.note))
    return Facts(tuple(rows))
