"""Fuse a forward and a backward recurrence over the same sequence into one bidirectional op, which ONNX has."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from dagir import ops
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Mapped, Operands, copy_node, emit
from dagir.ir.value_map import record
from dagir.passes.pipeline import Pass

_Recurrence = ops.LSTM | ops.GRU | ops.SimpleRNN


@dataclass(frozen=True)
class FuseBidirectional(Pass):
    """f = LSTM(x); b = LSTM(go_backwards)(x); y = Concatenate(f, Slice[:, ::-1](b))   =>   y = Bidirectional(x)

    A node that reads only one direction reads a slice of y. Both directions must have the same op, units and mask, and
    the same operands present; neither may depend on the result of the other.
    """

    name = "fuse-bidirectional"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk; the graph itself is returned if it has no such pair."""
        pairs = _pairs(graph)
        if not pairs:
            return graph
        walk = _Walk()
        for node in graph.nodes:
            if node in pairs:
                walk.fuse(*pairs[node])
            else:
                walk.keep(node)
        record({old: new for old, new in walk.values.items() if old is not None and new is not None})
        outputs = [value for old in graph.outputs if (value := walk.values.get(old, old)) is not None]
        return Graph(graph.inputs, outputs, graph.name)


def _pairs(graph: Graph) -> dict[Node, tuple[Node, Node]]:
    """A dict from each node of a pair to the pair: (forward node, backward node)."""
    places = {node: place for place, node in enumerate(graph.nodes)}
    waiting: dict[Hashable, list[Node]] = {}
    found: dict[Node, tuple[Node, Node]] = {}
    for node in graph.nodes:
        if not isinstance(node.op, _Recurrence):
            continue
        others = waiting.setdefault(_key(node), [])
        match = next((each for each in others if _fits(each, node, places)), None)
        if match is None:
            others.append(node)
            continue
        others.remove(match)
        pair = (node, match) if _goes_back(match) else (match, node)
        found[node] = found[match] = pair
    return found


def _key(node: Node) -> Hashable:
    op, (x, _, r, *rest) = node.op, _padded(node)
    assert isinstance(op, _Recurrence)
    assert r is not None
    fields = (type(op), op.zero_output_for_mask, getattr(op, "reset_after", True))
    return (*fields, x, r.type, rest[-1], *[value is None for value in rest[:-1]])


def _goes_back(node: Node) -> bool:
    assert isinstance(node.op, _Recurrence)
    return node.op.go_backwards


def _fits(first: Node, second: Node, places: dict[Node, int]) -> bool:
    opposite = _goes_back(first) != _goes_back(second)
    made = (value.node for value in second.inputs if value is not None and value.node is not None)
    return opposite and all(places[node] < places[first] for node in made)


def _padded(node: Node) -> list[Value | None]:
    """All operands, with None for absent ones at the end too."""
    return [*node.inputs, *[None] * (len(node.op.operands) - len(node.inputs))]


@dataclass
class _Walk:
    """values: old -> new. halves: slice of y -> (y, which half it is). turned: half in reversed time -> the half."""

    values: Mapped = field(default_factory=lambda: {None: None})
    halves: dict[Value, tuple[Value, int]] = field(default_factory=dict)
    turned: dict[Value, Value] = field(default_factory=dict)

    def keep(self, node: Node) -> None:
        """Keep a node outside of pairs; a flip of a flipped half, and both halves concatenated, need no new node."""
        operands = tuple([self.values.get(value, value) for value in node.inputs])
        known = self._known(node, operands)
        if known is not None:
            self.values[node.output] = known
            return
        kept = node if operands == node.inputs else copy_node(node, operands)
        self.values.update(zip(node.outputs, kept.outputs, strict=True))

    def _known(self, node: Node, operands: Operands) -> Value | None:
        first = operands[0] if operands else None
        if first is None:
            return None
        if node.op == _FLIP and first in self.turned:
            return self.turned[first]
        if isinstance(node.op, ops.Concatenate) and node.op.axis == 2 and len(operands) == 2:
            ends = [self.halves.get(value) for value in operands if value is not None]
            if ends[0] is not None and ends == [(ends[0][0], 0), (ends[0][0], 1)]:
                return ends[0][0]
        return None

    def fuse(self, forward: Node, back: Node) -> None:
        """Make the bidirectional op for a pair, if it is not made yet."""
        if forward.outputs[0] in self.values:
            return
        (x, *weights, mask), (_, *others, _) = (
            [self.values.get(value, value) for value in _padded(node)] for node in (forward, back)
        )
        operands = [x, mask, *weights, *others]
        while operands[-1] is None:
            operands.pop()
        made = copy_node(forward, tuple(operands), _fused(forward, back))
        y, states = made.outputs[0], made.outputs[1:]
        units = forward.outputs[0].type.shape[2]
        assert isinstance(units, int)
        ahead = emit(forward, ops.Slice((2,), (0,), (units,), (1,)), y)
        behind = emit(back, ops.Slice((2,), (units,), (None,), (1,)), y, named=False)
        turned = emit(back, _FLIP, behind)
        self.halves.update({ahead: (y, 0), behind: (y, 1)})
        self.turned[turned] = behind
        self.values.update(zip(forward.outputs, (ahead, *states[: len(states) // 2]), strict=True))
        self.values.update(zip(back.outputs, (turned, *states[len(states) // 2 :]), strict=True))


_FLIP = ops.Slice((1,), (-1,), (None,), (-1,))


def _fused(forward: Node, back: Node) -> ops.Bidirectional:
    first, second = forward.op, back.op
    assert isinstance(first, _Recurrence)
    assert isinstance(second, _Recurrence)
    gates = (getattr(first, "recurrent_activation", "sigmoid"), getattr(second, "recurrent_activation", "sigmoid"))
    return ops.Bidirectional(
        type(first).__name__,
        (first.activation, second.activation),
        gates,
        getattr(first, "reset_after", True),
        first.zero_output_for_mask,
    )
