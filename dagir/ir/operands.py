"""Operands of ops: values, weights, constants, arrays and numbers, each as a Value."""

from __future__ import annotations

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir import diagnostics
from dagir.ir.graph import Constant, Parameter, Value
from dagir.ir.types import DType
from dagir.support import frameworks

_NUMBERS = (bool, int, float, np.ndarray, np.generic, list, tuple)


def as_value(operand: object, *, like: Value | None = None) -> Value:
    """The Value of a value, parameter, constant, array or number; a bare number takes the dtype of `like`."""
    if isinstance(operand, Value):
        return operand
    if isinstance(operand, (Parameter, Constant)):
        return operand.value
    if not isinstance(operand, _NUMBERS):
        eager = frameworks.eager_array(operand)
        if eager is not None:
            return Constant(np.asarray(eager)).value
        frameworks.refuse_foreign((operand,), "an op of dagir takes values of the graph, got")
    if isinstance(operand, (bool, int, float)) and like is not None:
        diagnostics.refuse_lossy_scalar(operand, like)
        return Constant(np.asarray(operand, dtype=like.dtype.numpy)).value
    array = np.asarray(operand)
    if array.dtype.kind == "O":
        raise ArgumentError(
            f"an op of dagir takes values of the graph, numbers and arrays, got {frameworks.kind(operand)}"
        )
    if isinstance(operand, (int, float, list, tuple)) and array.dtype.kind in "fi":
        dtype = DType.FLOAT32 if array.dtype.kind == "f" else DType.INT32
        if dtype is DType.INT32 and not (like is not None and like.dtype.is_float):
            diagnostics.refuse_above_32_bits(array)
        array = array.astype(like.dtype.numpy if like is not None and like.dtype.is_float else dtype.numpy)
    return Constant(array).value
