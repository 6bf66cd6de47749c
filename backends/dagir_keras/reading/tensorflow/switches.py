"""Branches as TensorFlow 1 wrote them: Switch passes a tensor into one of two branches, and Merge joins what comes out.

Both branches are computed, and the result of one is taken: a branch without state gives the same either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dagir import ops
from dagir.support import limits
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, Output, array_of
from dagir_keras.reading.tensorflow.graph_reader import GraphReader, handler
from dagir_keras.reading.tensorflow.tensors import value

_SWITCHES = ("Switch", "RefSwitch")
_MERGES = ("Merge", "RefMerge")
_PASSES = ("Identity", "PlaceholderWithDefault")


@handler(*_SWITCHES)
def _switch(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    reader.predicates[function.name, node.name] = operands[1]
    return operands[0], operands[0]


@handler(*_MERGES)
def _merge(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    if len(operands) != 2:
        raise Refused("joins what is no pair of branches", _REMEDY)
    name, side = _switch_of(function, node)
    predicate = value(reader.predicates[function.name, name])
    first, second = map(value, operands)
    if first.type != second.type:
        raise Refused(f"joins branches that give {first.type} and {second.type}", _REMEDY)
    zero, one = (ops.cast(value(number), "int32") for number in (0, 1))
    if side == 1:  # the first branch is the one that is true
        return ops.where(predicate, first, second), ops.where(predicate, zero, one)
    return ops.where(predicate, second, first), ops.where(predicate, one, zero)


def without_untaken(function: GraphFunction) -> GraphFunction:
    """The function without the branches of conditions that are constants: a placeholder counts as its default.

    So a graph that has both, for training and for inference, is read as the one that it is by default.
    """
    truths = {node.inputs[1]: _truth(function, node.inputs[1]) for node in function.nodes.values() if _parts(node)}
    if all(truth is None for truth in truths.values()):
        return function
    read = {(name, index) for node in function.nodes.values() for name, index in node.inputs} | {*function.outputs}
    nodes = dict(function.nodes)
    for node in function.nodes.values():
        boundaries = [_boundary(function, each) for each in node.inputs] if node.op in _MERGES else []
        if len(boundaries) != 2 or not any(boundaries) or (node.name, 1) in read:
            continue
        name, side = _switch_of(function, node)
        truth = truths[function.nodes[name].inputs[1]]
        if truth is not None:
            taken = node.inputs[0 if truth == bool(side) else 1]
            nodes[node.name] = replace(node, op="Identity", inputs=(taken,))
    return replace(function, nodes=nodes)


def _parts(node: GraphNode) -> bool:
    return node.op in _SWITCHES and len(node.inputs) == 2


def _truth(function: GraphFunction, output: Output) -> bool | None:
    """A condition, if it is a constant, or the negation of one."""
    truth, name = True, output[0]
    for _ in function.nodes:
        name = function.origin(name, _PASSES, function.arguments)
        node = None if name in function.arguments else function.nodes.get(name)
        if node is not None and node.op == "Const":
            return bool(array_of(node.attributes["value"]["tensor"])) is truth
        if node is None or node.op != "LogicalNot" or len(node.inputs) != 1:
            return None
        truth, name = not truth, node.inputs[0][0]
    return None


def _switch_of(function: GraphFunction, merge: GraphNode) -> Output:
    """The Switch where the branches of a Merge part, and which side of it the first branch is."""
    first, second = (_boundary(function, each) for each in merge.inputs)
    parted = {*first, *((name, 1 - side) for name, side in second)}  # as if all were in the first branch
    predicates = {function.nodes[name].inputs[1] for name, _ in parted}
    if len(predicates) != 1 or len({side for _, side in parted}) != 1:
        raise Refused("joins what is no pair of branches of one condition", _REMEDY)
    return min(parted)


_REMEDY = "save it with tf.compat.v1.enable_control_flow_v2()"


def _boundary(function: GraphFunction, start: Output) -> set[Output]:
    """The Switches where the branch behind an input begins, and which side of them it is; none for constants."""
    found: set[Output] = set()
    pending, seen = [(start, 0)], set()
    while pending:
        (name, index), depth = pending.pop()
        node = function.nodes.get(name)
        if ((name, index), depth) in seen or node is None or name in function.arguments:
            continue
        seen.add(((name, index), depth))
        limits.spend("nodes", 1, f"the search for the condition of {start[0]!r}")  # no end in a ring
        if node.op in _SWITCHES and depth == 0:
            found.add((name, index))
            continue
        depth += (node.op in _MERGES) - (node.op in _SWITCHES)
        pending += [(each, depth) for each in node.inputs]
    return found
