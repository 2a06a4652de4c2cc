"""3x3 convolutions with a quarter of the multiplications, for kernels that stay as they are.

Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, "Fast algorithms for convolutional neural networks",
section 4.1): tiles of 6x6 px, 2 px shared with each neighbour, and the kernels are brought to a basis in which 4x4 px
of the result are 36 products instead of 144. What the two changes of basis cost pays with many channels only.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

INPUT_BASIS = (  # the paper's B^T
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
KERNEL_BASIS = (  # G
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OUTPUT_BASIS = (  # A^T
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)
TILE_PX, RESULT_PX = 6, 4
FEWEST, MANY = 64, 128  # channels: the lesser and the greater number of a layer's
STRIP_VALUES = 2**18  # 1 MB in float32: what is worked on at a time stays in a core's cache


def pays(weight: Tensor) -> bool:
    """Whether an (out, in, 3, 3) kernel is faster this way on a CPU: a rule by its channels, measured once."""
    return min(weight.shape[:2]) >= FEWEST and max(weight.shape[:2]) >= MANY


class Winograd:
    """A convolution with zero padding of 1 px, its kernels prepared once.

    Args:
        weight: (out, in, 3, 3).
        bias: (out,), or None.

    Example:
        >>> weight, image = torch.rand(5, 3, 3, 3), torch.rand(1, 3, 11, 9)
        >>> torch.allclose(Winograd(weight)(image), F.conv2d(image, weight, padding=1), atol=1e-5)
        True
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        kernel = torch.tensor(KERNEL_BASIS, dtype=torch.float64)
        exact = torch.einsum("ij,kcjl,ml->imck", kernel, weight.detach().cpu().double(), kernel)
        self.products = exact.flatten(0, 1).to(weight).contiguous()  # (36, in, out)
        self.bias = bias
        self.input, self.output = (
            torch.kron(basis, basis).to(weight)  # both axes at once
            for basis in (torch.tensor(rows, dtype=torch.float64) for rows in (INPUT_BASIS, OUTPUT_BASIS))
        )

    def __call__(self, value_nchw: Tensor) -> Tensor:
        """Convolve (N, in, h, w), picture by picture; the (N, out, h, w) result has its channels last."""
        if len(value_nchw) != 1:
            return torch.cat([self(picture) for picture in value_nchw.split(1)])
        height, width = value_nchw.shape[2:]
        down, across = -(-height // RESULT_PX), -(-width // RESULT_PX)
        framed = F.pad(value_nchw, (1, RESULT_PX * across + 1 - width, 1, RESULT_PX * down + 1 - height))
        rows = framed.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)[0]  # (H, W, in)
        result = value_nchw.new_empty(down, RESULT_PX, across, RESULT_PX, self.products.shape[2])
        strip = self._rows_a_strip(down, across)
        for top in range(0, down, strip):
            here = result[top : top + strip]
            here.copy_(self._strip(rows[RESULT_PX * top :], len(here), across))
        whole = result.view(1, RESULT_PX * down, RESULT_PX * across, -1)[:, :height, :width].permute(0, 3, 1, 2)
        return whole if self.bias is None else whole.add_(self.bias[:, None, None])

    def _rows_a_strip(self, down: int, across: int) -> int:
        """Rows of tiles; enough that the kernels are not read too often."""
        tile = len(self.products) * max(self.products.shape[1:])
        return max(1, min(down, max(STRIP_VALUES, self.products.numel() // 2) // (tile * across)))

    def _strip(self, rows_hwc: Tensor, down: int, across: int) -> Tensor:
        """Some rows of tiles: (down, 4, across, 4, out)."""
        channels, (row, column, _) = rows_hwc.shape[2], rows_hwc.stride()
        tiles = rows_hwc.as_strided(
            (TILE_PX, TILE_PX, down, across, channels),
            (row, column, RESULT_PX * row, RESULT_PX * column, 1),
        )
        entering = (self.input @ tiles.reshape(TILE_PX**2, -1)).view(TILE_PX**2, down * across, channels)
        leaving = self.output @ torch.bmm(entering, self.products).flatten(1)
        return leaving.view(RESULT_PX, RESULT_PX, down, across, -1).permute(2, 0, 3, 1, 4)
