"""Special functions that ONNX has no operator for, composed of others; neighbours of floats."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, pi

import numpy as np

from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.types import DType
from dagir.ops.arithmetic import add, divide, minimum, multiply, subtract
from dagir.ops.elementwise import absolute, cast, exp, log, negative, sign, sqrt, square
from dagir.ops.logic import equal, isnan, less, less_equal, logical_or, where
from dagir.ops.operands import reference, require, same_dtype
from dagir.ops.reduce import mean
from dagir.ops.shape import expand_dims

__all__ = ["erfinv", "i0", "nextafter"]

# The quantiles of the normal distribution to 16 digits, as rational functions in three ranges: the numerators and the
# denominators, from the constant term on. M. J. Wichura, Algorithm AS 241, Applied Statistics 37 (1988) 477-484.
_MIDDLE = (
    (
        *(3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125),
        *(45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727),
    ),
    (
        *(1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077),
        *(21213.794301586595867, 39307.895800092710610, 28729.085735721942674, 5226.4952788528545610),
    ),
)
_SIDES = (
    (
        *(1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504),
        *(1.27045825245236838258, 0.241780725177450611770, 0.0227238449892691845833, 7.74545014278341407640e-4),
    ),
    (
        *(1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550),
        *(0.148103976427480074590, 0.0151986665636164571966, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
    ),
)
_ENDS = (
    (
        *(6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 0.296560571828504891230),
        *(0.0265321895265761230930, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    ),
    (
        *(1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525),
        *(7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
    ),
)
_NARROW = (DType.FLOAT16, DType.BFLOAT16)
_LARGEST = 1000.0  # beyond it I0 is infinite in every dtype


def erfinv(x: Operand) -> Value:
    """y with erf(y) = x, by rational functions that are right to 16 digits; float16 and bfloat16 compute in float32.

    x: floats from -1 to 1; infinite at the ends, NaN outside.

    >>> show(ops.erfinv([0.0, 0.5, -0.9]))
    [0.0, 0.4769, -1.1631]
    """
    value = as_value(x)
    require("float", value.type)
    wide = cast(value, DType.FLOAT32) if value.dtype in _NARROW else value
    size = absolute(wide)
    is_middle = less_equal(size, 0.85)
    half = multiply(where(is_middle, wide, 0.0), 0.5)
    middle = multiply(half, _rational(subtract(0.180625, square(half)), _MIDDLE))
    tail = sqrt(negative(log(multiply(subtract(1.0, where(is_middle, 0.9, size)), 0.5))))
    is_end = equal(size, 1.0)
    tail = where(is_end, 5.0, tail)
    outer = where(less_equal(tail, 5.0), _rational(subtract(tail, 1.6), _SIDES), _rational(subtract(tail, 5.0), _ENDS))
    outer = multiply(sign(wide), where(is_end, inf, outer))
    found = multiply(where(is_middle, middle, outer), 0.5**0.5)
    return found if found.dtype is value.dtype else cast(found, value.dtype)


def _rational(x: Value, coefficients: tuple[Sequence[float], Sequence[float]]) -> Value:
    above, below = (_polynomial(x, each) for each in coefficients)
    return divide(above, below)


def _polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme. coefficients: from the constant term on."""
    *rest, last = coefficients
    found = add(multiply(x, last), rest.pop())
    while rest:
        found = add(multiply(found, x), rest.pop())
    return found


def i0(x: Operand) -> Value:
    """The modified Bessel function of the first kind of order 0, the mean of exp(x cos t) over the circle.

    x: floats; whole numbers become float32. The mean over equal angles converges exponentially, and is exact in the
    dtype of x here; it costs 40 exponentials of an element, 120 in float64.

    >>> show(ops.i0([0.0, 1.0]))
    [1.0, 1.2661]
    """
    value = as_value(x)
    value = value if value.dtype.is_float else cast(value, DType.FLOAT32)
    wide = cast(value, DType.FLOAT32) if value.dtype in _NARROW else value
    size = expand_dims(minimum(absolute(wide), _LARGEST), -1)
    points = 240 if wide.dtype is DType.FLOAT64 else 84
    turns = np.cos(2 * pi * np.arange(points // 2 + 1) / points)
    weights = np.r_[1.0, np.full(points // 2 - 1, 2.0), 1.0] * (points // 2 + 1) / points
    turns, weights = (array.astype(wide.dtype.numpy) for array in (turns - 1, weights))
    scaled = mean(multiply(exp(multiply(size, as_value(turns))), as_value(weights)), -1)
    half = exp(multiply(minimum(absolute(wide), _LARGEST), 0.5))
    found = multiply(multiply(scaled, half), half)
    return found if found.dtype is value.dtype else cast(found, value.dtype)


def nextafter(x1: Operand, x2: Operand) -> Value:
    """The number of the dtype that is next to x1 on the way to x2; broadcast. x2 where they are equal.

    x1, x2: floats of one dtype. A number half a unit in the last place away is rounded to the neighbour, after S. M.
    Rump, P. Zimmermann, S. Boldo and G. Melquiond, Computing predecessor and successor in rounding to nearest, BIT 49
    (2009) 419-431. Beside 0 it is 0 where the hardware flushes subnormal numbers.

    >>> show(ops.nextafter([1.0], [2.0]) > 1.0)
    [True]
    """
    first = as_value(x1, like=reference(x2))
    second = as_value(x2, like=first)
    same_dtype(first.type, second.type)
    require("float", first.type)
    unit = first.dtype.eps / 2
    step = add(multiply(absolute(first), unit * (1 + 2 * unit)), float(first.dtype.tiny * first.dtype.eps))
    moved = where(less(first, second), add(first, step), subtract(first, step))
    most = float(first.dtype.bounds[1])
    moved = where(equal(absolute(first), inf), multiply(sign(first), most), moved)
    return where(logical_or(equal(first, second), isnan(second)), second, moved)
