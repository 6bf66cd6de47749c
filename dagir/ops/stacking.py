"""Values put together along an axis, or repeated."""

from __future__ import annotations

from collections.abc import Sequence

from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.types import normalize_axis
from dagir.ops.counts import count_from
from dagir.ops.shape import Tile, broadcast_to, concatenate, expand_dims, reshape

__all__ = [
    "stack",
    "tile",
]


def stack(x: Sequence[Operand], axis: int = 0) -> Value:
    """Values joined along a new axis.

    >>> show(ops.stack(([1, 2], [3, 4])))
    [[1, 2], [3, 4]]
    """
    values = [as_value(part) for part in x]
    place = normalize_axis(axis, values[0].ndim + 1)
    return concatenate([expand_dims(value, place) for value in values], axis=place)


def tile(x: Operand, repeats: Dim | Sequence[Dim]) -> Value:
    """x repeated along each axis, as numpy.tile; counts may be named sizes.

    repeats: how often, for each axis.

    >>> show(ops.tile([1, 2], 2))
    [1, 2, 1, 2]
    """
    value = as_value(x)
    given = [repeats] if isinstance(repeats, (int, SymbolicDim)) else list(repeats)
    counts = [1] * (value.ndim - len(given)) + [count_from("tile", "repeats", n) for n in given]
    for _ in range(len(counts) - value.ndim):
        value = expand_dims(value, 0)
    if any(isinstance(n, SymbolicDim) for n in counts):
        return _tiled(value, counts)
    return apply(Tile(tuple(n for n in counts if isinstance(n, int))), value)


def _tiled(value: Value, counts: Sequence[Dim]) -> Value:
    """Tile by named sizes: broadcast each axis along a new axis before it, then merge the two."""
    sizes = value.type.shape
    pairs = list(zip(counts, sizes, strict=True))
    if all(size == 1 or n == 1 for n, size in pairs):
        return broadcast_to(value, [n * size for n, size in pairs])
    apart = reshape(value, [part for _, size in pairs for part in (1, size)])
    wide = broadcast_to(apart, [part for pair in pairs for part in pair])
    return reshape(wide, [n * size for n, size in pairs])
