"""Triangles of matrices."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.Tril)
def tril(op: ops.Tril, x: Any) -> Any:
    return K.tril(x, op.k) if _crosses(op.k, x) else _cut(x, K.less_equal, op.k)


@rules.rule(ops.Triu)
def triu(op: ops.Triu, x: Any) -> Any:
    return K.triu(x, op.k) if _crosses(op.k, x) else _cut(x, K.greater_equal, op.k)


def _crosses(k: int, x: Any) -> bool:
    """Whether the diagonal surely passes through the matrix: TensorFlow fails where it lies outside."""
    rows, columns = x.shape[-2:]
    return rows is not None and columns is not None and -rows < k < columns


def _cut(x: Any, keeps: Any, k: int) -> Any:
    ones = K.ones_like(x, dtype="int32")
    return K.where(keeps(K.cumsum(ones, axis=-1) - K.cumsum(ones, axis=-2), k), x, K.zeros_like(x))
