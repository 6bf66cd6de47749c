"""Reads an .onnx file that may come from a stranger, and checks it.

onnxruntime trusts a file: it expands functions within functions without end, and waits for a pipe in place of a file of
weights. So every file is read and checked here first.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, ValueInfoProto, helper, numpy_helper

from dagir.errors import FileError, UnsafeFile
from dagir.ir.types import Array
from dagir.serialization.formats import ONNX, format_of
from dagir.support import limits
from dagir.support.lfs import refuse_pointer

MAX_NESTING = 100  # of subgraphs, and of functions that call functions
_MANY, _RATIO = 5_000, 200  # nodes after functions are expanded, and their ratio to the nodes in the file
_LARGEST = 1 << 56  # elements of one tensor
_MOST_AXES = 64
_AXES = frozenset(("axis", "axes", "batch_axis", "batch_dims", "perm", "time_axis"))  # attributes that name axes
_KNOWN = frozenset(helper.get_all_tensor_dtypes()) - {TensorProto.UNDEFINED}


def require_file(path: Path) -> None:
    """Raise FileError unless it is a regular file, and no pointer of Git LFS: opening a pipe would wait forever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):
        raise FileError(f"cannot read {path}: it is a folder, a pipe or a device, not a file")
    refuse_pointer(path)


