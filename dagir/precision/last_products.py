"""Last layers that are not worth quantizing."""

from __future__ import annotations

from collections.abc import Collection

from dagir.ir.graph import Graph, Node, Value
from dagir.passes.derived import leaf_array
from dagir.passes.quantize import has_stored_kernels, has_weight
from dagir.passes.quantize_weights import is_linear_map

_SHARE = 0.01
_REASON = "is last, and small"


def small_last_products(graph: Graph, nodes: Collection[Node]) -> dict[Node, str]:
    """Products behind which no other weights come and that hold at most a hundredth of all: they gain no room or time.

    Their errors reach the outputs as they are. nodes: those that may be quantized, with the reason for each found.
    """
    weighted = [node for node in nodes if has_weight(node) or has_stored_kernels(node)]
    behind: set[Value] = set()  # values that weights are applied to, later on
    for node in reversed(graph.nodes):
        if node in weighted or any(value in behind for value in node.outputs):
            behind.update(value for value in node.inputs if value is not None)
    whole = sum(_size(node) for node in weighted)
    last = [node for node in weighted if is_linear_map(node) and node.outputs[0] not in behind]
    return {node: _REASON for node in last if _size(node) <= _SHARE * whole}


def _size(node: Node) -> int:
    """The numbers in the kernels of a node."""
    places = (1, 2) if has_stored_kernels(node) else (1,)
    return sum(leaf_array(value).size for place in places if (value := node.inputs[place]) is not None)
