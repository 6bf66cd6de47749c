"""Replay: call the layers of a graph again, on other values, so that masks travel through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir.graph import Graph, Node, Value
from dagir.layers.base import Layer
from dagir.origin import LayerCall, current_scope
from dagir.rewriting import copy_node
from dagir.structure import flatten, map_structure


def replay(graph: Graph, inputs: Sequence[Value]) -> list[Value]:
    """The outputs of the graph over `inputs`, each outermost layer called anew, nodes of no layer copied."""
    values: dict[Value, Value] = dict(zip(graph.inputs, inputs, strict=True))
    called: set[LayerCall] = set()
    for node in graph.nodes:
        call = node.scope.within(None) if node.scope is not None else None
        if call is None or not isinstance(call.layer, Layer):
            _copy(node, values)
        elif call not in called:
            called.add(call)
            _call_again(call, call.layer, values)
    return [values.get(value, value) for value in graph.outputs]


def _copy(node: Node, values: dict[Value, Value]) -> None:
    operands = tuple([None if value is None else values.get(value, value) for value in node.inputs])
    values.update(zip(node.outputs, copy_node(node, operands, scope=current_scope.get()).outputs, strict=True))


def _call_again(call: LayerCall, layer: Layer, values: dict[Value, Value]) -> None:
    def moved(leaf: Any) -> Any:
        return values.get(leaf, leaf) if isinstance(leaf, Value) else leaf

    outputs = layer(*map_structure(moved, call.args), **map_structure(moved, call.kwargs))
    values.update(zip(flatten(call.outputs), flatten(outputs), strict=True))
