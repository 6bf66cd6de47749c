"""Constant folding: what depends only on constants and weights is computed now, not at every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value
from dagir.ir.rewriter import Operands, rebuild
from dagir.ir.types import Array, DType
from dagir.ops import Call, Cast, DequantizeLinear, ExpandDims, Reshape, Squeeze, Transpose
from dagir.passes import services
from dagir.passes.derived import leaf_array
from dagir.passes.pipeline import Pass
from dagir.passes.uses import count_uses

_REARRANGING = (Reshape, Transpose, ExpandDims, Squeeze)
_KEPT = (Call, DequantizeLinear)
"""Codes stay codes: they are a fourth as large as their numbers, and integer kernels are found by them."""


@dataclass(frozen=True)
class FoldConstants(Pass):
    """y = op(constant, ...)   =>   y = constant, if it has at most `budget` elements

    y = Reshape(weight)        =>   y = weight', the same numbers in another shape, if the weight is read only here
    y = op(weight, ...)        =>   y = weight', computed now, if it has at most `budget` elements

    What dequantizes codes stays, and what widens narrow floats.
    """

    name = "fold-constants"
    budget: int = 1 << 20

    def __call__(self, graph: Graph) -> Graph:
        """Fold in one walk: a folded result is a constant for the nodes after it."""
        uses = count_uses(graph)
        given = set(graph.inputs)  # of a body: a weight there is what the node around it is given

        def fold(node: Node, operands: Operands) -> Sequence[Value] | None:
            sources = [value.source for value in operands if value is not None]
            leaves = [source for source in sources if isinstance(source, (Constant, Parameter))]
            if not given.isdisjoint(operands):
                return None
            if not sources or len(leaves) != len(sources) or _is_kept(node, operands) or node.op.random:
                return None
            weight = next((source for source in leaves if isinstance(source, Parameter)), None)
            if weight is not None and isinstance(node.op, _REARRANGING) and len(sources) == uses[weight.value] == 1:
                return [_rearranged(node, weight)]
            if not self._fits(node):
                return None
            arrays = _evaluate(node, operands)
            if weight is None:
                return [Constant(array).value for array in arrays]
            return [_weight(weight, value, array) for value, array in zip(node.outputs, arrays, strict=True)]

        return rebuild(graph, fold)

    def _fits(self, node: Node) -> bool:
        sizes = [value.type.shape for value in node.outputs]
        return all(isinstance(n, int) for shape in sizes for n in shape) and all(
            prod(int(n) for n in shape if isinstance(n, int)) <= self.budget for shape in sizes
        )


def _is_kept(node: Node, operands: Operands) -> bool:
    """Whether the node stays: weights that are stored narrow are smaller than what a cast makes of them.

    Of integers, only weights of a byte that are not trained are taken for codes.
    """
    if isinstance(node.op, Cast) and node.op.dtype.is_float:
        value, source = operands[0], None if operands[0] is None else operands[0].source
        if value is None or (not value.dtype.is_float and not isinstance(source, Parameter)):
            return False
        is_code = isinstance(source, Parameter) and not source.trainable and value.dtype.numpy.itemsize == 1
        return (value.dtype.is_float or is_code) and value.dtype.numpy.itemsize < node.op.dtype.numpy.itemsize
    return isinstance(node.op, _KEPT)


def _evaluate(node: Node, operands: Operands) -> list[Array]:
    """The node's outputs, computed by the NumPy interpreter, which defines what the ops mean."""
    arrays = [None if value is None else leaf_array(value) for value in operands]
    return [frozen(array) for array in services.evaluate_node(node, arrays)]


def _weight(weight: Parameter, value: Value, array: Array) -> Value:
    return Parameter(weight.name, value.type, array=array, trainable=weight.trainable).value


def _rearranged(node: Node, weight: Parameter) -> Value:
    """A weight whose elements are rearranged each time it is read: a view, not a copy."""

    def initialize(shape: tuple[int, ...], dtype: DType) -> Array:
        (array,) = _evaluate(node, (Constant(weight.array).value,))
        return array

    return Parameter(weight.name, node.output.type, initialize, trainable=weight.trainable).value
