"""Pooling."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.dims import Dim, SymbolicDim, symbol
from dagir.ir.graph import Node
from dagir.ops.pool import Pool, adaptive_windows
from dagir_keras.rules import rules
from dagir_keras.sizes import number


@rules.rule(ops.MaxPool)
def max_pool(op: ops.MaxPool, x: Any) -> Any:
    dtype = backend.standardize_dtype(x.dtype)
    if "int" in dtype:
        return K.cast(max_pool(op, K.cast(x, "float32")), dtype)
    _refuse_float64(op, dtype)
    if not op.is_plain:
        return _taken(op, x, K.maximum, float("-inf"))
    if op.padding in ("valid", "same"):
        return K.max_pool(x, op.pool_size, op.strides, op.padding, op.data_format)
    return K.max_pool(_padded(op, x, float("-inf")), op.pool_size, op.strides, "valid", op.data_format)


@rules.rule(ops.AveragePool)
def average_pool(op: ops.AveragePool, x: Any) -> Any:
    """Explicit padding, for Keras's pooling has none: a mean counts only elements inside."""
    _refuse_float64(op, backend.standardize_dtype(x.dtype))
    if op.is_plain and (op.padding == "valid" or (op.padding == "same" and not op.count_include_pad)):
        return K.average_pool(x, op.pool_size, op.strides, op.padding, op.data_format)
    ones = K.ones_like(x)
    if not op.is_plain:
        counted = _counted(op, ones) if op.count_include_pad else _taken(op, ones, K.add, 0.0)
        return K.divide(_taken(op, x, K.add, 0.0), counted)

    def pooled(array: Any) -> Any:
        return K.average_pool(_padded(op, array, 0.0), op.pool_size, op.strides, "valid", op.data_format)

    return pooled(x) if op.count_include_pad else pooled(x) / pooled(ones)


@rules.rule(ops.LpPool)
def lp_pool(op: ops.LpPool, x: Any) -> Any:
    return K.power(_taken(op, K.power(K.absolute(x), float(op.p)), K.add, 0.0), 1 / op.p)


@rules.rule(ops.MaxPoolWithIndices)
def max_pool_with_indices(op: ops.MaxPoolWithIndices, x: Any) -> tuple[Any, Any]:
    """Along each axis in turn, the inner ones first: the larger of two goes on with its place."""
    dtype = backend.standardize_dtype(x.dtype)
    pool = op.as_max_pool()
    sizes, found = _sizes(pool, x)
    y = K.cast(x, "float32") if "int" in dtype else x
    places = _places(x, op.column_major)
    reach, counts = pool.reach(sizes), [number(count, found) for count in pool.counts(sizes)]
    every = list(zip(pool.spatial_axes, pool.pool_size, pool.steps, pool.strides, counts, reach, strict=True))
    for axis, window, step, stride, count, pair in every[::-1]:
        ends = number(pair[0], found), number(pair[1], found)
        y, places = _fitted(y, axis, ends, float("-inf")), _fitted(places, axis, ends, -1)
        parts = [_tap(axis, tap * step, count, stride) for tap in range(window)]
        best, where = y[parts[0]], places[parts[0]]
        for part in parts[1:]:
            larger = K.logical_or(K.greater(y[part], best), K.logical_and(where < 0, places[part] >= 0))
            best, where = K.where(larger, y[part], best), K.where(larger, places[part], where)
        y, places = best, where
    return K.cast(y, dtype), places


def _places(x: Any, column_major: bool) -> Any:
    """int64, of the shape of x: the place of each element."""
    batch, channels, *sizes = K.shape(x)
    count: Any = 1
    for size in sizes:
        count = count * size
    ordered = K.reshape(K.arange(count, dtype="int64"), sizes[::-1] if column_major else sizes)
    spatial = K.transpose(ordered) if column_major else ordered
    rows = K.reshape(K.arange(batch * channels, dtype="int64"), (batch, channels, *(1,) * len(sizes)))
    return rows * K.cast(count, "int64") + spatial


def needs_layer(node: Node) -> bool:
    """Whether the rule can run only within a Keras layer: it pads or cuts by a size that a KerasTensor may not know."""
    op = node.op.as_max_pool() if isinstance(node.op, ops.MaxPoolWithIndices) else node.op
    if not isinstance(op, Pool) or node.inputs[0] is None:
        return False
    shape = node.inputs[0].type.shape
    unknown = any(isinstance(shape[axis], SymbolicDim) for axis in op.spatial_axes)
    if isinstance(node.op, ops.MaxPoolWithIndices):
        return any(isinstance(size, SymbolicDim) for size in shape)
    fitted = isinstance(op, ops.LpPool) or not op.is_plain or op.padding == "same_lower"
    return unknown and (fitted or (op.padding == "same" and getattr(op, "count_include_pad", False)))


def _refuse_float64(op: Pool, dtype: str) -> None:
    if op.rank == 3 and dtype == "float64" and op.is_plain:
        raise UnsupportedOp("TensorFlow pools no float64 over three axes", remedy="cast the input to float32 before")


