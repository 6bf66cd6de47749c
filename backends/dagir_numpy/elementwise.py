"""Elementwise arithmetic."""

from __future__ import annotations

import math
from functools import cache
from math import exp, pi, sqrt

import numpy as np

from dagir import ops
from dagir.ir.types import Array, DType
from dagir.ops.partial import refuse
from dagir_numpy.codes import decoded, encoded
from dagir_numpy.pointwise import in_blocks, kernel, kernel_of
from dagir_numpy.rules import rules

_UFUNCS = {
    ops.Negative: np.negative,
    ops.Absolute: np.absolute,
    ops.Sign: np.sign,
    ops.Exp: np.exp,
    ops.Log: np.log,
    ops.Log1p: np.log1p,
    ops.Expm1: np.expm1,
    ops.Sqrt: np.sqrt,
    ops.Square: np.square,
    ops.Floor: np.floor,
    ops.Ceil: np.ceil,
    ops.Round: np.rint,
    ops.Add: np.add,
    ops.Subtract: np.subtract,
    ops.Multiply: np.multiply,
    ops.Divide: np.divide,
    ops.Maximum: np.maximum,
    ops.Minimum: np.minimum,
}

for _op, _ufunc in _UFUNCS.items():
    rules.rule(_op)(lambda op, *xs, ufunc=_ufunc: ufunc(*xs))
    kernel(_op)(lambda op, out, *xs, ufunc=_ufunc: ufunc(*xs, out=out))


@rules.rule(ops.FloorDivide)
def floor_divide(op: ops.FloorDivide, x1: Array, x2: Array) -> Array:
    """Of floats the quotient, rounded down; NumPy's own is NaN for infinities, which Keras's and ONNX's are not."""
    if DType.of(x1.dtype).is_float:
        return np.asarray(np.floor(np.divide(x1, x2)))
    refuse(op, x2)
    return np.asarray(np.floor_divide(x1, x2))


@rules.rule(ops.Mod)
def mod(op: ops.Mod, x1: Array, x2: Array) -> Array:
    refuse(op, x2)
    return np.asarray(np.mod(x1, x2))


@rules.rule(ops.Power)
def power(op: ops.Power, x1: Array, x2: Array) -> Array:
    """IEEE 754's pow; for one exponent 0.5 NumPy takes the square root, whose sign at -0 and -infinity is another."""
    refuse(op, x2)
    if (x2 == 0.5).any():
        x1, x2 = np.broadcast_arrays(x1, x2)
        x2 = x2.copy()
    return np.asarray(np.power(x1, x2))


@rules.rule(ops.Identity)
def identity(op: ops.Identity, x: Array) -> Array:
    return x


@kernel(ops.Identity)
def identity_into(op: ops.Identity, out: Array, x: Array) -> None:
    out[...] = x


@rules.rule(ops.Rsqrt)
def rsqrt(op: ops.Rsqrt, x: Array) -> Array:
    return 1 / np.sqrt(x)


@rules.rule(ops.Reciprocal)
def reciprocal(op: ops.Reciprocal, x: Array) -> Array:
    return 1 / x


@rules.rule(ops.Erf)
def erf_rule(op: ops.Erf, x: Array) -> Array:
    return erf(x)


@rules.rule(ops.Erfc)
def erfc(op: ops.Erfc, x: Array) -> Array:
    """To the last bits of float64, by the midpoint rule for its integral, and what a pole near the path adds.

    Matta and Reichel, "Uniform computation of the error function and other related functions" (1971).
    """
    step, wide = 0.5, x.astype(np.float64)
    z = np.minimum(np.abs(wide), 30.0)  # beyond, it is 0 in every dtype
    total = np.zeros_like(z)
    for place in [((n + 0.5) * step) ** 2 for n in reversed(range(13))]:
        total = total + exp(-place) / (z * z + place)
    short = z.astype(np.float32).astype(np.float64)  # its square is exact
    bell = np.exp(-short * short) * np.exp((short - z) * (short + z))
    pole = np.where(z < pi / step, 2 / (1 + np.exp(2 * pi / step * z)), 0)
    right = bell * (z * total * (2 * step / pi)) + pole
    return np.where(wide < 0, 2 - right, right).astype(x.dtype)


@rules.rule(ops.Cast)
def cast(op: ops.Cast, x: Array) -> Array:
    if op.dtype.is_code:
        return encoded(decoded(x), op.dtype, op.saturate, op.round_mode)
    x = decoded(x)
    if not op.dtype.is_integer or not DType.of(x.dtype).is_float:
        return x.astype(op.dtype.numpy)
    ends = np.iinfo(op.dtype.numpy)
    wide = x.astype(np.float32) if x.dtype.itemsize < 4 else x
    below, above = wide < float(ends.min), wide >= float(ends.max)  # a float next to the end is that power of two
    found = np.where(below | above | np.isnan(wide), 0, wide).astype(op.dtype.numpy)
    return np.where(above, ends.max, np.where(below, ends.min, found)).astype(op.dtype.numpy)


@rules.rule(ops.Clip)
def clip(op: ops.Clip, x: Array) -> Array:
    return np.clip(x, x.dtype.type(op.minimum), x.dtype.type(op.maximum))


@kernel(ops.Clip)
def clip_into(op: ops.Clip, out: Array, x: Array) -> None:
    x.clip(x.dtype.type(op.minimum), x.dtype.type(op.maximum), out=out)


kernel(ops.Rsqrt)(kernel_of(rsqrt))
kernel(ops.Reciprocal)(kernel_of(reciprocal))


def erf(x: Array) -> Array:
    """The error function, to the last bits of float64."""
    return in_blocks(_erf_into, x)


kernel(ops.Erf)(kernel_of(erf_rule))


_STEP = 1 / 64
_ONE = 6.0  # from here on, erf is 1 in float64


@cache
def _expansions() -> Array:
    """The Taylor coefficients of erf, (order, place), at the multiples of _STEP from 0 to _ONE.

    The derivatives are Hermite polynomials times exp(-x^2): Abramowitz and Stegun, Handbook of Mathematical Functions,
    7.1.19. Of the orders left out none changes a bit within half a step.
    """
    x = np.arange(0, _ONE + _STEP, _STEP)
    derivatives = [np.array([math.erf(place) for place in x]), 2 / sqrt(pi) * np.exp(-x * x)]
    derivatives.append(-2 * x * derivatives[1])
    for n in range(1, 6):
        derivatives.append(-2 * x * derivatives[-1] - 2 * n * derivatives[-2])
    return np.stack([each / math.factorial(order) for order, each in enumerate(derivatives)])


def _erf_into(out: Array, x: Array) -> None:
    """By the Taylor series around the nearest place of a table."""
    wide = np.asarray(x, np.float64)
    near = np.fmin(np.abs(wide), _ONE)  # of NaN too: it is put in at the end
    places = np.rint(near / _STEP).astype(np.intp)
    near -= places * _STEP
    coefficients = _expansions()
    total = coefficients[-1].take(places)
    for each in coefficients[-2::-1]:
        total *= near
        total += each.take(places)
    np.copysign(total, wide, out=total)
    out[...] = np.where(np.isnan(wide), wide, total)
