"""Replay: call the layers of a graph again on other values, so that masks are computed for these values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import Dim, symbol
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.nest import flatten, map_structure, pack
from dagir.ir.rewriter import copy_node
from dagir.layers.base import Layer
from dagir.layers.internals import calls_of
from dagir.modeling.call_order import places_of, restore_order
from dagir.support.location import LayerCall, current_scope

By = Callable[..., object]


class Replay:
    """Repeats the calls of graphs. `values` maps each old value to the new one.

    expand: calls of models that are replaced by the calls inside them, as parts of the model's call if `nested`, else
    at the top level. by: for a layer call, or a node of no layer, a function of the same arguments that replaces it.
    within: the graph is of this call: layers directly below it are called anew, nodes of no such layer are copied.
    """

    def __init__(
        self,
        expand: Collection[LayerCall] = (),
        by: Mapping[LayerCall | Node, By] | None = None,
        nested: bool = True,
        within: LayerCall | None = None,
    ) -> None:
        self.expand, self.by, self.nested, self.within = expand, by or {}, nested, within
        self.values: dict[Value, Value] = {}
        self._made: list[tuple[LayerCall, tuple[int, ...]]] = []
        self._places: dict[LayerCall, int] = {}
        self._above: tuple[int, ...] = ()  # the calls of the models that are expanded
        self._sizes: dict[str, Dim] = {}  # what the named sizes of the graph are for the new inputs

    def run(self, graph: Graph, inputs: Sequence[Value]) -> list[Value]:
        """The outputs of the graph over `inputs`, each outermost layer called anew, nodes of no layer copied."""
        outputs = self._run(graph, inputs)
        restore_order(self._made)
        return outputs

    def _run(self, graph: Graph, inputs: Sequence[Value]) -> list[Value]:
        self.values.update(zip(graph.inputs, inputs, strict=True))
        outer, self._sizes = self._sizes, _sizes_of(graph, inputs)
        try:
            return self._again(graph)
        finally:
            self._sizes = outer

    def _again(self, graph: Graph) -> list[Value]:
        cut = _cut_calls(graph, self.within)
        self._places |= places_of(call for node in graph.nodes if (call := _outermost(node, self.within)) is not None)
        called: set[LayerCall] = set()
        for node in graph.nodes:
            call = _outermost(node, self.within)
            if call is None or call in cut:
                self._copy(node)
            elif call not in called:
                called.add(call)
                self._call_again(call, call.layer)
        return [self.values.get(value, value) for value in graph.outputs]

    def moved(self, structure: object) -> Any:
        """The structure with the new values in place of the old ones."""
        return map_structure(lambda leaf: self.values.get(leaf, leaf) if isinstance(leaf, Value) else leaf, structure)

    def _copy(self, node: Node) -> None:
        operands = self.moved(node.inputs)
        if node in self.by:
            made = _in_place_of(node.outputs, self.by[node](*operands), node.op.op_name)
        else:
            made = list(copy_node(node, operands, self._op_for(node.op), scope=current_scope.get()).outputs)
        self.values.update(zip(node.outputs, made, strict=True))

    def _op_for(self, op: Op) -> Op | None:
        """The op for the new sizes; None where it names none that changed."""
        made = op.substitute(self._sizes) if self._sizes else op
        return None if made == op else made

    def _call_again(self, call: LayerCall, layer: Any) -> None:
        args, kwargs = self.moved(call.args), self.moved(call.kwargs)
        if call in self.expand:
            outputs = self._expanded(call, layer, args, kwargs)
        else:
            part = self.by.get(call, layer)
            outputs = part(*args, **kwargs)
            if isinstance(part, Layer):
                self._made.append((calls_of(part)[-1], (*self._above, self._places.get(call, 0))))
        olds = flatten(call.outputs)
        pairs = list(zip(olds, _in_place_of(olds, outputs, f"layer {layer.name!r}"), strict=True))
        self.values.update(pairs)
        for old, new in pairs:
            if old.mask is not None and isinstance(new, Value) and new.mask is not None:
                self.values[old.mask] = new.mask

    def _expanded(self, call: LayerCall, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        above, self._above = self._above, (*self._above, self._places.get(call, 0))
        try:
            if not self.nested:
                return pack(model.output, self._run(model.graph, model.arrange_inputs(args[0])))
            made = LayerCall(model, current_scope.get(), call.location, args, kwargs)
            token = current_scope.set(made)
            try:
                made.outputs = pack(model.output, self._run(model.graph, model.arrange_inputs(args[0])))
            finally:
                current_scope.reset(token)
        finally:
            self._above = above
        calls_of(model).append(made)
        self._made.append((made, (*self._above, self._places.get(call, 0))))
        return made.outputs


def _sizes_of(graph: Graph, inputs: Sequence[Value]) -> dict[str, Dim]:
    """What each named size of the graph is for these inputs, where it is another; of inputs of other ranks, nothing."""
    if any(
        not isinstance(new, Value) or new.type.rank != old.type.rank
        for old, new in zip(graph.inputs, inputs, strict=True)
    ):
        return {}
    shapes = [value.type.shape for value in inputs]
    sources = size_sources([value.type.shape for value in graph.inputs])
    found = {name: source.solve(shapes[source.place][source.axis]) for name, source in sources.items()}
    return {name: size for name, size in found.items() if size != symbol(name)}


def replay(graph: Graph, inputs: Sequence[Value]) -> list[Value]:
    """The outputs of the graph over `inputs`, each outermost layer called anew, nodes of no layer copied."""
    return Replay().run(graph, inputs)


def _in_place_of(olds: Sequence[Value], outputs: Any, what: str) -> list[Value]:
    """What comes in place of some values. Raises ArgumentError where it is more or less."""
    found = flatten(outputs)
    if len(found) != len(olds):
        raise ArgumentError(
            f"what stands in the place of {what} must return {len(olds)} value(s), it returned {len(found)}",
            remedy="return as many values as what it replaces",
        )
    return found


def _outermost(node: Node, within: LayerCall | None = None) -> LayerCall | None:
    call = node.scope.within(within) if node.scope is not None else None
    return call if call is not None and isinstance(call.layer, Layer) else None


def _cut_calls(graph: Graph, within: LayerCall | None) -> set[LayerCall]:
    """The layer calls that are only partly in the graph: it begins or ends inside them."""
    known = {value for node in graph.nodes for value in node.outputs} | set(graph.inputs)
    calls = dict.fromkeys(call for node in graph.nodes if (call := _outermost(node, within)) is not None)
    cut = {call for call in calls if any(not is_leaf(value) for value in _arguments(call) - known)}

    def read(value: Value | None, by: LayerCall | None) -> None:
        maker = _outermost(value.node, within) if value is not None and value.node is not None else None
        if maker in calls and maker is not by and value not in outputs[maker]:
            cut.add(maker)

    outputs = {call: {v for made in flatten(call.outputs) for v in (made, made.mask)} for call in calls}
    for node in graph.nodes:
        for value in node.inputs:
            read(value, _outermost(node, within))
    for value in graph.outputs:
        read(value, None)
    return cut


def _arguments(call: LayerCall) -> set[Value]:
    return {value for value in flatten([call.args, call.kwargs]) if isinstance(value, Value)}
