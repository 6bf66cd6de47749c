"""Indices out of range: the same error on every backend, because frameworks differ.

NumPy and onnxruntime's CPU kernels raise, TensorFlow raises on a CPU and gives zeros on a GPU, as onnxruntime's CUDA
does, and Keras's Embedding reads an id below 0 from the end. So the ids are checked before the run, if they are
inputs, or are computed from inputs by a few nodes without weights. Other ids are left to the backend.

So are the divisors and the powers of integers: see dagir.ops.partial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from dagir.errors import FeedError
from dagir.ir.data_sizes import number_of
from dagir.ir.diagnostics import describe
from dagir.ir.dims import Dim
from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.types import Array
from dagir.ops import (
    Embedding,
    FloorDivide,
    Gather,
    GatherElements,
    GatherND,
    Mod,
    Power,
    ScatterElements,
    ScatterUpdate,
)
from dagir.ops.call import graphs_of
from dagir.ops.partial import refuse
from dagir.passes import Inline

Evaluate: TypeAlias = Callable[[Sequence[Array]], Sequence[Array]]

_MOST_NODES = 64
_INDEXING = (Gather, GatherElements, GatherND, ScatterElements, ScatterUpdate)
_PLACES = {Embedding: 0, FloorDivide: 1, Mod: 1, Power: 1} | dict.fromkeys(_INDEXING, 1)
"""Ops whose answer is not there for every number, and the operand that it hangs on."""


class IndexGuard:
    """Looks at the indices, divisors and powers of a graph before it runs."""

    def __init__(self, graph: Graph, evaluator: Callable[[Graph], Evaluate]) -> None:
        """evaluator: makes of a graph the function from arrays of its inputs to arrays of its outputs."""
        self._nodes: list[tuple[Node, Value]] = []
        if not any(_watched(node) is not None for inner in graphs_of(graph) for node in inner.nodes):
            return
        flat = Inline()(graph)
        inputs = set(flat.inputs)
        found = [(node, ids) for node in flat.nodes if (ids := _watched(node)) is not None]
        self._nodes = [(node, ids) for node, ids in found if _is_cheap(ids, inputs)]
        wanted = dict.fromkeys(ids for _, ids in self._nodes)
        self._places = {ids: place for place, ids in enumerate(wanted)}
        self._ids: Evaluate | None = evaluator(Graph(flat.inputs, wanted, "ids")) if wanted else None

    def __call__(self, arrays: Sequence[Array], sizes: dict[str, int]) -> None:
        """Raise FeedError that names the node and the range, for an index out of range."""
        if self._nodes and self._ids is not None:
            found = self._ids(arrays)
            for node, ids in self._nodes:
                _check(node, found[self._places[ids]], sizes)


def _watched(node: Node) -> Value | None:
    """The integer operand of a node that must be checked."""
    place = _PLACES.get(type(node.op))
    value = None if place is None else node.inputs[place]
    return value if value is not None and value.dtype.is_integer else None


def _is_cheap(ids: Value, inputs: set[Value]) -> bool:
    """Whether a few nodes without weights compute these indices from inputs, so that computing them twice is cheap."""
    pending, reached = [ids], False
    seen: set[Value] = set()
    while pending and len(seen) <= _MOST_NODES:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        if isinstance(value.source, Parameter):
            return False
        reached = reached or value in inputs
        if value.node is not None and value not in inputs:
            pending.extend(operand for operand in value.node.inputs if operand is not None)
    return reached and not pending


def _check(node: Node, ids: Array, sizes: dict[str, int]) -> None:
    if isinstance(node.op, (FloorDivide, Mod, Power)):
        try:
            return refuse(node.op, ids)
        except FeedError as error:
            raise error.fact("node", describe(node)) from None
    try:
        for part, size in _bounded(node, ids):
            count = number_of(size, sizes)
            if count is not None:
                check_range(part, count, from_the_end=isinstance(node.op, _INDEXING))
    except FeedError as error:
        raise error.fact("node", describe(node)) from None


def _bounded(node: Node, ids: Array) -> Iterator[tuple[Array, Dim]]:
    """The indices, each with the size of the axis that they are on; of tuples, each column."""
    op, source = node.op, node.inputs[1 if isinstance(node.op, Embedding) else 0]
    assert source is not None
    if isinstance(op, (GatherND, ScatterUpdate)):
        first = op.batch_dims if isinstance(op, GatherND) else 0
        yield from zip(np.moveaxis(ids, -1, 0), source.type.shape[first:], strict=False)  # they may be for whole rows
    else:
        yield ids, source.type.shape[getattr(op, "axis", 0)]


def check_range(ids: Array, count: int, *, from_the_end: bool) -> None:
    """Raise FeedError unless all are from 0 to count - 1; from_the_end: or from -count to -1."""
    low = -count if from_the_end else 0
    if not ids.size or (int(ids.min()) >= low and int(ids.max()) < count):
        return
    worst = int(ids.min()) if ids.min() < low else int(ids.max())
    raise FeedError(
        f"an {'index' if from_the_end else 'id'} is out of range: {worst}, where {low} to {count - 1} are valid",
        remedy="take indices below the size of the axis"
        if from_the_end
        else "make input_dim of the embedding larger than every id, or give what it does not know an id that it has",
    )
