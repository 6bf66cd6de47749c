"""GatherND: parts of an array at tuples of indices."""

from __future__ import annotations

from dataclasses import dataclass

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import Equations, Inferred, TensorType

__all__ = [
    "GatherND",
    "gather_nd",
]


@dataclass(frozen=True)
class GatherND(Op):
    """x: t[*a, *s], indices: int[*a, *b, r] -> t[*a, *b, *s[r:]], a on the first `batch_dims` axes.

    The part of x at each tuple of r indices, behind the axes of a batch. Negative indices count from the end; an index
    out of range on its own axis is an error when run.  tf.gather_nd; ONNX GatherND-13.
    """

    rounding = EXACT
    moves_only = True
    operands = ("x", "indices")
    batch_dims: int = 0

    def infer(self, x: TensorType, indices: TensorType) -> Inferred:
        """The axes of the tuples, then those of x that no index is for."""
        equations, batch = Equations(), self.batch_dims
        if not indices.dtype.is_integer:
            raise ArgumentError(f"indices must be integers, got {indices.dtype}")
        if not 0 <= batch < min(x.rank, indices.rank):
            raise ArgumentError(
                f"batch_dims is from 0 to {min(x.rank, indices.rank) - 1} for x of rank {x.rank} and indices of rank "
                f"{indices.rank}, got {batch}"
            )
        depth, most = indices.shape[-1], x.rank - batch
        if not isinstance(depth, int) or not 1 <= depth <= most:
            raise ShapeError(f"the last axis of indices is a tuple of 1 to {most} numbers, got {depth}")
        for axis, (size, wanted) in enumerate(zip(indices.shape[:batch], x.shape[:batch], strict=True)):
            if equations.equate(size, wanted) is None:
                raise ShapeError(f"sizes differ on axis {axis}, which is of the batch", marks={0: [axis], 1: [axis]})
        return equations.inferred(x.with_shape((*indices.shape[:-1], *x.shape[batch + depth :])))


def gather_nd(x: Operand, indices: Operand, batch_dims: int = 0) -> Value:
    """The parts of x at tuples of indices, which are on the last axis of `indices`.

    batch_dims: how many first axes x and indices share, so that each entry is gathered from its own.

    >>> show(ops.gather_nd([[10, 20], [30, 40]], [[0, 1], [1, -1]]))
    [20, 40]
    """
    return apply(GatherND(batch_dims), as_value(x), as_value(indices))
