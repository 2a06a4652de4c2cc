"""The model card: what the saved file is, what it can do, how it was made, and the terms of every source."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from interp.network.known_weights import file_sha256
from interp.network.state_dict import TORCHVISION_METADATA
from interp.network.vgg import Vgg
from tools.train_compact.export import CLASSES_FILE, convs
from tools.train_compact.measure import Measured
from tools.train_compact.recipe import (
    BATCH,
    CLASSIFY_EVERY,
    CLASSIFY_WEIGHT,
    DECAY_SHARE,
    DROPOUT,
    EPOCHS,
    FROZEN,
    HARD_SHARE,
    LAYER_WEIGHTS,
    TOP_RATE,
    TOP_WEIGHT_DECAY,
    VARIANT_ZOOM,
    VARIANTS,
    DistilRecipe,
    Recipe,
)

CARD_FILE = "MODEL_CARD.md"


def model_card(
    path: Path, vgg: Vgg, facts: Mapping[str, str], training: str, sources: Iterable[tuple[str, str, str]]
) -> str:
    """Describe a saved file in Markdown.

    Args:
        path: The file.
        vgg: What `load_vgg` made of it.
        facts: Rows of the table.
        training: How it was made.
        sources: What went into it: name, pictures or hash, terms.
    """
    return f"""# A VGG-19 at {vgg.info.width:g} of its width

{sum(value.numel() for value in vgg.parameters()):,} numbers in float16, {path.stat().st_size:,} bytes, SHA-256
`{file_sha256(path)}`.

| | |
|---|---|
{_table(facts.items())}

**Training.** {training}

**Sources and their terms.**

| source | | terms |
|---|---|---|
{_table(sources)}
"""


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def classifier_rows(vgg: Vgg, measured: Measured, dead: Mapping[str, Sequence[int]], scaled_on: str) -> dict[str, str]:
    """What the file is and how it classifies."""
    side_px, mean, std = vgg.info.native_size_px, TORCHVISION_METADATA["mean"], TORCHVISION_METADATA["std"]
    return {
        "architecture": "VGG-19's 16 convolutions with "
        f"{', '.join(str(conv.out_channels) for conv in convs(vgg))} channels, ReLU, 2x2 max-pool; global average pool "
        "and one linear layer",
        "keys": "torchvision's `features.{0,2,5,…,34}.{weight,bias}`; `head.{weight,bias}`",
        "input": f"RGB in [0, 1], minus ({mean}), over ({std}); classifies at {side_px} px",
        "scaling": f"each channel's mean square after the ReLU is 1 over {scaled_on}",
        "dead channels": ", ".join(f"{name}: {list(channels)}" for name, channels in dead.items()) or "none",
        "classes": f"{len(vgg.info.class_names)}, in the order of `{CLASSES_FILE}`",
        f"top-1 / top-5 at {side_px} px": f"{measured.top1:.3f} / {measured.top5:.3f} on all of validation",
        "top-1 at other sizes": ", ".join(f"{top1:.3f} at {side} px" for side, top1 in measured.top1_at_px.items()),
    }


def classification(recipe: Recipe) -> str:
    """How `classify` trains."""
    stages = "; ".join(
        f"{stage.name}, {stage.images:,} images, learning rate {stage.learning_rate:g}" for stage in recipe.stages
    )
    return (
        f"From scratch: SGD with Nesterov momentum, batch {recipe.batch}, seed {recipe.seed}, batch norm folded in. "
        f"Stages: {stages}."
    )


def distillation(recipe: DistilRecipe, top1_before: float) -> str:
    """How `distil` trains, its last stage too."""
    layers = ", ".join(f"{name} {weight:g}" for name, weight in LAYER_WEIGHTS.items())
    return (
        f"Started from the first source (top-1 {top1_before:.3f}) and taught the features of the second: at each "
        "layer the squared error of the best linear map, over the teacher's variance (after Wang et al. 2020, "
        f"Collaborative Distillation), with weights {layers}; every {CLASSIFY_EVERY} steps also classification, with "
        f"weight {CLASSIFY_WEIGHT:g}: half cross-entropy, half the start's own logits. {recipe.crops:,} crops of "
        f"{recipe.side_px} px, Adam, batch {recipe.batch}, learning rate {recipe.learning_rate:g} of each layer's RMS "
        f"weight, falling to 0 over the last {DECAY_SHARE:.0%} of the steps, seed {recipe.seed}, exponential average "
        f"of the weights, convolutions in {'bfloat16' if recipe.bfloat16 else 'float32'}. Then all up to {FROZEN} was "
        "frozen; the layers above and the head started again from the first source's weights and learned for "
        f"{EPOCHS} epochs from the tiles in {VARIANTS} variants, plain, mirrored, or zoomed up to {VARIANT_ZOOM:g} "
        f"with other contrast and brightness: {HARD_SHARE:g} cross-entropy, {1 - HARD_SHARE:g} the start's own logits, "
        f"AdamW, batch {BATCH}, learning rate {TOP_RATE:g}, half a cosine, weight decay {TOP_WEIGHT_DECAY:g}, dropout "
        f"{DROPOUT:g}, exponential average."
    )


def explained_row(
    explained: Mapping[str, Sequence[float]], fitted_on: int, judged_on: int, side_px: int
) -> dict[str, str]:
    """The teacher's explained variance before and after, by layer."""
    shares = ", ".join(f"{name} {before:.2f} → {after:.2f}" for name, (before, after) in explained.items())
    how = f"by a linear map of the features, fitted on {fitted_on:,} photos and judged on {judged_on:,} others, none"
    return {"teacher's variance explained": f"{shares}; {how} of them learned from, {side_px} px"}
