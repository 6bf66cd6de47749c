"""The loop: walk the nodes in order, look up the rule, keep the tensor's name; then the ModelProto."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from onnx import ModelProto, NodeProto, OperatorSetIdProto, helper

from dagir.errors import DagirError
from dagir.ir.graph import Graph, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.naming import value_names
from dagir.ir.types import TensorType
from dagir.modeling.signature import Signature
from dagir.runtime.backend import at_node
from dagir_onnx.dtypes import value_info
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import apply_rule
from dagir_onnx.targets import IR_VERSIONS


def emit_graph(graph: Graph, signature: Signature, opset: int, device: str = "cpu") -> Emitter:
    """Lower every node. Raises UnsupportedOp and whatever a rule raises, with the node named."""
    names = value_names(graph, [name for name, _ in signature.outputs])
    names.update({value: name for value, (name, _) in zip(graph.inputs, signature.inputs, strict=True)})
    emit = Emitter(opset, names, device, [name for name, _ in signature.outputs])
    tensors = dict(zip(graph.inputs, emit.declare_inputs(graph.inputs), strict=True))
    outputs = set(graph.outputs)

    def read(value: Value) -> Tensor:
        if value not in tensors:
            tensors[value] = emit.leaf(value)
        return tensors[value]

    for node in graph.nodes:
        operands = [None if value is None else read(value) for value in node.inputs]
        start = emit.begin(node)
        try:
            results = apply_rule(node, emit, operands)
        except DagirError as error:
            raise at_node(error, node) from None
        for value, tensor in zip(node.outputs, results, strict=True):
            tensors[value] = emit.finish(value, tensor, start, value in outputs)
    return emit


def model_proto(
    graph: Graph, signature: Signature, opset: int, metadata: Mapping[str, str] = {}, device: str = "cpu"
) -> tuple[ModelProto, dict[str, Tensor]]:
    """The model without its weights, and the initializers to put in or beside it.

    device: what it shall run on; rules go around kernels that are wrong there.
    """
    emit = emit_graph(graph, signature, opset, device)
    inputs = [value_info(name, type) for name, type in signature.inputs]
    outputs = [value_info(name, type) for name, type in _final_outputs(graph, signature, emit)]
    if any(len(node.outputs) > 1 for node in graph.nodes):
        _sweep(emit, [name for name, _ in signature.outputs])
    made_by = version("dagir")
    proto = helper.make_graph(emit.nodes, graph.name, inputs, outputs)
    model = helper.make_model(
        proto,
        opset_imports=_opsets(emit, opset),
        ir_version=IR_VERSIONS[opset],
        producer_name="dagir",
        producer_version=made_by,
    )
    helper.set_model_props(model, {"dagir.version": made_by, **metadata})
    return model, emit.initializers


def _opsets(emit: Emitter, opset: int) -> list[OperatorSetIdProto]:
    """The version of each domain that the nodes are from."""
    found = [helper.make_opsetid("", opset)]
    if any(proto.domain == "ai.onnx.ml" for proto in emit.nodes):
        found.append(helper.make_opsetid("ai.onnx.ml", 3))
    return found


def _sweep(emit: Emitter, outputs: list[str]) -> None:
    """Drop what nobody reads: a rule lowers every output of its op, such as the sequence of an LSTM and its state."""
    needed = set(outputs)
    kept = []
    for proto in reversed(emit.nodes):
        if not needed.isdisjoint(proto.output):
            kept.append(proto)
            needed.update(_reads(proto))
    emit.nodes = kept[::-1]
    emit.initializers = {name: tensor for name, tensor in emit.initializers.items() if name in needed}


def _reads(proto: NodeProto) -> list[str]:
    """The names that a node reads, those that its subgraphs read among them."""
    names, pending = [], [proto]
    while pending:
        node = pending.pop()
        names.extend(node.input)
        pending.extend(inner for attribute in node.attribute for inner in attribute.g.node)
        names.extend(output.name for attribute in node.attribute for output in attribute.g.output)
    return names


def _final_outputs(graph: Graph, signature: Signature, emit: Emitter) -> list[tuple[str, TensorType]]:
    """Outputs that are inputs, weights, or one value twice need an Identity of their own."""
    made = {name for proto in emit.nodes for name in proto.output}
    seen: set[str] = set()
    for value, (name, type) in zip(graph.outputs, signature.outputs, strict=True):
        if name not in made or name in seen:
            source = emit.leaf(value) if is_leaf(value) else None
            first = graph.outputs.index(value)
            known = signature.outputs[first][0] if first < len(signature.outputs) and value.node else value.name
            emit("Identity", source or Tensor(known, type))
            emit.nodes[-1].output[0] = name
        seen.add(name)
    return list(signature.outputs)
