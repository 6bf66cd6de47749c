"""First and last layers that are not worth quantizing."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from dagir import ops
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.types import Array
from dagir.passes.derived import leaf_array
from dagir.passes.quantize import has_stored_kernels, has_weight
from dagir.passes.quantize_weights import is_linear_map

_SHARE = 0.01
_WINDOW = 32
_REASON = "is last, and small"
_FASTER = "is first, and faster in float"


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


def not_worthwhile(graph: Graph) -> dict[Node, str]:
    """First and last layers that gain nothing by codes, with the reason for each; none where there are no others."""
    found = {**small_first_convolutions(graph), **small_last_products(graph, graph.nodes)}
    others = [node for node in graph.nodes if (has_weight(node) or has_stored_kernels(node)) and node not in found]
    return found if others else {}


def small_first_convolutions(graph: Graph) -> dict[Node, str]:
    """Convolutions that no weights come before, whose windows hold at most 32 numbers, as 3 x 3 of 3 colours.

    To gather such windows takes integer kernels longer than all products take in float: of MobileNetV2 on a CPU with
    VNNI 0.32 ms in place of 0.15, of 2.2 for the network. Those of 7 x 7 numbers gain.
    """
    weighed: set[Value] = set()
    found: dict[Node, str] = {}
    for node in graph.nodes:
        w = node.inputs[1] if has_weight(node) else None
        if w is not None and node.inputs[0] not in weighed and _is_small_convolution(node.op, leaf_array(w)):
            found[node] = _FASTER
        if w is not None or has_stored_kernels(node) or any(value in weighed for value in node.inputs):
            weighed.update(node.outputs)
    return found


def _is_small_convolution(op: Op, kernel: Array) -> bool:
    return isinstance(op, ops.Conv) and op.groups == 1 and prod(kernel.shape[:-1]) <= _WINDOW


def _size(node: Node) -> int:
    """The numbers in the kernels of a node."""
    places = (1, 2) if has_stored_kernels(node) else (1,)
    return sum(leaf_array(value).size for place in places if (value := node.inputs[place]) is not None)
