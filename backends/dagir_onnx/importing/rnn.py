"""LSTM, GRU and RNN: the plain forms as dagir's recurrences, the others step by step. See `recurrence_steps`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dagir import ops
from dagir.ir.graph import Value, apply_node
from dagir.ir.types import Array, DType
from dagir.ops.sizes import counted
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.recurrence_steps import Cell, Function, functions_of, run
from dagir_onnx.importing.registry import rule

_ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}  # ONNX's gates in dagir's order
_STATES = {"LSTM": 2, "GRU": 1, "RNN": 1}


@dataclass(frozen=True)
class Way:
    """One direction of a node. functions: its activations. peepholes: f[3, u], of the input, output and forget gate."""

    place: int
    is_back: bool
    w: Value
    r: Value
    b: Value | None
    peepholes: Value | None
    states: tuple[Value | None, ...]
    functions: tuple[Function, ...]


@rule("LSTM", "GRU", "RNN")
def _recurrence(call: NodeCall) -> Sequence[Value | None]:
    x = call.input(0)
    if x.ndim != 3:
        raise call.refused(f"its x has rank {x.ndim}, and must have 3")
    is_batch_first = bool(call.attribute("layout", 0))
    x = x if is_batch_first else ops.transpose(x, (1, 0, 2))
    ways, mask = _ways(call, is_batch_first), mask_of(call, x)
    runs = [_one(call, x, mask, way) for way in ways]
    y = beside([run[0] for run in runs])
    finals = [ops.stack(each, 0) for each in zip(*(run[1:] for run in runs), strict=True)]
    if is_batch_first:
        return [y, *(ops.transpose(final, (1, 0, 2)) for final in finals)]
    return [ops.transpose(y, (1, 2, 0, 3)), *finals]


def _ways(call: NodeCall, is_batch_first: bool) -> list[Way]:
    direction = call.attribute("direction", "forward") or "forward"
    if direction not in ("forward", "reverse", "bidirectional"):
        raise call.refused(f"its direction {direction!r} is none that ONNX has")
    backs = [False, True] if direction == "bidirectional" else [direction == "reverse"]
    functions = functions_of(call, len(backs))
    each = len(functions) // len(backs)
    return [
        Way(
            place,
            is_back,
            *_weights(call, place, len(backs), is_back),
            peepholes_of(call, place),
            states_of(call, place, is_batch_first),
            functions[place * each : (place + 1) * each],
        )
        for place, is_back in enumerate(backs)
    ]


def _weights(call: NodeCall, place: int, count: int, is_back: bool) -> tuple[Value, Value, Value | None]:
    """w [i, g * u], r [u, g * u] and b, with the gates in dagir's order."""
    order, name = list(_ORDERS[call.op]), "backward" if is_back else "forward"

    def kernel(array: Array) -> Array:
        gates = array[place].reshape(len(order), -1, array.shape[2])[order]
        return np.ascontiguousarray(gates.reshape(-1, array.shape[2]).T)

    found = []
    for operand in (1, 2):
        given = call.input(operand)
        if given.ndim != 3 or given.type.shape[0] not in (count, None):
            raise call.refused(f"its input {operand} has the shape {list(given.type.shape)} for {count} directions")
        made = call.part(operand, name, kernel)
        found.append(_computed_kernel(given, place, order) if made is None else made)
    return found[0], found[1], _bias(call, place, name)


def _computed_kernel(given: Value, place: int, order: Sequence[int]) -> Value:
    whole = given[place]
    units = whole.type.shape[0] // len(order)
    return ops.transpose(ops.concatenate([whole[gate * units : (gate + 1) * units] for gate in order], 0), (1, 0))


