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
    sides = [_boundary(function, each) for each in node.inputs]
    place = {side for found in sides for _, side in found}
    predicates = {function.nodes[name].inputs[1] for found in sides for name, _ in found}
    if len(predicates) != 1 or place - {0, 1} or any(len({side for _, side in found}) > 1 for found in sides):
        raise Refused("joins what is no pair of branches of one condition", _REMEDY)
    first = next((side for _, side in sides[0]), None)
    if first is None:
        first = 1 - next(side for _, side in sides[1])
    elif any(side == first for _, side in sides[1]):
        raise Refused("joins one branch with itself", _REMEDY)
    name = next(name for found in sides for name, _ in found)
    predicate = value(reader.predicates[function.name, name])
    parts = [value(each) for each in operands]
    if parts[0].type != parts[1].type:
        raise Refused(f"joins branches that give {parts[0].type} and {parts[1].type}", _REMEDY)
    others = parts if first == 0 else parts[::-1]
    index = ops.where(predicate, *(ops.cast(value(number), "int32") for number in ((1, 0) if first == 0 else (0, 1))))
    return ops.where(predicate, others[1], others[0]), index


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
