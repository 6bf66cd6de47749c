"""The numbers of the named sizes while a graph runs: the inputs tell most of them, and the data decide others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir.errors import ShapeError
from dagir.ir.data_sizes import told_by
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import Dim, substitute, symbols
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.types import Array


def none_of(values: Sequence[Value], body: Graph, arrays: Sequence[Array], axis: int) -> list[Array]:
    """Outputs of a body that no step gave, stacked along a new axis of size 0. arrays: what a step would be given."""
    numbers = RunSizes(body, arrays).numbers
    shapes = [[substitute(size, numbers) for size in value.type.shape] for value in values]
    return [
        np.zeros((*shape[:axis], 0, *shape[axis:]), value.dtype.numpy)
        for shape, value in zip(shapes, values, strict=True)
    ]


class RunSizes:
    """numbers: of each named size that is known so far."""

    def __init__(self, graph: Graph, arrays: Sequence[Array]) -> None:
        sources = size_sources([value.type.shape for value in graph.inputs])
        self.numbers: dict[str, Dim] = {
            name: source.solve(arrays[source.place].shape[source.axis]) for name, source in sources.items()
        }
        self._decided: set[str] = set()

    def before(self, node: Node) -> None:
        """Raise ShapeError where sizes that the data decided, and that must be equal for this node, are not."""
        if self._decided and node.equations:
            self._check(node)

    def after(self, node: Node, results: Sequence[Array]) -> None:
        """Take up the sizes that a node makes. Raises ShapeError where an input of the graph says otherwise."""
        if not node.op.size_fields:
            return
        for name, source in told_by(node).items():
            number = source.solve(results[source.place].shape[source.axis])
            if self.numbers.setdefault(name, number) != number:
                raise ShapeError(f"the inputs have {name}={self.numbers[name]}, and the data decide {number}")
            self._decided.add(name)
        self._check(node)

    def _check(self, node: Node) -> None:
        for equation in node.equations:
            left, right = substitute(equation.left, self.numbers), substitute(equation.right, self.numbers)
            named = symbols(equation.left) | symbols(equation.right)
            if (
                isinstance(left, int)
                and isinstance(right, int)
                and left != right
                and not named.isdisjoint(self._decided)
            ):
                facts = ", ".join(f"{name}={self.numbers[name]}" for name in sorted(named))
                raise ShapeError(
                    f"sizes that had to be equal at run time are not: {equation}", facts=[("sizes", facts)]
                )
