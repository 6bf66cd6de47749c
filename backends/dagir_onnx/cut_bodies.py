"""The body of a branch or a loop in an ONNX model, cut out as a model of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from dagir.ir.types import Array
from dagir.modeling.signature import Signature
from dagir.runtime.probes import Body
from dagir_onnx.bodies import BODY
from dagir_onnx.dtypes import value_info
from dagir_onnx.unread import reads


def cut_body(
    proto: ModelProto, tensor: str, body: Body, feeds: Mapping[str, Array]
) -> tuple[Signature, ModelProto] | None:
    """The body of the node that makes a tensor, and its signature; None where the file does not tell its tensors.

    feeds: the arrays of the model's inputs: what the body reads beside its own inputs is computed from them.
    """
    node = next((node for node in proto.graph.node if tensor in node.output), None)
    told = None if node is None else _told(node, body)
    inner = None if node is None else next((each.g for each in node.attribute if each.name == body.field), None)
    if told is None or inner is None:
        return None
    names, results = told
    signature = _signature(body, [names[place] for place in body.kept])
    graph = GraphProto(name=inner.name)
    graph.input.extend(value_info(name, type) for name, type in signature.inputs)
    graph.output.extend(value_info(name, type) for name, type in signature.outputs)
    inputs = {name for name, _ in signature.inputs}
    graph.node.extend(_needed([*proto.graph.node, *inner.node], results, inputs))
    for result, (name, _) in zip(results, signature.outputs, strict=True):
        graph.node.append(helper.make_node("Identity", [result], [name], name=name))
    graph.initializer.extend(_initializers([proto.graph, inner], graph.node, inputs, feeds))
    return signature, helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)


def _initializers(
    graphs: Sequence[GraphProto], nodes: Iterable[NodeProto], inputs: set[str], feeds: Mapping[str, Array]
) -> list[TensorProto]:
    """The weights that some nodes read, and the arrays that they read from outside."""
    read = {name for node in nodes for name in reads(node)} - inputs
    weights = [each for graph in graphs for each in graph.initializer if each.name in read]
    return weights + [numpy_helper.from_array(array, name) for name, array in feeds.items() if name in read]


def _told(node: NodeProto, body: Body) -> tuple[list[str], list[str]] | None:
    """The tensors of the body's inputs and outputs, as the file tells them; None where they do not fit the body."""
    for entry in node.metadata_props:
        try:
            field, inputs, outputs = json.loads(entry.value) if entry.key == BODY else ("", [], [])
        except (ValueError, TypeError):
            continue
        if field != body.field or not _are_names(inputs) or not _are_names(outputs):
            continue
        if len(inputs) > max(body.kept, default=-1) and len(outputs) == len(body.points.graph.outputs):
            return inputs, outputs
    return None


def _are_names(told: object) -> bool:
    return isinstance(told, list) and all(isinstance(name, str) for name in told)


def _signature(body: Body, names: Sequence[str]) -> Signature:
    """The inputs by the names of their tensors; one that the body does not read, or reads twice, has another name."""
    graph = body.points.graph
    own = [name if name and name not in names[:place] else f"unread:{place}" for place, name in enumerate(names)]
    return Signature(
        tuple((name, value.type) for name, value in zip(own, graph.inputs, strict=True)),
        tuple((f"result:{place}", value.type) for place, value in enumerate(graph.outputs)),
        [None] * len(graph.inputs),
        [None] * len(graph.outputs),
    )


def _needed(nodes: Sequence[NodeProto], tensors: Sequence[str], stops: set[str]) -> list[NodeProto]:
    """The nodes that some tensors depend on, up to the stops; the nodes are in order."""
    needed, kept = set(tensors) - stops, []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(name for name in reads(node) if name not in stops)
    return kept[::-1]
