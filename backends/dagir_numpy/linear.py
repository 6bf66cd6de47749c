"""Linear maps."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir.runtime.index_guard import check_range
from dagir_numpy.rules import rules


@rules.rule(ops.Linear)
def linear(op: ops.Linear, x: Array, w: Array, b: Array | None = None) -> Array:
    y = x @ w
    return y if b is None else y + b


@rules.rule(ops.MatMul)
def matmul(op: ops.MatMul, x1: Array, x2: Array) -> Array:
    return np.matmul(x1, x2)


@rules.rule(ops.Einsum)
def einsum(op: ops.Einsum, *xs: Array) -> Array:
    return np.einsum(op.equation, *xs, optimize=True)


@rules.rule(ops.Embedding)
def embedding(op: ops.Embedding, ids: Array, table: Array) -> Array:
    check_range(ids, len(table), from_the_end=False)
    return table[ids]
