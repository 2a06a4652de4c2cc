"""Matrix products in float32 on a CPU, by the faster of two libraries.

torch multiplies matrices with MKL, which keeps to half of an AMD processor's vector width, and convolves with oneDNN,
which does not: 110 against 240 GFLOP/s on one core of an EPYC. The operator that torch's compiler uses for linear
layers reaches oneDNN's products.
"""

import torch
from torch import Tensor

NARROW = 32  # rows or columns of the right matrix up to which MKL is as fast


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply: left @ right + bias, without a gradient.

    Args:
        left: (rows, depth); faster if contiguous.
        right: (depth, columns), contiguous or the transpose of a contiguous matrix.
        bias: (columns,), or None.

    Returns:
        (rows, columns), contiguous.

    Example:
        >>> product(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]), torch.tensor([1.0])).tolist()
        [[12.0]]
    """
    if _by_onednn(left) and min(right.shape) > NARROW:
        return torch.ops.mkldnn._linear_pointwise(left, right.T, bias, "none", [], "")
    return left @ right if bias is None else torch.addmm(bias, left, right)


def _by_onednn(matrix: Tensor) -> bool:
    return (
        matrix.dtype is torch.float32
        and matrix.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
