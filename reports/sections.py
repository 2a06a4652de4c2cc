"""The sections on a run: result, region, optimisation, outcome, reproduction.

Each function takes results and the store to put pictures in, and returns one section: what is shown, how it
was made, and what the numbers say. Every claim is computed from what is passed.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from reports import curves
from reports.record import Block, Code, Compare, Facts, Figure, Gallery, Paragraph, Section, Table, Verdict
from reports.store import ImageStore
from reports.wording import number, percent

if TYPE_CHECKING:
    from interp.network.vgg import WeightsInfo
    from segment import Segmentation
    from stylize.isolate import Isolation

NOTHING = 1e-9  # a relative distance below this is rounding
TRIMAP_GREYS = np.array([0, 255, 85, 170], np.uint8)  # OpenCV's labels: sure outside, sure inside, probably each


def result_section(
    store: ImageStore,
    photo_hwc_u8: np.ndarray,
    result_hwc_u8: np.ndarray,
    alpha_hw01: np.ndarray | None = None,
    *,
    region: str = "region",
    paintings: Mapping[str, np.ndarray] | None = None,
) -> Section:
    """The photo before and after, and the paintings.

    Args:
        store: Where pictures go.
        photo_hwc_u8: (H, W, 3) uint8 RGB, the photo.
        result_hwc_u8: (H, W, 3) uint8 RGB, the result.
        alpha_hw01: (H, W) in [0, 1], what was restyled; None for all of it.
        region: What that is called: "foreground", "background".
        paintings: (h, w, 3) uint8 RGB by name.

    Returns:
        Section `result`.
    """
    height, width = photo_hwc_u8.shape[:2]
    what = "everything" if alpha_hw01 is None else f"its {region}"
    share = 1.0 if alpha_hw01 is None else float(alpha_hw01.mean())
    compare = Compare(
        before=store.photo(photo_hwc_u8, f"The photo, {width} by {height} pixels."),
        after=store.photo(result_hwc_u8, f"The photo with {what} restyled."),
        outline=None if alpha_hw01 is None else store.outline(alpha_hw01, f"Outline of the {region}."),
        caption=f"{width}×{height} px; restyled: {what}, {percent(share)} of the picture.",
    )
    named = (paintings or {}).items()
    shown = tuple(Figure(store.photo(image, f"The painting {name}."), f"Style from {name}") for name, image in named)
    blocks: tuple[Block, ...] = (compare, Gallery(shown)) if shown else (compare,)
    intro = "The photo before and after. The line between them can be dragged, or moved with the arrow keys."
    return Section("result", "Result", intro, blocks)


def region_section(
    store: ImageStore,
    photo_hwc_u8: np.ndarray,
    segmentation: "Segmentation",
    alpha_hw01: np.ndarray,
    isolation: "Isolation | None" = None,
    *,
    region: str = "foreground",
) -> Section:
    """How the region was found, what it is, and whether the style stayed inside.

    Args:
        store: Where pictures go.
        photo_hwc_u8: (H, W, 3) uint8 RGB.
        segmentation: The foreground, as cut.
        alpha_hw01: (H, W) in [0, 1], the region used: the foreground's alpha or its complement.
        isolation: What was measured on the result, if anything was restyled.
        region: "foreground" or "background".

    Returns:
        Section `region`.
    """
    soft = int(((alpha_hw01 > 0) & (alpha_hw01 < 1)).sum())
    facts = Facts(
        (
            ("How it was found", segmentation.reason),
            (f"The {region} covers", f"{percent(float(alpha_hw01.mean()))} of the picture"),
            ("Parts of the foreground", f"{segmentation.components:,}"),
            ("Length of its outline", f"{segmentation.boundary_px:,} px"),
            ("Confidence", f"{number(segmentation.confidence)} of 1: how few colours inside and outside share"),
            ("Soft pixels, partly inside", f"{soft:,} ({percent(soft / alpha_hw01.size)})"),
        )
    )
    steps = _segmentation_steps(store, photo_hwc_u8, segmentation, alpha_hw01, region)
    proof = _isolation_blocks(store, isolation) if isolation else ()
    intro = f"Which pixels count as {region}, and how they were found: from likely pixels to a soft-edged mask."
    return Section("region", "The region", intro, (facts, Gallery(steps), *proof))


def _segmentation_steps(
    store: ImageStore, photo: np.ndarray, segmentation: "Segmentation", alpha: np.ndarray, region: str
) -> tuple[Figure, ...]:
    steps = []
    if segmentation.box_xywh_px is not None:
        x, y, width, height = segmentation.box_xywh_px
        alt = f"The photo with the box of the cut, {width} by {height} pixels."
        boxed = store.photo(_boxed(photo, (x, y, width, height)), alt)
        steps.append(
            Figure(boxed, f"1 Box: the cut could change only what lies in it ({x}, {y}, {width}×{height} px).")
        )
    trimap = segmentation.trimap_hw_u8
    undecided = float((trimap >= 2).mean())
    labels = store.labels(TRIMAP_GREYS[trimap], f"Trimap: {percent(undecided)} of the pixels are undecided.")
    mask = segmentation.mask_hw.astype(np.float32)
    cut = store.mask(mask, f"Mask: {percent(float(mask.mean()))} white.")
    used = store.mask(alpha, f"Alpha of the {region}: {percent(float(alpha.mean()))} inside.")
    origin = "as given" if segmentation.prompt == "mask" else "GrabCut's decision for every pixel"
    start = len(steps) + 1
    greys = "white: surely foreground; light grey: probably; dark grey: probably not; black: surely not"
    steps += [
        Figure(labels, f"{start} Trimap; {greys}."),
        Figure(cut, f"{start + 1} Mask: {origin}."),
        Figure(used, f"{start + 2} Alpha: the {region} as it was used, with a soft edge. White is inside."),
    ]
    return tuple(steps)


def _isolation_blocks(store: ImageStore, isolation: "Isolation") -> tuple[Block, ...]:
    blocks: list[Block] = [_isolation_verdict(isolation)]
    if isolation.boundary_pixels:
        band = f"{isolation.boundary_mean_abs:.1f} of 255, over {isolation.boundary_pixels:,} pixels"
        blocks.append(Facts((("Mean change within 2 px of the edge", band),)))
    if isolation.outside_pixels and isolation.leak:
        blocks.append(Paragraph(_leak_sentence(max(isolation.leak))))
    return tuple(blocks)


def _leak_sentence(leak: float) -> str:
    """What came in from outside."""
    found = "it stayed the same to the last bit" if leak == 0 else f"it changed by {percent(leak)}"
    return (
        "That pixels outside stay the same follows from how the result is made. The other question is whether anything "
        "outside reached the inside: the network sees neighbouring pixels. To measure it, every pixel outside was made "
        f"noise and the gradient that paints the inside was taken again: {found}."
    )


def _isolation_verdict(isolation: "Isolation") -> Verdict:
    if not isolation.outside_pixels:
        return Verdict("Nothing outside", "The region covers every pixel, at least partly.", "doubt")
    outside = f"{isolation.outside_pixels:,} pixels outside the region"
    if isolation.max_abs_outside == 0:
        return Verdict("Unchanged outside", f"Each of the {outside} equals the photo's, in all three channels.", "good")
    sentence = f"Among the {outside}, values differ from the photo's by up to {isolation.max_abs_outside} of 255."
    return Verdict("Changed outside", sentence, "bad")


def optimisation_section(
    store: ImageStore,
    events: Sequence[curves.Losses],
    snapshots: Sequence[tuple[str, np.ndarray]] = (),
    *,
    seconds: float | None = None,
) -> Section:
    """How the result came about: the loss, term by term, and pictures on the way.

    Args:
        store: Where pictures go.
        events: `StepEvent`s, or anything with their step, scale, size_hw_px and losses.
        snapshots: (caption, (h, w, 3) uint8 RGB) pairs in order.
        seconds: How long it took.

    Returns:
        Section `optimisation`.
    """
    image = curves.loss_curves(events)
    first, last = events[0], events[-1]
    rows = tuple(
        (name, number(_first_loss(events, name)), number(value), _ratio(_first_loss(events, name), value))
        for name, value in last.losses.items()
    )
    facts = [("Evaluations of the loss", f"{last.step:,}"), ("Scales", str(last.scale - first.scale + 1))]
    if seconds is not None:
        facts.append(("Time", f"{seconds:.1f} s"))
    ends = "; ".join(f"{name} from {start} to {end}" for name, start, end, _ in rows)
    alt = f"Loss curves over {last.step} evaluations: {ends}."
    caption = "Each term without its weight, and the weighted total, on a logarithmic axis. Dashed: a new scale."
    shown = tuple(Figure(store.photo(image, f"Snapshot: {words}."), words) for words, image in snapshots)
    blocks: tuple[Block, ...] = (
        Facts(tuple(facts)),
        Figure(store.png(image, alt), caption),
        Table("Each term when it first appears and at the end", ("Term", "First", "Last", "Last / first"), rows),
        *((Gallery(shown),) if shown else ()),
    )
    intro = (
        "The picture is changed step by step until the network sees the painting's style in the region and "
        "still the photo's content; first small, then larger."
    )
    return Section("optimisation", "Optimisation", intro, blocks)


def _first_loss(events: Sequence[curves.Losses], name: str) -> float:
    return next(event.losses[name] for event in events if name in event.losses)


def _ratio(first: float, last: float) -> str:
    return number(last / first) if first > NOTHING else "–"


def outcome_section(
    rows: Sequence[tuple[str, ...]],
    *,
    header: tuple[str, ...] = ("Measured", "Before", "After", "Reading"),
    verdict: Verdict | None = None,
) -> Section:
    """Did it work: measures that the optimisation did not optimise.

    Args:
        rows: One tuple a measure, as long as the header.
        header: Column names.
        verdict: The conclusion, if there is a rule for one.

    Returns:
        Section `outcome`.
    """
    table = Table("Measured on the result, not part of the loss", header, tuple(rows))
    intro = "An optimiser always lowers its own loss, so success is measured by what it was not told to do."
    return Section("outcome", "Did it work", intro, (table,) if verdict is None else (verdict, table))


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


def _boxed(photo_hwc_u8: np.ndarray, box_xywh_px: tuple[int, int, int, int]) -> np.ndarray:
    """Draw a box: a white line with a black one inside it, thick enough to see when scaled down."""
    x, y, width, height = box_xywh_px
    thick = max(1, round(max(photo_hwc_u8.shape[:2]) / 240))
    drawn = photo_hwc_u8.copy()
    for inset, grey in ((0, 255), (thick, 0)):
        top, bottom, left, right = y + inset, y + height - inset, x + inset, x + width - inset
        drawn[top : top + thick, left:right] = grey
        drawn[max(0, bottom - thick) : bottom, left:right] = grey
        drawn[top:bottom, left : left + thick] = grey
        drawn[top:bottom, max(0, right - thick) : right] = grey
    return drawn
