"""Operators that move elements: reshaping, joining, cutting, repeating."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim, ceil_div, symbols
from dagir.ir.graph import Parameter, Value
from dagir.ir.types import Equations, normalize_axis
from dagir.ops.data_parts import all_parts, all_parts_by_data
from dagir_onnx.importing.data_shapes import (
    Entry,
    all_known,
    cut,
    entries_of,
    expanded,
    note_joined,
    reshaped,
    size_of,
)
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.refusals import Refused
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import Tensor, ints_of, product


def required(call: NodeCall, name: str) -> Tensor:
    """A setting that must be there: an attribute of old versions, an input of newer ones. Raises Refused."""
    found = call.setting(name)
    if found is None:
        raise call.refused(f"it has no {name}")
    return found


@rule("Reshape")
def _reshape(call: NodeCall) -> Value:
    """0 keeps a size (unless allowzero), -1 takes what is left."""
    x, found = call.input(0), entries_of(call, required(call, "shape"), "shape")
    target = all_known(found)
    if target is None:
        return reshaped(x, found, bool(call.attribute("allowzero", 0)))
    if not call.attribute("allowzero", 0):
        for axis, size in enumerate(target):
            if isinstance(size, int) and size == 0:
                if axis >= x.ndim:
                    raise call.refused(f"its shape keeps axis {axis} of {x.type}")
                target[axis] = x.type.shape[axis]
    return ops.reshape(x, target)


@rule("Flatten")
def _flatten(call: NodeCall) -> Value:
    x = call.input(0)
    axis = call.attribute("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    shape = x.type.shape
    return ops.reshape(x, (product(shape[:axis]), product(shape[axis:])))


@rule("Transpose")
def _transpose(call: NodeCall) -> Value:
    return ops.transpose(call.input(0), call.attribute("perm"))


@rule("Squeeze")
def _squeeze(call: NodeCall) -> Value:
    x, axes = call.input(0), call.axes()
    if axes is None and any(isinstance(size, SymbolicDim) for size in x.type.shape):
        unknown = ", ".join(sorted({name for size in x.type.shape for name in symbols(size)}))
        raise call.refused(
            f"it drops all axes of size 1, and {x.type} has unknown sizes: it may be of several ranks",
            f"fix {unknown} in the shapes of the inputs: --input NAME=SIZES, or from_onnx(path, inputs={{...}})",
        )
    return ops.squeeze(x, None if axes is None else list(axes))


@rule("Unsqueeze")
def _unsqueeze(call: NodeCall) -> Value:
    x = call.input(0)
    axes = ints_of(required(call, "axes"), "axes")
    rank = x.ndim + len(axes)
    places = {normalize_axis(axis, rank) for axis in axes}
    if len(places) != len(axes):
        raise call.refused(f"its axes {list(axes)} name an axis twice")
    if len(axes) == 1:
        return ops.expand_dims(x, axes[0])
    sizes = iter(x.type.shape)
    return ops.reshape(x, [1 if axis in places else next(sizes) for axis in range(rank)])


@rule("Concat")
def _concat(call: NodeCall) -> Value:
    parts = [call.input(place) for place in range(len(call.tensors))]
    axis = call.attribute("axis", 1)
    if len(parts) == 1:
        return parts[0]
    found = ops.concatenate(parts, axis)
    note_joined(call, found)
    return found


@rule("Split")
def _split(call: NodeCall) -> Sequence[Value]:
    x = call.input(0)
    axis = normalize_axis(call.attribute("axis", 0), x.ndim)
    given, whole, count = call.setting("split"), x.type.shape[axis], len(call.outputs)
    if given is None and call.version < 13 and len(call.tensors) > 1:  # version 1 had an input
        given = call.tensor(1)
    if given is None and call.version < 18 and not isinstance(whole, int):
        return ops.split(x, count, axis)  # a Reshape, where parts between computed bounds would each be a Gather
    return _cut(call, x, axis, _equal_sizes(call, whole, count) if given is None else entries_of(call, given, "split"))


def _cut(call: NodeCall, x: Value, axis: int, found: list[Entry]) -> Sequence[Value]:
    """The parts of an axis, of these sizes. Raises Refused where they are known, and are not all of it."""
    whole = x.type.shape[axis]
    sizes = all_known(found)
    if sizes is None:
        return all_parts_by_data(x, found, axis)
    total = sum(sizes)
    if isinstance(whole, int) and isinstance(total, int) and total != whole:
        raise call.refused(f"its parts have {total} elements in all, and the axis {whole}")
    if any(isinstance(size, int) and size < 0 for size in sizes):
        raise call.refused(f"its parts have the sizes {', '.join(str(size) for size in sizes)}")
    if isinstance(whole, int) and len(sizes) == 1:
        return [x]
    if whole == total and all(isinstance(size, int) for size in sizes):
        ends = [0, *accumulate(sizes)]
        return [along(x, axis, start, end) for start, end in pairwise(ends)]
    return all_parts(x, sizes, axis)


def _equal_sizes(call: NodeCall, whole: Dim, count: int) -> list[Entry]:
    """The sizes of parts that are said to be equal. From opset 18 on the last may be smaller, before none."""
    if call.version < 18:
        if isinstance(whole, int) and whole % count:
            raise call.refused(f"it cuts an axis of {whole} into {count} equal parts")
        return [whole // count] * count
    part = ceil_div(whole, count)
    return [*[part] * (count - 1), whole - part * (count - 1)]


def along(x: Value, axis: int, start: Dim, stop: Dim | None, step: int = 1) -> Value:
    """A slice along one axis."""
    keys: list[Any] = [slice(None)] * x.ndim
    keys[axis] = slice(start, stop, None if step == 1 else step)
    return x[tuple(keys)]


@rule("Slice")
def _slice(call: NodeCall) -> Value:
    x = call.input(0)
    starts, ends = (entries_of(call, required(call, name), name) for name in ("starts", "ends"))
    axes = call.axes() or tuple(range(len(starts)))
    steps = call.ints(4, "steps") if call.tensor(4) is not None else (1,) * len(starts)
    keys: list[Any] = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = normalize_axis(axis, x.ndim)
        if isinstance(start, Value) or isinstance(end, Value):
            x = cut(x, place, (start, end), step)
        else:
            keys[place] = _key(start, end, step, x.type.shape[place])
    return x[tuple(keys)]


_FAR = 1 << 31  # what files write for "to the end"


def _key(start: Dim, end: Dim, step: int, size: Dim) -> slice:
    """The slice of Python that does what ONNX's does: bounds are limited to the axis."""
    first: Dim | None = start
    last: Dim | None = end
    if (isinstance(end, int) and (end >= _FAR - 1 if step > 0 else end <= -_FAR + 1)) or (end == size and step > 0):
        last = None
    if isinstance(start, int):
        first = _first(start, step, size)
    return slice(first, last, None if step == 1 else step)


