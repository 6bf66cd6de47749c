"""The layout pass for targets whose layers are channels-last: see dagir.passes.relayout."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dagir import ops
from dagir.ir.graph import Graph, Node
from dagir.ir.rewriter import emit
from dagir.passes.layouts import Turn
from dagir.passes.pipeline import Pass
from dagir.passes.relayout import Special, Versions, is_bound, relayout

_LAST = Turn("channels_first", "channels_last")


@dataclass(frozen=True)
class ChannelsLast(Pass):
    """Conv'(x) -> Relu -> Conv'   =>   Transpose(x) -> Conv -> Relu -> Conv -> Transpose

    Conv' has data_format="channels_first". What a layer of the user's made stays as that layer is.
    """

    name = "channels-last"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk; the graph itself is returned if no op is bound to channels-first."""
        return relayout(graph, _LAST, _is_bound, _SPECIAL)


def _is_bound(node: Node) -> bool:
    return node.scope is None and is_bound(node, _LAST)


def _rewrite_layer_norm(node: Node, versions: Versions) -> bool:
    """Normalize over the last axis, where the written norm is over the channels alone."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, (ops.LayerNorm, ops.RMSNorm))
    assert x is not None
    if op.axes != (1,):
        return False
    y = emit(node, replace(op, axes=(x.type.rank - 1,)), versions.moved(x, node), *node.inputs[1:])
    versions.set_moved(node.output, y)
    return True


_SPECIAL: Special = {ops.LayerNorm: _rewrite_layer_norm, ops.RMSNorm: _rewrite_layer_norm}
