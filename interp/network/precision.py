"""In which numbers an optimisation computes its convolutions."""

from typing import TYPE_CHECKING

from interp.errors import unknown_name

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_precision(precision: str, device: "str | torch.device") -> str:
    """Decide `auto` by what the processor knows, never by a timing.

    Args:
        precision: One of `PRECISIONS`.
        device: Where the network lies, or its name.

    Returns:
        `bfloat16` where asked for, or where `auto` finds a CPU with avx512_bf16 (AMX has it too): two to four times
        as fast. Else `float32`.

    Raises:
        UsageError: If the name is unknown.

    Example:
        >>> import torch
        >>> resolve_precision("float32", torch.device("cpu"))
        'float32'
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if precision != "auto":
        return precision
    import torch

    return "bfloat16" if torch.device(device).type == "cpu" and cpu_knows_bfloat16() else "float32"


def cpu_knows_bfloat16() -> bool:
    """Whether the processor has avx512_bf16."""
    import torch

    return getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()  # no public name in torch 2.6
