"""Scan as the Scan of ONNX, with the body as its subgraph. A recurrence that ONNX has no kernel for becomes one too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from onnx import GraphProto

from dagir import ops
from dagir.ir.types import TensorType
from dagir_onnx.bodies import note, with_types
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import narrowed, widened
from dagir_onnx.lowering import emit_subgraph
from dagir_onnx.rules import rules


@rules.rule(ops.Scan)
def scan(op: ops.Scan, emit: Emitter, *xs: Tensor) -> tuple[Tensor, ...]:
    """ONNX's state variables are the states, and where there is a mask the last outputs too."""
    inputs, last = len(op.body.inputs), op.states + op.sequences
    states, sequences, rest = xs[: op.states], xs[op.states : last], xs[last:inputs]
    mask = xs[inputs] if op.is_masked(len(xs)) else None
    steps = [_step(emit, x, f"step_{i}") for i, x in enumerate(sequences)]
    before = [Tensor(emit.name(f"state_{i}"), state.type) for i, state in enumerate(states)]
    body = with_types(op.body, [tensor.type for tensor in (*before, *steps, *rest)])
    types = [value.type for value in body.outputs[: op.outputs]]
    repeats = mask is not None and not op.zero_output_for_mask
    zeros = [_zeros(emit, type) for type in types] if repeats else []
    outs_before = [Tensor(emit.name(f"out_{i}"), type) for i, type in enumerate(types)] if repeats else []
    taken = [] if mask is None else [_step(emit, mask, "taken")]
    made: list[str] = []

    def write() -> list[Tensor]:
        results = emit_subgraph(emit, body, [*before, *steps, *rest], op.body)
        made.extend(emit.reference(tensor) for tensor in results)
        outs, new = results[: op.outputs], results[op.outputs :]
        if taken:
            kept = outs_before or [emit.constant(0, type.dtype) for type in types]
            outs, new = _all_chosen(emit, taken[0], outs, kept), _all_chosen(emit, taken[0], new, before)
        return [*new, *(outs if repeats else []), *outs]

    graph = emit.subgraph(op.body.name, [*before, *outs_before, *steps, *taken], write)
    tensors = _write_scan(op, emit, graph, [*states, *zeros], [*sequences, *([] if mask is None else [mask])])
    note(emit, "body", [*before, *steps, *rest], made)
    return tuple(Tensor(tensor.name, value.type) for tensor, value in zip(tensors, emit.outputs, strict=True))


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
