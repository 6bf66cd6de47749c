"""Pooling over 1 to 3 spatial axes: windows that slide, and windows that divide the axis (adaptive)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, ceil_div, max_dim
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT, ROUNDED
from dagir.ir.types import Sizes, TensorType
from dagir.ops.operands import require
from dagir.support.integers import ints_per_axis

__all__ = [
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "AveragePool",
    "MaxPool",
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "max_pool",
]


@dataclass(frozen=True)
class _Pool(Op):
    """The common part of both poolings: the fields, the checks, the sizes."""

    bound_to_layout = True
    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    data_format: str = "channels_last"

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.pool_size)

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of x that the window slides along."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def pads(self, sizes: Sequence[Dim]) -> tuple[tuple[Dim, Dim], ...]:
        """(before, after) for each spatial axis at these sizes; symbolic for a strided "same" on a named size."""
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "valid":
            return ((0, 0),) * self.rank
        return tuple(_same_pads(*args) for args in zip(sizes, self.pool_size, self.strides, strict=True))

    def infer(self, x: TensorType) -> Types:
        """The shape of x, each spatial size replaced by the number of windows."""
        _check_fields(self)
        require("float", x)
        if x.rank != self.rank + 2:
            raise ShapeError(
                f"{type(self).__name__} over {self.rank} spatial axes takes x of rank {self.rank + 2}, got {x.rank}",
                remedy=f"x needs a batch axis, {self.rank} spatial axes and a channel axis ({self.data_format})",
            )
        shape = list(x.shape)
        for i, (axis, window, stride) in enumerate(zip(self.spatial_axes, self.pool_size, self.strides, strict=True)):
            size = shape[axis]
            if self.padding == "same":
                shape[axis] = ceil_div(size, stride)
                continue
            if not isinstance(self.padding, str):
                size += sum(self.padding[i])
            if isinstance(size, int) and size < window:
                raise ShapeError(
                    f"the window reaches over {window} elements, the axis has {size}",
                    marks={0: [axis]},
                    remedy="use padding='same', a smaller pool_size, or a larger input",
                )
            shape[axis] = (size - window) // stride + 1
        return (x.with_shape(tuple(shape)),)


@dataclass(frozen=True)
class MaxPool(_Pool):
    """x: f[n, *d, c] -> f[n, *e, c], the largest of each window; channels_first: f[n, c, *d] -> f[n, c, *e].

    e is (d - pool)//stride + 1 for "valid", ceil(d/stride) for "same", where elements outside x count as -infinity,
    and the smaller half of the padding comes first. Explicit pairs (before, after), each less than the window, pad in
    the same way.  keras.ops.max_pool; ONNX MaxPool-12.
    """

    rounding = EXACT


@dataclass(frozen=True)
class AveragePool(_Pool):
    """x: f[n, *d, c] -> f[n, *e, c], the mean of each window; channels_first: f[n, c, *d] -> f[n, c, *e].

    Sizes as for MaxPool; under "same" only the elements inside x are counted.  keras.ops.average_pool; ONNX
    AveragePool-11 with count_include_pad=0.
    """

    rounding = ROUNDED


def _same_pads(size: Dim, window: int, stride: int) -> tuple[Dim, Dim]:
    if window == 1:  # no window needs an element past the end, at any size
        return 0, 0
    total: Dim = window - 1 if stride == 1 else max_dim((ceil_div(size, stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _check_fields(op: _Pool) -> None:
    name = type(op).__name__
    if op.rank not in (1, 2, 3):
        raise ArgumentError(f"{name} takes 1, 2 or 3 spatial axes, pool_size is {op.pool_size}")
    for what, numbers in (("pool_size", op.pool_size), ("strides", op.strides)):
        if len(numbers) != op.rank or any(number <= 0 for number in numbers):
            raise ArgumentError(f"{name} takes {op.rank} ints above 0 for {what}, got {numbers}")
    if isinstance(op.padding, str):
        if op.padding not in ("valid", "same"):
            raise ArgumentError(f"{name} takes padding 'valid' or 'same', got {op.padding!r}")
    elif len(op.padding) != op.rank or any(
        not 0 <= size < window for pair, window in zip(op.padding, op.pool_size, strict=True) for size in pair
    ):
        raise ArgumentError(f"{name} takes {op.rank} pairs of ints from 0 to below pool_size, got {op.padding}")
    if op.data_format not in ("channels_last", "channels_first"):
        raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {op.data_format!r}")


def _pool(
    cls: type[_Pool], inputs: Operand, pool_size: Sizes, strides: Sizes | None, padding: str, data_format: str | None
) -> Value:
    value = as_value(inputs)
    rank = value.ndim - 2
    window = ints_per_axis("pool_size", pool_size, rank)
    steps = window if strides is None else ints_per_axis("strides", strides, rank)
    return apply(cls(window, steps, padding, data_format or "channels_last"), value)


def max_pool(
    inputs: Operand,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Value:
    """The largest of each window. strides: pool_size by default. Shapes: [n, *d, c] -> [n, *e, c].

    >>> show(ops.max_pool([[[1.0], [3.0], [5.0], [7.0]]], 2))
    [[[3.0], [7.0]]]
    """
    return _pool(MaxPool, inputs, pool_size, strides, padding, data_format)


def average_pool(
    inputs: Operand,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Value:
    """The mean of each window, padding not counted. strides: pool_size by default. [n, *d, c] -> [n, *e, c].

    >>> show(ops.average_pool([[[1.0], [3.0], [5.0], [7.0]]], 2))
    [[[2.0], [6.0]]]
    """
    return _pool(AveragePool, inputs, pool_size, strides, padding, data_format)


@dataclass(frozen=True)
class _AdaptivePool(Op):
    """The common part of both adaptive poolings: the windows, whose number is given."""

    bound_to_layout = True
    output_size: tuple[int, ...]
    data_format: str = "channels_last"

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of x that are shared out."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + len(self.output_size)))

    def infer(self, x: TensorType) -> Types:
        """The shape of x, each spatial size replaced by the number of windows. Sizes must be known."""
        name, rank = type(self).__name__, len(self.output_size)
        if rank not in (1, 2, 3) or any(number <= 0 for number in self.output_size):
            raise ArgumentError(f"{name} takes 1 to 3 ints above 0 for output_size, got {self.output_size}")
        if self.data_format not in ("channels_last", "channels_first"):
            raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {self.data_format!r}")
        require("float", x)
        if x.rank != rank + 2:
            raise ShapeError(f"{name} over {rank} spatial axes takes x of rank {rank + 2}, got {x.rank}")
        shape = list(x.shape)
        for axis, number in zip(self.spatial_axes, self.output_size, strict=True):
            if not isinstance(shape[axis], int) or shape[axis] == 0:
                raise ShapeError(
                    f"{name} needs a known size above 0, got {shape[axis]}",
                    marks={0: [axis]},
                    remedy="give the input a fixed size, or pool over windows of a fixed size",
                )
            shape[axis] = number
        return (x.with_shape(tuple(shape)),)


def adaptive_windows(size: int, number: int) -> list[tuple[int, int]]:
    """Start and end of `number` windows over an axis: floor(i * size / number) and ceil((i + 1) * size / number)."""
    return [(i * size // number, -(-(i + 1) * size // number)) for i in range(number)]


@dataclass(frozen=True)
class AdaptiveMaxPool(_AdaptivePool):
    """x: f[n, *d, c] -> f[n, *output_size, c], the largest of each window.  keras.ops.adaptive_max_pool."""

    rounding = EXACT


@dataclass(frozen=True)
class AdaptiveAveragePool(_AdaptivePool):
    """x: f[n, *d, c] -> f[n, *output_size, c], the mean of each window.  keras.ops.adaptive_average_pool."""

    rounding = ROUNDED


def _adaptive_pool(cls: type[_AdaptivePool], inputs: Operand, output_size: Sizes, data_format: str | None) -> Value:
    value = as_value(inputs)
    return apply(cls(ints_per_axis("output_size", output_size, value.ndim - 2), data_format or "channels_last"), value)


def adaptive_max_pool(inputs: Operand, output_size: Sizes, data_format: str | None = None) -> Value:
    """The largest of each of `output_size` windows. Shapes: [n, *d, c] -> [n, *output_size, c].

    >>> show(ops.adaptive_max_pool([[[1.0], [3.0], [5.0], [7.0]]], 2))
    [[[3.0], [7.0]]]
    """
    return _adaptive_pool(AdaptiveMaxPool, inputs, output_size, data_format)


def adaptive_average_pool(inputs: Operand, output_size: Sizes, data_format: str | None = None) -> Value:
    """The mean of each of `output_size` windows. Shapes: [n, *d, c] -> [n, *output_size, c].

    >>> show(ops.adaptive_average_pool([[[1.0], [3.0], [5.0], [7.0]]], 2))
    [[[2.0], [6.0]]]
    """
    return _adaptive_pool(AdaptiveAveragePool, inputs, output_size, data_format)
