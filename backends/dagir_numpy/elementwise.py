"""Elementwise arithmetic."""

from __future__ import annotations

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


kernel(ops.Rsqrt)(kernel_of(rsqrt))
kernel(ops.Reciprocal)(kernel_of(reciprocal))
kernel(ops.Clip)(kernel_of(clip))


def erf(x: Array) -> Array:
    """The error function, to the last bits of float64."""
    return in_blocks(_erf_into, x)


kernel(ops.Erf)(kernel_of(erf_rule))


def _erf_into(out: Array, x: Array) -> None:
    """By the Taylor series and the continued fraction, as far as the numbers of x need them.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.6 (|x| < 3) and 7.1.14 (beyond).
    """
    z = np.abs(np.asarray(x, np.float64))
    near = np.minimum(z, 3.0)
    square = 2 * near * near
    term = total = near
    for n in range(1, 80):
        term = term * square / (2 * n + 1)
        total = total + term
        if n % 8 == 0 and not (term > total * 2.0**-55).any():  # those to come change no bit: each is smaller
            break
    inner = total * np.exp(-near * near) * (2 / sqrt(np.pi))
    if (z >= 3.0).any():
        far = np.clip(z, 3.0, 7.0)
        fraction = far
        for n in range(60, 0, -1):
            fraction = far + (n / 2) / fraction
        outer = 1 - np.exp(-far * far) / (fraction * sqrt(np.pi))
        inner = np.where(z < 3.0, inner, outer)
    out[...] = np.where(np.isnan(z), z, np.copysign(inner, x))
