"""If and Loop as those of ONNX, with their bodies as subgraphs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from dagir import ops
from dagir.ir.types import DType, TensorType
from dagir_onnx.bodies import emit_body, note, stacked
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules


@rules.rule(ops.If)
def if_(op: ops.If, emit: Emitter, condition: Tensor, *xs: Tensor) -> tuple[Tensor, ...]:
    branches = [
        emit.subgraph(branch.name, [], partial(emit_body, emit, branch, xs))
        for branch in (op.then_branch, op.else_branch)
    ]
    count = len(op.then_branch.outputs)
    results = emit("If", condition, outputs=count, then_branch=branches[0], else_branch=branches[1])
    for field, branch in zip(op.graph_fields, branches, strict=True):
        note(emit, field, xs, [info.name for info in branch.output])
    return _typed(emit, results)


@rules.rule(ops.Loop)
def loop(
    op: ops.Loop, emit: Emitter, count: Tensor | None = None, condition: Tensor | None = None, *xs: Tensor
) -> tuple[Tensor, ...]:
    """ONNX carries the condition from iteration to iteration, also where the loop only counts.

    onnxruntime refuses a loop that has neither a condition nor carried values.
    """
    state, rest = xs[: op.carried], xs[op.carried :]
    place = Tensor(emit.name("iteration"), TensorType(DType.INT64, ()))
    before = [Tensor(emit.name(f"state_{i}"), x.type) for i, x in enumerate(state)]
    goes_on = Tensor(emit.name("goes_on"), TensorType(DType.BOOL, ()))

    def write() -> Sequence[Tensor]:
        results = emit_body(emit, op.body, [place, *before, *rest])
        return results if op.tested else [goes_on, *results]

    body = emit.subgraph(op.body.name, [place, goes_on, *before], write)
    if condition is None:
        condition = emit.constant(True)
    if op.steps:
        count = emit("Squeeze", emit.size(op.steps[0]), emit.ints(0), type=place.type)
    results = emit("Loop", count, condition, *state, outputs=op.carried + op.outputs, body=body)
    note(emit, "body", [place, *before, *rest], [info.name for info in body.output][0 if op.tested else 1 :])
    found = _typed(emit, results)
    return (*found[: op.carried], *(stacked(emit, y, y.type) for y in found[op.carried :]))


def _typed(emit: Emitter, results: Any) -> tuple[Tensor, ...]:
    tensors = results if isinstance(results, tuple) else (results,)
    return tuple(Tensor(tensor.name, value.type) for tensor, value in zip(tensors, emit.outputs, strict=True))
