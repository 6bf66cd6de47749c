"""Bidirectional as one LSTM, GRU or RNN node for both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from dagir import ops
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import narrowed, widened
from dagir_onnx.rnn import Counted, Recurrence, activations_of, bias_of, is_native, kernel_of, native_name, recurrence
from dagir_onnx.rules import rules


@rules.rule(ops.Bidirectional)
def bidirectional(op: ops.Bidirectional, emit: Emitter, *operands: Tensor | None) -> tuple[Tensor, ...]:
    dtype, ways, given = emit.outputs[0].dtype, op.ways, op.operands_of(operands)
    if not all(is_native(way, dtype) for way in ways):
        return _apart(emit, ways, given)
    x, mask = widened(emit, cast(Tensor, given[0][0])), given[0][-1]
    assert x is not None
    weights = [[None if t is None else widened(emit, t) for t in each[1:-1]] for each in given]
    counted = None if mask is None else Counted.of(emit, mask)
    y, *finals = _both(ways, emit, x if counted is None else counted.first(emit, x), weights, counted)
    if counted is not None:
        parts = emit("Split", y, axis=2, num_outputs=2, outputs=2, type=emit.outputs[0].type.with_dtype(y.type.dtype))
        y = emit("Concat", *[counted.spread(way, emit, part) for way, part in zip(ways, parts, strict=True)], axis=2)
        initial = [state for each in weights for state in each[3:]]
        finals = [counted.or_initial(emit, *pair) for pair in zip(finals, initial, strict=True)]
    return tuple(narrowed(emit, tensor, dtype) for tensor in (y, *finals))


def _both(
    ways: Sequence[Recurrence],
    emit: Emitter,
    x: Tensor,
    weights: Sequence[Sequence[Tensor | None]],
    counted: Counted | None,
) -> tuple[Tensor, ...]:
    """y [n, t, 2u] in the order of time, and the final states [n, u] of both directions."""
    first, units = ways[0], cast(int, cast(Tensor, weights[0][1]).type.shape[0])
    made = [
        (
            kernel_of(way, emit, cast(Tensor, w)),
            kernel_of(way, emit, cast(Tensor, r)),
            None if b is None else bias_of(way, emit, b),
        )
        for way, (w, r, b, *_) in zip(ways, weights, strict=True)
    ]
    initial = zip(*[each[3:] for each in weights], strict=True)
    results = emit(
        native_name(first),
        emit.transposed(x, (1, 0, 2)),
        *[_stacked(emit, *pair) for pair in zip(*made, strict=True)],
        None if counted is None else counted.lengths,
        *[_states(emit, *pair) for pair in initial],
        outputs=1 + first.states,
        type=x.type,
        hidden_size=units,
        direction="bidirectional",
        linear_before_reset=1 if isinstance(first, ops.GRU) and first.reset_after else None,
        **activations_of(*ways),
    )
    batch, steps, _ = x.type.shape
    apart = emit("Transpose", results[0], perm=[2, 0, 1, 3], type=x.type.with_shape((batch, steps, 2, units)))
    y = emit("Reshape", apart, emit.ints(0, 0, 2 * units), type=x.type.with_shape((batch, steps, 2 * units)))
    state = x.type.with_shape((batch, units))
    parts = [emit("Split", final, axis=0, num_outputs=2, outputs=2) for final in results[1:]]
    finals = [emit("Squeeze", part[way], emit.ints(0), type=state) for way in (0, 1) for part in parts]
    return (y, *finals)


def _stacked(emit: Emitter, first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """The [1, ...] of each direction as [2, ...]; one weight in the file where both are weights."""
    if first is None or second is None:
        return None
    kind = first.type.with_shape((2, *first.type.shape[1:]))
    if first.is_initializer and second.is_initializer:
        other = second
        return emit.derived(
            first, f"both ways with {second.name}", lambda array: np.concatenate([array, other.array]), kind
        )
    return cast(Tensor, emit("Concat", first, second, axis=0, type=kind))


def _states(emit: Emitter, first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return None
    return cast(Tensor, emit("Concat", *[emit("Unsqueeze", t, emit.ints(0)) for t in (first, second)], axis=0))


def _apart(emit: Emitter, ways: Sequence[Recurrence], given: Sequence[Sequence[Any]]) -> tuple[Tensor, ...]:
    """Where onnxruntime has no kernel: each direction by itself."""
    (y, *states), (back, *others) = (recurrence(way, emit, *each) for way, each in zip(ways, given, strict=True))
    step = emit.ints(-1)
    turned = emit("Slice", back, step, emit.ints(np.iinfo(np.int64).min + 1), emit.ints(1), step)
    return (emit("Concat", y, turned, axis=2), *states, *others)
