"""Elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import backend
from keras import ops as K

from dagir import ops
from dagir.ir.types import DType
from dagir_keras.quantization import short
from dagir_keras.rules import rules

for _op, _function in {
    ops.Negative: K.negative,
    ops.Absolute: K.absolute,
    ops.Exp: K.exp,
    ops.Log: K.log,
    ops.Log1p: K.log1p,
    ops.Expm1: K.expm1,
    ops.Sqrt: K.sqrt,
    ops.Rsqrt: K.rsqrt,
    ops.Square: K.square,
    ops.Reciprocal: K.reciprocal,
    ops.Erf: K.erf,
    ops.Floor: K.floor,
    ops.Ceil: K.ceil,
    ops.Round: K.round,
    ops.Subtract: K.subtract,
    ops.Multiply: K.multiply,
    ops.Divide: K.divide,
    ops.FloorDivide: K.floor_divide,
    ops.Mod: K.mod,
    ops.Maximum: K.maximum,
    ops.Minimum: K.minimum,
}.items():
    rules.rule(_op)(lambda op, *xs, function=_function: function(*xs))

if hasattr(K, "erfc"):
    rules.rule(ops.Erfc)(lambda op, x: K.erfc(x))
else:
    rules.gap(ops.Erfc, f"Keras {keras.__version__} has no erfc, and 1 - erf(x) has not its digits")


@rules.rule(ops.Add)
def add(op: ops.Add, x1: Any, x2: Any) -> Any:
    """Keras adds an x2 with a single axis longer than 1 as a bias of x1's channels, even if that is another axis."""
    if is_read_as_bias(x1.shape, x2.shape) or backend.standardize_dtype(x2.dtype).startswith("uint"):
        return K.add(x1, x2)
    return K.subtract(x1, K.negative(x2))  # the same to the last bit


def is_read_as_bias(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether Keras adds an operand of the second shape right: a scalar, or a vector along x1's last axis."""
    if len(second) == 0:
        return True
    last = second[-1]
    return len(second) <= len(first) and isinstance(last, int) and last > 1 and first[-1] == last


@rules.rule(ops.Sign)
def sign(op: ops.Sign, x: Any) -> Any:
    """TensorFlow treats a large uint32 as a negative number."""
    if backend.standardize_dtype(x.dtype) != "uint32":
        return K.sign(x)
    return K.cast(K.cast(x, "bool"), "uint32")


@rules.rule(ops.Power)
def power(op: ops.Power, x1: Any, x2: Any) -> Any:
    """TensorFlow treats a large uint32 as a negative number."""
    if backend.standardize_dtype(x2.dtype) != "uint32":
        return K.power(x1, x2)
    return K.cast(K.power(K.cast(x1, "int64"), K.cast(x2, "int64")), "uint32")


@rules.rule(ops.Identity)
def identity(op: ops.Identity, x: Any) -> Any:
    return x


@rules.rule(ops.Cast)
def cast(op: ops.Cast, x: Any) -> Any:
    if op.dtype.is_code:
        return short(x, op.dtype, op.saturate)
    if op.dtype.is_integer and "float" in backend.standardize_dtype(x.dtype):
        return _rounded_in(x, op.dtype)
    return K.cast(x, str(op.dtype))


def _rounded_in(x: Any, dtype: DType) -> Any:
    """A float as an integer within its range, NaN as 0: TensorFlow's own result depends on the length of the array."""
    x = K.cast(x, "float32") if backend.standardize_dtype(x.dtype).endswith("float16") else x
    ends = np.iinfo(dtype.numpy)
    low, high = float(ends.min), float(ends.max)
    x = K.where(K.isnan(x), K.zeros_like(x), x)
    if ends.bits < 24:
        return K.cast(K.clip(x, low, high), str(dtype))
    if ends.bits < 64:
        return K.cast(K.minimum(K.cast(K.clip(x, low, high), "int64"), int(ends.max)), str(dtype))
    above = x >= high
    found = K.cast(K.maximum(K.where(above, K.zeros_like(x), x), low), str(dtype))
    return (
        K.bitwise_or(found, K.cast(K.where(above, -1, 0), str(dtype)))
        if dtype is DType.UINT64
        else K.where(above, K.full_like(found, int(ends.max)), found)
    )


@rules.rule(ops.Clip)
def clip(op: ops.Clip, x: Any) -> Any:
    return K.clip(x, op.minimum, op.maximum)
