"""Recurrences that multiply codes: the products are exact in float64, the gates are those of the numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir.ops.rnn import ACTIVATIONS
from dagir_numpy.quantization import dynamic_quantize_linear, widest
from dagir_numpy.rnn import States, initial_state, run_steps
from dagir_numpy.rules import rules


@rules.rule(ops.DynamicQuantizeLSTM)
def dynamic_quantize_lstm(
    op: ops.DynamicQuantizeLSTM,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None,
    h0: Array | None,
    c0: Array | None,
    mask: Array | None,
    w_scale: Array,
    w_zero: Array,
    r_scale: Array,
    r_zero: Array,
) -> States:
    xw, of_state = _product(w, w_scale, w_zero)(x), _product(r, r_scale, r_zero)
    if b is not None:
        xw = xw + b
    gate, activated = _function(op.recurrent_activation), _function(op.activation)

    def step(part: Array, states: States, out: Array) -> States:
        h, c = states
        i, f, g, o = np.split(part + of_state(h), 4, axis=1)
        c = gate(f) * c + gate(i) * activated(g)
        return np.multiply(gate(o), activated(c), out=out), c

    return run_steps(op, step, xw.swapaxes(0, 1), (initial_state(h0, x, r), initial_state(c0, x, r)), mask)


def _product(codes: Array, scale: Array, zero: Array) -> Callable[[Array], Array]:
    """Of numbers, which are rounded to codes of their range, and what codes stand for."""
    kernel = codes.astype(np.float64) - zero.astype(np.float64)
    quantizing = ops.DynamicQuantizeLinear()

    def product(array: Array) -> Array:
        rounded, own, own_zero = dynamic_quantize_linear(quantizing, array)
        sums = (rounded.astype(np.float64) - own_zero.astype(np.float64)) @ kernel
        return np.asarray(sums.astype(own.dtype) * (own * widest(scale))).astype(array.dtype)

    return product


def _function(name: str) -> Callable[[Array], Array]:
    op = ACTIVATIONS[name]
    return lambda x: np.asarray(rules[type(op)](op, x))
