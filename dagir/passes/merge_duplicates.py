"""Common subexpressions: what is computed twice from the same values is computed once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from dagir.ir.graph import Constant, Graph, Node, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class MergeDuplicates(Pass):
    """a = Relu(x); b = Relu(x); y = a + b   =>   a = Relu(x); y = a + a

    Constants of at most `budget` bytes with equal contents are merged too. Random ops are never merged.
    """

    name = "merge-duplicates"
    budget: int = 1 << 10

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk, with a table of the nodes seen so far."""
        made: dict[Hashable, Sequence[Value]] = {}
        constants: dict[Hashable, Value] = {}

        def merge(node: Node, operands: Operands) -> Sequence[Value] | None:
            shared = tuple([self._one_of_equals(value, constants) for value in operands])
            if node.op.random:
                return None
            key = (node.op, shared)
            if key not in made:
                made[key] = node.outputs if shared == node.inputs else copy_node(node, shared).outputs
            return made[key]

        return rebuild(graph, merge)

    def _one_of_equals(self, value: Value | None, constants: dict[Hashable, Value]) -> Value | None:
        if value is None or not isinstance(value.source, Constant) or value.source.array.nbytes > self.budget:
            return value
        array = value.source.array
        return constants.setdefault((value.dtype, array.shape, array.tobytes()), value)
