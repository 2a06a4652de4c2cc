"""The size of the picture that a network in a file wants, read from the file; nothing in it is run.

OpenCV keeps a graph's declared input to itself. Two formats are walked here as far as that needs: protocol buffers
(onnx.proto3: ModelProto.graph 7, GraphProto.initializer 5 and input 11, ValueInfoProto.type 2, TypeProto.tensor_type 1,
shape 2, dim 1, dim_value 1) and flat buffers (TensorFlow Lite's schema.fbs: Model.subgraphs 2, SubGraph.tensors 0 and
inputs 1, Tensor.shape 0).
"""

import struct
from collections.abc import Iterator

Size = tuple[int, int] | None  # height, width; None where the graph leaves them open


def onnx_input_hw_px(data: bytes) -> Size:
    """The input size of an ONNX graph.

    Args:
        data: The file.

    Raises:
        ValueError: If it has not one input of shape (N, 3, H, W).
    """
    graph = next((value for number, value in _fields(data) if number == 7 and isinstance(value, bytes)), b"")
    parts = [(number, value) for number, value in _fields(graph) if isinstance(value, bytes)]
    weights = {dict(_fields(value)).get(8) for number, value in parts if number == 5}
    inputs = [dict(_fields(value)) for number, value in parts if number == 11]
    inputs = [each for each in inputs if each.get(1) not in weights]  # older exporters list the weights as inputs
    if len(inputs) != 1:
        raise ValueError(f"it has {len(inputs)} inputs, expected one picture")
    shape = inputs[0].get(2)
    for number in (1, 2):
        shape = dict(_fields(shape)).get(number) if isinstance(shape, bytes) else None
    found = [dim for _, dim in _fields(shape)] if isinstance(shape, bytes) else []
    dims = [dict(_fields(dim)).get(1) for dim in found if isinstance(dim, bytes)]
    sides = [dim if isinstance(dim, int) and dim > 0 else None for dim in dims]
    if len(sides) != 4 or sides[1] not in (3, None):
        raise ValueError(f"its input has shape {tuple(sides)}, expected (N, 3, H, W)")
    return _size(sides[2], sides[3])


def tflite_input_hw_px(data: bytes) -> Size:
    """The input size of a TensorFlow Lite graph.

    Args:
        data: The file.

    Raises:
        ValueError: If it has not one input of shape (N, H, W, 3).
    """
    try:
        model = _unsigned(data, 0)
        subgraph = _vector(data, model, 2)[0]
        inputs = _numbers(data, subgraph, 1)
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs, expected one picture")
        shape = _numbers(data, _vector(data, subgraph, 0)[inputs[0]], 0)
    except (struct.error, IndexError) as error:
        raise ValueError("it is no TensorFlow Lite graph") from error
    if len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"its input has shape {tuple(shape)}, expected (N, H, W, 3)")
    return _size(shape[1], shape[2])


def _size(height: int | None, width: int | None) -> Size:
    return (height, width) if height and width and height > 0 and width > 0 else None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer's message: number and value."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        length, place = _varint(data, place) if kind == 2 else ({1: 8, 5: 4}.get(kind, 0), place)
        if kind not in (1, 2, 5) or place + length > len(data):
            raise ValueError("it is no ONNX graph")
        yield key >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 64:
        byte = data[place]
        value, place, shift = value | (byte & 127) << shift, place + 1, shift + 7
        if byte < 128:
            return value, place
    raise ValueError("it is no ONNX graph")


def _unsigned(data: bytes, place: int) -> int:
    """Follow a flat buffer's offset."""
    return place + struct.unpack_from("<I", data, place)[0]


def _field(data: bytes, table: int, number: int) -> int:
    """Where a table keeps a vector, 0 if nowhere."""
    directory = table - struct.unpack_from("<i", data, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", data, directory)[0]:
        return 0
    offset = struct.unpack_from("<H", data, directory + 4 + 2 * number)[0]
    return _unsigned(data, table + offset) if offset else 0


def _numbers(data: bytes, table: int, number: int) -> tuple[int, ...]:
    at = _field(data, table, number)
    return struct.unpack_from(f"<{struct.unpack_from('<I', data, at)[0]}i", data, at + 4) if at else ()


def _vector(data: bytes, table: int, number: int) -> list[int]:
    """The places of the tables in a vector."""
    at = _field(data, table, number)
    count = struct.unpack_from("<I", data, at)[0] if at else 0
    return [_unsigned(data, at + 4 + 4 * index) for index in range(min(count, len(data)))]
