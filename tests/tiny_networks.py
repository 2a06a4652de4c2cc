"""Segmentation networks of one convolution, written byte by byte: onnx.proto3 and TensorFlow Lite's schema.fbs."""

import struct
from pathlib import Path

import numpy as np

FLOAT, INT, INTS = 1, 2, 7  # onnx.proto3: TensorProto.FLOAT, AttributeProto.INT, INTS


def onnx_file(
    path: Path,
    weights_oc: np.ndarray,
    *,
    bias_o: np.ndarray | None = None,
    size_hw_px: tuple[int | str, int | str] = (32, 32),
    after: str | None = None,
    repeated: bool = False,
    channels: int = 3,
) -> Path:
    """A 1x1 convolution of RGB, perhaps a Sigmoid or Softmax, perhaps a second, negative output after the first."""
    outputs = len(weights_oc)
    bias = np.zeros(outputs) if bias_o is None else bias_o
    kernel = _attribute("kernel_shape", INTS, (8, 1), (8, 1))
    nodes = [_node("Conv", ["image", "weights", "bias"], ["scores"], kernel)]
    last = "scores"
    if after:
        nodes.append(_node(after, [last], ["map"], *([_attribute("axis", INT, (3, 1))] if after == "Softmax" else [])))
        last = "map"
    named = [last]
    if repeated:
        nodes.append(_node("Neg", [last], ["second"]))
        named.append("second")
    height, width = size_hw_px
    graph = [(1, node) for node in nodes] + [(2, b"tiny")]
    graph += [(5, _tensor("weights", weights_oc[..., None, None])), (5, _tensor("bias", bias))]
    graph += [(11, _value("image", (1, channels, height, width)))]
    graph += [(12, _value(name, (1, outputs, height, width))) for name in named]
    path.write_bytes(_message((1, 8), (7, _message(*graph)), (8, _message((1, b""), (2, 13)))))
    return path


def tflite_bytes(shape: tuple[int, ...]) -> bytes:
    """A graph with one input of a shape and nothing else: model -> subgraph -> tensor -> shape."""
    numbers = struct.pack(f"<I{len(shape)}i", len(shape), *shape)
    parts = struct.pack("<I", 20) + b"TFL3" + struct.pack("<HHHHH", 10, 8, 0, 0, 4) + b"\0\0"  # 0 to 20
    parts += struct.pack("<iI", 20 - 8, 4)  # at 20: model; its vector lies 4 behind 24, at 28
    parts += struct.pack("<II", 1, 12)  # at 28: one subgraph, 12 behind 32, at 44
    parts += struct.pack("<HHHH", 8, 12, 4, 8)  # at 36: directory; tensors at +4, inputs at +8
    parts += struct.pack("<iII", 44 - 36, 8, 20)  # at 44: subgraph; tensors at 56, inputs at 72
    parts += struct.pack("<II", 1, 20)  # at 56: one tensor, 20 behind 60, at 80
    parts += struct.pack("<HHH", 6, 8, 4) + b"\0\0"  # at 64: directory of the tensor; shape at +4
    parts += struct.pack("<Ii", 1, 0)  # at 72: one input, the first tensor
    return parts + struct.pack("<iI", 80 - 64, 4) + numbers  # at 80: tensor; its shape at 88


def _message(*fields: tuple[int, int | float | bytes]) -> bytes:
    written = b""
    for number, value in fields:
        if isinstance(value, bytes):
            written += _varint(number << 3 | 2) + _varint(len(value)) + value
        else:
            written += _varint(number << 3) + _varint(int(value))
    return written


def _varint(value: int) -> bytes:
    written = b""
    while value > 127:
        written, value = written + bytes([value & 127 | 128]), value >> 7
    return written + bytes([value])


def _node(kind: str, inputs: list[str], outputs: list[str], *attributes: bytes) -> bytes:
    names = [(1, name.encode()) for name in inputs] + [(2, name.encode()) for name in outputs]
    return _message(*names, (3, outputs[0].encode()), (4, kind.encode()), *((5, each) for each in attributes))


def _attribute(name: str, kind: int, *values: tuple[int, int]) -> bytes:
    return _message((1, name.encode()), *values, (20, kind))


def _tensor(name: str, values: np.ndarray) -> bytes:
    dims = [(1, side) for side in values.shape]
    return _message(*dims, (2, FLOAT), (8, name.encode()), (9, values.astype("<f4").tobytes()))


def _value(name: str, shape: tuple[int | str, ...]) -> bytes:
    dims = [(1, _message((2, side.encode()) if isinstance(side, str) else (1, side))) for side in shape]
    return _message((1, name.encode()), (2, _message((1, _message((1, FLOAT), (2, _message(*dims)))))))
