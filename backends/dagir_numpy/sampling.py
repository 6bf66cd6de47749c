"""Sampling at other places."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array, fixed
from dagir.ops.sampling import nearest_element, outside, weights
from dagir_numpy.rules import rules


@rules.rule(ops.Interpolate)
def interpolate(op: ops.Interpolate, x: Array) -> Array:
    beyond = np.zeros((), bool)
    for place, (axis, target) in enumerate(zip(op.axes, op.sizes, strict=True)):
        size, wanted = x.shape[axis], fixed(target)
        missing = outside(op, place, size, wanted)
        beyond = beyond | missing.reshape([-1 if each == axis else 1 for each in range(x.ndim)])
        if op.mode == "nearest":
            x = np.take(x, nearest_element(op, place, size, wanted), axis)
        else:
            matrix = weights(op, place, size, wanted).astype(x.dtype)
            x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
    return np.where(beyond, np.asarray(op.extrapolation_value).astype(x.dtype), x) if beyond.any() else x
