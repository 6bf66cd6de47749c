"""Tensors whose elements are sizes: `ops.stack([batch, -1])`, which a call gives to reshape, tile or broadcast_to.

Beside the value of such a tensor the tracer keeps the sizes themselves, as an array of them: NumPy computes on it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import keras
import numpy as np

from dagir.ir.dims import max_dim, min_dim
from dagir.ir.types import Array
from dagir_keras.reading.live.introspection import array_of_tensor
from dagir_keras.reading.live.traced_tensors import Size, Traced, dim_of, is_size

_LONGEST = 64  # a longer tensor is data, and no shape
_INTEGERS = ("int32", "int64")

OF_SIZES: Mapping[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Subtract": operator.sub,
    "Multiply": operator.mul,
    "FloorDivide": operator.floordiv,
    "Mod": operator.mod,
    "Negative": operator.neg,
    "Minimum": min_dim,
    "Maximum": max_dim,
}
"""Operations that give a size where all arguments are sizes."""


def sizes_of(kind: str, fields: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Array | None:
    """The sizes in the result of an operation on tensors of sizes; None for any other operation or argument."""
    if kwargs or not args or kind not in (*OF_SIZES, *_MOVES) or fields.get("dtype") not in (None, *_INTEGERS):
        return None
    listed = kind in ("Stack", "Concatenate") and isinstance(args[0], (list, tuple))
    count = len(args) if kind in OF_SIZES else 1
    given = [_array(each) for each in (args[0] if listed else args[:count])]
    known = [each for each in given if each is not None]
    if len(known) < len(given) or not known:
        return None
    try:
        if kind in OF_SIZES:
            return np.asarray(np.frompyfunc(OF_SIZES[kind], len(known), 1)(*known), dtype=object)
        return np.asarray(_MOVES[kind](known if listed else known[0], fields, args[1:]), dtype=object)
    except (TypeError, ValueError, IndexError):  # the operation itself says what is wrong
        return None


def elements_of(leaf: Any) -> Any:
    """The sizes in a traced tensor of sizes, as tuples; anything else as it is."""
    return _tuples(leaf.sizes) if isinstance(leaf, Traced) and leaf.sizes is not None else leaf


def _tuples(sizes: Any) -> Any:
    return tuple(map(_tuples, sizes)) if isinstance(sizes, np.ndarray) and sizes.ndim else _plain(sizes)


def _plain(size: Any) -> Any:
    return size.item() if isinstance(size, np.ndarray) else size


def _array(part: Any) -> Array | None:
    """The sizes in an argument; None where it holds anything else."""
    if is_size(part):
        return np.asarray(dim_of(part), dtype=object)
    if isinstance(part, Traced):
        return part.sizes
    if isinstance(part, (list, tuple)):
        inner = [_array(each) for each in part]
        known = [each for each in inner if each is not None and each.shape == ()]
        return np.asarray([each.item() for each in known], dtype=object) if len(known) == len(inner) > 0 else None
    if isinstance(part, keras.Variable):
        return None
    if keras.ops.is_tensor(part):
        part = array_of_tensor(part)
    fits = isinstance(part, np.ndarray) and part.dtype.kind in "iu" and part.size <= _LONGEST
    return part.astype(object) if fits else None


def _axis(fields: Mapping[str, Any]) -> Any:
    return fields.get("axis")


def _position(key: Any) -> Any:
    parts = key if isinstance(key, (list, tuple)) else (key,)
    if any(isinstance(part, (Traced, Size)) for part in parts):
        raise TypeError("a position that is known at run time only")
    return tuple(parts)


def _index(sizes: Array, _: Mapping[str, Any], rest: Sequence[Any]) -> Any:
    return sizes[_position(rest[0])]


def _taken(sizes: Array, fields: Mapping[str, Any], rest: Sequence[Any]) -> Any:
    places = _array(rest[0])
    return np.take(sizes, np.asarray(places, dtype=int), axis=_axis(fields))


def _reshaped(sizes: Array, fields: Mapping[str, Any], _: Sequence[Any]) -> Any:
    shape = fields["newshape"]
    return sizes.reshape(tuple(map(int, shape)) if isinstance(shape, (list, tuple)) else int(shape))


def _product(sizes: Array, fields: Mapping[str, Any], _: Sequence[Any]) -> Any:
    if sizes.ndim != 1 or fields.get("keepdims"):
        raise ValueError("a product of rows")
    return reduce(operator.mul, sizes.tolist(), 1)


_MOVES: Mapping[str, Callable[[Any, Mapping[str, Any], Sequence[Any]], Any]] = {
    "Array": lambda sizes, fields, _: sizes,
    "Cast": lambda sizes, fields, _: sizes,
    "ConvertToTensor": lambda sizes, fields, _: sizes,
    "Stack": lambda sizes, fields, _: np.stack(sizes, axis=_axis(fields)),
    "Concatenate": lambda sizes, fields, _: np.concatenate(sizes, axis=_axis(fields)),
    "ExpandDims": lambda sizes, fields, _: np.expand_dims(sizes, _axis(fields)),
    "Squeeze": lambda sizes, fields, _: np.squeeze(sizes, _axis(fields)),
    "Reshape": _reshaped,
    "Ravel": lambda sizes, fields, _: sizes.reshape(-1),
    "GetItem": _index,
    "Take": _taken,
    "Prod": _product,
}
"""Operations that put sizes in other places, on arrays of sizes: f(sizes, fields, other arguments)."""