def _first(start: int, step: int, size: Dim) -> int | None:
    """Where a slice begins. One that goes back begins inside the axis, where Python's is empty."""
    if step > 0:
        return None if start == 0 or start <= -_FAR + 1 else start
    if start >= _FAR - 1:
        return None
    if start < -1 and not isinstance(size, int) and start > -_FAR + 1:
        raise Refused(f"it goes back from {start}, which may be before an axis of the unknown size {size}")
    return 0 if start < -1 and (not isinstance(size, int) or start < -size) else start


@rule("Gather")
def _gather(call: NodeCall) -> Value:
    x, indices = call.input(0), call.input(1)
    axis = normalize_axis(call.attribute("axis", 0), x.ndim)
    if axis == 0 and x.ndim == 2 and x.dtype.is_float and isinstance(x.source, Parameter) and _is_fed(indices):
        return ops.embedding(indices, x)
    return ops.take(x, indices, axis)


def _is_fed(value: Value) -> bool:
    """Whether these are ids that the user feeds: then the rows of a weight that they choose are an embedding.

    Computed indices may count from the end, which ids do not.
    """
    while value.node is not None and isinstance(value.node.op, (ops.Cast, ops.Reshape, ops.ExpandDims, ops.Squeeze)):
        first = value.node.inputs[0]
        assert first is not None
        value = first
    return value.is_input


