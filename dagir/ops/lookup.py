"""Lookup: a table from keys to values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir.errors import ArgumentError, DTypeError
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import DType, TensorType

__all__ = [
    "Lookup",
    "lookup",
]

Entries = tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True)
class Lookup(Op):
    """x: int64[*s] or string[*s] -> int64[*s] or string[*s]: values[i] where x is keys[i], else the default.

    ONNX ai.onnx.ml LabelEncoder-2.
    """

    rounding = EXACT
    elementwise = True
    keys: Entries
    values: Entries
    default: int | str

    def infer(self, x: TensorType) -> Types:
        """The shape of x, the dtype of the values."""
        keys, values = _dtype("keys", self.keys), _dtype("values", (*self.values, self.default))
        if len(self.keys) != len(self.values) or len(set(self.keys)) != len(self.keys):
            raise ArgumentError(f"a table has one value for each key and no key twice, got {len(self.keys)} keys")
        if x.dtype is not keys:
            raise DTypeError(f"the keys are {keys}, x is {x.dtype}", remedy=f"cast it: ops.cast(x, {str(keys)!r})")
        return (x.with_dtype(values),)


def _dtype(name: str, entries: tuple[object, ...]) -> DType:
    kinds = {DType.STRING if isinstance(each, str) else DType.INT64 if type(each) is int else None for each in entries}
    if len(kinds) != 1 or None in kinds:
        raise ArgumentError(f"the {name} of a table are ints or strings, at least one, got {list(entries)[:5]}")
    return next(kind for kind in kinds if kind is not None)


def lookup(x: Operand, keys: Sequence[int | str], values: Sequence[int | str], default: int | str) -> Value:
    """The value of each key in x; the default for elements that are not keys.

    keys, values: ints or strings, as many of both. Raises DTypeError where x has not the dtype of the keys.

    >>> show(ops.lookup(np.int64([7, 8, 9]), keys=(7, 9), values=(1, 2), default=0))
    [1, 0, 2]
    """
    return apply(Lookup(tuple(keys), tuple(values), default), as_value(x))  # type: ignore[arg-type]  # infer checks it
