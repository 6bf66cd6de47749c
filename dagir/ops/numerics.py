"""Elementwise functions that are composed of others: powers and logarithms of other bases, rounding, and replacing
NaN."""

from __future__ import annotations

from math import log as natural_log
from typing import Any

import ml_dtypes
import numpy as np

from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Operand, Parameter, Value
from dagir.ir.operands import as_value
from dagir.ir.types import DType, DTypeLike
from dagir.ops.arithmetic import add, divide, floor_divide, maximum, minimum, mod, multiply, power, subtract
from dagir.ops.elementwise import Clip, absolute, cast, exp, floor, log, log1p, negative, sign
from dagir.ops.logic import equal, greater, isfinite, isnan, less, logical_and, logical_xor, not_equal, where
from dagir.ops.loops import while_loop
from dagir.ops.operands import reference, require, require_held, same_dtype, unary
from dagir.ops.reduce import any as reduce_any
from dagir.ops.shape import broadcast_to
from dagir.ops.sizes import measured

abs = absolute
true_divide = divide

__all__ = [
    "abs",
    "cbrt",
    "clip",
    "divide_no_nan",
    "exp2",
    "fabs",
    "fmax",
    "fmin",
    "fmod",
    "gcd",
    "heaviside",
    "lcm",
    "ldexp",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "nan_to_num",
    "saturate_cast",
    "true_divide",
    "trunc",
]


def _pair(x1: Operand, x2: Operand) -> tuple[Value, Value]:
    """Both as values; a number takes the dtype of the other."""
    first = as_value(x1, like=reference(x2))
    return first, as_value(x2, like=first)


def fabs(x: Operand) -> Value:
    """|x|, for floats.

    >>> show(ops.fabs([-2.0]))
    [2.0]
    """
    value = as_value(x)
    require("float", value.type)
    return absolute(value)


def exp2(x: Operand) -> Value:
    """2**x, for floats.

    >>> show(ops.exp2([3.0, -1.0]))
    [8.0, 0.5]
    """
    value = as_value(x)
    require("float", value.type)
    return power(2.0, value)


def log2(x: Operand) -> Value:
    """The logarithm to base 2.

    >>> show(ops.log2([8.0]))
    [3.0]
    """
    return divide(log(x), natural_log(2))


def log10(x: Operand) -> Value:
    """The logarithm to base 10.

    >>> show(ops.log10([1000.0]))
    [3.0]
    """
    return divide(log(x), natural_log(10))


def cbrt(x: Operand) -> Value:
    """The cube root, of negative numbers too.

    >>> show(ops.cbrt([8.0, -27.0]))
    [2.0, -3.0]
    """
    value = as_value(x)
    return multiply(sign(value), power(absolute(value), 1 / 3))


def logaddexp(x1: Operand, x2: Operand) -> Value:
    """log(e**x1 + e**x2), without overflow; broadcast.

    >>> show(ops.logaddexp([0.0], [0.0]))
    [0.6931]
    """
    first, second = _pair(x1, x2)
    distance = subtract(first, second)
    larger = maximum(first, second)
    smooth = add(larger, log1p(exp(negative(absolute(distance)))))
    return where(isfinite(distance), smooth, where(equal(first, second), first, larger))


def logaddexp2(x1: Operand, x2: Operand) -> Value:
    """log2(2**x1 + 2**x2), without overflow; broadcast.

    >>> show(ops.logaddexp2([3.0], [3.0]))
    [4.0]
    """
    scale = natural_log(2)
    return divide(logaddexp(multiply(x1, scale), multiply(x2, scale)), scale)


def trunc(x: Operand) -> Value:
    """x rounded towards 0; an integer stays as it is.

    >>> show(ops.trunc([1.7, -1.7]))
    [1.0, -1.0]
    """
    value = as_value(x)
    return value if value.dtype.is_integer else multiply(sign(value), floor(absolute(value)))


def fmod(x1: Operand, x2: Operand) -> Value:
    """The remainder, with the sign of x1, as C has it.

    >>> show(ops.fmod([7.0, -7.0], 3.0))
    [1.0, -1.0]
    """
    first, second = _pair(x1, x2)
    if first.dtype.is_float:
        return multiply(sign(first), mod(absolute(first), absolute(second)))
    return subtract(first, multiply(truncate_divide(first, second), second))


def truncate_divide(x1: Operand, x2: Operand) -> Value:
    """The quotient of integers, rounded towards 0, as C has it; the smallest integer divided by -1 is itself."""
    first, second = _pair(x1, x2)
    down = floor_divide(first, second)
    if "signed" not in first.dtype.kinds:
        return down
    inexact = not_equal(multiply(down, second), first)
    opposite = logical_xor(less(first, 0), less(second, 0))
    return add(down, cast(logical_and(inexact, opposite), first.dtype))


def gcd(x1: Operand, x2: Operand) -> Value:
    """The greatest common divisor of integers, at least 0; broadcast. Euclid's algorithm, as a loop.

    >>> show(ops.gcd([12, 0], [18, 5]))
    [6, 5]
    """
    first, second = _pair(x1, x2)
    same_dtype(first.type, second.type)
    require("integer", first.type, second.type)
    shape = add(first, second).type.shape
    signed = "signed" in first.dtype.kinds
    sizes = [broadcast_to(absolute(x) if signed else x, shape) for x in (first, second)]

    def step(a: Value, b: Value) -> list[Value]:
        rest = not_equal(b, 0)
        return [where(rest, b, a), where(rest, mod(a, where(rest, b, 1)), 0)]

    found: Value = while_loop(lambda _, b: reduce_any(not_equal(b, 0)), step, sizes)[0]
    return absolute(found) if signed else found  # |x| of the smallest integer is below 0


