"""The layout pass for targets that convolve channels first: see dagir.passes.relayout."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dagir import ops
from dagir.ir.graph import Graph, Node
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import emit
from dagir.passes.derived import reshaped
from dagir.passes.layouts import Turn
from dagir.passes.pipeline import Pass
from dagir.passes.relayout import Special, Versions, is_bound, relayout

_FIRST = Turn("channels_last", "channels_first")


@dataclass(frozen=True)
class ChannelsFirst(Pass):
    """Conv(x) -> Relu -> Conv   =>   Transpose(x) -> Conv' -> Relu -> Conv' -> Transpose

    Conv' has data_format="channels_first". A network that ends in a global pool has no Transpose at its end.
    """

    name = "channels-first"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk; the graph itself is returned if no op is bound to a layout."""
        return relayout(graph, _FIRST, lambda node: is_bound(node, _FIRST), _SPECIAL)


def _rewrite_linear(node: Node, versions: Versions) -> bool:
    """Write a linear map of the channels as a convolution with a kernel of size 1."""
    x, w, b = (*node.inputs, None)[:3]
    assert x is not None
    rank = x.type.rank - 2
    if w is None or not is_leaf(w) or not 1 <= rank <= 3:
        return False
    op = ops.Conv((1,) * rank, "valid", (1,) * rank, 1, "channels_first")
    kernel = reshaped(w, (1,) * rank + w.type.shape)
    versions.set_moved(node.output, emit(node, op, versions.moved(x, node), kernel, b))
    return True


def _rewrite_layer_norm(node: Node, versions: Versions) -> bool:
    """Normalize over axis 1; scale and shift become separate ops, which can be folded into a convolution after them."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, (ops.LayerNorm, ops.RMSNorm))
    assert x is not None
    rank = x.type.rank
    vectors = [value for value in node.inputs[1:] if value is not None]
    if op.axes != (rank - 1,) or not all(is_leaf(value) for value in vectors):
        return False
    y = emit(node, replace(op, axes=(1,)), versions.moved(x, node))
    for value, combine in zip(node.inputs[1:], (ops.Multiply(), ops.Add()), strict=False):
        if value is not None:
            y = emit(node, combine, y, reshaped(value, (*value.type.shape, *[1] * (rank - 2))))
    versions.set_moved(node.output, y)
    return True


_SPECIAL: Special = {ops.Linear: _rewrite_linear, ops.LayerNorm: _rewrite_layer_norm, ops.RMSNorm: _rewrite_layer_norm}
"""Ops on the channels that become others when the channels move. Each says whether it could."""
