"""A bias that is added to the product with a weight is the bias of one layer of Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir import ops
from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.passes.derived import rearranged
from dagir.passes.pipeline import Pass
from dagir.passes.uses import count_uses


@dataclass(frozen=True)
class Biases(Pass):
    """MatMul(x, w) + b   =>   Linear(x, w, b);   Conv(x, w) + b   =>   Conv(x, w, b), channels last

    For weights w and b of nodes that no layer made; the product is read by nothing else.
    """

    name = "biases"

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        if not any(isinstance(node.op, ops.Add) and node.scope is None for node in graph.nodes):
            return graph
        uses = count_uses(graph)

        def rewrite(node: Node, operands: Operands) -> Sequence[Value] | None:
            if not isinstance(node.op, ops.Add) or node.scope is not None:
                return None
            for old, made, bias in zip(node.inputs, operands, operands[::-1], strict=True):
                if old is not None and made is not None and bias is not None and uses[old] == 1:
                    found = _biased(node, made, bias)
                    if found is not None:
                        return [found]
            return None

        return rebuild(graph, rewrite)


def _biased(node: Node, made: Value, bias: Value) -> Value | None:
    product = made.node
    if product is None or product.scope is not None or not isinstance(bias.source, Parameter):
        return None
    channels = made.type.shape[-1:]
    if len(product.inputs) != 2 or bias.type.shape[-1:] != channels or node.output.type != made.type:
        return None
    if set(bias.type.shape[:-1]) - {1}:
        return None
    if bias.type.rank > 1:
        bias = rearranged(bias, channels, (0,))
    x, w = product.inputs
    if x is None or w is None or not isinstance(w.source, Parameter) or not w.dtype.is_float:
        return None
    if isinstance(product.op, ops.Conv) and product.op.data_format == "channels_last":
        return emit(node, product.op, x, w, bias)
    linear = isinstance(product.op, (ops.MatMul, ops.Linear)) and w.type.rank == 2 and x.type.rank >= 2
    return emit(node, ops.Linear(), x, w, bias) if linear else None
