"""Which tensor of a file is which value of a model, where the file does not say: by what they are on the same inputs.

A file of another exporter has names of its own. A value of the model is paired with a tensor whose numbers are near to
its own, as they are or with channels first, if no other value is nearer to the tensor. A fault leaves the tensors
behind it near enough to be paired, or without a partner, and the node is found among those that have one.

Some values are near to each other: a ReLU to the minimum with 6 behind it, a convolution to a normalization that
changes little. Where the file has one tensor for both, it is the later one: an exporter folds a node into those before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dagir.ir.types import Array
from dagir_onnx.points import Point

_NEAR = 0.02  # of the root of the mean square
_MOST = 1 << 27  # elements of all tensors that are looked at


@dataclass(frozen=True)
class _Seen:
    """A value or a tensor: its numbers, and what no permutation changes of them."""

    name: str
    array: Array
    size: int
    total: float
    scale: float


def is_near(value: Array, other: Array) -> bool:
    """Whether two arrays of one shape may be the same value, the second with a fault."""
    if value.dtype.kind != "f" or other.dtype.kind != "f":
        return np.array_equal(value, other)
    wide = value.astype(np.float64)
    apart, scale = (float(np.sqrt(np.mean(each * each))) if each.size else 0.0 for each in (other - wide, wide))
    return apart <= _NEAR * scale or np.array_equal(value, other, equal_nan=True)


def nearest(values: Mapping[str, Array], tensors: Mapping[str, Array], nodes: Mapping[str, str]) -> dict[str, Point]:
    """The points: for each value the tensor that is the nearest, of those that no other value is nearer to.

    values: of the model, by name, in their order. tensors: of the file, by name. nodes: the name of the node of each.
    """
    by_size: dict[int, list[_Seen]] = {}
    for name, array in values.items():
        if (seen := _seen(name, array)) is not None:
            by_size.setdefault(seen.size, []).append(seen)
    nearer: dict[str, tuple[float, Point]] = {}
    for name, array in tensors.items():
        tensor = _seen(name, array)
        if tensor is None:
            continue
        found: tuple[float, str, tuple[int, ...] | None] | None = None
        for value in by_size.get(tensor.size, ()):
            near = _nearness(value, tensor) if _alike(value, tensor) else None
            if near is not None and (found is None or near[0] <= found[0]):  # of equal ones the last
                found = near[0], value.name, near[1]
        if found is not None:
            distance, of, axes = found
            if of not in nearer or distance <= nearer[of][0]:
                nearer[of] = distance, Point(name, nodes[name], axes)
    return {name: nearer[name][1] for name in values if name in nearer}


def _seen(name: str, array: Array) -> _Seen | None:
    """None for what tells nothing: integers, few elements, NaN, and numbers that are all equal."""
    if array.dtype.kind != "f" or array.size < 2:
        return None
    wide = array.astype(np.float64)
    scale = float(np.sqrt(np.mean(wide * wide)))
    if not np.isfinite(scale) or scale == 0 or np.ptp(wide) == 0:
        return None
    return _Seen(name, wide, array.size, float(wide.mean()), scale)


def _alike(value: _Seen, other: _Seen) -> bool:
    return abs(value.total - other.total) + abs(value.scale - other.scale) <= 2 * _NEAR * value.scale


def _nearness(value: _Seen, other: _Seen) -> tuple[float, tuple[int, ...] | None] | None:
    """How far the tensor is from the value, with its axes in the order that gives its shape; None if it is not near."""
    shape, rank = value.array.shape, value.array.ndim
    last = tuple([0, *range(2, rank), 1]) if rank > 2 else None
    found: list[tuple[float, tuple[int, ...] | None]] = []
    for axes in dict.fromkeys((None, last)):
        turned = other.array if axes is None else other.array.transpose(axes) if other.array.ndim == rank else None
        if turned is not None and turned.shape == shape:
            found.append((float(np.sqrt(np.mean((turned - value.array) ** 2))) / value.scale, axes))
    nearest = min(found, key=lambda each: each[0], default=(np.inf, None))
    return nearest if nearest[0] <= _NEAR else None


def within_limit(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether so many numbers can be looked at."""
    return sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes) <= _MOST
