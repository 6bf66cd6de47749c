"""Scan as ONNX's own: the body becomes its subgraph, and a recurrence that ONNX has no kernel for a Scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from dagir import ops
from dagir.ir.graph import Graph, Value
from dagir.ir.rewriter import copy_node, rebuild
from dagir.ir.types import Equations, TensorType
from dagir.ops.call import bind_sizes
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import apply_rule, narrowed, widened
from dagir_onnx.rules import rules


@rules.rule(ops.Scan)
def scan(op: ops.Scan, emit: Emitter, *xs: Tensor) -> tuple[Tensor, ...]:
    """The states, and where there is a mask what came out last, are ONNX's state variables."""
    given, last = len(op.body.inputs), op.states + op.sequences
    states, sequences, rest = xs[: op.states], xs[op.states : last], xs[last:given]
    mask = xs[given] if op.is_masked(len(xs)) else None
    steps = [_step(emit, x, f"step_{i}") for i, x in enumerate(sequences)]
    before = [Tensor(emit.name(f"state_{i}"), state.type) for i, state in enumerate(states)]
    body = _with_types(op.body, [tensor.type for tensor in (*before, *steps, *rest)])
    kinds = [value.type for value in body.outputs[: op.outputs]]
    repeats = mask is not None and not op.zero_output_for_mask
    zeros = [_zeros(emit, kind) for kind in kinds] if repeats else []
    outs_before = [Tensor(emit.name(f"out_{i}"), kind) for i, kind in enumerate(kinds)] if repeats else []
    taken = [] if mask is None else [_step(emit, mask, "taken")]

    def write() -> list[Tensor]:
        results = lower_graph(emit, body, [*before, *steps, *rest])
        outs, new = results[: op.outputs], results[op.outputs :]
        if mask is not None:
            kept = outs_before or [emit.constant(0, kind.dtype) for kind in kinds]
            outs = [_chosen(emit, taken[0], *pair) for pair in zip(outs, kept, strict=True)]
            new = [_chosen(emit, taken[0], *pair) for pair in zip(new, before, strict=True)]
        return [*new, *(outs if repeats else []), *outs]

    graph = emit.subgraph(op.body.name, [*before, *outs_before, *steps, *taken], write)
    count = op.sequences + len(taken)
    results = emit(
        "Scan",
        *states,
        *zeros,
        *sequences,
        mask,
        outputs=len(states) + len(zeros) + op.outputs,
        body=graph,
        num_scan_inputs=count,
        scan_input_axes=[1] * count,
        scan_input_directions=[1] * count if op.go_backwards else None,
        scan_output_axes=[1] * op.outputs,
    )
    found = results if isinstance(results, tuple) else (results,)
    tensors = (*found[len(states) + len(zeros) :], *found[: len(states)])
    return tuple(Tensor(t.name, value.type) for t, value in zip(tensors, emit.outputs, strict=True))


def lower_graph(emit: Emitter, graph: Graph, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a graph over these tensors, its nodes written here and now."""
    known = dict(zip(graph.inputs, tensors, strict=True))

    def read(value: Value) -> Tensor:
        return known[value] if value in known else emit.leaf(value)

    for node in graph.nodes:
        operands = [None if value is None else read(value) for value in node.inputs]
        with emit.at(node):
            results = apply_rule(node, emit, operands)
        for value, tensor in zip(node.outputs, results, strict=True):
            known[value] = Tensor(tensor.name, value.type, tensor.make)
    return [read(value) for value in graph.outputs]


def _with_types(body: Graph, types: Sequence[TensorType]) -> Graph:
    """The body in terms of the sizes outside of it."""
    declared = [value.type for value in body.inputs]
    if declared == list(types):
        return body
    sizes = bind_sizes(Equations(), body.name, declared, types)
    inputs = [Value(type, name=value.name) for type, value in zip(types, body.inputs, strict=True)]
    return rebuild(
        body, lambda node, operands: copy_node(node, operands, node.op.substitute(sizes)).outputs, inputs=inputs
    )


def _step(emit: Emitter, sequence: Tensor, name: str) -> Tensor:
    shape = sequence.type.shape
    return Tensor(emit.name(name), sequence.type.with_shape((shape[0], *shape[2:])))


def _zeros(emit: Emitter, kind: TensorType) -> Tensor:
    if all(isinstance(size, int) for size in kind.shape):
        return emit.constant(np.zeros(kind.shape, kind.dtype.numpy))
    return cast(Tensor, emit("Expand", emit.constant(0, kind.dtype), emit.shape_tensor(kind.shape), type=kind))


def _chosen(emit: Emitter, taken: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` in the rows that are taken, `old` in the others."""
    axes = range(1, new.type.rank)
    rows = emit("Unsqueeze", taken, emit.ints(*axes)) if axes else taken
    chosen = cast(Tensor, emit("Where", rows, widened(emit, new), widened(emit, old), type=new.type))
    return narrowed(emit, chosen, new.type.dtype)
