"""The outputs of one node on given arrays, by the NumPy interpreter, which defines what ops mean."""

from __future__ import annotations

from collections.abc import Sequence

from dagir.ir.graph import Constant, Graph, Node
from dagir.ir.nest import flatten
from dagir.ir.types import Array
from dagir.runtime.backend import backend
from dagir.support.backend_names import NUMPY


def evaluate_node(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """One array an output. operands: an array for each input of the node, None where it is absent."""
    fixed = [None if array is None else Constant(array).value for array in operands]
    alone = Node(node.op, tuple(fixed), tuple(value.type for value in node.outputs))
    return flatten(backend(NUMPY).lower(Graph((), alone.outputs))([]))
