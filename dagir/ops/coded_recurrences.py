"""Recurrences whose kernels are codes, and that multiply in integers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dagir.ir.graph import Graph, Value, apply
from dagir.ir.rounding import Disturbed, Rounding
from dagir.ir.types import Array, DType, Equations, Inferred, TensorType
from dagir.ops.arithmetic import multiply
from dagir.ops.creation import zeros
from dagir.ops.elementwise import cast
from dagir.ops.integer_products import MatMulInteger, check_codes, check_factors, check_zero
from dagir.ops.operands import require, same_dtype
from dagir.ops.quantization import dynamic_quantize_linear
from dagir.ops.rnn import LSTM, _Recurrence
from dagir.ops.scanning import scan
from dagir.ops.steps import lstm_state, named

__all__ = ["DynamicQuantizeLSTM"]

_H0, _MASK, _MOST_PARTS = 4, 6, 3


def quantized_in_parts(op: Any, at: Disturbed) -> Array:
    """The result where parts of the rows have a range of their own for the codes of h.

    onnxruntime gives each thread a part of the rows, and quantizes the states of each part apart. A row outside of a
    part is one that is masked, from a state of 0: it adds nothing to the range.
    """
    x = at.operands[0]
    assert x is not None
    rows = len(x)
    if rows < 2:
        return at.result
    parts = np.sort(at.rng.integers(0, at.rng.integers(2, min(rows, _MOST_PARTS) + 1), rows))
    mask, start = at.operands[_MASK], at.operands[_H0]
    runs = np.ones(x.shape[:2], bool) if mask is None else mask
    found = np.empty_like(at.result)
    for part in np.unique(parts):
        here = (parts == part)[:, None]
        operands = list(at.operands)
        operands[_H0] = None if start is None else np.where(here, start, 0.0)
        operands[_MASK] = runs & here
        found[parts == part] = at.apply(operands, DType.FLOAT64)[at.place][parts == part]
    return np.asarray(at.result + (found - at.apply(at.operands, DType.FLOAT64)[at.place]))


@dataclass(frozen=True)
class DynamicQuantizeLSTM(_Recurrence):
    """x, w: q[i,4u], r: q[u,4u], b?, h0?, c0?, mask?, the scales and zero points of w and r -> y, h, c; as for LSTM.

    The LSTM of the numbers (w - w_zero) * w_scale and (r - r_zero) * r_scale, where x is rounded to the
    codes of DynamicQuantizeLinear, once for all steps, and so is h before each step, over all rows; the products of
    codes are exact. Codes are int8 or uint8; scales and zero points may be [4u].  com.microsoft DynamicQuantizeLSTM.
    """

    rounding = Rounding(within=3.0, absolute=lambda x: 0.5, errors=(quantized_in_parts,))
    operands = ("x", "w", "r", "b", "h0", "c0", "mask", "w_scale", "w_zero", "r_scale", "r_zero")
    gates = 4
    states = 2

    recurrent_activation: str = "sigmoid"

    def infer(  # type: ignore[override]
        self,
        x: TensorType,
        w: TensorType,
        r: TensorType,
        b: TensorType | None,
        h0: TensorType | None,
        c0: TensorType | None,
        mask: TensorType | None,
        w_scale: TensorType,
        w_zero: TensorType,
        r_scale: TensorType,
        r_zero: TensorType,
    ) -> Inferred:
        """y [n, t, u], then the final states [n, u]."""
        require("float", x)
        same_dtype(x, w_scale, r_scale)
        check_codes(w=w, r=r)
        kernels = w.with_dtype(x.dtype), r.with_dtype(x.dtype)
        found = self.as_lstm().infer(x, *kernels, b, h0, c0, mask)
        equations = Equations()
        equations.found.extend(found.equations)
        for codes, scale, zero, what in ((w, w_scale, w_zero, "w"), (r, r_scale, r_zero, "r")):
            check_factors(equations, codes, scale, -1, f"{what}_scale")
            check_zero(equations, codes, zero, -1, f"{what}_zero")
        return equations.inferred(*found.types)

    def as_lstm(self) -> LSTM:
        """The LSTM of floats with the same fields."""
        return LSTM(self.activation, self.go_backwards, self.zero_output_for_mask, self.recurrent_activation)


def coded_product(x: Value, codes: Value, scale: Value, zero: Value) -> Value:
    """x, rounded to the codes of its range, times the numbers that codes stand for, in float32 as the scale of x is."""
    rounded, own_scale, own_zero = dynamic_quantize_linear(x)
    sums = apply(MatMulInteger(), rounded, codes, own_zero, zero)
    numbers = multiply(cast(sums, DType.FLOAT32), multiply(own_scale, cast(scale, DType.FLOAT32)))
    return numbers if x.dtype is DType.FLOAT32 else cast(numbers, x.dtype)


def coded_as_scan(op: DynamicQuantizeLSTM, types: list[TensorType | None]) -> Graph:
    """The recurrence as a Scan over its steps. The inputs are the operands that are given."""
    given = [None if type is None else Value(type, name=op.operands[place]) for place, type in enumerate(types)]
    x, w, r, b, h0, c0, mask, w_scale, w_zero, r_scale, r_zero = given
    present = [value for value in given if value is not None]
    assert x is not None
    assert w is not None
    assert r is not None
    assert w_scale is not None
    assert w_zero is not None
    assert r_scale is not None
    assert r_zero is not None
    xw = coded_product(x, w, w_scale, w_zero)
    xw = xw if b is None else xw + b
    blank = zeros((x.type.shape[0], r.type.shape[0]), x.dtype)
    gate, activation = named(op.recurrent_activation), named(op.activation)
    of_state = partial(coded_product, codes=r, scale=r_scale, zero=r_zero)
    y, finals = scan(
        lambda steps, before: lstm_state(steps[0] + of_state(before[0]), before[1], activation, gate),
        [blank if state is None else state for state in (h0, c0)],
        [xw],
        mask,
        go_backwards=op.go_backwards,
        zero_output_for_mask=op.zero_output_for_mask,
        name=op.op_name,
    )
    return Graph(present, [y, *finals], op.op_name)