def lcm(x1: Operand, x2: Operand) -> Value:
    """The least common multiple of integers, at least 0; 0 where one of them is 0. Broadcast.

    >>> show(ops.lcm([4, 0], [6, 5]))
    [12, 0]
    """
    first, second = _pair(x1, x2)
    common = gcd(first, second)
    signed = "signed" in first.dtype.kinds
    first, second = (absolute(x) if signed else x for x in (first, second))
    return multiply(first, floor_divide(second, where(equal(common, 0), 1, common)))


def fmax(x1: Operand, x2: Operand) -> Value:
    """The larger; where one is NaN, the other.

    >>> show(ops.fmax([1.0, np.nan], [2.0, 3.0]))
    [2.0, 3.0]
    """
    first, second = _pair(x1, x2)
    return where(isnan(first), second, where(isnan(second), first, maximum(first, second)))


def fmin(x1: Operand, x2: Operand) -> Value:
    """The smaller; where one is NaN, the other.

    >>> show(ops.fmin([1.0, np.nan], [2.0, 3.0]))
    [1.0, 3.0]
    """
    first, second = _pair(x1, x2)
    return where(isnan(first), second, where(isnan(second), first, minimum(first, second)))


def divide_no_nan(x1: Operand, x2: Operand) -> Value:
    """x1 / x2, and 0 where x2 is 0.

    >>> show(ops.divide_no_nan([1.0, 1.0], [2.0, 0.0]))
    [0.5, 0.0]
    """
    first, second = _pair(x1, x2)
    is_zero = equal(second, 0.0)
    return where(is_zero, 0.0, divide(first, where(is_zero, 1.0, second)))


def heaviside(x1: Operand, x2: Operand) -> Value:
    """0 where x1 < 0, x2 where x1 is 0, 1 where x1 > 0; NaN stays.

    >>> show(ops.heaviside([-1.0, 0.0, 1.0], 0.5))
    [0.0, 0.5, 1.0]
    """
    first, second = _pair(x1, x2)
    require("float", first.type)
    step = where(less(first, 0.0), 0.0, where(greater(first, 0.0), 1.0, first))
    return where(equal(first, 0.0), second, step)


def ldexp(x1: Operand, x2: Operand) -> Value:
    """x1 * 2**x2, x2 being integers.

    >>> show(ops.ldexp([1.0, 3.0], [4, -1]))
    [16.0, 1.5]
    """
    first, second = as_value(x1), as_value(x2)
    require("integer", second.type)
    return multiply(first, power(2.0, cast(second, first.dtype)))


def nan_to_num(x: Operand, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Value:
    """NaN and the infinities replaced; by default the infinities become the dtype's largest and smallest number.

    nan, posinf, neginf: what takes their place.

    >>> show(ops.nan_to_num([np.nan, 1.0], nan=7.0))
    [7.0, 1.0]
    """
    value = as_value(x)
    if not value.dtype.is_float:
        return value
    limits = ml_dtypes.finfo(value.dtype.numpy)
    value = where(equal(value, np.inf), float(limits.max) if posinf is None else posinf, value)
    value = where(equal(value, -np.inf), float(limits.min) if neginf is None else neginf, value)
    return where(not_equal(value, value), nan, value)


def saturate_cast(x: Operand, dtype: DTypeLike) -> Value:
    """x limited to the range of another dtype, and cast to it.

    >>> show(ops.saturate_cast([300.0, -5.0], "uint8"))
    [255, 0]
    """
    value, target = as_value(x), DType.of(dtype)
    if DType.BOOL in (target, value.dtype):
        return cast(value, target)
    low, high = (_nearest_inside(limit, value.dtype) for limit in _range(target))
    own_low, own_high = _range(value.dtype)
    return cast(clip(value, max(low, own_low), min(high, own_high)), target)


def _range(dtype: DType) -> tuple[Any, Any]:
    if dtype.is_float:
        limits = ml_dtypes.finfo(dtype.numpy)
        return float(limits.min), float(limits.max)
    info = np.iinfo(dtype.numpy)
    return int(info.min), int(info.max)


def _nearest_inside(limit: Any, dtype: DType) -> Any:
    """The nearest number of the dtype that is not beyond the limit."""
    if not dtype.is_float:
        return int(limit)
    if isinstance(limit, float):
        return limit
    near = np.asarray(limit, dtype.numpy)
    if int(near) <= limit or limit <= 0:
        return float(near)
    return float(np.nextafter(near, np.asarray(0, dtype.numpy)))


def clip(x: Operand, x_min: float | Operand, x_max: float | Operand) -> Value:
    """x held within [x_min, x_max], which are numbers, or values that broadcast to x. Where they cross, x_min holds.

    >>> show(ops.clip([-1.0, 0.5, 9.0], 0.0, 1.0))
    [0.0, 0.5, 1.0]
    """
    low, high = (bound.item() if isinstance(bound, np.generic) else bound for bound in (x_min, x_max))
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return unary(Clip(low, high), x)
    value = as_value(x)
    return maximum(minimum(value, _as_bound(high, value)), _as_bound(low, value))


def _as_bound(bound: Any, x: Value) -> Value:
    """A bound as a value: numbers, arrays and named sizes in the dtype of x."""
    if isinstance(bound, SymbolicDim):
        return cast(measured(bound), x.dtype)
    if isinstance(bound, (Value, Parameter)):
        return as_value(bound)
    given = np.asarray(bound)
    require_held("clip", x.type, *([given.min(), given.max()] if given.size else []))
    return as_value(given.astype(x.dtype.numpy))
