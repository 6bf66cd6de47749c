"""Linear maps."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir.runtime.index_guard import check_range
from dagir_numpy.correlation import Finish, biased, multiply
from dagir_numpy.rules import rules


@rules.rule(ops.Linear)
def linear(op: ops.Linear, x: Array, w: Array, b: Array | None = None) -> Array:
    return project(op, x, w, b)


def project(op: ops.Linear, x: Array, w: Array, b: Array | None, finish: Finish | None = None) -> Array:
    """finish: what is done to each block of rows, see `correlate`."""
    y = np.empty((*x.shape[:-1], w.shape[1]), np.result_type(x, w))
    if y.size:
        multiply(x.reshape(-1, x.shape[-1]), w, y, biased(b, finish))
    return y


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
