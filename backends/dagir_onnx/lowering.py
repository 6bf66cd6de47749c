"""The ONNX lowering. It keeps a Tensor for each value: its name in the ONNX graph, and its type.

`model_proto` lowers a graph to a ModelProto. The loop walks the nodes in order, looks up the rule of each, which writes
ONNX nodes with the Emitter, and keeps the results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from onnx import ModelProto, OperatorSetIdProto, helper

from dagir.errors import DagirError
from dagir.ir.graph import Graph, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.naming import value_names
from dagir.modeling.signature import Signature
from dagir.runtime.backend import at_node
from dagir_onnx.declared_sizes import declared_sizes
from dagir_onnx.dtypes import value_info
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import apply_rule
from dagir_onnx.older_opsets import WRITTEN, write_older
from dagir_onnx.targets import FROZEN, IR_VERSIONS
from dagir_onnx.unread import without_last_identities, without_unread


def model_proto(
    graph: Graph,
    signature: Signature,
    opset: int,
    metadata: Mapping[str, str] = {},
    device: str = "cpu",
    inside: dict[Value, list[str]] | None = None,
) -> tuple[ModelProto, dict[str, Tensor]]:
    """The ONNX model of a graph without its weights, and the initializers to put into it or beside it.

    device: the device that runs the model; rules avoid kernels that are wrong there. inside: gets the tensors of the
    values in bodies.
    """
    emit = emit_graph(graph, signature, max(opset, WRITTEN), device)
    if inside is not None:
        inside.update(emit.inside)
    inputs = [value_info(name, type) for name, type in signature.inputs]
    _write_outputs(graph, signature, emit)
    outputs = [value_info(name, type) for name, type in signature.outputs]
    if emit.has_unread or any(len(node.outputs) > 1 for node in graph.nodes):
        _drop_unread(emit, [name for name, _ in signature.outputs])
    emit.nodes = without_last_identities(emit.nodes, [name for name, _ in signature.outputs])
    sizes = declared_sizes(emit.nodes, emit.types)
    proto = helper.make_graph(emit.nodes, graph.name, inputs, outputs, value_info=sizes)
    dagir_version = version("dagir")
    model = helper.make_model(
        proto,
        opset_imports=_opsets(emit, opset),
        ir_version=IR_VERSIONS[opset],
        producer_name="dagir",
        producer_version=dagir_version,
    )
    frozen = sorted(emit.frozen & emit.initializers.keys())
    props = {"dagir.version": dagir_version} | ({FROZEN: json.dumps(frozen)} if frozen else {})
    helper.set_model_props(model, {**props, **metadata})
    if opset < WRITTEN:
        return model, write_older(model, emit.initializers, emit.types, opset)
    return model, emit.initializers


def emit_graph(graph: Graph, signature: Signature, opset: int, device: str = "cpu") -> Emitter:
    """The loop: write the nodes of a graph. Raises UnsupportedOp and whatever a rule raises, with the node named."""
    names = value_names(graph, [name for name, _ in signature.outputs])
    names.update({value: name for value, (name, _) in zip(graph.inputs, signature.inputs, strict=True)})
    emit = Emitter(opset, names, device, [name for name, _ in signature.outputs])
    values = dict(zip(graph.inputs, emit.declare_inputs(graph.inputs), strict=True))
    outputs = set(graph.outputs)

    def read(value: Value) -> Tensor:
        return values[value] if value in values else emit.leaf(value)

    for node in graph.nodes:
        operands = [None if value is None else read(value) for value in node.inputs]
        start = emit.begin(node)
        try:
            results = apply_rule(node, emit, operands)
        except DagirError as error:
            raise at_node(error, node) from error.__cause__
        for value, result in zip(node.outputs, results, strict=True):
            values[value] = emit.finish(value, result, start, value in outputs)
        if node.op.size_fields:
            emit.declare_sizes(node, [values[value] for value in node.outputs])
    return emit


def emit_subgraph(emit: Emitter, graph: Graph, tensors: Sequence[Tensor], origin: Graph | None = None) -> list[Tensor]:
    """The loop within a node: write the nodes of its body for these inputs, and return the outputs.

    origin: the body as the node holds it, with the same nodes: the tensors of its values are noted.
    """
    values = dict(zip(graph.inputs, tensors, strict=True))

    def read(value: Value) -> Tensor:
        return values[value] if value in values else emit.leaf(value)

    for node, held in zip(graph.nodes, (origin or graph).nodes, strict=True):
        operands = [None if value is None else read(value) for value in node.inputs]
        with emit.at(node):
            results = apply_rule(node, emit, operands)
        for value, known, result in zip(node.outputs, held.outputs, results, strict=True):
            values[value] = Tensor(result.name, value.type, result.make)
            emit.types.setdefault(result.name, value.type)
            emit.views.know(values[value], value.type.rank)
            emit.declare_axes(values[value])
            if origin is not None:
                emit.inside.setdefault(known, []).append(result.name)
        if node.op.size_fields:
            emit.declare_sizes(node, [values[value] for value in node.outputs])
    return [read(value) for value in graph.outputs]


def _opsets(emit: Emitter, opset: int) -> list[OperatorSetIdProto]:
    """The version of each operator domain that the nodes use."""
    opsets = [helper.make_opsetid("", opset)]
    if any(proto.domain == "ai.onnx.ml" for proto in emit.nodes):
        opsets.append(helper.make_opsetid("ai.onnx.ml", 3 if opset >= 16 else 2))
    if any(proto.domain == "com.microsoft" for proto in emit.nodes):
        opsets.append(helper.make_opsetid("com.microsoft", 1))
    return opsets


def _drop_unread(emit: Emitter, outputs: list[str]) -> None:
    """Drop nodes whose results are not read: a rule writes every output of its op, read or not."""
    emit.nodes, needed = without_unread(emit.nodes, outputs)
    emit.initializers = {name: tensor for name, tensor in emit.initializers.items() if name in needed}


def _write_outputs(graph: Graph, signature: Signature, emit: Emitter) -> None:
    """Write an Identity for each output that is an input, a weight, or the same value as another output."""
    written = {name for proto in emit.nodes for name in proto.output}
    seen: set[str] = set()
    for value, (name, type) in zip(graph.outputs, signature.outputs, strict=True):
        if name not in written or name in seen:
            leaf = emit.leaf(value) if is_leaf(value) else None
            first = graph.outputs.index(value)
            known = signature.outputs[first][0] if first < len(signature.outputs) and value.node else value.name
            emit("Identity", leaf or Tensor(known, type))
            emit.nodes[-1].output[0] = name
        seen.add(name)
