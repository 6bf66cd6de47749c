"""Recurrences as a scan over time, for ops that are not lowered to a layer of Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops as K

from dagir import ops
from dagir.ops.rnn import ACTIVATIONS
from dagir_keras.integer_products import matmul_integer
from dagir_keras.quantization import dynamic_quantize_linear
from dagir_keras.rules import rules


@rules.rule(ops.LSTM, ops.GRU, ops.SimpleRNN, ops.DynamicQuantizeLSTM)
def recurrence(op: Any, *operands: Any) -> Any:
    """On KerasTensors an Operation with shapes of its own: keras.ops.scan cannot infer them for several sequences."""
    present = [place for place, operand in enumerate(operands) if operand is not None]
    given = [operands[place] for place in present]
    if any(isinstance(operand, keras.KerasTensor) for operand in given):
        return tuple(_Recurrence(op, present)(*given))
    return _run(op, dict(zip(present, given, strict=True)))


class _Recurrence(keras.Operation):
    """The recurrence as a step of a functional model. places: which operands of the op are given."""

    def __init__(self, op: Any, places: list[int]) -> None:
        super().__init__()
        self.op, self.places = op, places

    def call(self, *tensors: Any) -> Any:
        """The outputs of the op."""
        return _run(self.op, dict(zip(self.places, tensors, strict=True)))

    def compute_output_spec(self, *tensors: Any) -> Any:
        """y [n, t, u] and the states [n, u]."""
        x, units = tensors[0], tensors[2].shape[0]
        shapes = [(*x.shape[:2], units), *[(x.shape[0], units)] * self.op.states]
        return tuple(keras.KerasTensor(shape, dtype=x.dtype) for shape in shapes)


def _run(op: Any, tensors: dict[int, Any]) -> tuple[Any, ...]:
    x, w, r = (K.convert_to_tensor(tensors[place]) for place in range(3))
    bias, mask = tensors.get(3), tensors.get(4 + op.states)
    zeros = K.zeros((K.shape(x)[0], r.shape[0]), dtype=x.dtype)
    states = [K.convert_to_tensor(tensors.get(4 + place, zeros)) for place in range(op.states)]
    if isinstance(op, ops.DynamicQuantizeLSTM):
        (xw, step), bias = _coded(op, x, tensors), tensors.get(3)
    else:
        xw, step = K.matmul(x, w), _STEPS[type(op)](op, r, bias)
    if bias is not None:
        xw = xw + (bias[0] if len(bias.shape) == 2 else bias)
    if mask is not None:  # keras.ops.scan takes only one sequence of unknown length: the mask becomes its last column
        xw = K.concatenate([xw, K.expand_dims(K.cast(mask, xw.dtype), -1)], axis=-1)
    if op.go_backwards:
        xw = K.flip(xw, axis=1)

    def advance(carry: Any, inputs: Any) -> Any:
        out, *before = carry
        if mask is None:
            new = step(inputs, before)
            carry = [new[0], *new]
        else:
            new = step(inputs[:, :-1], before)
            kept = zeros if op.zero_output_for_mask else out
            pairs = zip([new[0], *new], [kept, *before], strict=True)
            carry = [K.where(inputs[:, -1:] > 0, now, old) for now, old in pairs]
        return carry, carry

    (_, *final), (y, *_) = K.scan(advance, [zeros, *states], K.swapaxes(xw, 0, 1))
    return (K.swapaxes(y, 0, 1), *final)


def _activated(name: str, x: Any) -> Any:
    op = ACTIVATIONS[name]
    return rules[type(op)](op, x)


Step = Callable[[Any, list[Any]], list[Any]]


def _lstm(op: Any, r: Any, bias: Any, product: Callable[[Any, Any], Any] = K.matmul) -> Step:
    def step(xw: Any, states: list[Any]) -> list[Any]:
        h, c = states
        i, f, g, o = K.split(xw + product(h, r), 4, axis=1)
        i, f, o = (_activated(op.recurrent_activation, gate) for gate in (i, f, o))
        c = f * c + i * _activated(op.activation, g)
        return [o * _activated(op.activation, c), c]

    return step


def _coded(op: ops.DynamicQuantizeLSTM, x: Any, tensors: dict[int, Any]) -> tuple[Any, Step]:
    """The products with x, and a step that multiplies codes."""
    w_factors, r_factors = ([tensors[place], tensors[place + 1]] for place in (7, 9))
    step = _lstm(op, tensors[2], None, lambda h, r: _coded_product(h, r, *r_factors))
    return _coded_product(x, tensors[1], *w_factors), step


def _coded_product(x: Any, codes: Any, scale: Any, zero: Any) -> Any:
    """x, rounded to the codes of its range, times what codes stand for."""
    rounded, own_scale, own_zero = dynamic_quantize_linear(ops.DynamicQuantizeLinear(), x)
    sums = matmul_integer(ops.MatMulInteger(), rounded, codes, own_zero, zero)
    return K.cast(K.cast(sums, "float32") * (own_scale * K.cast(scale, "float32")), x.dtype)


def _gru(op: ops.GRU, r: Any, bias: Any) -> Step:
    units = r.shape[0]

    def step(xw: Any, states: list[Any]) -> list[Any]:
        (h,) = states
        x_z, x_r, x_h = K.split(xw, 3, axis=1)
        hr = K.matmul(h, r if op.reset_after else r[:, : 2 * units])
        if op.reset_after and bias is not None:
            hr = hr + bias[1]
        h_z, h_r = hr[:, :units], hr[:, units : 2 * units]
        update = _activated(op.recurrent_activation, x_z + h_z)
        reset = _activated(op.recurrent_activation, x_r + h_r)
        inner = reset * hr[:, 2 * units :] if op.reset_after else K.matmul(reset * h, r[:, 2 * units :])
        return [update * h + (1 - update) * _activated(op.activation, x_h + inner)]

    return step


def _simple_rnn(op: ops.SimpleRNN, r: Any, bias: Any) -> Step:
    return lambda xw, states: [_activated(op.activation, xw + K.matmul(states[0], r))]


_STEPS: dict[type, Callable[[Any, Any, Any], Step]] = {ops.LSTM: _lstm, ops.GRU: _gru, ops.SimpleRNN: _simple_rnn}