@rule("GatherElements")
def _gather_elements(call: NodeCall) -> Value:
    x, indices = call.input(0), call.input(1)
    axis = normalize_axis(call.attribute("axis", 0), x.ndim)
    return ops.take_along_axis(_cut_to(x, indices, axis), indices, axis)


def _cut_to(x: Value, indices: Value, axis: int) -> Value:
    """x without what lies beyond the indices on other axes, where ONNX lets these be smaller."""
    for other, (size, wanted) in enumerate(zip(x.type.shape, indices.type.shape, strict=True)):
        if other == axis or not isinstance(wanted, int) or (isinstance(size, int) and size <= wanted):
            continue
        lead = (slice(None),) * other  # of one, x[:1] has the size min(1, size), to which the indices would be repeated
        x = ops.expand_dims(x[(*lead, 0)], other) if wanted == 1 else along(x, other, 0, wanted)
    return x


@rule("Expand")
def _expand(call: NodeCall) -> Value:
    x = call.input(0)
    target = entries_of(call, required(call, "shape"), "shape")
    known = all_known(target)
    if known is None:
        return expanded(x, target)
    return ops.broadcast_to(x, Equations().broadcast(x.type.shape, tuple(known)))


@rule("Tile")
def _tile(call: NodeCall) -> Value:
    x = call.input(0)
    if call.version < 6:
        raise call.refused("it is Tile of opset 1, whose inputs are others", "convert the model to opset 13")
    return ops.tile(x, [size_of(each) for each in entries_of(call, required(call, "repeats"), "repeats")])


@rule("DepthToSpace")
def _depth_to_space(call: NodeCall) -> Value:
    """Channels become blocks of pixels. mode: whether the block (DCR) or the channel (CRD) comes first in them."""
    x, block = call.input(0), call.attribute("blocksize")
    n, c, h, w = x.type.shape
    inner = c // (block * block)
    if call.attribute("mode", "DCR") == "DCR":
        split, order = (n, block, block, inner, h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (n, inner, block, block, h, w), (0, 1, 4, 2, 5, 3)
    return ops.reshape(ops.transpose(ops.reshape(x, split), order), (n, inner, h * block, w * block))


@rule("SpaceToDepth")
def _space_to_depth(call: NodeCall) -> Value:
    x, block = call.input(0), call.attribute("blocksize")
    n, c, h, w = x.type.shape
    split = ops.reshape(x, (n, c, h // block, block, w // block, block))
    order = (0, 3, 5, 1, 2, 4) if call.attribute("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return ops.reshape(ops.transpose(split, order), (n, c * block * block, h // block, w // block))


@rule("Trilu")
def _trilu(call: NodeCall) -> Value:
    x = call.input(0)
    k = int(call.number(1, "k")) if call.tensor(1) is not None else 0
    return (ops.triu if call.attribute("upper", 1) else ops.tril)(x, k)


@rule("ReverseSequence")
def _reverse_sequence(call: NodeCall) -> Value:
    """The first elements of each row in reverse order, as many as its length says."""
    x, lengths = call.input(0), ops.cast(call.input(1), "int64")
    time, batch = call.attribute("time_axis", 0), call.attribute("batch_axis", 1)
    moved = ops.moveaxis(x, (batch, time), (0, 1))
    steps = ops.cast(ops.arange(moved.type.shape[1]), "int64")
    ends = ops.expand_dims(lengths, 1)
    places = ops.where(ops.less(steps, ends), ops.subtract(ops.subtract(ends, steps), 1), steps)
    places = ops.reshape(places, (*places.type.shape, *(1,) * (x.ndim - 2)))
    return ops.moveaxis(ops.take_along_axis(moved, places, 1), (0, 1), (batch, time))


__all__ = ["along", "required"]