def no_model(path: Path) -> FileError:
    """The error for a file that is no protobuf of ONNX, with what it is as far as its first bytes tell."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        other = format_of(file.read(16))
        if other is not None and other is not ONNX:
            return FileError(f"{path} is a file of {other.name}", remedy=other.read.format(repr(str(path))))
    return FileError(f"{path} is not an ONNX model, or is damaged")


def read(path: Path) -> ModelProto:
    """The model in a file, without its external weights, checked. Raises FileError."""
    require_file(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # protobuf has errors of its own
        raise no_model(path) from error
    check(model, path)
    return model


def read_whole(path: Path) -> ModelProto:
    """The same, with its external weights loaded. Raises FileError."""
    model = read(path)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # onnx raises several for a location outside the folder
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise FileError(f"the weights beside {path} cannot be read", facts=[("onnx says", reason)]) from error
    return model


def array_of(tensor: TensorProto, path: Path) -> Array:
    """The numbers of a tensor, in the file or outside. Raises FileError where they do not fit its shape and dtype."""
    try:
        found: Array = numpy_helper.to_array(tensor, str(path.parent))
    except Exception as error:  # onnx tells with any error what it cannot read, or must not
        if tensor.data_location == TensorProto.EXTERNAL:
            raise FileError(
                f"{path}: weight {tensor.name!r} cannot be read",
                facts=[("onnx says", next(iter(str(error).splitlines()), type(error).__name__))],
                remedy="keep the file beside the one that holds its weights, or write it anew",
            ) from None
        raise FileError(f"{path}: the tensor {tensor.name!r} does not hold what its shape and dtype say") from error
    return found


def check(model: ModelProto, path: Path) -> None:
    """Raise FileError for a model that has no outputs, or asks for more than a model can need."""
    if not model.graph.output:
        raise FileError(f"{path} is not an ONNX model: it has no outputs")
    with limits.reading(str(path)):
        _check_text(model, path)
        bodies = [list(nodes(model.graph, path))]
        names = {(each.domain, each.name, each.overload): n for n, each in enumerate(model.functions, 1)}
        for function in model.functions:
            bodies.append(list(nodes(function, path)))
        written = sum(map(len, bodies))
        limits.spend("nodes", written, "its graph")
        opened = _opened(bodies, names, path)
        limits.spend("nodes", max(opened - written, 0), "what its functions call")
        if opened > _MANY and opened > _RATIO * written:
            raise UnsafeFile(
                f"{path}: its {written} nodes are {opened} once its functions are opened",
                remedy="check where the file comes from: no network needs as much",
            )
        for node in (node for body in bodies for node in body):
            _check_node(node, path)
        for info in (*model.graph.input, *model.graph.output):
            _check_type(info, path)
        for tensor in _tensors(model, bodies):
            _check_tensor(tensor, path)


def _check_text(model: ModelProto, path: Path) -> None:
    """Raise FileError where a name is not valid text: protobuf accepts such bytes, and later readers fail."""
    pending: list[Any] = [model]
    while pending:
        for field, value in pending.pop().ListFields():
            if field.type == field.TYPE_MESSAGE:
                pending.extend(value if hasattr(value, "add") else (value,))
            elif field.type == field.TYPE_STRING:
                for text in [value] if isinstance(value, (str, bytes)) else value:
                    if isinstance(text, bytes) or (not text.isascii() and _halves(text)):
                        raise FileError(f"{path} is not an ONNX model, or is damaged: its {field.name} is no text")


def _halves(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def nodes(body: Any, path: Path) -> Iterator[NodeProto]:
    """The nodes of a graph or a function and of its subgraphs. Raises UnsafeFile where they are nested too deep."""
    pending: list[tuple[Any, int]] = [(body, 0)]
    while pending:
        graph, depth = pending.pop()
        if depth > MAX_NESTING:
            raise UnsafeFile(f"{path}: its subgraphs are nested deeper than {MAX_NESTING}")
        for node in graph.node:
            yield node
            pending.extend((inner, depth + 1) for inner in subgraphs(node))


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs in the attributes of a node: branches, bodies of loops."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _opened(bodies: list[list[NodeProto]], names: dict[tuple[str, str, str], int], path: Path) -> int:
    """How many nodes the main graph has after every call of a function is expanded."""
    calls = [[names.get((n.domain, n.op_type, n.overload), 0) for n in body] for body in bodies]
    sizes: dict[int, int] = {}
    stack, within = [0], {0}
    while stack:
        number = stack[-1]
        wanted = next((call for call in calls[number] if call and call not in sizes), None)
        if wanted is None:
            sizes[number] = sum(sizes[call] if call else 1 for call in calls[number])
            within.discard(stack.pop())
        elif wanted in within or len(stack) > MAX_NESTING:
            node = bodies[number][calls[number].index(wanted)]
            raise UnsafeFile(f"{path}: its function {node.op_type!r} calls itself, or is nested too deep")
        else:
            stack.append(wanted)
            within.add(wanted)
    return sizes[0]


def _check_node(node: NodeProto, path: Path) -> None:
    """Raise FileError for numbers that onnxruntime uses as places in memory before it looks at them (1.32)."""
    for attribute in node.attribute:
        if attribute.name in _AXES and any(abs(axis) > _MOST_AXES for axis in (attribute.i, *attribute.ints)):
            raise FileError(f"{path}: {attribute.name} of its {node.op_type}, node {node.name!r}, is no axis")
        counted = (node.op_type, attribute.name) == ("Split", "num_outputs") and not attribute.ref_attr_name
        if counted and attribute.i != len(node.output):
            raise FileError(
                f"{path}: its Split, node {node.name!r}, is said to have {attribute.i} outputs, has {len(node.output)}"
            )


def fixed_size(size: TensorShapeProto.Dimension) -> int | None:
    """The number that a file gives for the size of an axis; None for a name, nothing, or -1, which is unknown."""
    return int(size.dim_value) if size.HasField("dim_value") and size.dim_value >= 0 else None


def _check_type(info: ValueInfoProto, path: Path) -> None:
    tensor = info.type.tensor_type
    if info.type.HasField("tensor_type") and tensor.elem_type not in _KNOWN:
        raise FileError(f"{path}: {info.name!r} has the unknown dtype {tensor.elem_type}")
    if any(size.HasField("dim_value") and size.dim_value < -1 for size in tensor.shape.dim):  # see fixed_size
        raise FileError(f"{path}: {info.name!r} has a negative size")


def _tensors(model: ModelProto, bodies: list[list[NodeProto]]) -> Iterator[TensorProto]:
    graphs = [model.graph, *(inner for body in bodies for node in body for inner in subgraphs(node))]
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for body in bodies:
        for attribute in (each for node in body for each in node.attribute):
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            sparse_ones = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for sparse in (*sparse_ones, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def _check_tensor(tensor: TensorProto, path: Path) -> None:
    if tensor.data_type not in _KNOWN:
        raise FileError(f"{path}: the tensor {tensor.name!r} has the unknown dtype {tensor.data_type}")
    if any(size < 0 for size in tensor.dims) or prod(size or 1 for size in tensor.dims) > _LARGEST:
        raise FileError(f"{path}: the tensor {tensor.name!r} has the shape {list(tensor.dims)[:8]}")
    limits.spend("tensor bytes", prod(tensor.dims), f"the tensor {tensor.name!r}")
    if tensor.data_location == TensorProto.EXTERNAL:
        _check_outside(tensor, path)


def _check_outside(tensor: TensorProto, path: Path) -> None:
    """Raise UnsafeFile unless external weights are in a regular file of the same folder; FileError for a pointer."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    parts = location.replace("\\", "/").split("/")
    if not location or os.path.isabs(location) or ".." in parts or "\0" in location:
        raise UnsafeFile(f"{path}: the tensor {tensor.name!r} lies in {location!r}, which is not beside the file")
    target = path.parent / location
    try:
        regular = not target.exists() or target.is_file()
    except OSError as error:  # a name that is too long
        raise FileError(f"{path}: the tensor {tensor.name!r} lies in {location[:60]!r}: {error.strerror}") from None
    if not regular:
        raise UnsafeFile(f"{path}: the tensor {tensor.name!r} lies in {location!r}, which is no file")
    refuse_pointer(target)
