"""Initializers: their bytes, and how a model gets them without a second copy of all.

An ONNX model is emitted without its weights. They are put into a ModelProto, written to a file, or lent to an
onnxruntime session. Each derived one is computed when it is needed, and freed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
from onnx import ModelProto, StringStringEntryProto, TensorProto

from dagir.ir.arrays import release
from dagir.ir.types import Array, DType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Tensor
from dagir_onnx.exact_codes import own_zero_points
from dagir_onnx.onnxruntime_late import onnxruntime
from dagir_onnx.packing import bits_of, lent, packed
from dagir_onnx.untrusted_proto import subgraphs

Initializers: TypeAlias = Mapping[str, Tensor]

SMALL = 1024
"""Bytes up to which a weight stays in the graph: onnxruntime reads shapes and axes while it infers shapes."""

_CHUNK = 1 << 20
_LITTLE = 1 << 20
_PAGE = 4096
_STRIP = 16
_AS_IT_IS = {("MatMul", 0), ("MatMul", 1), ("Gemm", 1), ("Conv", 1), ("ConvTranspose", 1), ("Gather", 0)}
_AS_IT_IS |= {("MatMulInteger", 0), ("MatMulInteger", 1), ("ConvInteger", 1)}
_AS_IT_IS |= {(op, place) for op in ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM") for place in (1, 2, 3)}
"""Ops and operands through which onnxruntime moves no Transpose: their weights keep their layout and name."""


def bytes_of(tensor: Tensor) -> int:
    """The size of one initializer in bytes, as ONNX stores it."""
    shape = cast(tuple[int, ...], tensor.type.shape)
    return -(-prod(shape) * bits_of(tensor.type.dtype) // 8)


def size_of(initializers: Initializers) -> int:
    """The bytes of all initializers."""
    return sum(bytes_of(tensor) for tensor in initializers.values())


def header(name: str, tensor: Tensor) -> TensorProto:
    """The initializer without its numbers."""
    return TensorProto(name=name, data_type=TO_ONNX[tensor.type.dtype], dims=tensor.type.shape)


def little_endian(array: Array) -> Array:
    """The array as ONNX stores it."""
    array = packed(array)
    return array.astype(array.dtype.newbyteorder("<")) if array.dtype.byteorder == ">" else array


def chunks(array: Array) -> Iterator[memoryview]:
    """The bytes in C order: as views where the array is in C order, else as copies of a few MiB."""
    array = little_endian(array)
    if array.flags.c_contiguous:
        yield array.reshape(-1).view(np.uint8).data
        return
    if array.ndim > 1 and array.nbytes > _CHUNK:
        rows = max(1, _CHUNK * array.shape[0] // array.nbytes)
        for start in range(0, array.shape[0], rows):
            yield from chunks(array[start] if rows == 1 else array[start : start + rows])
        return
    yield contiguous(array).reshape(-1).view(np.uint8).data


def contiguous(array: Array) -> Array:
    """The array in C order. It is copied in strips: in one piece, each read would miss the cache."""
    long = [axis for axis, size in enumerate(array.shape) if size > _STRIP]
    if array.flags.c_contiguous or not long:
        return np.ascontiguousarray(array)
    found = np.empty(array.shape, array.dtype)
    source, target = np.moveaxis(array, long[-1], 0), np.moveaxis(found, long[-1], 0)
    for start in range(0, len(source), _STRIP):
        target[start : start + _STRIP] = source[start : start + _STRIP]
    return found


def write_numbers(array: Array, file: BinaryIO) -> None:
    """Write the bytes of an array, and release the memory that was mapped for it."""
    for chunk in chunks(array):
        file.write(chunk)
    release(array)


def embed(model: ModelProto, initializers: Initializers) -> ModelProto:
    """Put the weights into the model, and return it."""
    for name, tensor in initializers.items():
        proto = model.graph.initializer.add()
        proto.CopyFrom(header(name, tensor))
        proto.raw_data = little_endian(tensor.array).tobytes()
    return model


def write_data(initializers: Initializers, path: Path) -> dict[str, TensorProto]:
    """Write weights to a file, each where a memory map can start. Returns the initializers that refer to them."""
    outside = {}
    with path.open("wb") as file:
        for name, tensor in initializers.items():
            file.write(b"\0" * (-file.tell() % _PAGE))
            outside[name] = locate(header(name, tensor), path.name, file.tell(), bytes_of(tensor))
            write_numbers(tensor.array, file)
    return outside


def locate(proto: TensorProto, location: str, offset: int, length: int) -> TensorProto:
    """Set where the external numbers of an initializer are."""
    entries = {"location": location, "offset": str(offset), "length": str(length)}
    proto.data_location = TensorProto.EXTERNAL
    proto.external_data.extend(StringStringEntryProto(key=key, value=text) for key, text in entries.items())
    return proto


def lend(
    model: ModelProto, initializers: Initializers, options: Any, folder: Path, share: bool
) -> tuple[bytes, list[Any]]:
    """The bytes of a model for a session with `options`, and the objects that must live as long as the session.

    A weight in memory is used there if its layout is that of ONNX. Derived weights are written to a file and mapped:
    onnxruntime rearranges most of them, and otherwise it would make one more copy. folder: for that file; it may be
    deleted once the session exists. share: for sessions whose weights stay in host memory. Raises OSError.

    A weight that onnxruntime transposes keeps its name, and a shared array would take its place again, in the old
    layout: only what it leaves as it is is shared.
    """
    skeleton = ModelProto()
    skeleton.CopyFrom(model)
    inside = {name: tensor for name, tensor in initializers.items() if bytes_of(tensor) <= SMALL or _is_row(tensor)}
    made = {name: tensor for name, tensor in initializers.items() if tensor.is_derived and name not in inside}
    if size_of(made) <= _LITTLE:
        inside.update(made)
    else:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        skeleton.graph.initializer.extend(write_data(made, folder / "weights").values())
    embed(skeleton, inside)
    values = {}
    free = _left_alone(model) if share else frozenset()
    for name, tensor in initializers.items():
        if name not in inside and name not in made:
            skeleton.graph.initializer.append(locate(header(name, tensor), "memory", 0, bytes_of(tensor)))
            values[name] = _ort_value(tensor)
            if name in free:
                options.add_initializer(name, values[name][0])
    own_zero_points(skeleton)
    if values:
        options.add_external_initializers(list(values), [value for value, _ in values.values()])
    return skeleton.SerializeToString(), list(values.values())


def _is_row(tensor: Tensor) -> bool:
    """Whether it may be the zero points of a weight, of which each reader gets its own."""
    return tensor.type.dtype is DType.INT8 and tensor.type.rank < 2


def _left_alone(model: ModelProto) -> frozenset[str]:
    """The names that only operands of `_AS_IT_IS` read, in the graph and in the bodies of its nodes."""
    read: set[str] = set()
    changed = {output.name for output in model.graph.output}
    pending = list(model.graph.node)
    while pending:
        node = pending.pop()
        for place, name in enumerate(node.input):
            (read if (node.op_type, place) in _AS_IT_IS else changed).add(name)
        for body in subgraphs(node):
            pending.extend(body.node)
            changed.update(output.name for output in body.output)
    return frozenset(read - changed)


def _ort_value(tensor: Tensor) -> tuple[Any, Array]:
    """An OrtValue over the memory of an array, and the array."""
    dtype = tensor.type.dtype
    if dtype.is_code:
        codes = lent(tensor.array)
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(codes, TO_ONNX[dtype]), codes
    array = contiguous(little_endian(tensor.array))
    if dtype is DType.BFLOAT16:
        code = TO_ONNX[DType.BFLOAT16]
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), code), array
    return onnxruntime.OrtValue.ortvalue_from_numpy(array), array
