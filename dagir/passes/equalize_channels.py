"""Give the channels between two linear maps other scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dagir.ir.graph import Graph, Node, Value
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.ir.types import Array, DType, Shape
from dagir.passes.derived import Derived, leaf_array
from dagir.passes.fold_batchnorm import name_of
from dagir.passes.fold_scales import over_inputs
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class EqualizeChannels(Pass):
    """Conv(Relu(Conv(x, w, b)), v, c)   =>   Conv(Relu(Conv(x, w / s, b / s)), v * s, c)

    s has a positive number for each channel between both, and what stands between lets such a factor through. Also for
    Linear. Where s is a power of two the numbers behind the second map are the same to the bit. read, made: by node,
    the factors of the channels that it reads, and of those that it makes.
    """

    name = "equalize-channels"
    read: Mapping[Node, Array] = field(default_factory=dict)
    made: Mapping[Node, Array] = field(default_factory=dict)

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite in one walk."""

        def scale(node: Node, operands: Operands) -> Sequence[Value] | None:
            read, made = self.read.get(node), self.made.get(node)
            if read is None and made is None:
                return None
            x, w, *biases = operands
            assert w is not None
            factors: Array = np.ones(1) if read is None else over_inputs(node.op, w.type, read)
            kernel = _times(w, factors if made is None else factors * made)
            moved = [b if b is None or made is None else _times(b, made) for b in biases]
            return [emit(node, node.op, x, kernel, *moved)]

        return rebuild(graph, scale)


def _times(weight: Value, factors: Array) -> Value:
    def make(_: Shape, dtype: DType) -> Array:
        found: Array = (leaf_array(weight) * factors).astype(dtype.numpy)
        return found

    making: Callable[[Shape, DType], Array] = make
    return Derived(name_of(weight, "weight"), weight.type, making, (weight,)).value
