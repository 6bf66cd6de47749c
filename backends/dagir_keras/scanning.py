"""Scan as keras.ops.scan over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops as K

from dagir import ops
from dagir.passes import CheckSizes, Inline
from dagir_keras.bodies import apply_bodies, evaluate, sizes_of, spec
from dagir_keras.rules import rules
from dagir_keras.sizes import number


@rules.rule(ops.Scan)
def scan(op: ops.Scan, *xs: Any) -> Any:
    return apply_bodies(op, xs, _run, _specs)


def _specs(op: ops.Scan, xs: Sequence[Any]) -> list[Any]:
    """ys [n, t, ...] and the states."""
    lead = xs[op.states].shape[:2]
    ys = [spec((*lead, *y.type.shape[1:]), y.dtype) for y in op.body.outputs[: op.outputs]]
    return [*ys, *(spec(x.shape, x.dtype) for x in xs[: op.states])]


def _run(op: ops.Scan, xs: Sequence[Any]) -> tuple[Any, ...]:
    given, last = len(op.body.inputs), op.states + op.sequences
    states, sequences, rest = list(xs[: op.states]), list(xs[op.states : last]), list(xs[last:given])
    mask = xs[given] if op.is_masked(len(xs)) else None
    body, sizes = CheckSizes()(Inline()(op.body)), _sizes(op, xs)
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
    return sizes_of(op.body, shapes)
