"""Cross-layer equalization: channels that share one scale of codes are made equally large.

Nagel et al., "Data-free quantization through weight equalization and bias correction" (ICCV 2019), with the sizes of
channels taken from samples. The factors are powers of two, so that the model in float stays the same to the bit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.types import Array
from dagir.passes.derived import leaf_array
from dagir.passes.equalize_channels import EqualizeChannels
from dagir.passes.quantize import has_weight
from dagir.passes.uses import count_uses
from dagir.precision.calibration import parts
from dagir.runtime.backend import Apply, backend
from dagir.support.backend_names import NUMPY

Pair: TypeAlias = tuple[Node, Node]

_HOMOGENEOUS = (ops.Relu, ops.LeakyRelu, ops.MaxPool, ops.AveragePool)
"""f(s x) = s f(x) for a positive s for each channel."""
_MOST = 8  # as a power of two


def equalized(graph: Graph, arrays: Sequence[Array]) -> Graph | None:
    """The graph with the channels between linear maps made equally large on the samples; None where all are."""
    pairs = _pairs(graph)
    if not pairs:
        return None
    largest = _largest(graph, arrays, {second.inputs[0] for _, second in pairs})
    read: dict[Node, Array] = {}
    made: dict[Node, Array] = {}
    for first, second in pairs:
        factors = _factors(second, largest[second.inputs[0]])
        if (factors != 1).any():
            read[second], made[first] = factors, 1 / factors
    return EqualizeChannels(read, made)(graph) if read else None


def _pairs(graph: Graph) -> list[Pair]:
    """Two linear maps, one behind the other, with nothing between that reads or gives anything else."""
    uses = count_uses(graph)
    found = []
    for second in graph.nodes:
        x = second.inputs[0] if has_weight(second) else None
        while x is not None and uses[x] == 1 and x.node is not None and isinstance(x.node.op, _HOMOGENEOUS):
            x = x.node.inputs[0]
        first = None if x is None or uses[x] > 1 else x.node
        if first is not None and has_weight(first) and _axis(first) == _axis(second):
            found.append((first, second))
    return found


def _axis(node: Node) -> int:
    """The axis of the channels, of what is read and of what is made."""
    return node.op.channel_axis if isinstance(node.op, ops.Conv) else node.output.type.rank - 1


def _largest(graph: Graph, arrays: Sequence[Array], wanted: Collection[Value | None]) -> dict[Value | None, Array]:
    """For each value, by channel, the largest magnitude on the samples."""
    readers = {node.inputs[0]: node for node in graph.nodes if node.inputs and node.inputs[0] in wanted}
    found: dict[Value | None, Array] = {}

    def around(node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        results = apply(operands, None)
        for value, array in zip(node.outputs, results, strict=True):
            if value in wanted:
                others = tuple(axis for axis in range(array.ndim) if axis != _axis(readers[value]))
                size = np.nan_to_num(np.abs(array).max(axis=others, initial=0.0), posinf=0.0)
                found[value] = np.maximum(found.get(value, 0.0), size)
        return results

    exe: Any = backend(NUMPY).lower(graph)
    for part in parts(graph, arrays):
        with np.errstate(all="ignore"):
            exe.trace(part, around)
    return found


def _factors(second: Node, size: Array) -> Array:
    """By channel: what it is divided by, and the weights that read it are multiplied with.

    A filter that reads one channel has a scale of its own, which takes any factor up. Others read all channels with one
    scale, so that channels and weights meet halfway: sqrt(size / weight).
    """
    weight = _weights_of_inputs(second)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.log2(size) if weight is None else 0.5 * np.log2(size / weight)
    known = np.isfinite(wanted)
    if not known.any():
        return np.ones(size.shape)
    powers = np.clip(np.rint(wanted - np.median(wanted[known])), -_MOST, _MOST)
    return np.asarray(np.exp2(np.where(known, powers, 0.0)))


def _weights_of_inputs(node: Node) -> Array | None:
    """For each input channel the largest weight that reads it; None where each filter reads one channel alone."""
    assert node.inputs[1] is not None
    w = np.abs(leaf_array(node.inputs[1])).astype(np.float64)
    w = w.reshape(-1, *w.shape[-2:]).max(axis=0)  # f[channels of a group, filters]
    groups = node.op.groups if isinstance(node.op, ops.Conv) else 1
    if groups > 1 and len(w) == 1:
        return None
    by_group = w.reshape(len(w), groups, -1).max(axis=2)  # f[channels of a group, groups]
    return np.asarray(by_group.T.reshape(-1))
