"""Special functions, neighbours and bits of numbers, and counts."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.boxes import dense_bincount
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, integer, pair, tensor, value


@raw("Erfinv")
@function("math.erfinv")
def _erfinv(x: Any) -> Tensor:
    return ops.erfinv(value(tensor(x)))


@raw("BesselI0")
@function("math.bessel_i0", "math.special.bessel_i0")
def _bessel_i0(x: Any) -> Tensor:
    return ops.i0(value(tensor(x)))


@raw("NextAfter")
@function("math.nextafter")
def _nextafter(x1: Any, x2: Any) -> Tensor:
    left, right = pair(x1, x2)
    return ops.nextafter(value(left), value(right))


@raw("Bitcast")
@function("bitcast")
def _bitcast(input: Any, type: Any) -> Tensor:
    """The bits of integers as others; where these are wider or narrower, their parts lie on a further axis."""
    given, target = value(tensor(input)), dtype_of(type)
    if given.dtype is not target and not (given.dtype.is_integer and target.is_integer):
        raise Refused(
            f"it reads the bits of {given.dtype} as {target}", "compute with the numbers: no backend tells floats' bits"
        )
    own, wanted = given.dtype.numpy.itemsize, target.numpy.itemsize
    if own > wanted:
        return ops.view(ops.expand_dims(given, -1), target)
    if own == wanted:
        return ops.view(given, target)
    if not given.ndim or given.type.shape[-1] != wanted // own:
        raise Refused(f"it joins parts of {given.type} to {target}, whose last axis has another size")
    return ops.squeeze(ops.view(given, target), -1)


@function("math.bincount")
def _bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = DType.INT32,
    axis: Any = None,
    binary_output: Any = False,
) -> Tensor:
    """How often each number occurs, as many as the largest and the bounds say."""
    given = value(tensor(arr))
    given = given if given.dtype.is_integer else ops.cast(given, DType.INT32)
    factors = None if weights is None else value(tensor(weights))
    if axis in (None, 0):
        given, factors = ops.ravel(given), None if factors is None else ops.ravel(factors)
    count = ops.add(ops.max(given, initial=-1), 1)
    if minlength is not None:
        count = ops.maximum(count, integer(minlength, "minlength"))
    if maxlength is not None:
        count = ops.minimum(count, integer(maxlength, "maxlength"))
    size = _length(minlength, maxlength, count)
    return dense_bincount(given, size, ops.zeros((0,), dtype_of(dtype)) if factors is None else factors, binary_output)


def _length(minlength: Any, maxlength: Any, count: Value) -> Any:
    """The length as a number where the bounds are equal."""
    known = minlength is not None and maxlength is not None and integer(minlength, "") == integer(maxlength, "")
    return tensor(integer(minlength, "minlength")) if known else count


@raw("Bincount")
def _bincount_of_1(arr: Tensor, size: Tensor, weights: Tensor) -> Tensor:
    return dense_bincount(ops.ravel(value(arr)), size, ops.ravel(value(weights)))


@raw("HistogramFixedWidth")
@function("histogram_fixed_width")
def _histogram(values: Any, value_range: Any, nbins: Any = 100, dtype: Any = DType.INT32) -> Tensor:
    """How many numbers are in each of equal parts of a range; what is outside counts in the first or the last."""
    kind, count = dtype_of(dtype), integer(nbins, "nbins")
    places = ops.ravel(value(_bins(values, value_range, count)))
    return dense_bincount(places, tensor(count), ops.zeros((0,), kind))


@function("histogram_fixed_width_bins")
def _bins(values: Any, value_range: Any, nbins: Any = 100, dtype: Any = DType.INT32) -> Tensor:
    given = value(tensor(values))
    bounds = value(tensor(value_range, given.dtype))
    count = integer(nbins, "nbins")
    wide = given if given.dtype.is_float else ops.cast(given, DType.FLOAT64)
    low, high = (ops.cast(bounds[place], wide.dtype) for place in (0, 1))
    share = ops.multiply(ops.divide(ops.subtract(wide, low), ops.subtract(high, low)), float(count))
    return ops.cast(ops.clip(ops.floor(share), 0.0, float(count - 1)), dtype_of(dtype))
