"""Codes of weights as the numbers that they stand for, which can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value
from dagir.ir.rewriter import Operands, rebuild
from dagir.ops import DequantizeLinear
from dagir.passes import services
from dagir.passes.derived import leaf_array
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class DecodeWeights(Pass):
    """y = DequantizeLinear(codes, scale, zero_point)   =>   y = weight, of floats, where all three are stored"""

    name = "decode-weights"

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        return rebuild(graph, _decode)


def _decode(node: Node, operands: Operands) -> Sequence[Value] | None:
    if not isinstance(node.op, DequantizeLinear):
        return None
    sources = [value.source for value in operands if value is not None]
    stored = [source for source in sources if isinstance(source, (Constant, Parameter))]
    if len(stored) < len(sources):
        return None
    arrays = [None if value is None else leaf_array(value) for value in operands]
    (array,) = services.evaluate_node(node, arrays)
    named = next((source.name for source in stored[:1] if isinstance(source, Parameter)), node.output.name)
    return [Parameter(named, node.output.type, array=frozen(array)).value]
