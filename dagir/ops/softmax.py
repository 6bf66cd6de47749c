"""What makes probabilities of numbers along an axis: softmax, its logarithm, and sparsemax."""

from __future__ import annotations

from dataclasses import dataclass

from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import ROUNDED, Rounding
from dagir.ir.types import TensorType, normalize_axes, normalize_axis
from dagir.ops.operands import require

__all__ = [
    "LogSoftmax",
    "Softmax",
    "Sparsemax",
    "log_softmax",
    "softmax",
    "sparsemax",
]


@dataclass(frozen=True)
class Softmax(Op):
    """x: f[*s] -> f[*s]; e**x over its sum along `axes`.  keras.activations.softmax; ONNX Softmax-13 for one axis."""

    rounding = Rounding(compound=True, within=0.5)
    nonnegative = True
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require("float", x)
        normalize_axes(self.axes, x.rank)
        return (x,)

    def works_apart_along(self, axis: int) -> bool:
        """Along every axis but those that it sums over."""
        return axis not in self.axes


@dataclass(frozen=True)
class LogSoftmax(Softmax):
    """log(softmax(x)) along `axes`, without underflow.  ONNX LogSoftmax-13 for one axis."""

    rounding = Softmax.rounding
    nonnegative = False


@dataclass(frozen=True)
class Sparsemax(Op):
    """x: f[*s] -> f[*s]; the nearest point of the probability simplex along `axis`.  keras.activations.sparsemax.

    max(x - t, 0), with t such that the sum is 1. Martins and Astudillo, "From softmax to sparsemax" (2016).
    """

    rounding = ROUNDED
    nonnegative = True
    axis: int

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require("float", x)
        normalize_axis(self.axis, x.rank)
        return (x,)

    def works_apart_along(self, axis: int) -> bool:
        """Along every axis but its own."""
        return axis != self.axis


def softmax(x: Operand, axis: int | tuple[int, ...] = -1) -> Value:
    """e**x over its sum along the axis or axes.

    >>> show(ops.softmax([[0.0, 0.0], [0.0, 1.0]]))
    [[0.5, 0.5], [0.2689, 0.7311]]
    """
    value = as_value(x)
    return apply(Softmax(normalize_axes(axis, value.ndim)), value)


def log_softmax(x: Operand, axis: int | tuple[int, ...] = -1) -> Value:
    """log(softmax(x)).

    >>> show(ops.log_softmax([0.0, 0.0]))
    [-0.6931, -0.6931]
    """
    value = as_value(x)
    return apply(LogSoftmax(normalize_axes(axis, value.ndim)), value)


def sparsemax(x: Operand, axis: int = -1) -> Value:
    """The nearest probability distribution along the axis; many of its elements are 0.

    >>> show(ops.sparsemax([1.0, 0.8, -1.0]))
    [0.6, 0.4, 0.0]
    """
    value = as_value(x)
    return apply(Sparsemax(normalize_axis(axis, value.ndim)), value)
