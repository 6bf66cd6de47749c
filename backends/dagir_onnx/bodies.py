"""The graphs inside ops as subgraphs of ONNX: with the named sizes and the tensors of the graph around them.

The file says which tensors the inputs and outputs of a body are, so that a body can be run by itself: the metadata of
its node ("dagir.body") has the field, the inputs and the outputs as JSON. The name of an input is empty where the body
reads a weight or a constant.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from onnx import StringStringEntryProto

from dagir.ir.data_names import DataName, names_in
from dagir.ir.dim_bounds import never_empty
from dagir.ir.dims import Dim
from dagir.ir.graph import Graph, Value
from dagir.ir.rewriter import copy_node, rebuild
from dagir.ir.types import Equations, TensorType
from dagir.ops.call import bind_sizes
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.lowering import emit_subgraph


def emit_body(emit: Emitter, body: Graph, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Write the nodes of a body for these inputs, within `Emitter.subgraph`; returns its outputs."""
    return emit_subgraph(emit, with_types(body, [tensor.type for tensor in tensors]), tensors, body)


BODY = "dagir.body"


def note(emit: Emitter, field: str, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    """Write into the last node which tensors the inputs and outputs of its body are."""
    names = ["" if tensor.is_initializer else tensor.name for tensor in inputs]
    text = json.dumps([field, names, list(outputs)], separators=(",", ":"))
    emit.nodes[-1].metadata_props.append(StringStringEntryProto(key=BODY, value=text))


def may_be_none(steps: Dim) -> bool:
    """Whether inputs that are not empty may make a number of steps 0."""
    return any(isinstance(name, DataName) for name in names_in(steps)) or not never_empty(steps)


def stacked(emit: Emitter, y: Tensor, kind: TensorType) -> Tensor:
    """What a Loop stacked, of its type: where no iteration ran, onnxruntime makes 0 of each size that is left open."""
    steps, *sizes = kind.shape
    if not may_be_none(steps) or all(isinstance(size, int) for size in sizes):
        return Tensor(y.name, kind)
    return cast(Tensor, emit("Reshape", y, emit.shape_tensor(kind.shape), allowzero=1, type=kind))


def with_types(body: Graph, types: Sequence[TensorType]) -> Graph:
    """The body with the named sizes of the graph around it."""
    declared = [value.type for value in body.inputs]
    if declared == list(types):
        return body
    sizes = bind_sizes(Equations(), body.name, declared, types)
    inputs = [Value(type, name=value.name) for type, value in zip(types, body.inputs, strict=True)]
    return rebuild(
        body, lambda node, operands: copy_node(node, operands, node.op.substitute(sizes)).outputs, inputs=inputs
    )
