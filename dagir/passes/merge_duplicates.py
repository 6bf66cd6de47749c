"""Common subexpressions: what is computed twice from the same values is computed once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import prod

from dagir.ir.graph import Constant, Graph, Node, Value
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.passes.derived import Derived, leaf_array
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class MergeDuplicates(Pass):
    """a = Relu(x); b = Relu(x); y = a + b   =>   a = Relu(x); y = a + a

    Constants of at most `budget` bytes with equal contents are merged too, and so are larger weights that passes made
    of the same weights with equal numbers: a filter that nine convolutions read is one again after the scales before
    each were folded into it. Random ops are never merged.
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
        if value is not None and isinstance(value.source, Derived):
            return self._one_of_derived(value, value.source, constants)
        if value is None or not isinstance(value.source, Constant) or value.source.array.nbytes > self.budget:
            return value
        array = value.source.array
        return constants.setdefault((value.dtype, array.shape, array.tobytes()), value)

    def _one_of_derived(self, value: Value, source: Derived, known: dict[Hashable, Value]) -> Value:
        """The first derived weight that is this one; numbers are computed only where two could be equal."""
        if not source.roots or prod(source.shape) * source.dtype.numpy.itemsize <= self.budget:
            return value
        first = known.setdefault((type(source), source.roots, source.name, source.dtype, source.shape), value)
        same = first is value or leaf_array(first).tobytes() == source.array.tobytes()
        return first if same else value
