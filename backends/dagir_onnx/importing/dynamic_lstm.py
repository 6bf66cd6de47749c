"""DynamicQuantizeLSTM of com.microsoft: its weights are codes, and so are inputs and states, by the range of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dagir import ops
from dagir.ir.graph import Value, apply, apply_node
from dagir.ir.types import Array
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.recurrence_steps import Cell, Function, functions_of, run_on
from dagir_onnx.importing.registry import MICROSOFT, rule
from dagir_onnx.importing.rnn import beside, mask_of, peepholes_of, states_of
from dagir_onnx.importing.tensors import constant

_ORDER = (0, 2, 3, 1)  # the gates input, output, forget, cell in dagir's order
_DIRECTIONS = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}


class _Codes:
    """The codes of one direction, [i, 4 * u], and the product of floats with what they stand for."""

    def __init__(self, call: NodeCall, direction: int, place: int, scale: int) -> None:
        arrays = [call.array(each) for each in (place, scale, scale + 1)]
        codes, scales, zeros = (None if array is None else array[direction] for array in arrays)
        if codes is None or scales is None or zeros is None:
            raise call.refused("its weights are computed when the model runs, and must be stored")
        made = call.part(place, f"direction_{direction}", lambda array: _in_order(array[direction]))
        self.value = constant(_in_order(codes)) if made is None else made
        self.scale = constant(_in_order(np.atleast_1d(scales)) if scales.size > 1 else scales.reshape(()))
        self.zero = constant(_in_order(np.atleast_1d(zeros)) if zeros.size > 1 else zeros.reshape(()))

    def product(self, x: Value, codes: Value) -> Value:
        """x, in codes of its range, times the codes."""
        rounded, scale, zero = ops.dynamic_quantize_linear(x)
        sums = apply(ops.MatMulInteger(), rounded, codes, zero, self.zero)
        return ops.multiply(ops.cast(sums, x.dtype), ops.multiply(scale, self.scale))


def _in_order(array: Array) -> Array:
    gates = array.reshape(*array.shape[:-1], 4, -1)[..., _ORDER, :]
    return np.ascontiguousarray(gates.reshape(array.shape))


@rule("DynamicQuantizeLSTM", domain=MICROSOFT)
def _dynamic_lstm(call: NodeCall) -> Sequence[Value | None]:
    plain = replace(call, op="LSTM", domain="", tensors=call.tensors[:8])
    backs = _DIRECTIONS.get(call.attribute("direction", "forward") or "forward")
    if backs is None:
        raise call.refused(f"its direction {call.attribute('direction')!r} is none that ONNX has")
    x = ops.transpose(call.input(0), (1, 0, 2))
    functions, mask = functions_of(plain, len(backs)), mask_of(plain, x)
    runs = []
    for direction, is_back in enumerate(backs):
        w, r = _Codes(call, direction, 1, 8), _Codes(call, direction, 2, 10)
        states, bias = states_of(plain, direction, False), _bias(call, direction)
        op = _plain_form(call, plain, direction, is_back, functions[3 * direction : 3 * direction + 3], mask)
        if op is not None:
            given = (x, w.value, r.value, bias, *states, None, w.scale, w.zero, r.scale, r.zero)
            y, *finals = apply_node(op, given).outputs
            runs.append((ops.flip(y, 1) if is_back else y, *finals))
            continue
        cell = Cell(
            "LSTM",
            functions[3 * direction : 3 * direction + 3],
            float(call.attribute("clip", 0.0)),
            bool(call.attribute("input_forget", 0)),
            False,
            r.product,
        )
        xw = w.product(x, w.value)
        xw = xw if bias is None else ops.add(xw, bias)
        y, *finals = run_on(cell, xw, (r.value, None, peepholes_of(plain, direction)), states, mask, is_back)
        runs.append((ops.flip(y, 1) if is_back else y, *finals))
    y = beside([run[0] for run in runs])
    return [
        ops.transpose(y, (1, 2, 0, 3)),
        *(ops.stack(each, 0) for each in zip(*(run[1:] for run in runs), strict=True)),
    ]


def _plain_form(
    call: NodeCall,
    plain: NodeCall,
    direction: int,
    is_back: bool,
    functions: Sequence[Function],
    mask: Value | None,
) -> ops.DynamicQuantizeLSTM | None:
    """The op of dagir for one direction; None where it has peepholes, lengths, bounds or other activations."""
    names = [function.keras_name for function in functions]
    special = call.attribute("clip", 0.0) or call.attribute("input_forget", 0)
    if mask is not None or special or peepholes_of(plain, direction) is not None:
        return None
    if names[0] is None or names[1] is None or names[1] != names[2]:
        return None
    return ops.DynamicQuantizeLSTM(names[1], is_back, recurrent_activation=names[0])


def _bias(call: NodeCall, direction: int) -> Value | None:
    if call.tensor(3) is None:
        return None
    units = call.input(3).type.shape[1]

    def joined(array: Array) -> Array:
        first, second = array[direction].reshape(2, -1)
        return _in_order(first + second)

    made = call.part(3, f"direction_{direction}", joined)
    if made is None:
        raise call.refused(f"its bias of {units} numbers is computed when the model runs, and must be stored")
    return made
