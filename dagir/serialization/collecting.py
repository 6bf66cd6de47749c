"""All parts of a model, with numbers: every graph, node, weight, constant, layer and layer call."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from dagir.errors import FileError
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.nest import flatten
from dagir.layers import InputLayer, Layer, internals
from dagir.modeling.call_order import in_call_order
from dagir.modeling.model import Model
from dagir.serialization.fields import field_types
from dagir.support.location import LayerCall


class Collection:
    """The parts of a model, or of a graph inside a layer call.

    Each is a dict from the part to its number, in an order in which the parts can be made again.

    values: first those without a source here, then parameters, constants, and the outputs of nodes in order.
    """

    def __init__(self, root: Model | Graph, within: LayerCall | None = None) -> None:
        self.root = root
        self.nodes: dict[Node, int] = {}
        self.graphs: dict[Graph, int] = {}
        self.calls: dict[LayerCall, int] = {}
        self.layers: dict[Any, int] = {}
        self.parameters: dict[Parameter, int] = {}
        self.constants: dict[Constant, int] = {}
        self.free: dict[Value, int] = {}
        self.values: dict[Value, int] = {}
        self._pending: list[Any] = [root] if within is None else [within, root]  # root is taken first
        self._spread()
        self._add_company()
        self._number()

    def masked(self) -> Iterator[tuple[Value, Value]]:
        """Values that carry a mask which is here too."""
        for value in list(self.values):
            if value.mask is not None and value.mask in self.values:
                yield value, value.mask

    def _spread(self) -> None:
        while self._pending:
            found = self._pending.pop()
            if isinstance(found, Graph):
                self._add_graph(found)
            elif isinstance(found, LayerCall):
                self._add_call(found)
            elif isinstance(found, Node):
                self._add_node(found)
            elif found not in self.layers:
                self._add_layer(found)

    def _add_graph(self, graph: Graph) -> None:
        if graph in self.graphs:
            return
        self.graphs[graph] = len(self.graphs)
        for node in graph.nodes:
            self._add_node(node)
        for value in (*graph.inputs, *graph.outputs):
            self._add_leaf(value)

    def _add_node(self, node: Node) -> None:
        if node in self.nodes:
            return
        self.nodes[node] = 0
        for value in node.inputs:
            if value is not None:
                self._add_leaf(value)
        if node.scope is not None and node.scope not in self.calls:
            self._add_call(node.scope)
        for name in field_types(type(node.op)):
            held = getattr(node.op, name)
            if isinstance(held, Graph):
                self._pending.append(held)

    def _add_leaf(self, value: Value) -> None:
        source = value.source
        if isinstance(source, Parameter):
            self.parameters.setdefault(source, len(self.parameters))
        elif isinstance(source, Constant):
            self.constants.setdefault(source, len(self.constants))
        elif isinstance(source, LayerCall):
            self.free.setdefault(value, 0)
            self._pending.append(source.layer)
        elif source is None:
            self.free.setdefault(value, 0)

    def _add_call(self, call: LayerCall | None) -> None:
        chain: list[LayerCall] = []
        while call is not None and call not in self.calls:
            chain.append(call)
            call = call.parent
        for found in reversed(chain):
            self.calls[found] = len(self.calls)
            self._pending.append(found.layer)

    def _add_layer(self, layer: object) -> None:
        self.layers[layer] = 0
        for weight in internals.own_weights(layer) if isinstance(layer, Layer) else ():
            self.parameters.setdefault(weight, len(self.parameters))
        self._pending.extend(parts_of(layer))
        if type(layer) is InputLayer:
            self.free.setdefault(layer.output, 0)
        if isinstance(layer, Model):
            if not layer.has_graph:
                raise FileError(f"model {layer.name!r} has no graph yet", remedy="call it on an Input first")
            self._pending.append(layer.graph)

    # ---- what stands beside the graphs: outputs of layers that nobody reads, and masks

    def _add_company(self) -> None:
        done: set[object] = set()
        while todo := [call for call in self.calls if call not in done]:
            for call in todo:
                done.add(call)
                for value in _values_in(call.outputs):
                    self._pending.extend(self._missing(value, call))
            self._spread()
        for node in sorted(self.nodes, key=attrgetter("serial")):
            for value in node.outputs:
                if value.mask is not None:
                    self._pending.extend(self._missing(value.mask, None))
                    self._spread()
        for value in list(self.free):
            if value.mask is not None:
                self._pending.extend(self._missing(value.mask, None))
        self._spread()

    def _missing(self, value: Value, call: LayerCall | None) -> list[Node]:
        """The nodes inside `call` that compute a value from known parts; none if that is not possible."""
        found: dict[Node, None] = {}
        pending = [value]
        while pending:
            operand = pending.pop()
            node = operand.source
            if isinstance(node, Node) and node not in self.nodes and node not in found:
                if call is not None and not _is_within(node.scope, call):
                    return []
                found[node] = None
                pending.extend(source for source in node.inputs if source is not None)
            elif (node is None or isinstance(node, LayerCall)) and operand not in self.free:
                return []
        return list(found)

    # ---- numbers

    def _number(self) -> None:
        self.nodes = {node: i for i, node in enumerate(sorted(self.nodes, key=attrgetter("serial")))}
        self.layers = {layer: i for i, layer in enumerate(self._inner_first())}
        self.calls = {call: i for i, call in enumerate(in_call_order(self.calls))}
        self._add_free()
        leaves: list[Value] = [*self.free, *(weight.value for weight in self.parameters)]
        leaves += [constant.value for constant in self.constants]
        leaves += [value for node in self.nodes for value in node.outputs]
        self.values = {value: i for i, value in enumerate(leaves)}

    def _add_free(self) -> None:
        """The values that graphs, nodes and calls mention, and that nothing here produces."""
        made = {value for node in self.nodes for value in node.outputs}
        mentioned = [value for graph in self.graphs for value in (*graph.inputs, *graph.outputs)]
        mentioned += [value for node in self.nodes for value in node.inputs if value is not None]
        for call in self.calls:
            mentioned += _values_in([call.args, call.kwargs, call.outputs])
        for value in mentioned:
            if value not in made and not is_leaf(value):
                self.free.setdefault(value, 0)

    def _inner_first(self) -> list[Any]:
        """The layers, each after its inner layers. Raises FileError if a layer contains itself."""
        order: dict[Any, None] = {}
        open_layers: set[Any] = set()
        for start in self.layers:
            stack = [(start, iter(parts_of(start)))] if start not in order else []
            while stack:
                layer, rest = stack[-1]
                open_layers.add(layer)
                part = next((part for part in rest if part not in order), None)
                if part is None:
                    stack.pop()
                    open_layers.discard(layer)
                    order[layer] = None
                elif part in open_layers:
                    raise FileError(f"layer {part.name!r} is inside itself, by way of {layer.name!r}")
                else:
                    stack.append((part, iter(parts_of(part))))
        return list(order)


def parts_of(layer: object) -> list[Layer]:
    """The layers inside a layer: those that it tracks, and those in its configuration."""
    if not isinstance(layer, Layer):
        return []
    inner = internals.parts_of(layer)
    arguments = [] if isinstance(layer, Model) else list(internals.arguments_of(layer).values())
    inner += [leaf for leaf in flatten(arguments) if isinstance(leaf, Layer)]
    return list(dict.fromkeys(inner))


def _values_in(structure: object) -> list[Value]:
    return [leaf for leaf in flatten(structure) if isinstance(leaf, Value)]


def _is_within(scope: LayerCall | None, call: LayerCall) -> bool:
    while scope is not None and scope is not call:
        scope = scope.parent
    return scope is call
