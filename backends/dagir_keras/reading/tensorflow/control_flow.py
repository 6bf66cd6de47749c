"""Calls and branches of TensorFlow's graphs: calls are read in place, branches become If."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir import ops
from dagir.ir.graph import Constant, Value, next_serial
from dagir.ir.types import DType
from dagir.ops.control_flow import choose
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode
from dagir_keras.reading.tensorflow.graph_reader import GraphReader, handler
from dagir_keras.reading.tensorflow.held import Missing, TensorList, missing_among, parts_of, rebuilt
from dagir_keras.reading.tensorflow.tensors import Tensor, entries, value


@handler("PartitionedCall", "StatefulPartitionedCall")
def _call(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    return reader.call(function.library[node.function("f")], operands)


@handler("If", "StatelessIf")
def _if(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    predicate, given = operands[0], operands[1:]
    if isinstance(predicate, Missing):
        return predicate
    names = node.function("then_branch"), node.function("else_branch")
    known = _known_truth(predicate)
    if known is not None:
        return reader.call(function.library[names[0 if known else 1]], given)
    since = next_serial()
    sides = [reader.call(function.library[name], given) for name in names]
    return _chosen(truth(predicate), sides, since)


@handler("Case", "StatelessCase")
def _case(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    index, given = operands[0], operands[1:]
    if isinstance(index, Missing):
        return index
    names = [each["name"] for each in node.attributes["branches"]["list"]["func"]]
    known = entries(index)
    if known is not None and isinstance(known.item(), int):
        place = known.item() if 0 <= known.item() < len(names) else len(names) - 1
        return reader.call(function.library[names[place]], given)
    chosen = value(index)
    since = next_serial()
    result = reader.call(function.library[names[-1]], given)
    for place in reversed(range(len(names) - 1)):
        result = _chosen(ops.equal(chosen, place), [reader.call(function.library[names[place]], given), result], since)
    return result


def _known_truth(predicate: Tensor) -> bool | None:
    if isinstance(predicate, Value) and isinstance(predicate.source, Constant):
        return bool(predicate.source.array)
    known = entries(predicate)
    return None if known is None or not isinstance(known.item(), int) else bool(known.item())


def truth(predicate: Tensor) -> Value:
    """A predicate as TensorFlow takes it: any number but zero is true."""
    found = value(predicate)
    return found if found.dtype is DType.BOOL else ops.not_equal(found, 0)


def _chosen(predicate: Value, sides: Sequence[Sequence[Any]], since: int) -> list[Any]:
    """The outputs of a branch: what both sides give, and what is the same in both as it is."""
    left, right = sides
    results: list[Any] = [missing_among([a, b]) or a for a, b in zip(left, right, strict=True)]
    places = [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a is not b and results[i] is a]
    pairs = [(parts_of(left[i]), parts_of(right[i])) for i in places]
    first, second = ([part for pair in pairs for part in pair[side]] for side in (0, 1))
    made = iter(choose(predicate, first, second, since))
    for place, (parts, _) in zip(places, pairs, strict=True):
        given = left[place]
        if isinstance(given, TensorList) and given.item_type() is None:
            given = right[place]
        results[place] = rebuilt(given, [next(made) for _ in parts])
    return results
