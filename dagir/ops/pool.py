"""Pooling over 1 to 3 spatial axes: windows that slide, and windows that divide the axis (adaptive)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, ceil_div, min_dim
from dagir.ir.first_order import averaged
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import COMPOUND, EXACT, ROUNDED, Rounding
from dagir.ir.types import DType, Sizes, TensorType
from dagir.ops.conv import same_pads
from dagir.ops.operands import require
from dagir.support.integers import ints_per_axis

__all__ = [
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "AveragePool",
    "LpPool",
    "MaxPool",
    "MaxPoolWithIndices",
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "max_pool",
]


@dataclass(frozen=True)
class Pool(Op):
    """The common part of the poolings: the fields, the checks, the sizes."""

    bound_to_layout = True
    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    data_format: str = "channels_last"
    dilations: tuple[int, ...] | None = None
    ceil_mode: bool = False

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.pool_size)

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of x that the window slides along."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    @property
    def steps(self) -> tuple[int, ...]:
        """The distances between the elements of a window: the dilations, or 1."""
        return self.dilations or (1,) * self.rank

    @property
    def extents(self) -> tuple[int, ...]:
        """The sizes that a window covers: (pool - 1) * dilation + 1."""
        return tuple((window - 1) * step + 1 for window, step in zip(self.pool_size, self.steps, strict=True))

    @property
    def is_plain(self) -> bool:
        """Whether windows have no gaps, and none reaches beyond the padding."""
        return all(step == 1 for step in self.steps) and not self.ceil_mode

    def pads(self, sizes: Sequence[Dim]) -> tuple[tuple[Dim, Dim], ...]:
        """(before, after) for each spatial axis at these sizes; symbolic for a strided "same" on a named size."""
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "valid":
            return ((0, 0),) * self.rank
        pads = [same_pads(*args) for args in zip(sizes, self.extents, self.strides, strict=True)]
        return tuple((after, before) for before, after in pads) if self.padding == "same_lower" else tuple(pads)

    @property
    def is_same(self) -> bool:
        """Whether the padding makes the result as large as the size over the stride."""
        return self.padding in ("same", "same_lower")

    def counts(self, sizes: Sequence[Dim]) -> tuple[Dim, ...]:
        """The number of windows on each spatial axis at these sizes."""
        found: list[Dim] = []
        every = zip(sizes, self.pads(sizes), self.extents, self.strides, strict=True)
        for size, (before, after), extent, stride in every:
            if self.is_same:
                found.append(ceil_div(size, stride))
                continue
            room = size + before + after - extent
            if not self.ceil_mode:
                found.append(room // stride + 1)
                continue
            starts_inside = (size + before - 1) // stride + 1
            found.append(min_dim(ceil_div(room, stride) + 1, starts_inside))
        return tuple(found)

    def reach(self, sizes: Sequence[Dim]) -> tuple[tuple[Dim, Dim], ...]:
        """(before, after) for each spatial axis, so that the windows just fit; below 0 where elements are left over."""
        every = zip(sizes, self.pads(sizes), self.counts(sizes), self.extents, self.strides, strict=True)
        return tuple((pair[0], (n - 1) * stride + extent - size - pair[0]) for size, pair, n, extent, stride in every)

    def infer(self, x: TensorType) -> Types:
        """The shape of x, each spatial size replaced by the number of windows."""
        _check_fields(self)
        self._check_dtype(x)
        if x.rank != self.rank + 2:
            raise ShapeError(
                f"{type(self).__name__} over {self.rank} spatial axes takes x of rank {self.rank + 2}, got {x.rank}",
                remedy=f"x needs a batch axis, {self.rank} spatial axes and a channel axis ({self.data_format})",
            )
        shape = list(x.shape)
        sizes = [shape[axis] for axis in self.spatial_axes]
        pads = self.pads(sizes)
        for i, (axis, count, extent) in enumerate(
            zip(self.spatial_axes, self.counts(sizes), self.extents, strict=True)
        ):
            size = sizes[i] + sum(pads[i])
            if not self.is_same and isinstance(size, int) and size < extent and not self.ceil_mode:
                raise ShapeError(
                    f"the window reaches over {extent} elements, the axis has {size}",
                    marks={0: [axis]},
                    remedy="use padding='same', a smaller pool_size, or a larger input",
                )
            if isinstance(count, int) and count < 1 and sizes[i] != 0:
                raise ShapeError(f"no window starts on the axis of {sizes[i]} elements", marks={0: [axis]})
            shape[axis] = count
        return (x.with_shape(tuple(shape)),)

    def _check_dtype(self, x: TensorType) -> None:
        require("float", x)


@dataclass(frozen=True)
class MaxPool(Pool):
    """x: t[n, *d, c] -> t[n, *e, c], the largest of each window; channels_first: t[n, c, *d] -> t[n, c, *e].

    t is a float, int8 or uint8. e is (d - pool')//stride + 1 for "valid", ceil(d/stride) for "same", where elements
    outside x count as the least there is, and the smaller half of the padding comes first, or the larger one for
    "same_lower"; pool' is (pool-1)*dilation + 1. Explicit pairs (before, after), each less than pool', pad so
    too. ceil_mode also takes windows that begin inside and end beyond the padding.  ONNX MaxPool-12.
    """

    rounding = EXACT

    def _check_dtype(self, x: TensorType) -> None:
        if x.dtype not in (DType.INT8, DType.UINT8):
            require("float", x)


@dataclass(frozen=True)
class AveragePool(Pool):
    """x: f[n, *d, c] -> f[n, *e, c], the mean of each window; channels_first: f[n, c, *d] -> f[n, c, *e].

    Sizes as for MaxPool. Only the elements inside x are counted, or with count_include_pad those of the padding too;
    what ceil_mode takes beyond that is not.  keras.ops.average_pool; ONNX AveragePool-19.
    """

    rounding = Rounding(compound=True, first_order=averaged)
    count_include_pad: bool = False


@dataclass(frozen=True)
class LpPool(Pool):
    """x: f[n, *d, c] -> f[n, *e, c], the p-norm of each window; channels_first: f[n, c, *d] -> f[n, c, *e].

    (sum |x|**p)**(1/p). Sizes as for MaxPool, padding is 0.  ONNX LpPool-18.
    """

    rounding = COMPOUND
    nonnegative = True
    p: int = 2


@dataclass(frozen=True)
class MaxPoolWithIndices(Op):
    """x: t[n, c, *d] -> y: t[n, c, *e], places: int64[n, c, *e]: MaxPool, channels first, and where each largest is.

    A place counts the elements of all of x in row-major order; with column_major, the spatial axes of one channel count
    in the other order. Of equal elements the first one is taken.  ONNX MaxPool-12, its Indices.
    """

    rounding = EXACT
    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    dilations: tuple[int, ...] | None = None
    ceil_mode: bool = False
    column_major: bool = False

    def infer(self, x: TensorType) -> Types:
        """The shape of MaxPool, twice."""
        (y,) = self.as_max_pool().infer(x)
        return y, y.with_dtype(DType.INT64)

    def as_max_pool(self) -> MaxPool:
        """The pooling without the places."""
        return MaxPool(self.pool_size, self.strides, self.padding, "channels_first", self.dilations, self.ceil_mode)


def _check_fields(op: Pool) -> None:
    name = type(op).__name__
    if op.rank not in (1, 2, 3):
        raise ArgumentError(f"{name} takes 1, 2 or 3 spatial axes, pool_size is {op.pool_size}")
    for what, numbers in (("pool_size", op.pool_size), ("strides", op.strides), ("dilations", op.steps)):
        if len(numbers) != op.rank or any(number <= 0 for number in numbers):
            raise ArgumentError(f"{name} takes {op.rank} ints above 0 for {what}, got {numbers}")
    if isinstance(op.padding, str):
        if op.padding not in ("valid", "same", "same_lower"):
            raise ArgumentError(f"{name} takes padding 'valid', 'same' or 'same_lower', got {op.padding!r}")
    elif len(op.padding) != op.rank or any(
        not 0 <= size < window for pair, window in zip(op.padding, op.extents, strict=True) for size in pair
    ):
        raise ArgumentError(f"{name} takes {op.rank} pairs of ints from 0 to below pool_size, got {op.padding}")
    if op.data_format not in ("channels_last", "channels_first"):
        raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {op.data_format!r}")


def _pool(
    cls: type[Pool], inputs: Operand, pool_size: Sizes, strides: Sizes | None, padding: str, data_format: str | None
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
