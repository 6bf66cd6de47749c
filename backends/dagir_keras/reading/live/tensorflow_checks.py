"""tf.debugging.assert_* in a traced call: what is known of shapes and sizes is checked; the rest is for the run.

A graph of dagir computes what the call computes where its assertions hold.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dagir.ir.dims import Dim, SymbolicDim, max_dim, provably_equal
from dagir.ir.types import Array
from dagir_keras.reading.problems import Decided
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.tensors import constant_of, entries, ints, shape_of, tensor

Function = Callable[..., Any]


def _equal(left: Dim, right: Dim) -> bool | None:
    return provably_equal(left, right)


def _below(left: Dim, right: Dim) -> bool | None:
    if max_dim(left + 1, right) == right:
        return True
    return False if max_dim(left, right) == left else None


def _negated(known: bool | None) -> bool | None:
    return None if known is None else not known


_ORDERS: Mapping[str, Callable[[Dim, Dim], bool | None]] = {
    "assert_equal": _equal,
    "assert_none_equal": lambda left, right: _negated(_equal(left, right)),
    "assert_less": _below,
    "assert_greater": lambda left, right: _below(right, left),
    "assert_less_equal": lambda left, right: _negated(_below(right, left)),
    "assert_greater_equal": lambda left, right: _negated(_below(left, right)),
}
_OF_NUMBERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "assert_equal": operator.eq,
    "assert_none_equal": operator.ne,
    "assert_less": operator.lt,
    "assert_greater": operator.gt,
    "assert_less_equal": operator.le,
    "assert_greater_equal": operator.ge,
}
_SIGNS: Mapping[str, str] = {
    "assert_negative": "assert_less",
    "assert_positive": "assert_greater",
    "assert_non_negative": "assert_greater_equal",
    "assert_non_positive": "assert_less_equal",
}
_RANKS = ("assert_rank", "assert_rank_at_least", "assert_rank_in")
_OTHERS = ("assert_type", "assert_scalar", "assert_integer", "assert_near", "assert_shapes", "assert_same_float_dtype")
NAMES = (
    *(f"debugging.{name}" for name in (*_ORDERS, *_SIGNS, *_RANKS, *_OTHERS, "Assert")),
    *(f"compat.v1.{name}" for name in (*_ORDERS, *_SIGNS, *_RANKS)),
)


def is_check(name: str) -> bool:
    """Whether a function, by its public name, only checks its arguments."""
    return name in NAMES


def run(name: str, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Check what is known now. Raises Decided where the assertion fails whatever the model is given."""
    kind = name.rpartition(".")[2]
    if kind == "Assert":
        known = constant_of(args[0]) if args else None
        held = None if known is None else bool(known.all())
    elif kind in _RANKS:
        held = _rank_holds(kind, *[*args, *_under(kwargs, "x", "rank", "ranks")][:2])
    elif kind in _SIGNS:
        held = _compared(_SIGNS[kind], [*args, *_under(kwargs, "x")][0], 0)
    elif kind in _ORDERS:
        held = _compared(kind, *[*args, *_under(kwargs, "x", "y")][:2])
    elif kind == "assert_type":
        given, wanted = [*args, *_under(kwargs, "tensor", "tf_type")][:2]
        held = tensor(given).dtype is dtype_of(wanted)
    elif kind == "assert_scalar":
        held = not shape_of(tensor(args[0]))
    else:
        held = None
    if held is False:
        raise Decided(f"its tf.{name} fails for every input", "mend the call, or give the model other inputs")


def _under(kwargs: Mapping[str, Any], *names: str) -> list[Any]:
    return [kwargs[name] for name in names if name in kwargs]


def _rank_holds(kind: str, given: Any, wanted: Any) -> bool:
    rank, ranks = len(shape_of(tensor(given))), ints(wanted, "rank")
    return rank >= ranks[0] if kind == "assert_rank_at_least" else rank in ranks


def _compared(kind: str, left: Any, right: Any) -> bool | None:
    """Whether it holds for all elements; None where only the run tells."""
    parts = [tensor(left), tensor(right)]
    first, second = map(entries, parts)
    if first is not None and second is not None and (_is_open(first) or _is_open(second)):
        made = np.frompyfunc(_ORDERS[kind], 2, 1)(first, second) if _fit(first, second) else None
        found = list(np.asarray(made, object).flat)
        return False if False in found else None if None in found else True
    numbers = [constant_of(part) for part in parts]
    if any(part is None for part in numbers):
        return None
    return bool(np.all(_OF_NUMBERS[kind](*numbers)))


def _is_open(sizes: Array) -> bool:
    return any(isinstance(size, SymbolicDim) for size in sizes.flat)


def _fit(left: Array, right: Array) -> bool:
    return left.shape == right.shape or left.ndim == 0 or right.ndim == 0
