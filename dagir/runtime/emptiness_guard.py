"""Reductions over no elements that are undefined: the same error on every backend, because frameworks differ.

For no elements NumPy and TensorFlow raise for the maximum, and give NaN as the mean; onnxruntime gives infinity and
0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dagir.errors import FeedError
from dagir.ir.data_sizes import number_of
from dagir.ir.diagnostics import describe
from dagir.ir.dims import Dim
from dagir.ir.graph import Graph, Node
from dagir.ops import ArgMax
from dagir.ops.call import graphs_of
from dagir.passes import Inline


class EmptinessGuard:
    """Looks at the sizes of a graph before it runs."""

    def __init__(self, graph: Graph) -> None:
        self._nodes: list[tuple[Node, list[Dim]]] = []
        if any(_open(node) for inner in graphs_of(graph) for node in inner.nodes):
            self._nodes = [(node, sizes) for node in Inline()(graph).nodes if (sizes := _open(node))]

    def __call__(self, sizes: Mapping[str, int]) -> None:
        """Raise FeedError that names the node, if it reduces an axis of size 0 to a result."""
        for node, reduced in self._nodes:
            if 0 not in [number_of(size, sizes) for size in reduced]:
                continue
            if 0 not in [number_of(size, sizes) for size in node.outputs[0].type.shape]:
                raise FeedError(
                    f"{node.op.op_name} of no elements has no answer",
                    facts=[("node", describe(node))],
                    remedy="feed at least one along each axis that it reduces",
                )


def _open(node: Node) -> list[Dim]:
    """The sizes of reduced axes that may be 0, for reductions that are undefined then."""
    return list(_reduced(node)) if node.op.needs_elements else []


def _reduced(node: Node) -> Iterator[Dim]:
    source = node.inputs[0]
    assert source is not None
    axes = (node.op.axis,) if isinstance(node.op, ArgMax) else node.op.axes  # type: ignore[attr-defined]
    for axis in axes:
        size = source.type.shape[axis]
        if not isinstance(size, int) or size == 0:
            yield size
