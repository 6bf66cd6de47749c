"""Outline: group the nodes that one layer call made into one Call again, for targets that have layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dagir.ir.graph import Graph, Node, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.nest import flatten
from dagir.ir.rewriter import copy_node
from dagir.ops import Call
from dagir.passes.pipeline import Pass
from dagir.support.location import LayerCall

Native = Callable[[LayerCall], bool]


def _none(call: LayerCall) -> bool:
    return False


@dataclass(frozen=True)
class Outline(Pass):
    """dense/linear, dense/relu   =>   one Call, scoped to the call of `dense`.

    native: whether the target has a layer for a call. A native Call has the layer's arguments as operands, and what the
    layer returned as outputs. The operands of any other Call are all values that its nodes read from outside, and its
    outputs are all values that are read outside. The masks of operands are further inputs of the Call's graph, without
    operands, since the target's layers pass masks on themselves.
    The inputs of the Call's graph are the values of the original graph, so the recorded arguments of the call can be
    looked up among them.
    within: group only the calls directly below this call, for the graph of a layer that holds layers.
    split: the calls that are no groups: their nodes count as made by no layer, the calls directly below are groups.
    """

    name = "outline"
    native: Native
    within: LayerCall | None = None
    split: Native = _none

    def __call__(self, graph: Graph) -> Graph:
        """The graph with one Call for each layer call."""
        groups = self._groups(graph)
        known = {value for node in graph.nodes for value in node.outputs} | set(graph.inputs)
        native = {call for call in groups if self.native(call) and _arguments_available(call, known)}
        escaping = _escaping(graph, groups, native, self._group_of)
        while demoted := {call for call in native if not escaping[call] <= set(flatten(call.outputs))}:
            native -= demoted
            escaping = _escaping(graph, groups, native, self._group_of)
        return _assemble(graph, groups, native, escaping, self._group_of)

    def _group_of(self, node: Node) -> LayerCall | None:
        call = node.scope.within(self.within) if node.scope is not None else None
        while call is not None and node.scope is not None and self.split(call):
            call = node.scope.within(call)
        return call

    def _groups(self, graph: Graph) -> dict[LayerCall, list[Node]]:
        groups: dict[LayerCall, list[Node]] = {}
        for node in graph.nodes:
            call = self._group_of(node)
            if call is not None:
                groups.setdefault(call, []).append(node)
        return groups


def arguments(call: LayerCall) -> list[Value]:
    """The Values in the arguments of a layer call, each once."""
    return list(dict.fromkeys(leaf for leaf in flatten([call.args, call.kwargs]) if isinstance(leaf, Value)))


def _arguments_available(call: LayerCall, known: set[Value]) -> bool:
    """Whether the graph has all arguments of the call: a graph that was cut inside the layer lacks some."""
    return all(value in known or is_leaf(value) for value in arguments(call))


GroupOf = Callable[[Node], LayerCall | None]


def _externals(nodes: Sequence[Node]) -> list[Value]:
    made = {value for node in nodes for value in node.outputs}
    read = (value for node in nodes for value in node.inputs if value is not None and value not in made)
    return list(dict.fromkeys(value for value in read if _is_variable(value)))


def _escaping(
    graph: Graph, groups: dict[LayerCall, list[Node]], native: set[LayerCall], group_of: GroupOf
) -> dict[LayerCall, set[Value]]:
    """For each group, its values that are read outside of it."""
    found: dict[LayerCall, set[Value]] = {call: set() for call in groups}

    def use(values: Iterable[Value], by: LayerCall | None) -> None:
        for value in values:
            maker = group_of(value.node) if value.node is not None else None
            if maker is not None and maker is not by and maker in found:
                found[maker].add(value)

    use(graph.outputs, None)
    for call, nodes in groups.items():
        use(arguments(call) if call in native else _operands(call, nodes), call)
    for node in graph.nodes:
        if group_of(node) is None:
            use((value for value in node.inputs if value is not None), None)
    return found


def _assemble(
    graph: Graph,
    groups: dict[LayerCall, list[Node]],
    native: set[LayerCall],
    escaping: dict[LayerCall, set[Value]],
    group_of: GroupOf,
) -> Graph:
    values: dict[Value | None, Value | None] = {None: None}
    last = {nodes[-1]: call for call, nodes in groups.items()}
    for node in graph.nodes:
        call = group_of(node)
        if call is None:
            operands = tuple([values.get(value, value) for value in node.inputs])
            moved = node if operands == node.inputs else copy_node(node, operands)
            values.update(zip(node.outputs, moved.outputs, strict=True))
        elif last.get(node) is call and escaping[call]:
            _close(call, groups[call], call in native, escaping[call], values)
    outputs = [values.get(value, value) for value in graph.outputs]
    return Graph(graph.inputs, [value for value in outputs if value is not None], graph.name)


def _close(
    call: LayerCall, nodes: list[Node], native: bool, escaping: set[Value], values: dict[Value | None, Value | None]
) -> None:
    (first, *rest) = nodes
    if not rest and isinstance(first.op, Call) and first.scope is call:
        moved = copy_node(first, tuple([values.get(value, value) for value in first.inputs]))
        values.update(zip(first.outputs, moved.outputs, strict=True))
        return
    inputs = [v for v in arguments(call) if v.node is not None or v.is_input] if native else _operands(call, nodes)
    returned = [value for value in flatten(call.outputs) if native or value in escaping]
    outputs = list(dict.fromkeys([*returned, *sorted(escaping - set(returned), key=_place)]))
    operands = tuple([values.get(value, value) for value in inputs])
    made = Node(
        Call(Graph(_inner_inputs(inputs, nodes), outputs, call.layer.name)),
        operands,
        tuple(value.type for value in outputs),
        scope=call,
        location=call.location,
    )
    values.update(zip(outputs, made.outputs, strict=True))


def _inner_inputs(inputs: list[Value], nodes: list[Node]) -> list[Value]:
    """The operands, then their masks: a target that has layers passes masks on by itself."""
    masks = [value.mask for value in inputs if value.mask is not None]
    return list(dict.fromkeys([*inputs, *masks, *_externals(nodes)]))


def _operands(call: LayerCall, nodes: Sequence[Node]) -> list[Value]:
    """The values that nodes read from outside; a mask is replaced by the value that it belongs to."""
    read = _externals(nodes)
    owners = {v.mask: v for v in reversed([*arguments(call), *read]) if v.mask is not None and _is_variable(v)}
    return list(dict.fromkeys(owners.get(value, value) for value in read))


def _is_variable(value: Value) -> bool:
    return value.node is not None or value.is_input


def _place(value: Value) -> tuple[int, int]:
    return (value.node.serial if value.node is not None else -1, value.index)
