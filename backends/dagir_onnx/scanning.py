"""Scan as the Scan of ONNX, with the body as its subgraph. A recurrence that ONNX has no kernel for becomes one too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from onnx import GraphProto

from dagir import ops
from dagir.ir.graph import Graph
from dagir.ir.types import DType, TensorType
from dagir_onnx.bodies import may_be_none, note, stacked, with_types
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import narrowed, widened
from dagir_onnx.lowering import emit_subgraph
from dagir_onnx.rules import rules

_COUNT, _FLAG = TensorType(DType.INT64, ()), TensorType(DType.BOOL, ())


@rules.rule(ops.Scan)
def scan(op: ops.Scan, emit: Emitter, *xs: Tensor) -> tuple[Tensor, ...]:
    """Where inputs that are not empty may make empty sequences, a Loop: onnxruntime (1.32) runs no Scan over none."""
    return (_as_loop if may_be_none(xs[op.states].type.shape[1]) else _as_scan)(op, emit, *xs)


def _as_scan(op: ops.Scan, emit: Emitter, *xs: Tensor) -> tuple[Tensor, ...]:
    """ONNX's state variables are the states, and where there is a mask the last outputs too."""
    states, sequences, rest, mask = _operands(op, xs)
    steps = [_step(emit, x, f"step_{i}") for i, x in enumerate(sequences)]
    before, body, outs_before, zeros = _begun(op, emit, xs, steps)
    taken = [] if mask is None else [_step(emit, mask, "taken")]
    made: list[str] = []

    def write() -> list[Tensor]:
        results = emit_subgraph(emit, body, [*before, *steps, *rest], op.body)
        made.extend(emit.reference(tensor) for tensor in results)
        outs, new = _masked(op, emit, taken, results, before, outs_before)
        return [*new, *(outs if outs_before else []), *outs]

    graph = emit.subgraph(op.body.name, [*before, *outs_before, *steps, *taken], write)
    tensors = _write_scan(op, emit, graph, [*states, *zeros], [*sequences, *([] if mask is None else [mask])])
    note(emit, "body", [*before, *steps, *rest], made)
    return tuple(Tensor(tensor.name, value.type) for tensor, value in zip(tensors, emit.outputs, strict=True))


def _as_loop(op: ops.Scan, emit: Emitter, *xs: Tensor) -> tuple[Tensor, ...]:
    """Each iteration gathers its step; what it gives is stacked along a first axis, which goes behind the batch."""
    states, sequences, rest, mask = _operands(op, xs)
    place, goes_on = Tensor(emit.name("iteration"), _COUNT), Tensor(emit.name("goes_on"), _FLAG)
    count = emit("Squeeze", emit.size(sequences[0].type.shape[1]), emit.ints(0), type=_COUNT)
    last = emit("Sub", count, emit.constant(1, DType.INT64), type=_COUNT) if op.go_backwards else None
    steps = [_step(emit, x, f"step_{i}") for i, x in enumerate(sequences)]
    before, body, outs_before, zeros = _begun(op, emit, xs, steps)
    names: list[str] = []
    made: list[str] = []

    def write() -> list[Tensor]:
        index = place if last is None else emit("Sub", last, place, type=_COUNT)
        now = [emit("Gather", x, index, axis=1, type=step.type) for x, step in zip(sequences, steps, strict=True)]
        taken = [] if mask is None else [emit("Gather", mask, index, axis=1, type=_step(emit, mask, "taken").type)]
        results = emit_subgraph(emit, body, [*before, *now, *rest], op.body)
        names.extend(emit.reference(tensor) for tensor in now)
        made.extend(emit.reference(tensor) for tensor in results)
        outs, new = _masked(op, emit, taken, results, before, outs_before)
        return [goes_on, *new, *(outs if outs_before else []), *outs]

    graph = emit.subgraph(op.body.name, [place, goes_on, *before, *outs_before], write)
    carried = [*states, *zeros]
    found = emit("Loop", count, emit.constant(True), *carried, outputs=len(carried) + op.outputs, body=graph)
    note(emit, "body", [*before, *(Tensor(n, s.type) for n, s in zip(names, steps, strict=True)), *rest], made)
    tensors = found if isinstance(found, tuple) else (found,)
    kinds = [value.type for value in emit.outputs]
    ys = [_batch_first(emit, y, kind) for y, kind in zip(tensors[len(carried) :], kinds, strict=False)]
    return (*ys, *(Tensor(t.name, k) for t, k in zip(tensors[: op.states], kinds[op.outputs :], strict=True)))


