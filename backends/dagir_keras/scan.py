"""Scan as keras.ops.scan over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops as K

from dagir import ops
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Constant, Graph, Parameter, Value
from dagir.passes import Inline
from dagir_keras.rules import rules
from dagir_keras.sizes import number, sizes_to_compute, with_numbers


@rules.rule(ops.Scan)
def scan(op: ops.Scan, *xs: Any) -> Any:
    """On KerasTensors an Operation with shapes of its own."""
    if any(isinstance(x, keras.KerasTensor) for x in xs):
        return tuple(_Scan(op)(*xs))
    return _run(op, [K.convert_to_tensor(x) for x in xs])


class _Scan(keras.Operation):
    """The scan as a step of a functional model."""

    def __init__(self, op: ops.Scan) -> None:
        super().__init__()
        self.op = op

    def call(self, *xs: Any) -> Any:
        """The outputs of the op."""
        return _run(self.op, [K.convert_to_tensor(x) for x in xs])

    def compute_output_spec(self, *xs: Any) -> Any:
        """ys [n, t, ...] and the states."""
        op, (batch, steps) = self.op, xs[self.op.states].shape[:2]
        ys = op.body.outputs[: op.outputs]
        shapes = [(batch, steps, *(None if isinstance(d, SymbolicDim) else d for d in y.type.shape[1:])) for y in ys]
        found = [keras.KerasTensor(shape, dtype=str(y.dtype)) for shape, y in zip(shapes, ys, strict=True)]
        return (*found, *(keras.KerasTensor(x.shape, dtype=x.dtype) for x in xs[: op.states]))


def _run(op: ops.Scan, xs: Sequence[Any]) -> tuple[Any, ...]:
    given, last = len(op.body.inputs), op.states + op.sequences
    states, sequences, rest = list(xs[: op.states]), list(xs[op.states : last]), list(xs[last:given])
    mask = xs[given] if op.is_masked(len(xs)) else None
    body, sizes = Inline()(op.body), _sizes(op, xs)
    packed, unpack = _packed([*sequences, *([] if mask is None else [mask])])
    if op.go_backwards:
        packed = K.flip(packed, axis=0)
    shapes = [[number(d, sizes) for d in value.type.shape] for value in body.outputs[: op.outputs]]
    zeros = [K.zeros(s, dtype=str(v.dtype)) for s, v in zip(shapes, body.outputs, strict=False)]
    held = [] if mask is None or not op.zero_output_for_mask else zeros

    def advance(carry: Any, step: Any) -> Any:
        outs, before = carry[: op.outputs], carry[op.outputs :]
        parts = unpack(step)
        new = evaluate(body, [*before, *parts[: op.sequences], *rest], sizes)
        if mask is not None:
            pairs = zip(new, [*(held or outs), *before], strict=True)
            new = [_chosen(parts[-1], now, old) for now, old in pairs]
        return new, new  # keras.ops.scan needs outputs of the same structure as the carry

    final, ys = K.scan(advance, [*zeros, *states], packed)
    return (*(K.swapaxes(y, 0, 1) for y in ys[: op.outputs]), *final[op.outputs :])


def _chosen(taken: Any, new: Any, old: Any) -> Any:
    return K.where(K.reshape(taken, (-1, *(1,) * (len(new.shape) - 1))), new, old)


def _packed(sequences: Sequence[Any]) -> tuple[Any, Callable[[Any], list[Any]]]:
    """Sequences [n, t, ...] as one [t, n, k], and a function that splits a step of it.

    keras.ops.scan takes only one sequence of unknown length. float64 represents every bool, float32 and int32.
    """
    if len(sequences) == 1:
        return K.swapaxes(sequences[0], 0, 1), lambda step: [step]
    floats = {keras.backend.standardize_dtype(x.dtype) for x in sequences} - {"bool"}
    carrier = floats.pop() if len(floats) == 1 else "float64"
    shapes = [tuple(K.shape(x)[2:]) for x in sequences]  # with tensors for sizes that are known at run time only
    widths = [_size(shape) for shape in shapes]
    lead = K.shape(sequences[0])[:2]
    flat = [K.reshape(K.cast(x, carrier), (*lead, width)) for x, width in zip(sequences, widths, strict=True)]
    dtypes = [x.dtype for x in sequences]

    def unpack(step: Any) -> list[Any]:
        parts, start = [], 0
        for shape, width, dtype in zip(shapes, widths, dtypes, strict=True):
            part = K.reshape(step[:, start : start + width], (-1, *shape))
            parts.append(K.cast(part, dtype))
            start += width
        return parts

    return K.swapaxes(K.concatenate(flat, axis=-1), 0, 1), unpack


def _size(shape: Sequence[Any]) -> Any:
    size: Any = 1
    for axis in shape:
        size *= axis
    return size


def _sizes(op: ops.Scan, xs: Sequence[Any]) -> dict[str, Any]:
    """The numbers of the named sizes that the inputs of the body have."""
    shapes = [list(K.shape(x)) for _, x in zip(op.body.inputs, xs, strict=False)]
    for shape in shapes[op.states : op.states + op.sequences]:
        del shape[1]
    sources = size_sources([value.type.shape for value in op.body.inputs[: len(shapes)]])
    return {name: source.solve(shapes[source.place][source.axis]) for name, source in sources.items()}


def evaluate(graph: Graph, tensors: Sequence[Any], sizes: dict[str, Any]) -> list[Any]:
    """The outputs of a graph of ops, without layer calls, for tensors. It keeps a tensor for each value."""
    values: dict[Value, Any] = dict(zip(graph.inputs, tensors, strict=True))

    def read(value: Value) -> Any:
        return values[value] if value in values else _leaf(value)

    for node in graph.nodes:
        operands = [None if value is None else read(value) for value in node.inputs]
        op = with_numbers(node.op, sizes) if sizes_to_compute(node.op) else node.op
        results = rules[type(op)](op, *operands)
        values.update(zip(node.outputs, results if isinstance(results, tuple) else (results,), strict=True))
    return [read(value) for value in graph.outputs]


def _leaf(value: Value) -> Any:
    """The tensor of a parameter or constant."""
    assert isinstance(value.source, (Constant, Parameter))
    return K.convert_to_tensor(value.source.array, dtype=str(value.dtype))
