"""The loop: walk the nodes in order, look up the rule, keep the result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from dagir.errors import DagirError, FeedError
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import Dim
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value
from dagir.ir.types import Array, DType
from dagir.ops import Call
from dagir.runtime.backend import Around, at_node
from dagir_numpy.rules import rules

Run: TypeAlias = Generator[tuple[Graph, list[Array]], Sequence[Array], list[Array]]


def evaluate(
    graph: Graph, arrays: Sequence[Array], precision: DType | None = None, around: Around | None = None
) -> list[Array]:
    """The outputs of a graph for input arrays.

    precision: compute every float in this dtype in place of its own; float64 is the oracle. around: called for each
    node in place of its rule, with the rule at hand. Raises what a rule raises, with the node named.
    """
    runs = [_run(graph, arrays, precision, around)]
    go: Callable[[], tuple[Graph, list[Array]]] = runs[-1].__next__
    while True:
        try:
            inner, given = go()
        except StopIteration as done:
            runs.pop()
            if not runs:
                found: list[Array] = done.value
                return found
            go = partial(runs[-1].send, done.value)
        except Exception as error:
            runs.pop()
            if not runs:
                raise
            go = partial(runs[-1].throw, error)
        else:
            runs.append(_run(inner, given, precision, around))
            go = runs[-1].__next__


def _run(graph: Graph, arrays: Sequence[Array], precision: DType | None, around: Around | None) -> Run:
    """A graph, up to each Call in it, whose graph and inputs it yields: models in models need no deep recursion."""
    values = {value: _convert(array, precision) for value, array in zip(graph.inputs, arrays, strict=True)}
    given = set(graph.inputs)  # a weight among them is what the caller gives in its place
    sizes = _bind(graph, arrays)
    last_use = _last_uses(graph)

    def read(value: Value) -> Array:
        if isinstance(value.source, (Parameter, Constant)) and value not in given:
            return _convert(value.source.array, precision)
        return values[value]

    for node in graph.nodes:
        operands = [None if value is None else read(value) for value in node.inputs]
        results: Sequence[Array]
        try:
            if isinstance(node.op, Call):
                results = yield node.op.graph, [operand for operand in operands if operand is not None]
            else:
                results = _applied(node, operands, precision, sizes, around)
        except DagirError as error:
            raise at_node(error, node) from None
        except ValueError as error:
            if all(operand is None or operand.size for operand in operands):
                raise
            raise at_node(FeedError(f"{node.op.op_name} of no elements: {error}"), node) from error
        values.update(zip(node.outputs, results, strict=True))
        for value in last_use.get(node, ()):
            values.pop(value, None)
    return [read(value) for value in graph.outputs]


def _applied(
    node: Node,
    operands: Sequence[Array | None],
    precision: DType | None,
    sizes: dict[str, Dim],
    around: Around | None,
) -> tuple[Array, ...]:
    if around is None:
        return _apply(node, operands, precision, sizes)
    return around(node, operands, lambda operands, precision: _apply(node, operands, precision, sizes))


def _apply(
    node: Node, operands: Sequence[Array | None], precision: DType | None, sizes: dict[str, Dim]
) -> tuple[Array, ...]:
    half = precision is None and any(value.dtype in (DType.FLOAT16, DType.BFLOAT16) for value in node.outputs)
    if half:  # halves are computed in float32 and rounded once, as accelerators do
        operands = [_convert(operand, DType.FLOAT32) if operand is not None else None for operand in operands]
    with np.errstate(all="ignore"):
        found = rules[type(node.op)](node.op.substitute(sizes), *operands)
    results = found if isinstance(found, tuple) else (found,)
    pairs = zip(node.outputs, results, strict=True)
    return tuple(np.asarray(result, dtype=_dtype(value.dtype, precision)) for value, result in pairs)


def _dtype(dtype: DType, precision: DType | None) -> Any:
    return (precision if precision is not None and dtype.is_float else dtype).numpy


def _convert(array: Array, precision: DType | None) -> Array:
    if precision is None or not DType.of(array.dtype).is_float:
        return array
    return array.astype(precision.numpy, copy=False)


def _bind(graph: Graph, arrays: Sequence[Array]) -> dict[str, Dim]:
    sources = size_sources([value.type.shape for value in graph.inputs])
    return {name: source.solve(arrays[source.place].shape[source.axis]) for name, source in sources.items()}


def _last_uses(graph: Graph) -> dict[Node, list[Value]]:
    """The values that nobody reads after a node, so that memory follows what is alive."""
    kept = set(graph.outputs)
    last: dict[Value, Node] = {}
    for node in graph.nodes:
        for value in (*node.inputs, *node.outputs):
            if value is not None and value not in kept:
                last[value] = node
    freed: dict[Node, list[Value]] = {}
    for value, node in last.items():
        freed.setdefault(node, []).append(value)
    return freed
