"""ScatterElements: updates that go to their own places, but on one axis, where indices say it."""

from __future__ import annotations

from dataclasses import dataclass

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import ROUNDED
from dagir.ir.types import TensorType, normalize_axis
from dagir.ops.operands import same_dtype

__all__ = [
    "ScatterElements",
    "scatter_elements",
]


@dataclass(frozen=True)
class ScatterElements(Op):
    """x: t[*s], indices: int[*m], updates: t[*m] -> t[*s]: each update at its own place, on `axis` at its index.

    Sizes of m are at most those of s, but on the axis. Negative indices count from the end. reduction: "none" replaces
    elements, and is undefined for a place that occurs twice; "add", "mul", "max" and "min" combine.  ONNX
    ScatterElements-18.
    """

    rounding = ROUNDED
    operands = ("x", "indices", "updates")
    axis: int
    reduction: str = "none"

    def infer(self, x: TensorType, indices: TensorType, updates: TensorType) -> Types:
        """The type of x."""
        if self.reduction not in ("none", "add", "mul", "max", "min"):
            raise ArgumentError(f"unknown reduction {self.reduction!r}", remedy="use add, mul, max, min or none")
        same_dtype(x, updates)
        axis = normalize_axis(self.axis, x.rank)
        if not indices.dtype.is_integer:
            raise ArgumentError(f"indices must be integers, got {indices.dtype}")
        if indices.rank != x.rank or indices.shape != updates.shape:
            raise ShapeError(
                f"indices and updates have one shape of the rank of x, {x.rank}, got {list(indices.shape)} "
                f"and {list(updates.shape)}",
                marks={1: list(range(indices.rank)), 2: list(range(updates.rank))},
            )
        for other, (size, most) in enumerate(zip(indices.shape, x.shape, strict=True)):
            if other != axis and isinstance(size, int) and isinstance(most, int) and size > most:
                raise ShapeError(f"{size} updates lie on axis {other} of size {most}", marks={0: [other], 1: [other]})
        return (x,)


def scatter_elements(
    x: Operand, indices: Operand, updates: Operand, axis: int = 0, reduction: str | None = None
) -> Value:
    """x with each update at its own place, but on the axis, where its index says it.

    indices, updates: of one shape. reduction: "add", "mul", "max" or "min", by default an update replaces an element.

    >>> show(ops.scatter_elements([[1, 2, 3]], [[2, 0]], [[8, 9]], axis=1))
    [[9, 2, 8]]
    """
    value = as_value(x)
    op = ScatterElements(normalize_axis(axis, value.ndim), reduction or "none")
    return apply(op, value, as_value(indices), as_value(updates, like=value))