def _sizes(op: Pool, x: Any) -> tuple[list[Dim], dict[str, Any]]:
    """The sizes of the axes, by a name where they are tensors; and these tensors."""
    shape = K.shape(x)
    found = {f"axis_{axis}": shape[axis] for axis in op.spatial_axes if not isinstance(shape[axis], int)}
    return [symbol(f"axis_{axis}") if f"axis_{axis}" in found else shape[axis] for axis in op.spatial_axes], found


def _numbers(pairs: Sequence[tuple[Dim, Dim]], found: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(number(before, found), number(after, found)) for before, after in pairs]


def _padded(op: Pool, x: Any, outside: float) -> Any:
    sizes, found = _sizes(op, x) if op.is_same else ([0] * op.rank, {})
    pads: list[Any] = [(0, 0)] * (op.rank + 2)
    for axis, pair in zip(op.spatial_axes, _numbers(op.pads(sizes), found), strict=True):
        pads[axis] = pair
    return K.pad(x, pads, constant_values=outside)


def _taken(op: Pool, x: Any, combine: Callable[[Any, Any], Any], outside: float) -> Any:
    """The windows by strided slices, one axis after the other: Keras pools with neither gaps nor ceil_mode."""
    sizes, found = _sizes(op, x)
    return _windowed(op, x, combine, _numbers(op.reach(sizes), found), outside)


def _windowed(op: Pool, x: Any, combine: Callable[[Any, Any], Any], reach: Sequence[Any], outside: float) -> Any:
    every = zip(op.spatial_axes, op.pool_size, op.steps, op.extents, op.strides, reach, strict=True)
    for axis, window, step, extent, stride, pair in every:
        padded = _fitted(x, axis, pair, outside)
        count = (K.shape(padded)[axis] - extent) // stride + 1
        x = functools.reduce(combine, [padded[_tap(axis, tap * step, count, stride)] for tap in range(window)])
    return x


def _counted(op: ops.AveragePool, ones: Any) -> Any:
    """How many elements of x and of its padding each window holds."""
    sizes, found = _sizes(op, ones)
    pads, reach = _numbers(op.pads(sizes), found), _numbers(op.reach(sizes), found)
    for axis, pair in zip(op.spatial_axes, pads, strict=True):
        ones = _fitted(ones, axis, pair, 1.0)
    beyond = [(0, after - most) for (_, after), (_, most) in zip(reach, pads, strict=True)]
    return _windowed(op, ones, K.add, beyond, 0.0)


def _fitted(x: Any, axis: int, pair: Any, outside: float) -> Any:
    """The axis padded, or cut off at its end."""
    before, after = pair
    known = isinstance(before, int) and isinstance(after, int)
    if not known or before > 0 or after > 0:
        more = max(after, 0) if isinstance(after, int) else K.maximum(after, 0)
        x = K.pad(
            x, [(before, more) if each == axis else (0, 0) for each in range(len(x.shape))], constant_values=outside
        )
    if isinstance(after, int) and after >= 0:
        return x
    less = min(after, 0) if isinstance(after, int) else K.minimum(after, 0)
    return x[(slice(None),) * axis + (slice(0, K.shape(x)[axis] + less),)]


def _tap(axis: int, start: int, count: Any, stride: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, start + (count - 1) * stride + 1, stride))


@rules.rule(ops.AdaptiveMaxPool)
def adaptive_max_pool(op: ops.AdaptiveMaxPool, x: Any) -> Any:
    if reaches_outside(op, x.shape) or not hasattr(K, "adaptive_max_pool"):  # Keras 3.10 has none
        return _by_windows(op, x, K.max)
    return K.adaptive_max_pool(x, op.output_size, op.data_format)


@rules.rule(ops.AdaptiveAveragePool)
def adaptive_average_pool(op: ops.AdaptiveAveragePool, x: Any) -> Any:
    if reaches_outside(op, x.shape) or not hasattr(K, "adaptive_average_pool"):
        return _by_windows(op, x, K.mean)
    return K.adaptive_average_pool(x, op.output_size, op.data_format)


def _by_windows(op: ops.AdaptiveMaxPool | ops.AdaptiveAveragePool, x: Any, reduce: Callable[..., Any]) -> Any:
    for axis, windows in zip(op.spatial_axes, op.output_size, strict=True):
        lead = (slice(None),) * axis
        parts = [x[(*lead, slice(start, end))] for start, end in adaptive_windows(x.shape[axis], windows)]
        x = K.concatenate([reduce(part, axis=axis, keepdims=True) for part in parts], axis)
    return x


def reaches_outside(op: Any, shape: Sequence[Any]) -> bool:
    """Whether an axis has one window or one element: there the windows of Keras 3.15 reach outside.

    TensorFlow 2.21 refuses that when it is traced; with oneDNN it divides by zero and ends the process. op: an op or a
    layer.
    """
    first = 1 if op.data_format == "channels_last" else 2
    return 1 in op.output_size or 1 in shape[first : first + len(op.output_size)]