def _operands(
    op: ops.Scan, xs: Sequence[Tensor]
) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor], Tensor | None]:
    """The states, the sequences, what each step reads whole, the mask."""
    inputs, last = len(op.body.inputs), op.states + op.sequences
    return xs[: op.states], xs[op.states : last], xs[last:inputs], xs[inputs] if op.is_masked(len(xs)) else None


def _begun(
    op: ops.Scan, emit: Emitter, xs: Sequence[Tensor], steps: Sequence[Tensor]
) -> tuple[list[Tensor], Graph, list[Tensor], list[Tensor]]:
    """The states in the body; the body; and, where a mask repeats them, the last outputs, in it and at the start."""
    states, _, rest, mask = _operands(op, xs)
    before = [Tensor(emit.name(f"state_{i}"), state.type) for i, state in enumerate(states)]
    body = with_types(op.body, [tensor.type for tensor in (*before, *steps, *rest)])
    types = [value.type for value in body.outputs[: op.outputs]]
    if mask is None or op.zero_output_for_mask:
        return before, body, [], []
    repeated = [Tensor(emit.name(f"out_{i}"), type) for i, type in enumerate(types)]
    return before, body, repeated, [_zeros(emit, type) for type in types]


def _masked(
    op: ops.Scan,
    emit: Emitter,
    taken: Sequence[Tensor],
    results: Sequence[Tensor],
    before: Sequence[Tensor],
    outs_before: Sequence[Tensor],
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """The outputs of a step and the new states, with those of before where the mask does not take them."""
    outs, new = results[: op.outputs], results[op.outputs :]
    if not taken:
        return outs, new
    kept = outs_before or [emit.constant(0, out.type.dtype) for out in outs]
    return _all_chosen(emit, taken[0], outs, kept), _all_chosen(emit, taken[0], new, before)


def _batch_first(emit: Emitter, y: Tensor, kind: TensorType) -> Tensor:
    """What a Loop stacked along a first axis, with that axis behind the batch."""
    first = kind.with_shape((kind.shape[1], kind.shape[0], *kind.shape[2:]))
    return emit.transposed(stacked(emit, y, first), (1, 0, *range(2, kind.rank)))


def _write_scan(
    op: ops.Scan, emit: Emitter, graph: GraphProto, states: Sequence[Tensor], sequences: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Write ONNX's Scan. Returns the stacked outputs, then the last states."""
    count = len(sequences)
    results = emit(
        "Scan",
        *states,
        *sequences,
        outputs=len(states) + op.outputs,
        body=graph,
        num_scan_inputs=count,
        scan_input_axes=[1] * count,
        scan_input_directions=[1] * count if op.go_backwards else None,
        scan_output_axes=[1] * op.outputs or None,
    )
    tensors = results if isinstance(results, tuple) else (results,)
    return (*tensors[len(states) :], *tensors[: op.states])


def _step(emit: Emitter, sequence: Tensor, name: str) -> Tensor:
    shape = sequence.type.shape
    return Tensor(emit.name(name), sequence.type.with_shape((shape[0], *shape[2:])))


def _zeros(emit: Emitter, kind: TensorType) -> Tensor:
    if all(isinstance(size, int) for size in kind.shape):
        return emit.constant(np.zeros(kind.shape, kind.dtype.numpy))
    return cast(Tensor, emit("Expand", emit.constant(0, kind.dtype), emit.shape_tensor(kind.shape), type=kind))


def _all_chosen(emit: Emitter, taken: Tensor, new: Sequence[Tensor], old: Sequence[Tensor]) -> list[Tensor]:
    return [_chosen(emit, taken, *pair) for pair in zip(new, old, strict=True)]


def _chosen(emit: Emitter, taken: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` in the rows where `taken` is true, `old` in the others."""
    axes = range(1, new.type.rank)
    rows = emit("Unsqueeze", taken, emit.ints(*axes)) if axes else taken
    chosen = cast(Tensor, emit("Where", rows, widened(emit, new), widened(emit, old), type=new.type))
    return narrowed(emit, chosen, new.type.dtype)
