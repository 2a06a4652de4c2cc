"""3x3 convolutions with a quarter of the multiplications, for kernels that stay as they are.

Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, "Fast algorithms for convolutional neural networks",
section 4.1): tiles of 6x6 px, 2 px shared with each neighbour, and the kernels are brought to a basis in which 4x4 px
of the result are 36 products instead of 144. The polynomials behind it are evaluated at 0, 1, -1, 1/2, -2 and infinity:
in bfloat16, which holds both bases exactly, a layer errs by a third less than with the paper's 2 for 1/2.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from interp.network.products import by_onednn, product

INPUT_BASIS = (  # B^T
    (1, -3 / 2, -2, 3 / 2, 1, 0),
    (0, -1, 1 / 2, 5 / 2, 1, 0),
    (0, 1, -5 / 2, 1 / 2, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 1 / 2, -1, -1 / 2, 1, 0),
    (0, 1, -3 / 2, -2, 3 / 2, 1),
)
KERNEL_BASIS = (  # G
    (1, 0, 0),
    (1 / 3, 1 / 3, 1 / 3),
    (-1 / 3, 1 / 3, -1 / 3),
    (-16 / 15, -8 / 15, -4 / 15),
    (1 / 15, -2 / 15, 4 / 15),
    (0, 0, 1),
)
OUTPUT_BASIS = (  # A^T
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 1 / 2, -2, 0),
    (0, 1, 1, 1 / 4, 4, 0),
    (0, 1, -1, 1 / 8, -8, 1),
)
TILE_PX, RESULT_PX = 6, 4
EVERYWHERE = 7  # the product of the point 1 on both axes: it is added to every pixel of the result
FEWEST = 128  # channels that enter or leave; with 64 the changes of basis cost what is gained
OUTPUTS_AT_A_TIME = 16  # of a kernel that is prepared in float64
STRIP_VALUES = {torch.float32: 2**21, torch.bfloat16: 2**20}  # worked on at a time: near a core's cache


def pays(weight: Tensor, dtype: torch.dtype = torch.float32) -> bool:
    """Whether an (out, in, 3, 3) kernel is faster this way on a CPU: a rule by its channels, measured once.

    With AMX the direct convolution stays in bfloat16, which is several times as fast there: it has not been measured.
    """
    if weight.device.type != "cpu" or dtype not in STRIP_VALUES or min(weight.shape[:2]) < FEWEST:
        return False
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)  # no public name
    return dtype is torch.float32 or not has_amx()


class Winograd:
    """A convolution with zero padding of 1 px, its kernels prepared once.

    Args:
        weight: (out, in, 3, 3).
        bias: (out,), or None.
        dtype: Of the products; the weight's own unless given.

    Example:
        >>> weight, image = torch.rand(5, 3, 3, 3), torch.rand(1, 3, 11, 9)
        >>> torch.allclose(Winograd(weight)(image), F.conv2d(image, weight, padding=1), atol=1e-5)
        True
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype | None = None) -> None:
        dtype = dtype or weight.dtype
        kernels = weight.new_empty(TILE_PX**2, *weight.shape[:2], dtype=dtype)
        parts = zip(weight.detach().split(OUTPUTS_AT_A_TIME), kernels.split(OUTPUTS_AT_A_TIME, 1), strict=True)
        for part, into in parts:
            into.copy_(_in_basis(part))
        self.kernels = kernels.mT  # (36, in, out)
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.input, self.output = (
            torch.kron(basis, basis).to(weight.device, dtype)  # both axes at once
            for basis in (torch.tensor(rows, dtype=torch.float64) for rows in (INPUT_BASIS, OUTPUT_BASIS))
        )

    def turned(self) -> "Winograd":
        """The gradient to what entered, with the same numbers in memory.

        It is a convolution with the kernels turned round and the channels swapped; and to turn the kernels round is to
        turn what enters and what leaves.
        """
        other = object.__new__(Winograd)
        other.kernels, other.bias = self.kernels.mT, None
        other.input, other.output = self.input.flip(1), self.output.flip(0)
        return other

    def __call__(self, value_nchw: Tensor) -> Tensor:
        """Convolve (N, in, h, w), picture by picture; the (N, out, h, w) result has its channels last."""
        if len(value_nchw) != 1:
            return torch.cat([self(picture) for picture in value_nchw.split(1)])
        rows = value_nchw[0].permute(1, 2, 0)  # (h, w, in)
        result = value_nchw.new_empty(*rows.shape[:2], self.kernels.shape[2])
        step = RESULT_PX * self._rows_a_strip(*rows.shape[:2])
        for top in range(0, len(rows), step):
            _put(self._strip(_framed(rows, top, step)), result[top : top + step])
        return result[None].permute(0, 3, 1, 2)

    def _rows_a_strip(self, height: int, width: int) -> int:
        """Rows of tiles, about as many in every strip; enough that the kernels are not read too often."""
        down, across = -(-height // RESULT_PX), -(-width // RESULT_PX)
        values = max(STRIP_VALUES.get(self.kernels.dtype, 0), self.kernels.numel() // 2)
        strips = -(-len(self.kernels) * max(self.kernels.shape[1:]) * across * down // values)
        return -(-down // strips)

    def _strip(self, framed_hwc: Tensor) -> Tensor:
        """Some rows of tiles: (down, 4, across, 4, out)."""
        height, width, channels = framed_hwc.shape
        row, column, _ = framed_hwc.stride()
        down, across = height // RESULT_PX, width // RESULT_PX
        tiles = framed_hwc.as_strided(
            (TILE_PX, TILE_PX, down, across, channels),
            (row, column, RESULT_PX * row, RESULT_PX * column, 1),
        )
        entering = product(self.input, tiles.reshape(TILE_PX**2, -1)).view(TILE_PX**2, down * across, channels)
        products = _by_kernel(entering, self.kernels)
        if self.bias is not None:
            products[EVERYWHERE] += self.bias
        leaving = product(self.output, products.flatten(1))
        return leaving.view(RESULT_PX, RESULT_PX, down, across, -1).permute(2, 0, 3, 1, 4)


def _in_basis(weight: Tensor) -> Tensor:
    """Kernels (out, in, 3, 3) as (36, out, in), in float64."""
    basis = torch.tensor(KERNEL_BASIS, dtype=torch.float64)
    return torch.einsum("ij,kcjl,ml->imkc", basis, weight.cpu().double(), basis).flatten(0, 1)


def _framed(rows_hwc: Tensor, top: int, step: int) -> Tensor:
    """The rows that `step` rows of a result from `top` on depend on, with zeros around; whole tiles."""
    height, width, _ = rows_hwc.shape
    bottom = min(top + step, height)
    inside = rows_hwc[max(top - 1, 0) : bottom + 1]
    above = int(top == 0)
    below = -(-(bottom - top) // RESULT_PX) * RESULT_PX + 2 - above - len(inside)
    return F.pad(inside, (0, 0, 1, -(-width // RESULT_PX) * RESULT_PX + 1 - width, above, below))


def _by_kernel(entering: Tensor, kernels: Tensor) -> Tensor:
    """(36, tiles, in) times (36, in, out)."""
    if not by_onednn(entering):
        return torch.bmm(entering, kernels)
    products = entering.new_empty(*entering.shape[:2], kernels.shape[2])
    for values, kernel, into in zip(entering, kernels, products, strict=True):
        into.copy_(product(values, kernel))
    return products


def _put(strip: Tensor, into_hwc: Tensor) -> None:
    """Write a strip's (down, 4, across, 4, out) where it belongs, less what is beyond the border."""
    height, width, _ = into_hwc.shape
    whole = strip.shape[0] * RESULT_PX, strip.shape[2] * RESULT_PX
    if whole == (height, width):
        into_hwc.view(strip.shape).copy_(strip)
    else:
        into_hwc.copy_(strip.reshape(*whole, -1)[:height, :width])