def _bias(call: NodeCall, place: int, name: str) -> Value | None:
    """The two biases as one; those of a GRU that resets behind its product stay two."""
    given = call.optional(3)
    if given is None:
        return None
    order, is_double = list(_ORDERS[call.op]), _resets_after(call)

    def joined(array: Array) -> Array:
        both = array[place].reshape(2, len(order), -1)[:, order].reshape(2, -1)
        return both if is_double else both[0] + both[1]

    made = call.part(3, f"{name}{'' if not is_double else '_double'}", joined)
    if made is not None:
        return made
    units = given.type.shape[1] // (2 * len(order))
    parts = [[given[place, (side * len(order) + gate) * units :][:units] for gate in order] for side in (0, 1)]
    first, second = (ops.concatenate(side, 0) for side in parts)
    return ops.stack([first, second], 0) if is_double else ops.add(first, second)


def _resets_after(call: NodeCall) -> bool:
    return call.op == "GRU" and bool(call.attribute("linear_before_reset", 0))


def peepholes_of(call: NodeCall, place: int) -> Value | None:
    """Those of one direction of an LSTM, f[3, u]; None for zeros."""
    given = call.optional(7) if call.op == "LSTM" else None
    if given is None or _is_zero(call, 7):
        return None
    made = call.part(7, f"peepholes_{place}", lambda array: array[place].reshape(3, -1))
    return made if made is not None else ops.reshape(given[place], (3, -1))


def states_of(call: NodeCall, place: int, is_batch_first: bool) -> tuple[Value | None, ...]:
    """The first states f[n, u]; None for zeros."""
    found: list[Value | None] = []
    for operand in range(5, 5 + _STATES[call.op]):
        given = call.optional(operand)
        if given is None or _is_zero(call, operand):
            found.append(None)
        else:
            found.append(given[:, place] if is_batch_first else given[place])
    return tuple(found)


def _is_zero(call: NodeCall, operand: int) -> bool:
    array = call.array(operand)
    return array is not None and not array.any()


def mask_of(call: NodeCall, x: Value) -> Value | None:
    """bool[n, t]: the steps before the length of each row; None where all steps count."""
    lengths, steps = call.optional(4), x.type.shape[1]
    if lengths is None:
        return None
    known = call.array(4)
    if known is not None and isinstance(steps, int) and (known >= steps).all():
        return None
    places = ops.expand_dims(ops.cast(counted(steps), DType.INT64), 0)
    return ops.less(places, ops.expand_dims(ops.cast(lengths, DType.INT64), 1))


# ---- the plain forms


def _plain(call: NodeCall, way: Way) -> ops.LSTM | ops.GRU | ops.SimpleRNN | None:
    """The op of dagir for one direction; None where it has none."""
    names = [name for function in way.functions if (name := function.keras_name) is not None]
    if call.attribute("clip", 0.0) or way.peepholes is not None or call.attribute("input_forget", 0):
        return None
    if len(names) < len(way.functions):
        return None
    gate, inner = names[0], names[-1]
    if call.op == "RNN":
        return ops.SimpleRNN(inner, way.is_back, True)
    if call.op == "GRU":
        return ops.GRU(inner, way.is_back, True, gate, _resets_after(call))
    return ops.LSTM(inner, way.is_back, True, gate) if names[1] == inner else None


def beside(outputs: Sequence[Value]) -> Value:
    """[n, t, ways, u] of [n, t, u] for each way: two as Bidirectional has them, which its pass looks for."""
    if len(outputs) == 1:
        return ops.expand_dims(outputs[0], 2)
    batch, steps, units = outputs[0].type.shape
    return ops.reshape(ops.concatenate(outputs, 2), (batch, steps, len(outputs), units))


def _one(call: NodeCall, x: Value, mask: Value | None, way: Way) -> tuple[Value, ...]:
    """y [n, t, u] in the order of time, and the final states [n, u], of one direction."""
    op = _plain(call, way)
    if op is None:
        cell = Cell(
            call.op,
            way.functions,
            float(call.attribute("clip", 0.0)),
            bool(call.attribute("input_forget", 0)),
            _resets_after(call),
        )
        y, *finals = run(cell, x, (way.w, way.r, way.b, way.peepholes), way.states, mask, way.is_back)
    else:
        y, *finals = apply_node(op, (x, way.w, way.r, way.b, *way.states, mask)).outputs
    return (ops.flip(y, 1) if way.is_back else y, *finals)


__all__ = ["beside", "mask_of", "peepholes_of", "states_of"]
