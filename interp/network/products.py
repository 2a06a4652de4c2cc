"""Matrix products in float32 on a CPU, by the faster of two libraries.

torch multiplies matrices with MKL, which uses half of the width of AMD's processors with AVX-512 (those have
avx512_bf16, too), and convolves with oneDNN, which uses all: 110 against 240 GFLOP/s on one core of an EPYC. The
operator that torch's compiler uses for linear layers reaches oneDNN's products. Elsewhere MKL is as fast, and
multiplies many pairs of matrices at once: threads are woken once and not for every pair.
"""

import torch
from torch import Tensor

from interp.network.precision import cpu_knows_bfloat16

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
    if by_onednn(left) and min(right.shape) > NARROW:
        return torch.ops.mkldnn._linear_pointwise(left, right.T, bias, "none", [], "")
    return left @ right if bias is None else torch.addmm(bias, left, right)


def by_onednn(matrix: Tensor) -> bool:
    """Whether oneDNN multiplies it, and pairs of its kind one by one."""
    return (
        matrix.dtype is torch.float32
        and matrix.device.type == "cpu"
        and cpu_knows_bfloat16()
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
