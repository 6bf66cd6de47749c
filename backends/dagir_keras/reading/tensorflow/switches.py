"""Branches as TensorFlow 1 wrote them: Switch passes a tensor into one of two branches, and Merge joins what comes out.

Both branches are computed, and the result of one is taken: a branch without state gives the same either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir import ops
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, Output
from dagir_keras.reading.tensorflow.graph_reader import GraphReader, handler
from dagir_keras.reading.tensorflow.tensors import value

_SWITCHES = ("Switch", "RefSwitch")
_MERGES = ("Merge", "RefMerge")


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
        if node.op in _SWITCHES and depth == 0:
            found.add((name, index))
            continue
        depth += (node.op in _MERGES) - (node.op in _SWITCHES)
        pending += [(each, depth) for each in node.inputs]
    return found
