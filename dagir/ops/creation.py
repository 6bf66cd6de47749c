"""Values made from a shape or by a formula: zeros, ones, ranges, windows, the identity matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.dims import Dim, SymbolicDim, max_dim
from dagir.ir.graph import Constant, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.types import Array, DType, DTypeLike, TensorType
from dagir.ops.counts import count_from
from dagir.ops.elementwise import Identity, cast
from dagir.ops.logic import equal, greater_equal
from dagir.ops.operands import require_held
from dagir.ops.shape import broadcast_to, expand_dims
from dagir.ops.sizes import counted, measured
from dagir.support import limits

__all__ = [
    "arange",
    "array",
    "bartlett",
    "blackman",
    "convert_to_tensor",
    "copy",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "geomspace",
    "hamming",
    "hanning",
    "kaiser",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "tri",
    "zeros",
    "zeros_like",
]


def spend_elements(what: str, *sizes: Any) -> None:
    """Charge the elements of an array that is made from sizes only to the budget of the file that asks for it."""
    limits.spend("elements", math.prod(max(int(size), 0) for size in sizes), what)


def full(shape: Dim | Sequence[Dim | None], fill_value: Operand, dtype: DTypeLike | None = None) -> Value:
    """fill_value everywhere, float32 unless dtype says otherwise; sizes may be named, as ops.shape(x) gives them.

    >>> show(ops.full((2,), 7))
    [7.0, 7.0]
    """
    sizes: list[Any] = list(shape) if isinstance(shape, (list, tuple)) else [shape]
    unknown = [axis for axis, size in enumerate(sizes) if size is None]
    if unknown:
        raise ArgumentError(
            f"axis {unknown[0]} of the shape {tuple(sizes)} is None", remedy=f"use ops.shape(x)[{unknown[0]}] for it"
        )
    if isinstance(fill_value, Value):
        return broadcast_to(cast(fill_value, DType.FLOAT32 if dtype is None else dtype), sizes)
    value = _as_dtype("full", np.asarray(fill_value), DType.FLOAT32 if dtype is None else DType.of(dtype))
    if all(isinstance(size, (int, np.integer)) for size in sizes):
        spend_elements("full", *sizes)
        return Constant(np.full([int(size) for size in sizes], value)).value
    return broadcast_to(Constant(value).value, sizes)


def _as_dtype(name: str, numbers: Array, dtype: DType) -> Array:
    """The numbers in a dtype. Raises DTypeError for integers that cannot be one of them."""
    if numbers.size and numbers.dtype.kind in "iuf":
        require_held(name, TensorType(dtype, ()), numbers.min(), numbers.max(), what="number")
    return numbers.astype(dtype.numpy)


def zeros(shape: Dim | Sequence[Dim | None], dtype: DTypeLike | None = None) -> Value:
    """0 everywhere.

    shape: sizes, ints or named ones.

    >>> show(ops.zeros((2,)))
    [0.0, 0.0]
    """
    return full(shape, 0, dtype)


def ones(shape: Dim | Sequence[Dim | None], dtype: DTypeLike | None = None) -> Value:
    """1 everywhere.

    shape: sizes, ints or named ones.

    >>> show(ops.ones((2,)))
    [1.0, 1.0]
    """
    return full(shape, 1, dtype)


def full_like(x: Operand, fill_value: float, dtype: DTypeLike | None = None) -> Value:
    """fill_value in the shape of x, and in its dtype unless another is given.

    >>> show(ops.full_like([1, 2], 7))
    [7, 7]
    """
    value = as_value(x)
    return full(value.type.shape, fill_value, value.dtype if dtype is None else dtype)


def zeros_like(x: Operand, dtype: DTypeLike | None = None) -> Value:
    """0 in the shape of x.

    >>> show(ops.zeros_like([5, 6]))
    [0, 0]
    """
    return full_like(x, 0, dtype)


def ones_like(x: Operand, dtype: DTypeLike | None = None) -> Value:
    """1 in the shape of x.

    >>> show(ops.ones_like([5, 6]))
    [1, 1]
    """
    return full_like(x, 1, dtype)


def empty(shape: Dim | Sequence[Dim | None], dtype: DTypeLike | None = None) -> Value:
    """Values that will not be read; here they are 0.

    shape: sizes, ints or named ones.

    >>> show(ops.empty((2,)))
    [0.0, 0.0]
    """
    return full(shape, 0, dtype)


def empty_like(x: Operand, dtype: DTypeLike | None = None) -> Value:
    """Values that will not be read, in the shape of x; here they are 0.

    >>> show(ops.empty_like([1, 2]))
    [0, 0]
    """
    return full_like(x, 0, dtype)


def convert_to_tensor(x: Operand | SymbolicDim, dtype: DTypeLike | None = None) -> Value:
    """x as a value: an array or numbers become a constant; a named size becomes its number at run time.

    >>> show(ops.convert_to_tensor([1, 2]))
    [1, 2]
    """
    value = measured(x) if isinstance(x, SymbolicDim) else as_value(x)
    if dtype is None or value.dtype is DType.of(dtype):
        return value
    if isinstance(value.source, Constant):
        return Constant(value.source.array.astype(DType.of(dtype).numpy)).value
    return cast(value, dtype)


array = convert_to_tensor


def copy(x: Operand) -> Value:
    """x itself, as a node of its own: values never change.

    >>> show(ops.copy([1, 2]))
    [1, 2]
    """
    return apply(Identity(), as_value(x))


def arange(
    start: float | SymbolicDim,
    stop: float | SymbolicDim | None = None,
    step: float | None = None,
    dtype: DTypeLike | None = None,
) -> Value:
    """start, start + step ... up to before stop; from 0 to before start where stop is None; int32 for ints.

    start and stop may be named sizes, as ops.shape(x) gives them.

    >>> show(ops.arange(1, 7, 2))
    [1, 3, 5]
    """
    if start is None:
        count_from("arange", "start", start)
    ends: tuple[Any, Any] = (0, start) if stop is None else (start, stop)
    first, last = ends
    stride: float = 1 if step is None else step
    if not isinstance(first, SymbolicDim) and not isinstance(last, SymbolicDim):
        if stride and math.isfinite(steps := (last - first) / stride):
            spend_elements("arange", math.ceil(steps))
        made = np.arange(first, last, stride)
        default = DType.FLOAT32 if made.dtype.kind == "f" else DType.INT32
        return Constant(_as_dtype("arange", made, default if dtype is None else DType.of(dtype))).value
    if not all(isinstance(part, (SymbolicDim, int, np.integer)) for part in (first, last)) or int(stride) != stride:
        raise ArgumentError(
            f"a range to a named size has ints beside it, got {first}, {last} and the step {stride}",
            remedy="make a range of ints, and compute with it",
        )
    length = (last - first if stride > 0 else first - last) + (abs(int(stride)) - 1)
    found = counted(max_dim(length // abs(int(stride)), 0), first, int(stride))
    return found if dtype is None else cast(found, dtype)


def _made(made: Array, dtype: DTypeLike | None) -> Value:
    return Constant(np.asarray(made).astype((DType.FLOAT32 if dtype is None else DType.of(dtype)).numpy)).value


@overload
def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    retstep: Literal[False] = False,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Value: ...
@overload
def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    *,
    retstep: Literal[True],
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> tuple[Value, float]: ...
def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Value | tuple[Value, float]:
    """num numbers from start to stop in equal steps; with retstep the step too. start and stop are numbers or lists.

    endpoint: whether stop is the last number.

    >>> show(ops.linspace(0.0, 1.0, 5))
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if not isinstance(count_from("linspace", "num", num), int):
        raise ArgumentError(f"linspace takes an int for num, got the size {num}, known at run time only")
    spend_elements("linspace", num, *np.shape(start))
    made, step = np.linspace(start, stop, num, endpoint=endpoint, retstep=True, axis=axis)
    return (_made(made, dtype), float(step)) if retstep else _made(made, dtype)


def logspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Value:
    """num numbers from base**start to base**stop whose logarithms have equal steps.

    endpoint: whether base**stop is the last number.

    >>> show(ops.logspace(0, 2, 3))
    [1.0, 10.0, 100.0]
    """
    spend_elements("logspace", num, *np.shape(start))
    return _made(np.logspace(start, stop, num, endpoint=endpoint, base=base, axis=axis), dtype)


def geomspace(
    start: float, stop: float, num: int = 50, endpoint: bool = True, dtype: DTypeLike | None = None, axis: int = 0
) -> Value:
    """num numbers from start to stop, each the same multiple of the one before.

    endpoint: whether stop is the last number.

    >>> show(ops.geomspace(1, 8, 4))
    [1.0, 2.0, 4.0, 8.0]
    """
    spend_elements("geomspace", num, *np.shape(start))
    return _made(np.geomspace(start, stop, num, endpoint=endpoint, axis=axis), dtype)


def eye(N: Dim, M: Dim | None = None, k: int = 0, dtype: DTypeLike | None = None) -> Value:  # noqa: N803 - Keras's names
    """[N, M] with 1 on the k-th diagonal above the main one, 0 elsewhere; float32. Sizes may be named.

    >>> show(ops.eye(2))
    [[1.0, 0.0], [0.0, 1.0]]
    """
    count_from("eye", "N", N)
    if isinstance(N, SymbolicDim) or isinstance(M, SymbolicDim):
        return cast(equal(*_places(N, M, k)), DType.FLOAT32 if dtype is None else dtype)
    spend_elements("eye", N, N if M is None else M)
    return _made(np.eye(N, M, k), dtype)


