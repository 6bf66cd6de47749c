"""Matrices: products that are composed of matmul and einsum, diagonals, triangles. Names as in keras.ops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import TensorType, fixed, normalize_axis
from dagir.ops.arithmetic import add, multiply, power, subtract
from dagir.ops.arrangement import moveaxis, ravel
from dagir.ops.creation import arange
from dagir.ops.elementwise import cast, sqrt, square
from dagir.ops.linear import einsum, matmul
from dagir.ops.logic import equal, where
from dagir.ops.operands import reference
from dagir.ops.padding import pad
from dagir.ops.reduce import sum as reduce_sum
from dagir.ops.shape import expand_dims, flip, reshape
from dagir.ops.sizes import counted
from dagir.ops.stacking import stack

__all__ = [
    "Tril",
    "Triu",
    "cdist",
    "cross",
    "diag",
    "diagflat",
    "diagonal",
    "dot",
    "inner",
    "kron",
    "outer",
    "tensordot",
    "trace",
    "tril",
    "triu",
    "vander",
    "vdot",
]


@dataclass(frozen=True)
class Tril(Op):
    """x: t[*s, m, n] -> t[*s, m, n]: 0 where column - row > k.  NumPy tril; ONNX Trilu-14."""

    rounding = EXACT
    k: int = 0

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        if x.rank < 2:
            raise ShapeError(f"a triangle is cut from matrices, x has rank {x.rank}")
        return (x,)


class Triu(Tril):
    """x: t[*s, m, n] -> t[*s, m, n]: 0 where column - row < k.  NumPy triu; ONNX Trilu-14."""

    rounding = EXACT


def tril(x: Operand, k: int = 0) -> Value:
    """The lower triangle of the last two axes, up to the k-th diagonal above the main one; 0 elsewhere.

    >>> show(ops.tril([[1, 2], [3, 4]]))
    [[1, 0], [3, 4]]
    """
    return apply(Tril(int(k)), as_value(x))


def triu(x: Operand, k: int = 0) -> Value:
    """The upper triangle of the last two axes, from the k-th diagonal above the main one on; 0 elsewhere.

    >>> show(ops.triu([[1, 2], [3, 4]]))
    [[1, 2], [0, 4]]
    """
    return apply(Triu(int(k)), as_value(x))


def _pair(x1: Operand, x2: Operand) -> tuple[Value, Value]:
    first = as_value(x1, like=reference(x2))
    return first, as_value(x2, like=first)


def dot(x1: Operand, x2: Operand) -> Value:
    """The sum of products over the last axis of x1 and the second to last of x2 (a vector's only one), as numpy.dot.

    >>> show(ops.dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    first, second = _pair(x1, x2)
    if first.ndim == 0 or second.ndim == 0:
        return multiply(first, second)
    if first.ndim > 1 and second.ndim > 2:
        return tensordot(first, second, ([-1], [-2]))
    return matmul(first, second)


def inner(x1: Operand, x2: Operand) -> Value:
    """The sum of products over the last axes.

    >>> show(ops.inner([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    first, second = _pair(x1, x2)
    if first.ndim == 0 or second.ndim == 0:
        return multiply(first, second)
    return tensordot(first, second, ([-1], [-1]))


def outer(x1: Operand, x2: Operand) -> Value:
    """Every element of x1 times every element of x2, both flattened: [m, n].

    >>> show(ops.outer([1.0, 2.0], [3.0, 4.0]))
    [[3.0, 4.0], [6.0, 8.0]]
    """
    first, second = _pair(x1, x2)
    return multiply(reshape(first, (-1, 1)), reshape(second, (1, -1)))


def vdot(x1: Operand, x2: Operand) -> Value:
    """The sum of products of all elements.

    >>> show(ops.vdot([[1.0, 2.0]], [[3.0, 4.0]]))
    11.0
    """
    first, second = _pair(x1, x2)
    return matmul(ravel(first), ravel(second))


def tensordot(x1: Operand, x2: Operand, axes: int | Sequence[int | Sequence[int]] = 2) -> Value:
    """The sum of products over axes. axes: how many, the last of x1 with the first of x2; or two lists of them.

    >>> show(ops.tensordot([[1.0, 2.0]], [[3.0], [4.0]], axes=1))
    [[11.0]]
    """
    first, second = _pair(x1, x2)
    if isinstance(axes, int):
        left, right = list(range(first.ndim - axes, first.ndim)), list(range(axes))
    else:
        left, right = ([side] if isinstance(side, int) else list(side) for side in axes)
    if len(left) != len(right):
        raise ArgumentError(f"tensordot sums over as many axes of x1 as of x2, got {axes!r}")
    left = [normalize_axis(axis, first.ndim) for axis in left]
    right = [normalize_axis(axis, second.ndim) for axis in right]
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        raise ArgumentError(f"tensordot sums over different axes of {first.type} and {second.type}, got {axes!r}")
    letters = iter(ascii_letters)
    heads = [next(letters) for _ in range(first.ndim)]
    tails = [heads[left[right.index(axis)]] if axis in right else next(letters) for axis in range(second.ndim)]
    kept = [c for axis, c in enumerate(heads) if axis not in left]
    kept += [c for axis, c in enumerate(tails) if axis not in right]
    return einsum(f"{''.join(heads)},{''.join(tails)}->{''.join(kept)}", first, second)


def kron(x1: Operand, x2: Operand) -> Value:
    """Kronecker's product: x2 scaled by each element of x1, side by side.

    >>> show(ops.kron([1.0, 10.0], [1.0, 2.0]))
    [1.0, 2.0, 10.0, 20.0]
    """
    first, second = _pair(x1, x2)
    rank = max(first.ndim, second.ndim)
    first = reshape(first, (*(1,) * (rank - first.ndim), *first.type.shape))
    second = reshape(second, (*(1,) * (rank - second.ndim), *second.type.shape))
    sizes = [m * n for m, n in zip(first.type.shape, second.type.shape, strict=True)]
    for axis in range(rank):
        first, second = expand_dims(first, 2 * axis + 1), expand_dims(second, 2 * axis)
    return reshape(multiply(first, second), sizes)


def cross(
    x1: Operand, x2: Operand, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Value:
    """The cross product of vectors with 3 components along the axes. With 2 components, the one component that is not
    0.

    axisa, axisb, axisc: the axis of the components in x1, x2 and the result; axis stands for all three.

    >>> show(ops.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    [0.0, 0.0, 1.0]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    first, second = _pair(x1, x2)
    parts = [_components(value, place) for value, place in ((first, axisa), (second, axisb))]
    (a0, a1, a2), (b0, b1, b2) = ([*part, None][:3] for part in parts)
    last = subtract(multiply(a0, b1), multiply(a1, b0))
    if a2 is None and b2 is None:
        return last
    rise = [None if b is None else multiply(a, b) for a, b in ((a1, b2), (a0, b2))]
    fall = [None if a is None else multiply(a, b) for a, b in ((a2, b1), (a2, b0))]
    return moveaxis(stack([_difference(rise[0], fall[0]), _difference(fall[1], rise[1]), last], axis=-1), -1, axisc)


def _components(value: Value, axis: int) -> list[Any]:
    place = normalize_axis(axis, value.ndim)
    size = value.type.shape[place]
    if size not in (2, 3):
        raise ShapeError(f"a cross product takes 2 or 3 components, axis {place} of {value.type} has another size")
    return [value[(*(slice(None),) * place, i)] for i in range(fixed(size))]


def _difference(first: Value | None, second: Value | None) -> Value:
    if first is None:
        assert second is not None
        return multiply(second, -1)
    return first if second is None else subtract(first, second)


def diagflat(x: Operand, k: int = 0) -> Value:
    """A square matrix with the elements of x, flattened, on its k-th diagonal; 0 elsewhere.

    >>> show(ops.diagflat([1, 2]))
    [[1, 0], [0, 2]]
    """
    value = ravel(x)
    size = value.type.shape[0] + abs(k)
    places = arange(size)
    along = expand_dims(pad(value, ((0, abs(k)),)), 1 if k >= 0 else 0)
    on_diagonal = equal(expand_dims(add(places, int(k)), 1), expand_dims(places, 0))
    return where(on_diagonal, along, False if value.dtype == "bool" else 0)


def diag(x: Operand, k: int = 0) -> Value:
    """A matrix with the vector x on its k-th diagonal; of a matrix, its k-th diagonal.

    >>> show(ops.diag([1, 2]))
    [[1, 0], [0, 2]]
    """
    value = as_value(x)
    if value.ndim not in (1, 2):
        raise ShapeError(f"diag takes a vector or a matrix, got {value.type}", remedy="use ops.diagonal")
    return diagflat(value, k) if value.ndim == 1 else diagonal(value, k)


def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The elements with index on axis2 - index on axis1 == offset, on a new last axis. Both sizes must be known.

    >>> show(ops.diagonal([[1, 2], [3, 4]]))
    [1, 4]
    """
    value = moveaxis(x, (axis1, axis2), (-2, -1))
    *rest, rows, columns = value.type.shape
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise ShapeError(f"a diagonal is taken of axes of known sizes, got {rows} and {columns}")
    start = offset if offset >= 0 else -offset * columns
    count = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    flat: list[Dim] = [*rest, rows * columns]
    stop = start + count * (columns + 1)
    return reshape(value, flat)[(..., slice(start, min(stop, rows * columns) if count else start, columns + 1))]


def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The sum of a diagonal.

    offset: which diagonal, above the main one. axis1, axis2: the axes of the matrix.

    >>> show(ops.trace([[1, 2], [3, 4]]))
    5
    """
    return reduce_sum(diagonal(x, offset, axis1, axis2), axis=-1)


def cdist(x: Operand, y: Operand) -> Value:
    """The Euclidean distances of vectors: f[*s, m, d], f[*s, n, d] -> f[*s, m, n].

    >>> show(ops.cdist([[0.0, 0.0], [3.0, 0.0]], [[3.0, 4.0]]))
    [[5.0], [4.0]]
    """
    first, second = _pair(x, y)
    if first.ndim < 2 or second.ndim < 2:
        raise ShapeError(f"cdist takes rows of vectors, got {first.type} and {second.type}")
    apart = subtract(expand_dims(first, -2), expand_dims(second, -3))
    return sqrt(reduce_sum(square(apart), axis=-1))


def vander(x: Operand, N: int | None = None, increasing: bool = False) -> Value:  # noqa: N803 - Keras's name
    """The powers of the elements of a vector: t[n] -> t[n, N], the highest first, or last with `increasing`.

    N: how many, as many as elements by default.

    >>> show(ops.vander([1, 2, 3], 3))
    [[1, 1, 1], [4, 2, 1], [9, 3, 1]]
    """
    value = as_value(x)
    if value.ndim != 1:
        raise ShapeError(f"vander takes a vector, got {value.type}")
    places = counted(value.type.shape[0] if N is None else N)
    places = places if increasing else flip(places, 0)
    return power(expand_dims(value, -1), cast(places, value.dtype))
