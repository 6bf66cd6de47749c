"""Tensors made of numbers and sizes: Constant, ConstantOfShape, Range, EyeLike, OneHot."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, max_dim
from dagir.ir.graph import Value
from dagir.ir.types import DType, normalize_axis
from dagir.ops.creation import spend_elements
from dagir.ops.sizes import counted
from dagir_onnx.importing.data_shapes import entries_of, size_of
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.real_sizes import as_real, steps_between
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import Sizes, constant, constant_of, sized, value

_NUMBERS: dict[str, Any] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


@rule("Constant")
def _constant(call: NodeCall) -> Value:
    given = call.attribute("value", call.attribute("sparse_value"))
    if given is not None:
        return call.reader.weights.value(given, call.outputs[0], is_initializer=False)
    for name, dtype in _NUMBERS.items():
        if name in call.attributes:
            return constant(np.asarray(call.attributes[name], dtype))
    raise call.refused("it is a constant of text, or without a value")


@rule("ConstantOfShape")
def _constant_of_shape(call: NodeCall) -> Value:
    given = call.attribute("value")
    filling = np.zeros((), np.float32) if given is None else given.reshape(())
    number = constant(filling)
    given = call.tensor(0)
    if given is None:
        raise call.refused("it has no shape")
    return ops.full([size_of(each) for each in entries_of(call, given, "shape")], number, number.dtype)


@rule("Range")
def _range(call: NodeCall) -> Value:
    """start, start + delta ..., up to before the limit."""
    first = call.input(0)
    bounds = [call.tensor(place) for place in range(3)]
    if any(isinstance(bound, Value) and constant_of(bound) is None for bound in bounds):
        given = [ops.reshape(call.input(place), ()) for place in range(3)]
        return ops.range_of(given[0], given[1], given[2])
    if first.dtype.is_integer:
        (start,), (stop,), (delta,) = (call.dims(place, "bounds") for place in range(3))
        if delta == 0:
            raise call.refused("its step is 0")
        if isinstance(start, int) and isinstance(stop, int) and isinstance(delta, int):
            spend_elements("Range", len(range(start, stop, delta)))
            return constant(np.arange(start, stop, delta).astype(first.dtype.numpy))
        if isinstance(delta, int):
            count = max_dim(-((start - stop) // delta), 0)
            return ops.cast(counted(count, start, delta), first.dtype)
        raise call.refused(f"its step is {delta}, which is known at run time only")
    if isinstance(call.tensor(1), Sizes):
        return _range_to_size(call, first.dtype)
    low, high, each = (call.number(place, "bounds") for place in range(3))
    count = max(math.ceil((high - low) / each), 0)
    spend_elements("Range", count)
    numbers = np.float64(low) + np.arange(count) * np.float64(each)
    return constant(numbers.astype(first.dtype.numpy))


def _range_to_size(call: NodeCall, dtype: DType) -> Value:
    """A range of floats that ends at a size."""
    limit = call.tensor(1)
    assert isinstance(limit, Sizes)
    start, step = call.number(0, "start"), call.number(2, "step")
    end = as_real(limit.array.reshape(-1)[0])
    numbers = ops.cast(counted(steps_between(as_real(start), end, Fraction(step))), dtype)
    return ops.add(numbers if step == 1 else ops.multiply(numbers, step), start)


@rule("EyeLike")
def _eye_like(call: NodeCall) -> Value:
    x = call.input(0)
    rows, columns = x.type.shape
    return ops.eye(rows, columns, call.attribute("k", 0), call.dtype("dtype", x.dtype))


@rule("OneHot")
def _one_hot(call: NodeCall) -> Value:
    """One value at the place of each index along a new axis, the other one elsewhere."""
    indices, values = call.input(0), call.input(2)
    given = call.tensor(1)
    if given is None or not given.dtype.is_integer:
        depth: Dim = int(call.number(1, "depth"))
    else:
        depth = size_of(entries_of(call, given, "depth")[0])
    if indices.dtype is not DType.INT32:  # a narrow integer holds no large depth
        indices = ops.cast(indices, DType.INT64)
    count = value(sized(depth, indices.dtype))
    indices = ops.where(ops.less(indices, 0), ops.add(indices, count), indices)
    axis = normalize_axis(call.attribute("axis", -1), indices.ndim + 1)
    hits = ops.cast(ops.one_hot(indices, depth, axis, "float32"), "bool")
    return ops.where(hits, values[1], values[0])


@rule("MelWeightMatrix")
def _mel_weights(call: NodeCall) -> Value:
    """Triangles of the mel scale: how much of each frequency of a spectrum belongs to each bin."""
    names = ("num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz")
    bins, length, rate, low, high = (call.number(place, name) for place, name in enumerate(names))
    spectrum = int(length) // 2 + 1
    spend_elements("MelWeightMatrix", spectrum * int(bins))
    edges = np.linspace(_mel(low), _mel(high), int(bins) + 2, endpoint=False)
    places = np.floor((int(length) + 1) * 700 * (10 ** (edges / 2595) - 1) / rate).astype(np.int64)
    found = np.zeros((spectrum, int(bins)))
    for bin, (first, middle, last) in enumerate(zip(places, places[1:], places[2:], strict=False)):
        rise = middle - first
        if not rise:
            found[middle, bin] = 1
        else:
            found[first : middle + 1, bin] = (np.arange(first, middle + 1) - first) / rise
        if last > middle:
            found[middle:last, bin] = (last - np.arange(middle, last)) / (last - middle)
    return constant(found.astype(call.dtype("output_datatype", DType.FLOAT32).numpy))


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)