def tri(N: Dim, M: Dim | None = None, k: int = 0, dtype: DTypeLike | None = None) -> Value:  # noqa: N803 - Keras's names
    """[N, M] with 1 up to the k-th diagonal above the main one, 0 beyond; float32. Sizes may be named.

    >>> show(ops.tri(3))
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    count_from("tri", "N", N)
    if isinstance(N, SymbolicDim) or isinstance(M, SymbolicDim):
        return cast(greater_equal(*_places(N, M, k)), DType.FLOAT32 if dtype is None else dtype)
    spend_elements("tri", N, N if M is None else M)
    return _made(np.tri(N, M, k), dtype)


def _places(rows: Dim, columns: Dim | None, k: int) -> tuple[Value, Value]:
    """The row of each entry as [rows, 1], moved by k, and its column as [columns]."""
    return expand_dims(counted(rows, int(k)), 1), counted(rows if columns is None else columns)


def bartlett(x: int) -> Value:
    """The triangular window of x points.

    >>> show(ops.bartlett(5))
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    spend_elements("bartlett", x)
    return _made(np.bartlett(x), None)


def blackman(x: int) -> Value:
    """Blackman's window of x points.

    >>> show(ops.blackman(5))
    [0.0, 0.34, 1.0, 0.34, 0.0]
    """
    spend_elements("blackman", x)
    return _made(np.blackman(x), None)


def hamming(x: int) -> Value:
    """Hamming's window of x points.

    >>> show(ops.hamming(5))
    [0.08, 0.54, 1.0, 0.54, 0.08]
    """
    spend_elements("hamming", x)
    return _made(np.hamming(x), None)


def hanning(x: int) -> Value:
    """Hann's window of x points.

    >>> show(ops.hanning(5))
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    spend_elements("hanning", x)
    return _made(np.hanning(x), None)


def kaiser(x: int, beta: float) -> Value:
    """Kaiser's window of x points.

    beta: the shape of the window; 0 is a rectangle.

    >>> show(ops.kaiser(5, 14.0))
    [0.0, 0.1649, 1.0, 0.1649, 0.0]
    """
    spend_elements("kaiser", x)
    return _made(np.kaiser(x, beta), None)
