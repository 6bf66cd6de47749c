"""The bits of integers read as other integers, and axes named by words, as in einops. Names as in keras.ops."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Operand, Value
from dagir.ir.operands import as_value
from dagir.ir.types import DType, DTypeLike
from dagir.ops.bitwise import bitwise_and, bitwise_or, left_shift, right_shift
from dagir.ops.elementwise import cast
from dagir.ops.logic import not_equal
from dagir.ops.shape import reshape, transpose
from dagir.ops.stacking import stack

__all__ = ["rearrange", "view"]


def view(x: Operand, dtype: DTypeLike | None = None) -> Value:
    """The bytes of x as numbers of another dtype, the lowest byte first.

    x: int[*s, n] -> int[*s, m], where the bytes of n and of m numbers are as many. Floats keep their dtype: what their
    bits are is known in the dtype alone that a backend computes in. Raises DTypeError, ShapeError.

    >>> show(ops.view(np.asarray([513, 255], "int16"), "uint8"))
    [1, 2, 255, 0]
    """
    value = as_value(x)
    source, target = value.dtype, value.dtype if dtype is None else DType.of(dtype)
    if source is target:
        return value
    for kind in (source, target):
        if not kind.is_integer and kind is not DType.BOOL:
            raise ArgumentError(
                f"view reads the bits of {source} as {target}, and those of floats are known to no backend alone",
                remedy="keep the floats as they are, or cast them: ops.cast(x, 'int32')",
            )
    if target is DType.BOOL:
        return not_equal(view(value, DType.UINT8), 0)
    if source is DType.BOOL:
        return view(cast(value, DType.UINT8), target)
    own, wanted = source.numpy.itemsize, target.numpy.itemsize
    if own == wanted:
        return cast(value, target)
    if not value.ndim:
        raise ShapeError("a scalar has no axis along which more or fewer numbers could lie")
    return _cut(value, own // wanted, target) if own > wanted else _joined(value, wanted // own, target)


def _unsigned(size: int) -> DType:
    return DType.of(f"uint{8 * size}")


def _cut(value: Value, count: int, target: DType) -> Value:
    bits = 8 * target.numpy.itemsize
    parts = [bitwise_and(right_shift(value, place * bits), (1 << bits) - 1) for place in range(count)]
    *outer, last = value.type.shape
    found = cast(stack(parts, -1), _unsigned(target.numpy.itemsize))
    return cast(reshape(found, (*outer, last * count)), target)


def _joined(value: Value, count: int, target: DType) -> Value:
    *outer, last = value.type.shape
    if isinstance(last, int) and last % count:
        raise ShapeError(
            f"{last} numbers of {value.dtype} are no whole number of {target}", marks={0: [value.ndim - 1]}
        )
    size = value.dtype.numpy.itemsize
    rows = cast(cast(reshape(value, (*outer, last // count, count)), _unsigned(size)), target)
    found = rows[..., 0]
    for place in range(1, count):
        found = bitwise_or(found, left_shift(rows[..., place], 8 * size * place))
    return found


def rearrange(tensor: Operand, pattern: str, **axes_lengths: Dim) -> Value:
    """The axes of a tensor in another order, some of them split or merged, by words: "b (h k) c -> b h (k c)".

    pattern: the axes before and behind the arrow; those in brackets lie in one axis, the last the nearest.
    axes_lengths: the sizes of axes in brackets; one of a bracket may be left out. Raises ArgumentError, ShapeError.

    >>> show(ops.rearrange([[1, 2, 3, 4]], "a (b c) -> c (a b)", c=2))
    [[1, 3], [2, 4]]
    """
    value = as_value(tensor)
    if pattern.count("->") != 1:
        raise ArgumentError(f"a pattern has one arrow, got {pattern!r}", remedy='write it as "b h w -> b (h w)"')
    before, behind = (_groups(part) for part in pattern.split("->"))
    names, wanted = ([name for group in side for name in group] for side in (before, behind))
    if len(set(names)) != len(names) or sorted(names) != sorted(wanted):
        raise ArgumentError(f"both sides of {pattern!r} need the same axes, each of them once")
    if len(before) != value.ndim:
        raise ShapeError(f"{pattern!r} has {len(before)} axes, and x is {value.type}")
    sizes: dict[str, Dim] = {}
    for place, (group, size) in enumerate(zip(before, value.type.shape, strict=True)):
        sizes |= _split(group, size, axes_lengths, place)
    apart = reshape(value, [sizes[name] for name in names])
    turned = transpose(apart, [names.index(name) for name in wanted])
    return reshape(turned, [_product(sizes[name] for name in group) for group in behind])


def _groups(side: str) -> list[list[str]]:
    found = re.findall(r"\(([^()]*)\)|(\w+)", side)
    if re.sub(r"\([^()]*\)|\w+|\s+", "", side):
        raise ArgumentError(f"a side of a pattern has words and brackets, got {side.strip()!r}")
    return [inside.split() if not word else [word] for inside, word in found]


def _split(group: Sequence[str], size: Dim, lengths: Mapping[str, Dim], place: int) -> dict[str, Dim]:
    """The sizes of the axes that lie in one axis."""
    unknown = [name for name in group if name not in lengths]
    if len(unknown) > 1:
        raise ArgumentError(f"the sizes of {' and '.join(unknown)} are needed", remedy=f"give {unknown[0]}=...")
    known = _product(lengths[name] for name in group if name in lengths)
    found = {name: size // known if name in unknown else lengths[name] for name in group}
    total = _product(found.values())
    if isinstance(total, int) and isinstance(size, int) and total != size:
        raise ShapeError(f"axis {place} has size {size}, which ({' '.join(group)}) makes {total}", marks={0: [place]})
    return found


def _product(sizes: Iterable[Dim]) -> Dim:
    total: Dim = 1
    for size in sizes:
        total = total * size
    return total
