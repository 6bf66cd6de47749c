"""Codes of 8 bits and less from numbers, as ONNX casts them."""

from __future__ import annotations

import numpy as np

from dagir.ir.types import Array, DType

_EXPONENT_ONLY = DType.FLOAT8_E8M0FNU
_LARGEST_POWER = 127.0


def encoded(x: Array, dtype: DType, saturate: bool = True, round_mode: str = "up") -> Array:
    """Numbers as codes. saturate: what is beyond the largest is the largest; otherwise infinity or NaN."""
    if dtype is _EXPONENT_ONLY:
        return _powers(x, saturate, round_mode)
    if "float" not in dtype.value:
        return _whole(x, dtype)
    wide = x.astype(np.float32) if x.dtype != np.float64 else x
    if dtype is DType.FLOAT4_E2M1FN or saturate:
        low, high = dtype.bounds
        wide = np.clip(wide, low, high)
    return np.asarray(wide.astype(dtype.numpy))


def decoded(x: Array) -> Array:
    """The numbers that codes stand for, in float32 or int32; other arrays as they are."""
    dtype = DType.of(x.dtype)
    if not dtype.is_code:
        return x
    return x.astype(np.float32 if "float" in dtype.value else np.int32)


def _whole(x: Array, dtype: DType) -> Array:
    """Towards zero, then the low bits, as integers are cast."""
    bits = 4 if dtype in (DType.INT4, DType.UINT4) else 2
    whole = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0, posinf=0, neginf=0)
    low = (whole.astype(np.int64) & ((1 << bits) - 1)).astype(np.int64)
    if dtype in (DType.INT4, DType.INT2):
        top = 1 << (bits - 1)
        low = (low ^ top) - top
    return low.astype(np.int8).astype(dtype.numpy)


def _powers(x: Array, saturate: bool, round_mode: str) -> Array:
    """The exponent of the power of two above, below or nearest to each number; 0 has none, and is the least."""
    wide = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        fraction, exponent = np.frexp(np.abs(wide))  # fraction in [0.5, 1)
    power = exponent.astype(np.float64) - 1
    inexact = fraction != 0.5
    if round_mode == "up":
        power = power + inexact
    elif round_mode == "nearest":
        power = power + (fraction >= 0.75)
    below, above = (wide == 0) | (power < -_LARGEST_POWER), (power > _LARGEST_POWER) | np.isinf(wide)
    found = np.where(below, -_LARGEST_POWER, np.where(above, _LARGEST_POWER, power))
    lost = np.isnan(wide) if saturate else np.isnan(wide) | below | above
    codes = np.where(lost, 255, np.where(lost, 0, found) + _LARGEST_POWER)
    return codes.astype(np.uint8).view(DType.FLOAT8_E8M0FNU.numpy)
